"""How PyTorch computes: with how many threads of a processor, and how exactly on a GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.backends import cuda, cudnn

# Multiply-adds of one pass of rows through the networks from which on all threads share it: about
# half a millisecond of one core.
SPLIT_WORK = 10_000_000


@contextmanager
def computing(work: int) -> Iterator[None]:
    """Compute with as many threads as the work pays for, and everything as exactly as products.

    A GPU can round the factors of products to TF32, 10 bits for 23. PyTorch does so only if it is
    asked to; but in convolutions and recurrent layers, which a user's own network may have, unless
    it is told not to.

    Args:
        work: multiply-adds of a pass of rows through the networks.
    """
    before = cudnn.allow_tf32
    cudnn.allow_tf32 = cuda.matmul.allow_tf32
    try:
        with threads_for(work):
            yield
    finally:
        cudnn.allow_tf32 = before


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """Compute with one thread or, from `SPLIT_WORK` multiply-adds per pass on, with all of them.

    PyTorch divides even small products among all cores, and then waits for the slowest thread. On
    a machine with other work that wait is many times the computation.
    """
    all_threads = torch.get_num_threads()
    torch.set_num_threads(all_threads if work >= SPLIT_WORK else 1)
    try:
        yield
    finally:
        torch.set_num_threads(all_threads)
