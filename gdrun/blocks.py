"""Where updates lie in the blocks of a compiled program, and the rows that they see.

Updates have fixed places, so that results don't depend on where a training was stopped: a period of
blocks holds one epoch, or several short ones, and the places left over at its end don't count.

Shapes: R lanes, N training rows, B batch rows, K updates of a block, S blocks, P places.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd
from typing import NamedTuple

import torch
from torch import Tensor

from gdrun.models import Problem
from gdrun.order import SORTED_ROWS, Order, visiting_order, visiting_orders
from gdrun.program import Program
from gdrun.rows import Rows, take
from gdrun.state import Plan

FEWEST = 2  # blocks that a program takes
LINE = 64  # bytes of a cache line


class _Places(NamedTuple):
    """What is at places of a period.

    Attributes:
        epochs: (P,) of those in the period.
        positions: (P, B) in the order in which the epoch visits the rows.
        weights: (P, B) of the rows in the mean; a smaller batch is filled up with rows of its own
            of no weight.
        counts: (P,) whether there is an update at all.
    """

    epochs: Tensor
    positions: Tensor
    weights: Tensor
    counts: Tensor


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

    @property
    def fewest(self) -> int:
        """How many blocks a call has at least, and is counted in.

        Where libraries multiply what is in the blocks, each is to lie in cache lines as it would in
        any other call: that can move last digits.
        """
        program = self.program
        if program.written_out or program.constant:
            return FEWEST
        lanes = 1 if program.shared else program.lanes
        numbers = program.updates * lanes * program.batch_size
        in_line = (gcd(LINE, 4 * numbers * source.shape[1]) for source in self._sources)
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
        last epoch.
        """
        size = self.program.updates
        first = self.first(done)
        parts = [self._part(*part) for part in self._parts(first, number)]
        inputs = parts[0] if len(parts) == 1 else [torch.cat(t) for t in zip(*parts, strict=True)]
        counts = inputs[-1] = inputs[-1].clone()
        counts[: self.place(done) - first * size] = False
        counts[max(0, self.place(self._stop(done) - 1) + 1 - first * size) :] = False
        # In the order of their axes in memory, which the program takes for granted.
        inputs = [tensor.contiguous().view(number, size, *tensor.shape[1:]) for tensor in inputs]
        return [*self._all_rows, *inputs], counts

    def _stop(self, done: int) -> int:
        """The updates after which a call ends that goes on after so many."""
        epoch_ends = (done // self.an_epoch + 1) * self.an_epoch
        return self.total if self.program.ends else min(epoch_ends, self.total)

    def _parts(self, first: int, number: int) -> Iterator[tuple[int, int, int, int]]:
        """Cut blocks at periods: a period, how many from it on, and from which block to which."""
        a_period = self.blocks_a_period
        several = self.problem.data.rows <= SORTED_ROWS
        while number:
            period, start = divmod(first, a_period)
            periods = max(1, number // a_period) if several and start == 0 else 1
            stop = min(a_period, start + number)
            taken = periods * (stop - start)
            yield period, periods, start, stop
            first, number = first + taken, number - taken

    def _part(self, period: int, periods: int, start: int, stop: int) -> list[Tensor]:
        """The inputs of a part, place by place."""
        places = self._places(start, stop)
        fixed = [places.weights, places.counts] if self.program.ragged else [places.counts]
        fixed = [tensor.repeat(periods, *[1] * (tensor.dim() - 1)) for tensor in fixed]
        if self.program.constant:
            return fixed
        rows = self._shared if self.plan.sampling == "sequential" else self._own
        return [*rows(places, period, periods, start, stop), *fixed]

    @cached_property
    def _places(self) -> Callable[[int, int], _Places]:
        """What is at the places of a period from one block to another; the last is remembered."""
        rows, size = self.problem.data.rows, self.program.batch_size

        @lru_cache(maxsize=1)
        def places(start: int, stop: int) -> _Places:
            at = torch.arange(start * self.program.updates, stop * self.program.updates)
            counts = at < self.a_period
            at.clamp_(max=self.a_period - 1)
            epochs = at // self.an_epoch
            starts = ((at - epochs * self.an_epoch) * size).unsqueeze(1)
            within = torch.arange(size)
            filled = (rows - starts).clamp(max=size)
            weights = torch.where(within < filled, 1 / filled, 0.0)
            return _Places(epochs, starts + within % filled, weights, counts)

        return places

    @cached_property
    def _all_rows(self) -> list[Tensor]:
        """The one batch of every update, if that is so."""
        if not self.program.constant:
            return []
        return [self._for_all(source[:]).contiguous() for source in self._sources]

    def _shared(
        self, places: _Places, period: int, periods: int, start: int, stop: int
    ) -> list[Tensor]:
        """Rows that all lanes see, (P, [R,] B, …), the same in every period."""
        del period
        size, updates = self.program.batch_size, self.program.updates
        first, last = start * updates, stop * updates
        if stop - start == self.blocks_a_period:
            rows = [rows.repeat(periods, 1, 1) for rows in self._a_period_of_rows]
        elif last <= self.a_period and not self.program.ragged:  # as they lie in memory
            rows = [source[first * size : last * size] for source in self._sources]
            rows = [each.view(last - first, size, each.shape[1]) for each in rows]
        else:
            rows = [take(source, places.positions) for source in self._sources]
        return [self._for_all(each) for each in rows]

    def _for_all(self, rows: Tensor) -> Tensor:
        """Rows (…, B, D) as the program has them."""
        if not self.program.lanes_last:
            return rows
        return rows.unsqueeze(-1).expand(*rows.shape, self.program.lanes)

    @cached_property
    def _a_period_of_rows(self) -> list[Tensor]:
        positions = self._places(0, self.blocks_a_period).positions
        return [take(source, positions) for source in self._sources]

    def _own(
        self, places: _Places, period: int, periods: int, start: int, stop: int
    ) -> list[Tensor]:
        """Rows that each lane sees in an order of its own: (P, R, B, …) as the program has them."""
        del start, stop
        rows, positions = self.problem.data.rows, places.positions
        short = self.a_period // self.an_epoch
        if periods * short > 1:
            epochs = range(period * short + 1, (period + periods) * short + 1)
            orders = visiting_orders(self.plan.sampling, rows, self._seeds, epochs)
            assert orders is not None  # the rows would be shared
            each = orders.view(periods, short, *orders.shape[1:])
            numbers = each[:, places.epochs.unsqueeze(1), :, positions]  # (P, B, periods, R)
            numbers = numbers.permute(2, 0, 1, 3).flatten(0, 1)
        else:
            numbers = self._visited(period + 1, positions)
        if self.program.lanes_last:
            return [take(source, numbers).transpose(-1, -2) for source in self._sources]
        return [take(source, numbers.transpose(1, 2)) for source in self._sources]

    def _visited(self, epoch: int, positions: Tensor) -> Tensor:
        """The rows at positions (P, B) of an epoch (from 1), (P, B, R)."""
        start, stop = int(positions.min()), int(positions.max()) + 1
        return self._order(epoch)(start, stop).T[positions - start]

    @cached_property
    def _order(self) -> Callable[[int], Order]:
        """The visiting order of an epoch (from 1); the last ones are remembered."""

        @lru_cache(maxsize=2)
        def order(epoch: int) -> Order:
            rows = self.problem.data.rows
            found = visiting_order(self.plan.sampling, rows, self._seeds, epoch)
            assert found is not None  # the rows would be shared
            return found

        return order

    @cached_property
    def _seeds(self) -> list[int]:
        return [lane.seed for lane in self.plan.lanes]

    @property
    def _sources(self) -> tuple[Rows, Rows]:
        return self.problem.data.x, self.problem.data.y
