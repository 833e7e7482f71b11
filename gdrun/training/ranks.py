"""The processes that train together, its ranks: what is whose, and sums over all of them.

One process is one rank: everything is its own, and its sums are what it has.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


def _alone(_: Tensor) -> object:
    return None


@dataclass(frozen=True)
class Ranks:
    """So many processes, of which this is one. Each has a share of the lanes, or of the rows.

    Attributes:
        size: how many there are.
        rank: which this is, from 0.
        reduce: sums a tensor over all ranks, in place; each of them gets the same bits.
    """

    size: int = 1
    rank: int = 0
    reduce: Callable[[Tensor], object] = _alone

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which has the files, the display and the messages."""
        return self.rank == 0

    def own(self, count: int) -> slice:
        """Which of so many lanes or rows are this rank's: neighbours, as many as others have."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def most(self, count: int) -> int:
        """How many of so many lanes or rows the rank with the most has."""
        return -(-count // self.size)

    def sum(self, *tensors: Tensor) -> None:
        """Sum tensors of one type over all ranks, in place, as one message."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        self.reduce(flat)
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view(tensor.shape))

    def gather(self, own: Tensor, count: int, axis: int = -1) -> Tensor:
        """What all ranks have of so many lanes, which are an axis of what this one has."""
        if self.size == 1:
            return own
        shape = list(own.shape)
        shape[axis] = count
        found = own.new_zeros(shape)
        where = self.own(count)
        found.narrow(axis, where.start, where.stop - where.start).copy_(own)
        self.reduce(found)
        return found

    def numbers(self, number: float) -> list[float]:
        """The numbers of all ranks, that of rank 0 first."""
        if self.size == 1:
            return [number]
        found: list[float] = self.gather(
            torch.tensor([number], dtype=torch.float64), self.size
        ).tolist()
        return found

    def any(self, *flags: bool) -> list[bool]:
        """Of each flag, whether any rank has it."""
        if self.size == 1:
            return list(flags)
        found = torch.tensor(flags, dtype=torch.float32)
        self.reduce(found)
        return [number > 0 for number in found.tolist()]


ALONE = Ranks()


@dataclass(frozen=True)
class Division:
    """How the work on so many lanes is divided: by lanes if each rank gets one, or else by rows.

    Lanes never interact. Of rows, each rank adds up the gradient of its own, and all sum it.
    """

    lanes: int
    ranks: Ranks = ALONE

    @cached_property
    def by_lanes(self) -> Ranks:
        """The ranks that lanes are divided among; one where rows are."""
        return self.ranks if self.lanes >= self.ranks.size else ALONE

    @cached_property
    def by_rows(self) -> Ranks:
        """The ranks that the rows of each batch are divided among; one where lanes are."""
        return ALONE if self.lanes >= self.ranks.size else self.ranks

    @cached_property
    def own(self) -> slice:
        """The lanes that this rank trains."""
        return self.by_lanes.own(self.lanes)

    @property
    def most(self) -> int:
        """How many lanes the rank with the most has."""
        return self.by_lanes.most(self.lanes)

    def own_positions(self, lanes: Iterable[int]) -> list[int]:
        """Those of some lanes that this rank trains, as it counts its own."""
        own = range(self.lanes)[self.own]
        return [own.index(lane) for lane in lanes if lane in own]

    def gather(self, own: Tensor, axis: int = -1) -> Tensor:
        """Numbers of all lanes, an axis of the tensor, from what each rank has of its own."""
        return self.by_lanes.gather(own, self.lanes, axis)


class Pace:
    """The end of portions of work that take about so long, after the same step on all ranks.

    The ranks look at their clocks together, and only at steps that all of them know: after every
    one where there is but one rank, else after as many as the portion before had.
    """

    def __init__(self, ranks: Ranks, seconds: float) -> None:
        self._ranks, self._seconds = ranks, seconds
        self._expected = 1
        self.begin()

    def begin(self) -> None:
        """Begin a portion."""
        self._steps, self._look = 0, self._expected
        self._began = time.perf_counter()

    def is_over(self) -> bool:
        """Whether the portion ends after one more step."""
        self._steps += 1
        if self._steps < self._look:
            return False
        seconds = max(self._ranks.numbers(time.perf_counter() - self._began))
        if seconds > self._seconds:
            if self._ranks.size > 1:
                self._expected = max(1, int(self._steps * self._seconds / seconds))
            return True
        self._look = self._steps + 1
        if self._ranks.size > 1:
            left = self._steps * (self._seconds - seconds) / max(seconds, 1e-6)
            self._look = self._steps + 1 + min(int(left), self._steps)
            self._expected = self._look
        return False
