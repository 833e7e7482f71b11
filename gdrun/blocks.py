"""Where updates lie in the blocks of a compiled program.

Updates have fixed places, so that results don't depend on where a training was stopped: a period of
blocks holds one epoch, or several short ones, and the places left over at its end don't count.

Shapes: R lanes, B batch rows, K updates of a block, S blocks of a call, P places.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import gcd

import torch
from torch import Tensor

from gdrun.blockrows import BlockRows, Part
from gdrun.models import Problem
from gdrun.order import SORTED_ROWS
from gdrun.program import Program
from gdrun.state import Plan

FEWEST = 2  # blocks that a program takes
LINE = 64  # bytes of a cache line


@dataclass(frozen=True)
class Blocks:
    """The updates of a plan in the blocks of its program."""

    problem: Problem
    plan: Plan
    program: Program

    @cached_property
    def an_epoch(self) -> int:
        """Updates of an epoch."""
        return self.plan.updates_per_epoch(self.problem.data.rows)

    @cached_property
    def total(self) -> int:
        """Updates of all epochs."""
        return self.plan.epochs * self.an_epoch

    @cached_property
    def a_period(self) -> int:
        """Updates of a period: those of an epoch, or of as many as fit a block."""
        return self.an_epoch * max(1, len(self.program.ends))

    @cached_property
    def blocks_a_period(self) -> int:
        """Blocks of a period."""
        return -(-self.a_period // self.program.updates)

    def place(self, update: int) -> int:
        """The place of an update (from 0)."""
        period, rest = divmod(update, self.a_period)
        return period * self.blocks_a_period * self.program.updates + rest

    def end_of(self, epoch: int) -> tuple[int, int]:
        """The block at whose `ends` an epoch (from 1) ends, and which of them that is."""
        number, place = divmod(self.place(epoch * self.an_epoch - 1), self.program.updates)
        return number, place // self.an_epoch if len(self.program.ends) > 1 else 0

    @cached_property
    def fewest(self) -> int:
        """How many blocks a call has at least, and is counted in.

        Where libraries multiply what is in the blocks, each is to lie in cache lines as it would in
        any other call: that can move last digits.
        """
        program, data = self.program, self.problem.data
        if program.written_out or program.constant:
            return FEWEST
        rows = program.updates * program.batch_size * (1 if program.shared else program.lanes)
        in_line = (gcd(LINE, 4 * rows * source.shape[1]) for source in (data.x, data.y))
        return max(FEWEST, LINE // min(in_line))

    def first(self, done: int) -> int:
        """The block with which a call begins that goes on after so many updates."""
        number = self.place(done) // self.program.updates
        return number if self.fewest == FEWEST else number // self.fewest * self.fewest

    def rounded(self, done: int, number: int) -> int:
        """About so many blocks after so many updates: to the end of a period if there is one."""
        a_period = self.blocks_a_period
        left = a_period - self.first(done) % a_period
        if not self.program.ends:
            number = min(number, left)
        elif self.fewest == FEWEST and number > a_period:
            number = left + (number - left) // a_period * a_period
        return -(-max(1, number) // self.fewest) * self.fewest

    def inputs(self, done: int, number: int) -> tuple[list[Tensor], Tensor]:
        """What the program takes of so many blocks, the first of which is `first(done)`.

        The rows, (S, K, …) or all of them, their weights in the mean where batches differ, and what
        counts; and (S·K,) that once more. Updates before `done` don't count, nor do those after the
        last epoch, or after this one where weights are not handed out at the ends of blocks.
        """
        size = self.program.updates
        first = self.first(done)
        parts = [self._rows.inputs(part) for part in self._parts(first, number)]
        inputs = parts[0] if len(parts) == 1 else [torch.cat(t) for t in zip(*parts, strict=True)]
        counts = inputs[-1] = inputs[-1].clone()
        counts[: self.place(done) - first * size] = False
        counts[max(0, self.place(self._stop(done) - 1) + 1 - first * size) :] = False
        # In the order of their axes in memory, which the program takes for granted.
        inputs = [tensor.contiguous().view(number, size, *tensor.shape[1:]) for tensor in inputs]
        return [*self._rows.constant, *inputs], counts

    @cached_property
    def _rows(self) -> BlockRows:
        return BlockRows(self.problem, self.plan, self.program, self.an_epoch, self.a_period)

    def _stop(self, done: int) -> int:
        """The updates after which a call ends that goes on after so many."""
        epoch_ends = (done // self.an_epoch + 1) * self.an_epoch
        return self.total if self.program.ends else min(epoch_ends, self.total)

    def _parts(self, first: int, number: int) -> Iterator[Part]:
        """Cut blocks at periods; whole ones stay together where their orders can be sorted."""
        a_period = self.blocks_a_period
        several = self.problem.data.rows <= SORTED_ROWS
        while number:
            period, start = divmod(first, a_period)
            periods = max(1, number // a_period) if several and start == 0 else 1
            stop = min(a_period, start + number)
            taken = periods * (stop - start)
            yield Part(period, periods, start, stop, whole=stop - start == a_period)
            first, number = first + taken, number - taken
