"""How many processor threads compute: one where a second would have more to wait for than to do.

PyTorch splits even small products among all cores, and each split waits for the slowest thread. On
a machine with other work that wait is many times the computation.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Multiply-adds of one pass of rows through the networks from which on it is split: about half a
# millisecond of one core.
SPLIT_WORK = 10_000_000


def threads_of(work: int) -> int:
    """One thread or, from `SPLIT_WORK` multiply-adds a pass on, all there are."""
    return torch.get_num_threads() if work >= SPLIT_WORK else 1


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """Compute with so many threads as pay for so many multiply-adds a pass."""
    all_threads = torch.get_num_threads()
    torch.set_num_threads(threads_of(work))
    try:
        yield
    finally:
        torch.set_num_threads(all_threads)
