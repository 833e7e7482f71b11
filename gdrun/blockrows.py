"""The rows that the updates in the blocks of a compiled program see.

Shapes: R lanes, N training rows, B batch rows, D features, E epochs, P places of updates.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from gdrun.models import Problem
from gdrun.order import Order, visiting_order, visiting_orders
from gdrun.program import Program
from gdrun.rows import Rows, take
from gdrun.state import Plan


class Part(NamedTuple):
    """Blocks of a period, from one to another, or `whole` periods from it on."""

    period: int
    periods: int
    start: int
    stop: int
    whole: bool


class Places(NamedTuple):
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
class BlockRows:
    """The rows of a plan's batches as its program takes them.

    Attributes:
        problem, plan, program: whose updates.
        an_epoch, a_period: how many of them.
    """

    problem: Problem
    plan: Plan
    program: Program
    an_epoch: int
    a_period: int

    def inputs(self, part: Part) -> list[Tensor]:
        """Rows (P, [R,] B, …) unless constant, weights (P, B) if ragged, and what counts (P,)."""
        places = self._places(part.start, part.stop)
        fixed = [places.weights, places.counts] if self.program.ragged else [places.counts]
        fixed = [tensor.repeat(part.periods, *[1] * (tensor.dim() - 1)) for tensor in fixed]
        if self.program.constant:
            return fixed
        of_rows = self._in_order if self.plan.sampling == "sequential" else self._drawn
        return [*of_rows(part, places), *fixed]

    @cached_property
    def constant(self) -> list[Tensor]:
        """The one batch of every update, if that is so."""
        if not self.program.constant:
            return []
        return [self._for_all(source[:]).contiguous() for source in self._sources]

    @cached_property
    def _places(self) -> Callable[[int, int], Places]:
        """What is at the places of a period from one block to another; the last is remembered."""
        rows, size = self.problem.data.rows, self.program.batch_size

        @lru_cache(maxsize=1)
        def places(start: int, stop: int) -> Places:
            at = torch.arange(start * self.program.updates, stop * self.program.updates)
            counts = at < self.a_period
            at.clamp_(max=self.a_period - 1)
            epochs = at // self.an_epoch
            starts = ((at - epochs * self.an_epoch) * size).unsqueeze(1)
            within = torch.arange(size)
            filled = (rows - starts).clamp(max=size)
            weights = torch.where(within < filled, 1 / filled, 0.0)
            return Places(epochs, starts + within % filled, weights, counts)

        return places

    def _in_order(self, part: Part, places: Places) -> list[Tensor]:
        """Rows that all lanes see, the same in every period."""
        size, updates = self.program.batch_size, self.program.updates
        first, last = part.start * updates, part.stop * updates
        if part.whole:
            rows = [rows.repeat(part.periods, 1, 1) for rows in self._a_period_of_rows]
        elif last <= self.a_period and not self.program.ragged:  # as they lie in memory
            rows = [source[first * size : last * size] for source in self._sources]
            rows = [each.view(last - first, size, each.shape[1]) for each in rows]
        else:
            rows = [take(source, places.positions) for source in self._sources]
        return [self._for_all(each) for each in rows]

    @cached_property
    def _a_period_of_rows(self) -> list[Tensor]:
        blocks = -(-self.a_period // self.program.updates)
        return [take(source, self._places(0, blocks).positions) for source in self._sources]

    def _for_all(self, rows: Tensor) -> Tensor:
        """Rows (…, B, D) that all lanes see as the program has them."""
        if not self.program.lanes_last:
            return rows
        return rows.unsqueeze(-1).expand(*rows.shape, self.program.lanes)

    def _drawn(self, part: Part, places: Places) -> list[Tensor]:
        """Rows that each lane sees in an order of its own."""
        short = self.a_period // self.an_epoch  # epochs of a period
        if part.periods * short == 1:
            numbers = self._visited(part.period + 1, places.positions)
        else:
            epochs = range(part.period * short + 1, (part.period + part.periods) * short + 1)
            orders = visiting_orders(
                self.plan.sampling, self.problem.data.rows, self._seeds, epochs
            )
            assert orders is not None  # the rows would be in order
            each = orders.view(part.periods, short, *orders.shape[1:])
            # (P, B, periods, R) → (P, B, R)
            numbers = each[:, places.epochs.unsqueeze(1), :, places.positions]
            numbers = numbers.permute(2, 0, 1, 3).flatten(0, 1)
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
            assert found is not None  # the rows would be in order
            return found

        return order

    @cached_property
    def _seeds(self) -> list[int]:
        return [lane.seed for lane in self.plan.lanes]

    @property
    def _sources(self) -> tuple[Rows, Rows]:
        return self.problem.data.x, self.problem.data.y
