"""The network as PyTorch's users build it, and how those who build it so are timed."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from tests.benchmarks.peers.job import Job
from tests.benchmarks.peers.measure import Run, timed
from tests.benchmarks.peers.problem import Problem, Weights

# Trains a network on the rows x and y for so many epochs, in place.
Fit = Callable[[Job, nn.Module, Tensor, Tensor, int], object]


def train_network(fit: Fit, job: Job, problem: Problem, start: Weights) -> Run:
    """Train a network from a start, warmed up by one update of a copy."""
    x, y, size = torch.from_numpy(problem.x), torch.from_numpy(problem.y), job.batch_size
    network = build(start)
    spent = timed(
        job,
        lambda: fit(job, deepcopy(network), x[:size], y[:size], 1),
        lambda: fit(job, network, x, y, job.epochs),
    )
    return Run(Weights(*(p.detach().numpy().transpose() for p in network.parameters())), *spent)


def build(start: Weights) -> nn.Sequential:
    """Linear, ReLU, Linear with these weights."""
    features, hidden = start.w1.shape
    network = nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 1))
    with torch.no_grad():
        for parameter, array in zip(network.parameters(), start, strict=True):
            parameter.copy_(torch.from_numpy(array.transpose()))
    return network
