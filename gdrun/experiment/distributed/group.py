"""The process group: sums over ranks, and what rank 0 tells the others."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from gdrun.errors import RankError, in_words, one_line
from gdrun.experiment.distributed.board import STOP
from gdrun.experiment.distributed.launch import Launch
from gdrun.experiment.distributed.lost import loss_of, note_place
from gdrun.experiment.distributed.meeting import agree_on_place
from gdrun.experiment.distributed.notes import Notes
from gdrun.training.ranks import Ranks

T = TypeVar("T")

TOLD, BEGUN = "told", "gdrun-begun"  # in the store
MOST_WAITING = timedelta(days=30)  # one rank may wait for another that trains a long run


@dataclass(frozen=True)
class Group:
    """All ranks, as one of them sees them.

    Attributes:
        notes: what they leave word of for each other.
        local_size: how many of them are on this machine.
        is_restarted: whether a launcher has started them again after a failure.
    """

    notes: Notes
    local_size: int = 1
    is_restarted: bool = False

    @property
    def rank(self) -> int:
        """Which this is."""
        return self.notes.rank

    @property
    def size(self) -> int:
        """How many there are."""
        return self.notes.size

    @property
    def ranks(self) -> Ranks:
        """As the training knows them."""
        return Ranks(self.size, self.rank, self._reduce)

    def _reduce(self, tensor: Tensor) -> None:
        self._together(lambda: dist.all_reduce(tensor))

    def tell(self, message: T | None = None) -> T | None:
        """What rank 0 tells all others, of whom each gets it; what they pass isn't heeded.

        Raises:
            RankError: one is lost.
        """
        box = [message]
        if self.rank == 0:
            self.notes.say(TOLD, "")
        self._together(lambda: dist.broadcast_object_list(box, src=0))
        return box[0]

    def meet(self) -> Callable[[], bool]:
        """Begin to wait for all ranks.

        Returns:
            A function that says whether they are here by now, and raises a RankError once one is
            lost.
        """
        nothing = torch.zeros(1)
        work = dist.all_reduce(nothing, async_op=True)
        assert work is not None  # this is one of the ranks

        def are_here() -> bool:
            if not work.is_completed():
                return False
            self._together(work.wait)
            return True

        return are_here

    def dismiss(self) -> None:
        """Let the others go if they haven't been told anything.

        Raises:
            RankError: one is lost.
        """
        if not self.notes.has_said(TOLD):
            self.tell()

    def speaks_of(self, error: RankError) -> bool:
        """Whether it is for this rank to say that others are lost: rank 0 is, and those before."""
        return error.lost.issuperset(range(self.rank))

    def _together(self, call: Callable[[], object]) -> None:
        """Do what all ranks do together.

        Raises:
            RankError: one is lost.
        """
        try:
            call()
        except RuntimeError as error:
            raise loss_of(self.notes, error) from error

    def note_failure(self, error: Exception) -> None:
        """Leave word for the others of why this rank ends, which ends what they train, too."""
        with suppress(RankError):  # the store is gone, too
            self.notes.say(f"failed/{self.rank}", json.dumps(in_words(error)))
            self.notes.say(STOP, "")


def join(launch: Launch) -> Group:
    """Meet the other ranks, which the launcher has started; all of them call this together.

    On a machine with GPUs each gets one of its own. Ranks that train runs of their own share them
    where there are too few.

    Raises:
        RankError: they can't be reached.
    """
    try:
        store, rank, size = next(rendezvous("env://"))
        # How often it did so, other machines than that of the failure may not know.
        is_restarted = launch.restarts > 0 or store.check([BEGUN])
        place = agree_on_place(store, rank, size)
        store.set(BEGUN, "")
        backend = "gloo"
        if torch.cuda.is_available():
            torch.cuda.set_device(launch.local_rank % torch.cuda.device_count())
            backend = "cpu:gloo,cuda:nccl"
        dist.init_process_group(
            backend,
            store=PrefixStore(f"{place}/torch", store),
            rank=rank,
            world_size=size,
            timeout=MOST_WAITING,
        )
    except (RuntimeError, ValueError) as error:
        raise RankError(f"the other ranks can't be reached: {one_line(error)}") from error
    notes = Notes(rank, size, PrefixStore(f"{place}/gdrun", store))
    note_place(notes)
    return Group(notes, launch.local_size, is_restarted)
