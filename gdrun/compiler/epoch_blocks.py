"""Blocks of consecutive updates, and the rows that they visit.

Shapes: E epochs, R lanes, N rows, D features, O outputs.
"""

from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from gdrun.data.dataset import Dataset
from gdrun.data.order import SORTED_ROWS, Order, visiting_order, visiting_orders
from gdrun.training.state import Plan


@dataclass(frozen=True)
class EpochBlock:
    """Consecutive updates: U in each of E whole epochs, or U in a part of one epoch.

    Attributes:
        first_epoch: the number of the first epoch, from 1.
        first_update: the number of the first update, from 1.
        start: where in the visits of an epoch the block begins; 0 for whole epochs.
        epochs: E.
        updates: U.
        rows: visits in an epoch, or in the part of one: those of all U updates.
        last_batch: rows of the last of U updates.
        ends: after how many updates of the block, ascending, weights are to be returned: where a
            loss within an epoch is due, and at the end of each epoch and of the block.
    """

    first_epoch: int
    first_update: int
    start: int
    epochs: int
    updates: int
    rows: int
    last_batch: int
    ends: tuple[int, ...]


class EpochBlocks:
    """Cuts the updates of a plan into blocks, and gathers the rows of each."""

    def __init__(self, data: Dataset, plan: Plan) -> None:
        self.data, self.plan = data, plan
        self._seeds = [lane.seed for lane in plan.own_lanes]
        self._order: tuple[int, Order | None] = 0, None  # of which epoch, and the order
        self._read: tuple[slice, Tensor, Tensor] | None = None

    def after(self, done: int, updates: int, most_ends: int) -> EpochBlock:
        """At most `updates` after those that are done: whole epochs, or part of one.

        It has at most `most_ends` ends.
        """
        plan, rows = self.plan, self.data.rows
        per_epoch, size = plan.updates_per_epoch(rows), plan.batch_size
        finished, skip = divmod(done, per_epoch)
        epochs, taken = 1, min(updates, per_epoch - skip)
        if taken == per_epoch and rows <= SORTED_ROWS:
            epochs = min(updates // per_epoch, plan.epochs - finished, most_ends)
        due = islice(plan.evaluated_within(rows, after=done), most_ends)
        within = [update - done for update in due if update < done + epochs * taken]
        ends = sorted([*within, *range(taken, epochs * taken + 1, taken)])[:most_ends]
        if ends[-1] < epochs * taken:
            epochs = ends[-1] // taken or 1
            taken = min(taken, ends[-1])
            ends = [end for end in ends if end <= epochs * taken]
        stop = min(rows, (skip + taken) * size)
        return EpochBlock(
            first_epoch=finished + 1,
            first_update=done + 1,
            start=skip * size,
            epochs=epochs,
            updates=taken,
            rows=stop - skip * size,
            last_batch=stop - (skip + taken - 1) * size,
            ends=tuple(ends),
        )

    def rows(self, block: EpochBlock) -> tuple[Tensor, Tensor, Tensor | None]:
        """Rows, (…, D) and (…, O), and the index of each visit in them, (E, R, block.rows).

        None: all lanes visit them in order, in each epoch.
        """
        x, y = self.data.x, self.data.y
        if self.plan.sampling == "sequential":
            visited = slice(block.start, block.start + block.rows)
            # Kept for the next block: reading and copying may take longer than the updates.
            if not self._read or self._read[0] != visited:
                self._read = visited, x[visited].contiguous(), y[visited].contiguous()
            return *self._read[1:], None
        indices = self._indices(block).contiguous()
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return x.contiguous(), y.contiguous(), indices
        in_order = torch.arange(indices.numel()).view(indices.shape)
        return x[indices.flatten()], y[indices.flatten()], in_order

    def _indices(self, block: EpochBlock) -> Tensor:
        """The rows of the data that are visited, (E, R, block.rows)."""
        plan, rows = self.plan, self.data.rows
        start, stop = block.start, block.start + block.rows
        if block.epochs > 1:
            epochs = range(block.first_epoch, block.first_epoch + block.epochs)
            orders = visiting_orders(plan.sampling, rows, self._seeds, epochs)
            assert orders is not None  # the sampling isn't sequential
            return orders[..., start:stop]
        if self._order[0] != block.first_epoch:
            order = visiting_order(plan.sampling, rows, self._seeds, block.first_epoch)
            self._order = block.first_epoch, order
        assert self._order[1]
        return self._order[1](start, stop).unsqueeze(0)
