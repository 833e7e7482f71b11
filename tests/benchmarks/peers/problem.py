"""The data and the starts of a job, made once with PyTorch and read by every peer with NumPy.

So that a peer without PyTorch needn't load it: `python -m tests.benchmarks.peers.problem JOBS`
makes the files in the folder that `GDRUN_PEERS_DATA` names. Without it they are made where they are
needed, and removed at the end of the process.
"""

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.benchmarks.peers.job import Job

FOLDER = "GDRUN_PEERS_DATA"
LOSS_ROWS = 1_000  # that a loss is taken of at a time, so that it doesn't set the peak of memory

Array = np.ndarray[Any, np.dtype[np.float32]]


class Weights(NamedTuple):
    """Of one network: (D, H), (H,), (H, 1) and (1,)."""

    w1: Array
    b1: Array
    w2: Array
    b2: Array


@dataclass(frozen=True)
class Problem:
    """Rows (N, D) and (N, 1), and the start of each lane."""

    x: Array
    y: Array
    starts: tuple[Weights, ...]

    def loss(self, weights: Weights) -> float:
        """Mean squared error over all rows."""
        total = 0.0
        for first in range(0, len(self.x), LOSS_ROWS):
            rows = slice(first, first + LOSS_ROWS)
            hidden = np.maximum(self.x[rows] @ weights.w1 + weights.b1, 0)
            error = hidden @ weights.w2 + weights.b2 - self.y[rows]
            total += float(np.square(error, dtype=np.float64).sum())
        return total / len(self.x)


def load(job: Job) -> Problem:
    """The problem of a job."""
    x, y = data_files(job)
    starts = []
    for lane in range(job.lanes):
        with np.load(_start_file(job, lane)) as start:
            starts.append(Weights(*start.values()))
    return Problem(np.load(x), np.load(y), tuple(starts))


def data_files(job: Job) -> tuple[Path, Path]:
    """The .npy files of x and y."""
    x, y = (_folder() / f"{job.rows}-{job.features}-{name}.npy" for name in "xy")
    if not y.exists():
        import torch

        generator = torch.Generator().manual_seed(0)
        if job.features == 1:  # the article's data
            xs = torch.linspace(-1, 1, job.rows).unsqueeze(1)
            ys = xs.pow(2) + 0.2 * torch.rand(xs.shape, generator=generator)
        else:
            xs = torch.randn(job.rows, job.features, generator=generator)
            ys = xs[:, :1].sin()
        np.save(x, xs.numpy())
        np.save(y, ys.numpy())
    return x, y


def _start_file(job: Job, lane: int) -> Path:
    """The weights of `nn.Linear` layers built after `torch.manual_seed(lane)`."""
    file = _folder() / f"{job.features}-{job.hidden}-{lane}.npz"
    if not file.exists():
        import torch
        from torch import nn

        with torch.random.fork_rng():
            torch.manual_seed(lane)
            layers = (nn.Linear(job.features, job.hidden), nn.Linear(job.hidden, 1))
        arrays = [p.detach().numpy().T for layer in layers for p in (layer.weight, layer.bias)]
        np.savez(file, *map(np.ascontiguousarray, arrays))
    return file


def _folder() -> Path:
    return Path(os.environ.get(FOLDER) or _own_folder().name)


@cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="gdrun-peers-")


def make(jobs: Sequence[Job]) -> None:
    """Make the files of jobs."""
    for job in jobs:
        data_files(job)
        for lane in range(job.lanes):
            _start_file(job, lane)


if __name__ == "__main__":
    from tests.benchmarks.peers.measure import read_jobs

    make(read_jobs(sys.argv[1]))
