"""Where updates lie in the blocks of a compiled program, and the rows that they see.

Updates have fixed places, so that results don't depend on where a training was stopped: a period of
blocks holds one epoch, or several short ones, and the places left over at its end don't count.

Shapes: R lanes, N training rows, B batch rows, D features, K updates of a block, S blocks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from gdrun.models import Problem
from gdrun.order import SORTED_ROWS, Order, visiting_order, visiting_orders
from gdrun.program import Program
from gdrun.rows import Rows, take
from gdrun.state import Plan


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
    def work(self) -> int:
        """Multiply-adds of one pass of a batch, or a chunk of it, through all lanes."""
        return self.problem.work(len(self.plan.lanes), self.plan.batch_size)

    @cached_property
    def a_period(self) -> int:
        """Updates of a period: those of an epoch, or of as many as fit a block."""
        return self.an_epoch * len(self.program.ends)

    @cached_property
    def places(self) -> int:
        """Places of a period."""
        size = self.program.updates
        return -(-self.a_period // size) * size

    def place(self, update: int) -> int:
        """The place of an update (from 0)."""
        period, rest = divmod(update, self.a_period)
        return period * self.places + rest

    def end_of(self, epoch: int) -> tuple[int, int]:
        """The block at whose `ends` an epoch (from 1) ends, and which of them that is."""
        number, place = divmod(self.place(epoch * self.an_epoch - 1), self.program.updates)
        return number, place // self.an_epoch if len(self.program.ends) > 1 else 0

    def updates_at(self, first: int, blocks: int) -> tuple[Tensor, Tensor]:
        """The updates (from 0) at the places of blocks, (S·K,), and whether they count.

        What doesn't count is the update before, or one that is over.
        """
        size = self.program.updates
        period, place = _divmod(torch.arange(first * size, (first + blocks) * size), self.places)
        updates = period * self.a_period + place.clamp(max=self.a_period - 1)
        counts = (place < self.a_period) & (updates < self.total)
        return updates.clamp(max=self.total - 1), counts

    def inputs(self, updates: Tensor, counts: Tensor) -> list[Tensor]:
        """What the program takes of blocks: rows, their weights in the mean, what counts."""
        size = self.program.batch_size
        epochs, batches = _divmod(updates, self.an_epoch)
        starts, within = (batches * size).unsqueeze(1), torch.arange(size)
        positions = starts + within
        weights = torch.full((len(updates), size), 1 / size)
        if self.program.ragged:  # a smaller batch is filled up with rows of its own of no weight
            filled = (self.problem.data.rows - starts).clamp(max=size)
            positions = starts + within % filled
            weights = torch.where(within < filled, 1 / filled, 0.0)
        inputs = [weights, counts]
        if not self.program.constant:
            numbers = self._numbers(epochs, positions)
            data = self.problem.data
            inputs = [self._rows(data.x, numbers), self._rows(data.y, numbers), *inputs]
        lead = (len(updates) // self.program.updates, self.program.updates)
        # In the order of their axes in memory, which the program takes for granted.
        inputs = [tensor.contiguous().view(*lead, *tensor.shape[1:]) for tensor in inputs]
        return [*self._all_rows, *inputs] if self.program.constant else inputs

    @cached_property
    def _all_rows(self) -> list[Tensor]:
        """The one batch of every update."""
        return [source[:] for source in (self.problem.data.x, self.problem.data.y)]

    def _numbers(self, epochs: Tensor, positions: Tensor) -> Tensor:
        """The rows at positions (S·K, B) of epochs (from 0): (S·K, B, R), or (S·K, B) if shared."""
        if self.program.shared:
            return positions
        first, last = int(epochs[0]), int(epochs[-1])
        rows, seeds = self.problem.data.rows, [lane.seed for lane in self.plan.lanes]
        if last - first > 1 and rows <= SORTED_ROWS:
            orders = visiting_orders(self.plan.sampling, rows, seeds, range(first + 1, last + 2))
            assert orders is not None
            return orders[(epochs - first).unsqueeze(1), :, positions]
        parts = []
        for epoch in range(first, last + 1):
            own = positions[epochs == epoch]
            if len(own):
                start, stop = int(own.min()), int(own.max()) + 1
                parts.append(self._order(epoch + 1)(start, stop).T[own - start])
        return torch.cat(parts)

    @cached_property
    def _order(self) -> Callable[[int], Order]:
        """The visiting order of an epoch (from 1); the last ones are remembered."""
        seeds = [lane.seed for lane in self.plan.lanes]

        @lru_cache(maxsize=2)
        def order(epoch: int) -> Order:
            found = visiting_order(self.plan.sampling, self.problem.data.rows, seeds, epoch)
            assert found is not None  # the rows would be shared
            return found

        return order

    def _rows(self, source: Rows, numbers: Tensor) -> Tensor:
        """Rows (S·K, B, …) as the program has them: (S·K, [R,] B, …)."""
        if self.program.shared:
            return take(source, numbers)
        if self.program.lanes_last:
            return take(source, numbers).transpose(-1, -2)
        return take(source, numbers.transpose(1, 2))


def _divmod(numbers: Tensor, by: int) -> tuple[Tensor, Tensor]:
    quotient = numbers // by
    return quotient, numbers - quotient * by
