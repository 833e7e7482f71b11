"""Which rows many updates visit: laps, of an epoch each or of a part of one.

Shapes: L laps, R lanes, N rows, D features, O outputs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.data.dataset import Dataset
from gdrun.data.order import SORTED_ROWS, Order, visiting_order, visiting_orders
from gdrun.training.state import Plan


@dataclass(frozen=True)
class Laps:
    """Consecutive updates: as many in each of some laps.

    Attributes:
        epoch: that of the first lap (from 1).
        start: where in the order of its visits it begins.
        laps, updates: how many laps, and updates in each.
        rows: of a lap.
        last: of its last update.
    """

    epoch: int
    start: int
    laps: int
    updates: int
    rows: int
    last: int


class Visits:
    """Where the updates of a plan find their rows."""

    def __init__(self, data: Dataset, plan: Plan) -> None:
        self.data, self.plan = data, plan
        self._seeds = [lane.seed for lane in plan.lanes]
        self._order: tuple[int, Order | None] = 0, None
        self._read: tuple[slice, Tensor, Tensor] | None = None

    def laps(self, done: int, number: int) -> Laps:
        """About so many updates after those done: whole epochs, or what is left of one, or less."""
        plan, rows = self.plan, self.data.rows
        an_epoch, size = plan.updates_per_epoch(rows), plan.batch_size
        epochs, skip = divmod(done, an_epoch)
        laps = 1
        updates = min(number, an_epoch - skip)
        if updates == an_epoch and rows <= SORTED_ROWS:
            laps = min(number // an_epoch, plan.epochs - epochs)
        stop = min(rows, (skip + updates) * size)
        return Laps(
            epoch=epochs + 1,
            start=skip * size,
            laps=laps,
            updates=updates,
            rows=stop - skip * size,
            last=stop - (skip + updates - 1) * size,
        )

    def rows(self, laps: Laps) -> tuple[Tensor, Tensor, Tensor | None]:
        """Rows, (…, D) and (…, O), and which of them each lane visits, (L, R, rows of a lap).

        None: all visit them in order, in each lap.
        """
        x, y = self.data.x, self.data.y
        if self.plan.sampling == "sequential":
            visited = slice(laps.start, laps.start + laps.rows)
            if not self._read or self._read[0] != visited:  # else it may take longer than updates
                self._read = visited, x[visited].contiguous(), y[visited].contiguous()
            return *self._read[1:], None
        numbers = self._numbers(laps).contiguous()
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return x.contiguous(), y.contiguous(), numbers
        own = torch.arange(numbers.numel()).view(numbers.shape)
        return x[numbers.flatten()], y[numbers.flatten()], own

    def _numbers(self, laps: Laps) -> Tensor:
        plan, rows = self.plan, self.data.rows
        start, stop = laps.start, laps.start + laps.rows
        if laps.laps > 1:
            epochs = range(laps.epoch, laps.epoch + laps.laps)
            orders = visiting_orders(plan.sampling, rows, self._seeds, epochs)
            assert orders is not None  # the rows would be in order
            return orders[..., start:stop]
        if self._order[0] != laps.epoch:
            order = visiting_order(plan.sampling, rows, self._seeds, laps.epoch)
            self._order = laps.epoch, order
        assert self._order[1]
        return self._order[1](start, stop).unsqueeze(0)
