"""The processes that train what a command says, and the GPU of each."""

from dataclasses import dataclass

import torch

from gdrun.errors import ConfigError
from gdrun.text import count
from gdrun.training.device import count_gpus
from gdrun.training.ranks import ALONE, Ranks


@dataclass(frozen=True)
class Processes:
    """This one alone, processes that it starts, or ranks that a launcher has started.

    Attributes:
        jobs: how many train the runs of a group side by side.
        here: how many of all are on this machine.
        ranks: those that train one run together; of a group, each trains runs of its own.
    """

    jobs: int = 1
    here: int = 1
    ranks: Ranks = ALONE

    def sharing(self, gpus: int) -> int:
        """How many share a GPU of this machine: ranks are spread over all, others use one."""
        return -(-self.here // gpus) if self.ranks.size > 1 else self.here


THIS_ONE = Processes()


def own_device(chosen: torch.device, asked: str) -> torch.device:
    """The device of this rank: a GPU of its own, unless one was asked for by number.

    Args:
        chosen: that of rank 0.
        asked: what the config says.

    Raises:
        ConfigError: there is no GPU on this machine.
    """
    if chosen.type != "cuda":
        return chosen
    if not count_gpus():
        raise ConfigError(
            f"device: {asked}: rank 0 trains on a GPU, and this machine has none",
            "start ranks on machines that have one, or use device: cpu",
        )
    return chosen if _is_numbered(asked) else torch.device("cuda", torch.cuda.current_device())


def require_gpu_each(device: torch.device, asked: str, here: int) -> None:
    """Check that ranks that train one run together don't share a GPU: they can't sum over one.

    Args:
        device: on which they train.
        asked: what the config says.
        here: how many ranks are on this machine.

    Raises:
        ConfigError: some share one.
    """
    if device.type == "mps":
        raise ConfigError(
            "device: mps: several ranks can't sum what they have there",
            "use device: cpu, or start gdrun without torchrun",
        )
    if device.type != "cuda":
        return
    if here > 1 and _is_numbered(asked):
        raise ConfigError(
            f"device: {asked}: there are {here} ranks on this machine, and each needs a GPU of its "
            "own",
            "device: cuda gives each another one",
        )
    if here > (gpus := count_gpus()) > 0:
        raise ConfigError(
            f"device: {asked}: there are {here} ranks on this machine and {count(gpus, 'GPU')}, "
            "and each needs one of its own",
            f"start fewer, with torchrun --nproc-per-node {gpus}, or use device: cpu",
        )


def _is_numbered(asked: str) -> bool:
    return ":" in asked
