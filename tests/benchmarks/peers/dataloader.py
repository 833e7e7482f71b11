"""The loop of PyTorch's tutorials: a `DataLoader` over a `TensorDataset` in place of slices.

The loader drops the incomplete last batch, and works in the process, without workers.
"""

from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tests.benchmarks.peers.job import Job, Trained
from tests.benchmarks.peers.measure import in_turn, main
from tests.benchmarks.peers.torch_network import train_network


def fit(job: Job, network: nn.Module, x: Tensor, y: Tensor, epochs: int) -> list[float]:
    loader = DataLoader(TensorDataset(x, y), batch_size=job.batch_size, drop_last=True)
    optimizer = torch.optim.SGD(network.parameters(), lr=job.lr)
    criterion = nn.MSELoss()
    losses = []
    for _ in range(epochs):
        for inputs, targets in loader:
            loss = criterion(network(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def train(job: Job) -> Trained:
    return in_turn(job, partial(train_network, fit))


if __name__ == "__main__":
    main(train)
