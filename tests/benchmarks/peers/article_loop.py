"""The article's loop: slices of tensors, `zero_grad`, `backward`, `torch.optim.SGD.step`.

What everything else is measured against. The loss of every update is kept, as the article plots it.
"""

from functools import partial

import torch
from torch import Tensor, nn

from tests.benchmarks.peers.job import Job, Trained
from tests.benchmarks.peers.measure import in_turn, main
from tests.benchmarks.peers.torch_network import train_network


def fit(job: Job, network: nn.Module, x: Tensor, y: Tensor, epochs: int) -> list[float]:
    optimizer = torch.optim.SGD(network.parameters(), lr=job.lr)
    criterion = nn.MSELoss()
    losses = []
    for _ in range(epochs):
        for first in range(0, len(x) - job.batch_size + 1, job.batch_size):
            batch = slice(first, first + job.batch_size)
            loss = criterion(network(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def train(job: Job) -> Trained:
    return in_turn(job, partial(train_network, fit))


if __name__ == "__main__":
    main(train)
