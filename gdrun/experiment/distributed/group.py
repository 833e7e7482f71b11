"""The process group: sums over ranks, what rank 0 tells the others, and which of them is lost.

Ranks find each other by a store that the launcher keeps, which outlives any of them.
"""

import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from gdrun.errors import RankError, in_words, one_line
from gdrun.experiment.distributed.launch import Launch
from gdrun.experiment.distributed.meeting import agree_on_place
from gdrun.text import count, listed, visible
from gdrun.training.ranks import Ranks

T = TypeVar("T")

ANSWER_SECONDS = 2.0  # in which those that are still there answer when a rank is lost
POLL_SECONDS = 0.05
TOLD, BEGUN = "told", "gdrun-begun"  # in the store
MOST_WAITING = timedelta(days=30)  # one rank may wait for another that trains a long run


@dataclass(frozen=True)
class Group:
    """All ranks, as one of them sees them.

    Attributes:
        rank: which it is.
        size: how many there are.
        store: what all of them write to and read.
        local_size: how many of them are on this machine.
        is_restarted: whether a launcher has started them again after a failure.
    """

    rank: int
    size: int
    store: Store
    local_size: int = 1
    is_restarted: bool = False

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
            self.say(TOLD, "")
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
        if not self.has_said(TOLD):
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
            raise self._loss(error) from error

    def say(self, key: str, text: str) -> None:
        """Leave word in the store.

        Raises:
            RankError: the store is gone.
        """
        self._in_store(lambda: self.store.set(key, text))

    def has_said(self, key: str) -> bool:
        """Whether any rank has left word.

        Raises:
            RankError: the store is gone.
        """
        return self._in_store(lambda: self.store.check([key]))

    def word(self, key: str) -> str:
        """The word that was left last; none if nobody has.

        Raises:
            RankError: the store is gone.
        """
        return self._in_store(
            lambda: self.store.get(key).decode() if self.store.check([key]) else ""
        )

    def count(self, key: str) -> int:
        """How often this was asked before, by any rank.

        Raises:
            RankError: the store is gone.
        """
        return self._in_store(lambda: self.store.add(key, 1)) - 1

    def _in_store(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except RuntimeError as error:
            others = [k for k in range(self.size) if k != self.rank]
            raise RankError(
                "the process that keeps the ranks together is gone, and rank 0 with it perhaps: "
                + one_line(error),
                lost=others,
            ) from error

    def note_failure(self, error: Exception) -> None:
        """Leave word for the others of why this rank ends."""
        problems, _ = in_words(error)
        with suppress(RankError):  # the store is gone, too
            self.say(f"failed/{self.rank}", "\n".join(problems))

    def _loss(self, error: RuntimeError) -> RankError:
        """Which ranks are lost, and why as far as is known.

        Those that are still there see the same failure, and answer; but one may be at work for
        longer than is waited. Of the processes on this machine the system knows.
        """
        try:
            missing = self._missing()
            failed = {k: self.word(f"failed/{k}") for k in range(self.size)}
            places = {k: self.word(f"place/{k}") for k in missing}
        except RankError as no_store:
            return no_store
        lines = [
            f"rank {k}: {visible(line)}"
            for k, text in failed.items()
            for line in text.splitlines()
            if k != self.rank
        ]
        if lines:
            return RankError(lines, lost=[k for k in missing if not failed[k]])
        gone = [k for k in missing if not _runs_here(places[k])] or missing
        if not gone:
            return RankError(f"{count(self.size, 'rank')} lost each other: {one_line(error)}")
        who = listed([f"rank {k} ({places[k] or 'never seen'})" for k in gone])
        was = "was" if len(gone) == 1 else "were"
        return RankError(f"{who} {was} killed, or can't be reached any more", lost=gone)

    def _missing(self) -> list[int]:
        """The ranks that give no answer."""
        self.say(f"there/{self.rank}", "")
        deadline = time.monotonic() + ANSWER_SECONDS
        while True:
            missing = [k for k in range(self.size) if not self.has_said(f"there/{k}")]
            if not missing or time.monotonic() > deadline:
                return missing
            time.sleep(POLL_SECONDS)


def join(launch: Launch) -> Group:
    """Meet the other ranks, which the launcher has started; all of them call this together.

    On a machine with GPUs each gets one of its own, as far as there are enough.

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
    own = PrefixStore(f"{place}/gdrun", store)
    group = Group(rank, size, own, launch.local_size, is_restarted)
    group.say(f"place/{rank}", f"{platform.node()}, process {os.getpid()}")
    return group


def own_device(chosen: torch.device, asked: str) -> torch.device:
    """The device of this rank: a GPU of its own, unless one was asked for by number.

    Args:
        chosen: that of rank 0.
        asked: what the config says.
    """
    is_numbered = ":" in asked
    if chosen.type != "cuda" or is_numbered:
        return chosen
    return torch.device("cuda", torch.cuda.current_device())


def _runs_here(place: str) -> bool:
    """Whether a process, as it wrote where it is, is one of this machine that still runs."""
    host, _, pid = place.partition(", process ")
    if host != platform.node() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except OSError:
        return False
    return True
