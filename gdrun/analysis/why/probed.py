"""What the probes of a run have measured at one learning rate, early and late, over its seeds."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, takewhile
from statistics import fmean, median

from gdrun.analysis.why.band import Band
from gdrun.config.pieces import without_piece
from gdrun.results.events import Series
from gdrun.results.lanes import lanes_by_rate
from gdrun.results.rows import probe_columns as names
from gdrun.results.rows.history import History
from gdrun.results.rows.log_rows import SCHEDULED_LR
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
        return without_piece(self.name).replace("batch-", "batch ", 1)

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
        """Whether an update is on all rows, so that its gradient has no noise.

        With replacement it isn't, though a batch be as large.
        """
        noise = [v for own in self._values(names.BATCH_VARIANCE) for v in own.values()]
        return self.batch_size >= self.rows and not any(value > 0 for value in noise)

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
        return names.compared_with_limit(self.series.probe_columns)

    @property
    def sharpness_name(self) -> str:
        """What that is called."""
        is_divided = self.sharpness_column == names.PRECONDITIONED
        return "preconditioned sharpness" if is_divided else "sharpness"

    def limit_at(self, epoch: int) -> float:
        """How sharp a loss the run's rate tolerates at an epoch; NaN where that isn't known.

        That is the rate that the schedule begins with or warms up to: at a lower one of its rates
        more is tolerated, in proportion.
        """
        for limits, rates in zip(self._values(names.LIMIT), self._rates(), strict=True):
            if epoch in limits:
                return limits[epoch] * rates.get(epoch, self.lr) / self.lr
        return math.nan

    def _rates(self) -> list[dict[int, float]]:
        """The learning rates of each seed as a schedule has them, by epoch; none without one."""
        return [
            dict(zip(map(int, history.epochs["epoch"]), history.epochs[SCHEDULED_LR], strict=True))
            if SCHEDULED_LR in history.epochs
            else {}
            for history in self.histories
        ]

    def ratio(self, epochs: Sequence[int]) -> Band | None:
        """The sharpness over its limit, over some epochs; None where decay alone isn't stable."""
        found = []
        for own in self._values(self.sharpness_column):
            known = [
                own[epoch] / limit
                for epoch in epochs
                if not math.isnan(own.get(epoch, math.nan)) and (limit := self.limit_at(epoch)) > 0
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
                _share(norms[epoch], variances[epoch])
                for epoch in epochs
                if norms.get(epoch, 0.0) > 0 and variances.get(epoch, math.nan) >= 0
            ]
            found += [median(shares)] if shares else []
        return Band.of(found)

    def deviation(self, epochs: Sequence[int]) -> Band | None:
        """How far the gradient of a batch is off, as the root of its mean square."""
        variance = self.over(names.BATCH_VARIANCE, epochs)
        if variance is None:
            return None
        ends = (variance.middle, variance.low, variance.high)
        middle, low, high = (math.sqrt(max(0.0, end)) for end in ends)
        return Band(middle, low, high, variance.seeds)

    @property
    def has_rises(self) -> bool:
        """Whether the train loss of most seeds rises at some evaluation in the last third."""
        rising = [any(b > a for a, b in pairwise(late)) for late in self._late_losses()]
        return sum(rising) > len(rising) / 2

    def late_falls(self) -> list[float]:
        """By what share the train loss of each seed falls within the last third of its epochs.

        The mean over the second half of them is compared with that over the first, since the
        loss after a single epoch is a matter of chance.
        """
        falls = []
        for late in self._late_losses():
            before, after = late[: len(late) // 2], late[(len(late) + 1) // 2 :]
            if before and fmean(before) > 0:
                falls.append(1 - fmean(after) / fmean(before))
        return falls

    def _late_losses(self) -> Iterator[list[float]]:
        """The train losses of each seed in the last third of its epochs, as far as finite."""
        for history in self.histories:
            both = zip(history.epochs["epoch"], history.epochs["train_loss"], strict=True)
            rows = [(epoch, loss) for epoch, loss in both if math.isfinite(loss)]
            last = rows[-1][0] if rows else 0
            yield [loss for epoch, loss in rows if epoch > 0 and epoch >= (1 - LATE_SHARE) * last]

    def _values(self, column: str) -> list[dict[int, float]]:
        """A column of each seed, by epoch."""
        return [
            dict(zip(map(int, history.probes["epoch"]), history.probes[column], strict=True))
            if column in history.probes
            else {}
            for history in self.histories
        ]


def _share(norm: float, variance: float) -> float:
    """|G|² / (|G|² + variance), of numbers of any size."""
    return 1 / (1 + variance / norm / norm)


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
