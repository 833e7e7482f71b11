"""How a launcher such as `torchrun` has started this process, by what it leaves in the environment.

The variables are those of `torch.distributed`'s `env://`, and of torchrun for local ranks and
restarts.
"""

import os
from dataclasses import dataclass

REQUIRED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Launch:
    """One of several processes.

    Attributes:
        rank: which, from 0.
        local_rank: which of those on this machine.
        local_size: how many there are on this machine.
        restarts: how often all of them were started again after a failure.
        size: how many there are.
        address: where they meet.
    """

    rank: int
    local_rank: int = 0
    local_size: int = 1
    restarts: int = 0
    size: int = 1
    address: str = ""


def launched() -> Launch | None:
    """How this process was started; None if by itself."""
    if any(not os.environ.get(name) for name in REQUIRED):
        return None
    try:
        rank, size = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE"))
        local = int(os.environ.get("LOCAL_RANK", rank))
        here = int(os.environ.get("LOCAL_WORLD_SIZE", size))
        restarts = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    except ValueError:
        return None
    address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    return Launch(rank, local, here, restarts, size, address) if 0 <= rank < size else None
