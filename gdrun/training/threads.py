"""How many processor threads compute: one where the work is too little to share.

PyTorch divides even small products among all cores, and then waits for the slowest thread. On a
machine with other work that wait is many times the computation.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Multiply-adds of one pass of rows through the networks from which on all threads share it: about
# half a millisecond of one core.
SPLIT_WORK = 10_000_000


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """Compute with one thread or, from `SPLIT_WORK` multiply-adds per pass on, with all of them."""
    all_threads = torch.get_num_threads()
    torch.set_num_threads(all_threads if work >= SPLIT_WORK else 1)
    try:
        yield
    finally:
        torch.set_num_threads(all_threads)
