"""What the probes of a run have measured at one learning rate, early and late, over its seeds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from statistics import median

from gdrun.analysis.why.band import Band
from gdrun.results.events import Series
from gdrun.results.lanes import lanes_by_rate
from gdrun.results.rows import probe_columns as names
from gdrun.results.rows.history import History
from gdrun.results.run import LaneResult, RunResult

LATE_SHARE = 1 / 3  # of a training that counts as late


@dataclass(frozen=True)
class ProbedRun:
    """The lanes of a run at one learning rate, with what was measured of them.

    Attributes:
        result: of the run.
        lr: which rate.
        histories, lanes: of the seeds at this rate.
    """

    result: RunResult
    lr: float
    histories: tuple[History, ...]
    lanes: tuple[LaneResult, ...]

    @property
    def series(self) -> Series:
        """The run that it is of."""
        return self.result.series

    @property
    def name(self) -> str:
        """That of the run."""
        return self.result.series.name

    @property
    def label(self) -> str:
        """What it is called in a sentence: `batch 16` of a sweep."""
        return self.name.replace("batch-", "batch ", 1)

    @property
    def batch_size(self) -> int:
        """Rows of an update."""
        return self.result.series.batch_size

    @property
    def rows(self) -> int:
        """Training rows."""
        return self.result.description.rows

    @property
    def is_full(self) -> bool:
        """Whether an update is on all rows."""
        return self.batch_size == self.rows

    @property
    def has_diverged(self) -> bool:
        """Whether all seeds have."""
        return all(lane.status == "diverged" for lane in self.lanes)

    @cached_property
    def epochs(self) -> list[int]:
        """When it was probed: the epochs of all seeds together."""
        return sorted(
            {int(epoch) for history in self.histories for epoch in history.probes["epoch"]}
        )

    def has(self, column: str) -> bool:
        """Whether a column was measured, and a number of it is known."""
        return any(
            not math.isnan(value)
            for history in self.histories
            for value in history.probes.get(column, ())
        )

    def at(self, column: str, epoch: int) -> Band | None:
        """A column at one epoch; None where nothing is known of it."""
        return Band.of([own[epoch] for own in self._values(column) if epoch in own])

    def over(self, column: str, epochs: Sequence[int]) -> Band | None:
        """A column over some epochs: of each seed the median, of these the band."""
        found = []
        for own in self._values(column):
            known = [own[epoch] for epoch in epochs if not math.isnan(own.get(epoch, math.nan))]
            found += [median(known)] if known else []
        return Band.of(found)

    @cached_property
    def early(self) -> list[int]:
        """The probed epochs before half of what the train loss falls in all; the first at least."""
        losses = self._median_losses()
        start, lowest = losses.get(0, math.inf), min(losses.values(), default=math.inf)
        half = (start + lowest) / 2
        falling = takewhile(lambda epoch: losses.get(epoch, -math.inf) > half, self.epochs)
        return [*falling] or self.epochs[:1]

    @cached_property
    def late(self) -> list[int]:
        """The probed epochs of the last third: the last one at least."""
        last = self.epochs[-1] if self.epochs else 0
        return [epoch for epoch in self.epochs if epoch > 0 and epoch >= (1 - LATE_SHARE) * last]

    def _median_losses(self) -> dict[int, float]:
        """The median train loss of the seeds at the epochs that were evaluated and probed."""
        by_epoch: dict[int, list[float]] = {epoch: [] for epoch in self.epochs}
        for history in self.histories:
            pairs = zip(history.epochs["epoch"], history.epochs["train_loss"], strict=True)
            for epoch, loss in pairs:
                if int(epoch) in by_epoch and math.isfinite(loss):
                    by_epoch[int(epoch)].append(loss)
        return {epoch: median(losses) for epoch, losses in by_epoch.items() if losses}

    @property
    def sharpness_column(self) -> str:
        """What is compared with the limit: of adaptive optimizers that of the divided Hessian."""
        is_adaptive = names.PRECONDITIONED in self.series.probe_columns
        return names.PRECONDITIONED if is_adaptive else names.SHARPNESS

    def limit_at(self, epoch: int) -> float:
        """The stability limit at an epoch, the same for all seeds; NaN where it isn't known."""
        found = [own[epoch] for own in self._values(names.LIMIT) if epoch in own]
        return found[0] if found else math.nan

    def ratio(self, epochs: Sequence[int]) -> Band | None:
        """The sharpness over its limit, over some epochs."""
        found = []
        for own in self._values(self.sharpness_column):
            known = [
                own[epoch] / self.limit_at(epoch)
                for epoch in epochs
                if not math.isnan(own.get(epoch, math.nan))
            ]
            found += [median(known)] if known else []
        return Band.of(found)

    def signal(self, epochs: Sequence[int]) -> Band | None:
        """What share of the squared length of a batch's gradient is the gradient of all rows.

        |G|² / (|G|² + variance), which is 1 of all rows.
        """
        found = []
        both = zip(
            self._values(names.GRADIENT_NORM), self._values(names.BATCH_VARIANCE), strict=True
        )
        for norms, variances in both:
            shares = [
                norms[epoch] ** 2 / (norms[epoch] ** 2 + variances[epoch])
                for epoch in epochs
                if norms.get(epoch)  # known, and not zero
            ]
            found += [median(shares)] if shares else []
        return Band.of(found)

    def _values(self, column: str) -> list[dict[int, float]]:
        """A column of each seed, by epoch."""
        return [
            dict(zip(map(int, history.probes["epoch"]), history.probes[column], strict=True))
            if column in history.probes
            else {}
            for history in self.histories
        ]


def probed_runs(result: RunResult) -> list[ProbedRun]:
    """A run at each of its learning rates."""
    return [
        ProbedRun(
            result,
            lr,
            tuple(result.histories[k] for k in positions),
            tuple(result.lanes[k] for k in positions),
        )
        for lr, positions in lanes_by_rate(result.lanes).items()
    ]
