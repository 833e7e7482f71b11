"""Runs side by side: what it took each of them to come to the same loss."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import median

from gdrun.results.events import Status
from gdrun.results.history import History
from gdrun.results.run import LaneResult, RunResult, finite, or_inf

# A run has come to the target once its train loss is within this factor of the best final loss.
TARGET_FACTOR = 1.1
# Curves of several runs, with several learning rates each, that one picture shows.
MOST_CURVES = 12
BEST_RATES = "many learning rates: each run is shown at its best one"


def medians(lanes: Iterable[LaneResult], loss: str) -> dict[float, float]:
    """The median over seeds of a loss, by learning rate; what is missing counts as infinite."""
    by_rate: dict[float, list[float]] = {}
    for lane in lanes:
        by_rate.setdefault(lane.lr, []).append(or_inf(getattr(lane, loss)))
    return {lr: median(found) for lr, found in by_rate.items()}


def at_best_rate(result: RunResult) -> RunResult:
    """The run at the one of its learning rates with the lowest median final train loss."""
    finals = medians(result.lanes, "train_loss")
    best = min(finals, key=lambda lr: finals[lr])
    kept = [k for k, lane in enumerate(result.series.lanes) if lane.lr == best]
    fit = result.fit and replace(result.fit, curves=[result.fit.curves[k] for k in kept])
    return replace(
        result,
        series=replace(result.series, lanes=tuple(result.series.lanes[k] for k in kept)),
        histories=tuple(result.histories[k] for k in kept),
        lanes=tuple(result.lanes[k] for k in kept),
        fit=fit,
    )


def legible(results: Sequence[RunResult]) -> tuple[list[RunResult], bool]:
    """The results or, where they have too many curves for one picture, each at its best rate.

    And whether that is so.
    """
    reduce = len(results) > 1 and sum(len(r.series.lrs) for r in results) > MOST_CURVES
    return ([at_best_rate(result) for result in results] if reduce else [*results]), reduce


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the comparison: one run at one learning rate, medians over its seeds.

    `updates` and `seconds` are the most that any of the seeds took. A lane that diverged counts as
    an infinite loss, one that never came to the target as infinitely many updates; a median that is
    infinite or missing is None.
    """

    name: str
    method: str
    batch_size: int
    lr: float
    seeds: int
    diverged: int
    train_loss: float | None
    best_train_loss: float | None
    val_loss: float | None
    updates: int
    seconds: float
    updates_to_target: float | None
    seconds_to_target: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side, with the train loss that counts as the target."""

    target: float | None
    rows: tuple[Row, ...]


def compare_results(results: Sequence[RunResult], target: float | None = None) -> Comparison:
    """Lay runs side by side, and see what it took them to come to a train loss, the target.

    Without one it is within 10 % of the best final train loss of them all, and there is none where
    no run came further below the untrained loss than that.
    """
    groups = [(result, lr, pairs) for result in results for lr, pairs in _by_rate(result).items()]
    finals = [_median(lane.train_loss for lane, _ in pairs) for _, _, pairs in groups]
    best = min((loss for loss in finals if loss is not None), default=math.inf)
    untrained = [h.epochs["train_loss"][0] for result in results for h in result.histories]
    near = TARGET_FACTOR * best
    if target is None and untrained and near < median(untrained):
        target = near
    return Comparison(target, tuple(_row(*group, target) for group in groups))


def reach(history: History, target: float | None, status: Status) -> int | None:
    """The position of the first epoch whose train loss is at or below a target; None if none is.

    A lane that came to the target and then diverged has not come to stay.
    """
    if target is None or status == "diverged":
        return None
    losses = history.epochs["train_loss"]
    return next((k for k, loss in enumerate(losses) if loss <= target), None)


def _by_rate(result: RunResult) -> dict[float, list[tuple[LaneResult, History]]]:
    """The lanes of a run, by learning rate."""
    found: dict[float, list[tuple[LaneResult, History]]] = {}
    for lane, history in zip(result.lanes, result.histories, strict=True):
        found.setdefault(lane.lr, []).append((lane, history))
    return found


def _row(
    result: RunResult, lr: float, pairs: Sequence[tuple[LaneResult, History]], target: float | None
) -> Row:
    lanes = [lane for lane, _ in pairs]
    reached = []
    for lane, history in pairs:
        at = reach(history, target, lane.status)
        columns = (history.epochs["updates"], history.epochs["seconds"])
        reached.append([math.inf if at is None else column[at] for column in columns])
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
        updates_to_target=_median(updates for updates, _ in reached),
        seconds_to_target=_median(seconds for _, seconds in reached),
    )


def _median(values: Iterable[float | None]) -> float | None:
    return finite(median(map(or_inf, values)))
