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


@contextmanager
def threads_for(work: int) -> Iterator[None]:
    """Compute with one thread or, from `SPLIT_WORK` multiply-adds a pass on, with all there are."""
    all_threads = torch.get_num_threads()
    torch.set_num_threads(all_threads if work >= SPLIT_WORK else 1)
    try:
        yield
    finally:
        torch.set_num_threads(all_threads)
