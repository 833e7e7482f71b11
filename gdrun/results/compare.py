"""Runs side by side: what each of them needed to reach the same loss, the target.

The types of fields that `compared.json` has, too, say what it may hold there.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Annotated

from pydantic import Field

from gdrun.config.foreign import (
    MetricColumn,
    Natural,
    PositiveSize,
    Rate,
    Real,
    Seconds,
    Size,
    Text,
)
from gdrun.config.schema import METHODS
from gdrun.results.events import Lane
from gdrun.results.lanes import best_rate, lanes_by_rate, medians, metric_medians
from gdrun.results.rows.history import History
from gdrun.results.rows.log_rows import metrics_of
from gdrun.results.run import ENGINES_IN_TURN, Reached, RunResult, finite, or_inf
from gdrun.text import differences

# Unless a target is given, it is this multiple of the lowest median final train loss.
TARGET_FACTOR = 1.1
MAX_CURVES = 12  # in one picture of several runs with several learning rates each
TIMES_DIFFER = "times are not comparable"
# A training ends far above its best, or its untrained loss, above these multiples of it.
FAR_ABOVE_BEST, FAR_ABOVE_START = 2.0, 1.05
CONVERGED = 1e-6  # of the untrained loss: what is below may well be rounding
BEST_RATES = "many learning rates: each run is shown at its best one"


def at_best_rate(result: RunResult) -> RunResult:
    """The run at the one of its learning rates with the lowest median final train loss."""
    return at_rate(result, best_rate(result.lanes))


def at_rate(result: RunResult, lr: float) -> RunResult:
    """The lanes of a run at one of its learning rates."""
    kept = lanes_by_rate(result.lanes)[lr]
    return replace(
        result,
        series=replace(result.series, lanes=tuple(result.series.lanes[k] for k in kept)),
        histories=tuple(result.histories[k] for k in kept),
        lanes=tuple(result.lanes[k] for k in kept),
        fit=result.fit and result.fit.of_lanes(kept),
    )


def legible(results: Sequence[RunResult]) -> tuple[list[RunResult], bool]:
    """The results as one picture can show them, and whether that leaves out learning rates.

    Several runs with too many curves in all are each reduced to their best learning rate.
    """
    reduce = len(results) > 1 and sum(len(r.series.lrs) for r in results) > MAX_CURVES
    return ([at_best_rate(result) for result in results] if reduce else [*results]), reduce


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the comparison: a run at one learning rate, medians over its seeds.

    `updates` and `seconds` are the most that any of the seeds took. A lane that diverged counts as
    an infinite loss, one that never reached the target as infinitely many updates; a median that is
    infinite or missing is None.
    """

    name: Text
    method: Annotated[str, Field(pattern=f"^({'|'.join(METHODS)})$")]
    batch_size: PositiveSize
    lr: Rate
    seeds: PositiveSize
    diverged: Size
    train_loss: Real | None
    best_train_loss: Real | None
    val_loss: Real | None
    updates: Natural
    seconds: Seconds
    updates_to_target: Real | None
    seconds_to_target: Real | None
    best_val_loss: Real | None = None
    best_val_epoch: Real | None = None
    metrics: dict[MetricColumn, Real | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side, with the train loss that counts as the target; None without a target."""

    target: Real | None
    rows: Annotated[tuple[Row, ...], Field(min_length=1)]


def compare_results(results: Sequence[RunResult], target: float | None = None) -> Comparison:
    """Compare runs by their losses, and by what they needed to reach a train loss, the target.

    Without a given target it is the one that `target_of` finds.

    Raises:
        DataError, OutputError: a row that was dropped from memory can't be read.
    """
    target = target_of(results) if target is None else target
    reached = [(result, reach(result, target)) for result in results]
    rows = (
        _row(result, lr, positions, [found[k] for k in positions])
        for result, found in reached
        for lr, positions in lanes_by_rate(result.lanes).items()
    )
    return Comparison(target, tuple(rows))


def as_shown(comparison: Comparison, given: float | None) -> Comparison:
    """What a table shows of it: a training alone has no target unless one was given."""
    if given is not None or len(comparison.rows) > 1:
        return comparison
    return replace(comparison, target=None)


@dataclass(frozen=True, slots=True)
class BadEnd:
    """A run that ends far above its best, at one learning rate.

    Attributes:
        name, lr, seeds: of the run.
        final, best, untrained: of the seeds that do, the medians of their train losses.
        count: how many seeds do.
    """

    name: str
    lr: float
    seeds: int
    final: float
    best: float
    untrained: float
    count: int

    @property
    def is_above_start(self) -> bool:
        """Whether it ends far above its untrained loss, too."""
        return self.final > FAR_ABOVE_START * self.untrained


def bad_ends(results: Sequence[RunResult]) -> Iterator[BadEnd]:
    """The runs that end far above their best train loss, or the untrained one, but are finite."""
    for result in results:
        for lr, positions in lanes_by_rate(result.lanes).items():
            found = []
            for k in positions:
                lane, untrained = result.lanes[k], result.histories[k].epochs["train_loss"][0]
                final, best = lane.train_loss, lane.best_train_loss
                if final is None or best is None or final <= CONVERGED * untrained:
                    continue
                if best < 0:  # as losses of the user's may be, which are no ratios of each other
                    continue
                if final > min(FAR_ABOVE_BEST * best, FAR_ABOVE_START * untrained):
                    found.append((final, best, untrained))
            if found:
                final, best, untrained = (median(column) for column in zip(*found, strict=True))
                name, seeds = result.series.name, len(positions)
                yield BadEnd(name, lr, seeds, final, best, untrained, len(found))


def target_of(results: Sequence[RunResult]) -> float | None:
    """Near the lowest median final train loss: `TARGET_FACTOR` times that, where it isn't below 0.

    None where that isn't below the median loss of the untrained networks.
    """
    finals = [loss for result in results for loss in medians(result.lanes, "train_loss").values()]
    near = target_near(min(finals, default=math.inf))
    untrained = [h.epochs["train_loss"][0] for result in results for h in result.histories]
    return near if untrained and near < median(untrained) else None


def target_near(loss: float) -> float:
    """The train loss that is a tenth above the lowest, which may be negative."""
    return loss * _factor(loss)


def lowest_below(target: float) -> float:
    """The lowest train loss that such a target is a tenth above."""
    return target / _factor(target)


def _factor(loss: float) -> float:
    """Of a target over the lowest loss; both have the same sign."""
    return TARGET_FACTOR if loss >= 0 else 2 - TARGET_FACTOR


def engine_notes(results: Sequence[RunResult]) -> Iterator[str]:
    """That the times of runs can't be compared, where different engines executed their updates."""
    engines = {r.series.name: ENGINES_IN_TURN.join(r.engines) for r in results if r.engines}
    for line in differences({"engine": engines}, show=str):
        yield f"{TIMES_DIFFER}: {line}"


def reach(result: RunResult, target: float | None) -> list[Reached | None]:
    """When the train loss of each lane was first at or below the target; None if it never was.

    It is known at the ends of epochs and, in some runs, within them. A lane that diverged has not
    reached the target, even if it was below it for a while. What isn't in memory is looked up in
    the log of the run.

    Raises:
        DataError, OutputError: it can't be.
    """
    if target is None:
        return [None] * len(result.lanes)
    found: dict[Lane, Reached] = {}
    between: dict[Lane, tuple[int, int]] = {}
    for history, lane in zip(result.histories, result.lanes, strict=True):
        if lane.status == "diverged":
            continue
        first = _first_within(history, target)
        if crossing := history.crossing(target):
            at_end = _reached(history.epochs, crossing.row)
            if first is None or at_end.updates < first.updates:
                first = at_end
                between |= {history.lane: crossing.between} if crossing.between else {}
        if first:
            found[history.lane] = first
    if between and result.log:
        found |= result.log.first_at_most(target, between)
    return [
        (at := found.get(history.lane)) and replace(at, before=_before(history, at))
        for history in result.histories
    ]


def _first_within(history: History, target: float) -> Reached | None:
    """When the train loss was first at or below a target within an epoch."""
    losses = enumerate(history.evaluations["train_loss"])
    row = next((k for k, loss in losses if loss <= target), None)
    return None if row is None else _reached(history.evaluations, row)


def _reached(table: Mapping[str, "array[float]"], row: int) -> Reached:
    updates, samples, seconds = (table[name][row] for name in ("updates", "samples", "seconds"))
    return Reached(int(updates), int(samples), seconds)


def _before(history: History, at: Reached) -> int:
    """The updates when the train loss was evaluated last before it reached the target."""
    latest = at.before
    for table in (history.epochs, history.evaluations):
        row = bisect_left(table["updates"], at.updates) - 1
        while row >= 0 and math.isnan(table["train_loss"][row]):
            row -= 1
        latest = max(latest, int(table["updates"][row])) if row >= 0 else latest
    return latest


def _row(
    result: RunResult, lr: float, positions: Sequence[int], reached: Sequence[Reached | None]
) -> Row:
    lanes = [result.lanes[k] for k in positions]
    return Row(
        name=result.series.name,
        method=result.series.method,
        batch_size=result.series.batch_size,
        lr=lr,
        seeds=len(lanes),
        diverged=sum(lane.status == "diverged" for lane in lanes),
        train_loss=_median(lane.train_loss for lane in lanes),
        best_train_loss=_median(lane.best_train_loss for lane in lanes),
        val_loss=_median(lane.val_loss for lane in lanes),
        updates=max(lane.updates for lane in lanes),
        seconds=max(lane.seconds for lane in lanes),
        updates_to_target=_median(at.updates if at else None for at in reached),
        seconds_to_target=_median(at.seconds if at else None for at in reached),
        best_val_loss=_median(lane.best_val_loss for lane in lanes),
        best_val_epoch=_median(lane.best_val_epoch for lane in lanes),
        metrics={
            name: finite(metric_medians(lanes, name)[lr])
            for name in metrics_of(result.series.columns)
        },
    )


def _median(values: Iterable[float | None]) -> float | None:
    return finite(median(map(or_inf, values)))
