"""skorch: a PyTorch module behind scikit-learn's interface, `NeuralNetRegressor(...).fit(x, y)`.

Its validation split and its lines of print are switched off, since no other peer has them.
"""

from functools import partial

import torch
from skorch import NeuralNetRegressor
from torch import Tensor, nn

from tests.benchmarks.peers.job import Job, Trained
from tests.benchmarks.peers.measure import in_turn, main
from tests.benchmarks.peers.torch_network import train_network


def fit(job: Job, network: nn.Module, x: Tensor, y: Tensor, epochs: int) -> None:
    NeuralNetRegressor(
        network,
        optimizer=torch.optim.SGD,
        lr=job.lr,
        batch_size=job.batch_size,
        max_epochs=epochs,
        iterator_train__drop_last=True,
        train_split=None,
        verbose=0,
    ).fit(x, y)


def train(job: Job) -> Trained:
    return in_turn(job, partial(train_network, fit))


if __name__ == "__main__":
    main(train)
