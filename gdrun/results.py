"""What a run came to: the outcome of each lane, and the table that compares runs.

Everything here is plain Python, so that results can be shown, saved and compared without torch.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from statistics import median

from gdrun.history import History, columns
from gdrun.records import EpochRecord, Series, Status, StepRecord

# Of `run.json` and of what `--json` prints; grows when a key changes its meaning.
SCHEMA_VERSION = 1
# A run has come to the target once its train loss is within this factor of the best final loss.
TARGET_FACTOR = 1.1

# Curves of several runs, with several learning rates each, that one picture shows.
MOST_CURVES = 12
BEST_RATES = "many learning rates: each run is shown at its best one"

# The losses in words: as they come, and of a standardised target.
LOSS_NAMES = {
    "mse": ("MSE", "MSE ÷ variance of {target}; 1 = predicting the mean"),
    "half_mse": ("half MSE", "half MSE ÷ variance of {target}; 0.5 = predicting the mean"),
    "l1": ("mean absolute error", "mean absolute error ÷ deviation of {target}"),
    "huber": ("Huber loss", "Huber loss of the standardised {target}"),
}


@dataclass(frozen=True, slots=True)
class Description:
    """What is trained on what, in the words of captions, headers and logs."""

    network: str
    parameters: int
    data: str
    rows: int
    val_rows: int
    features: tuple[str, ...]
    target: str
    loss: str
    standardized: bool
    device: str

    @property
    def loss_name(self) -> str:
        """The loss in words, with its unit where the target was scaled."""
        return LOSS_NAMES[self.loss][self.standardized].format(target=self.target)


@dataclass(frozen=True, slots=True)
class Fit:
    """The fitted functions of one feature, in original units, with the data they were fitted to.

    Attributes:
        x, y: the training rows; `x_val`, `y_val` the validation rows.
        grid: where the functions are drawn.
        curves: for each lane, the network's output on the grid.
    """

    x: Sequence[float]
    y: Sequence[float]
    x_val: Sequence[float]
    y_val: Sequence[float]
    grid: Sequence[float]
    curves: Sequence[Sequence[float]]


@dataclass(frozen=True, slots=True)
class LaneResult:
    """How one lane ended. Losses that are missing or not finite are None.

    A lane that diverged counts up to `diverged_at`, the update that showed it (0: the untrained
    loss).
    """

    lr: float
    seed: int
    status: Status
    diverged_at: int | None
    epochs: int
    updates: int
    samples: int
    seconds: float
    train_loss: float | None
    best_train_loss: float | None
    val_loss: float | None


@dataclass(frozen=True)
class RunResult:
    """How one run ended, with everything that it recorded.

    Attributes:
        series: method, batch size and lanes.
        status: `done`, `interrupted`, or `diverged` if every lane did.
        description: what was trained on what.
        histories: the records of each lane, as columns.
        lanes: how each lane ended.
        fit: the fitted functions, for one feature.
        directory: where the run was written, if it was.
    """

    series: Series
    status: Status
    description: Description
    histories: tuple[History, ...]
    lanes: tuple[LaneResult, ...]
    fit: Fit | None
    directory: Path | None

    @property
    def epochs(self) -> dict[str, list[float | str]]:
        """The columns of `epochs.csv`, as `pandas.DataFrame` takes them."""
        return columns(EpochRecord, self.histories)

    @property
    def steps(self) -> dict[str, list[float | str]]:
        """The columns of `steps.csv`, lane after lane, as `pandas.DataFrame` takes them."""
        return columns(StepRecord, self.histories)


@dataclass(frozen=True)
class Failure:
    """That a run of a group broke, by its name; the others went on."""

    name: str
    problems: tuple[str, ...]
    hints: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What went wrong, with the run that it happened to."""
        return [f"{self.name}: {problem}" for problem in self.problems]


def lane_result(
    history: History,
    status: Status,
    diverged_at: int | None,
    *,
    updates: int,
    samples: int,
    seconds: float,
    stopped_at: tuple[float, float] | None,
) -> LaneResult:
    """Sum up one lane, which took so many updates and samples until it ended or diverged.

    Where it was stopped on the way, `stopped_at` are the train and validation loss (or NaN) of the
    weights that stand; they come after what the history holds.
    """
    epochs = history.epochs
    if stopped_at:
        train_loss, val_loss = stopped_at
    else:  # the last that were evaluated
        at = history.last_evaluated()
        train_loss, val_loss = epochs["train_loss"][at], epochs["val_loss"][at]
    seen = chain(epochs["train_loss"], [train_loss])
    return LaneResult(
        lr=history.lane.lr,
        seed=history.lane.seed,
        status=status,
        diverged_at=diverged_at,
        epochs=int(epochs["epoch"][-1]),
        updates=updates,
        samples=samples,
        seconds=seconds,
        train_loss=None if diverged_at is not None else finite(train_loss),
        best_train_loss=min((loss for loss in seen if math.isfinite(loss)), default=None),
        val_loss=None if diverged_at is not None else finite(val_loss),
    )


def overall_status(statuses: Iterable[Status]) -> Status:
    """The status of a whole from those of its parts: diverged only if all are."""
    found = set(statuses)
    for status in ("failed", "interrupted", "running", "done"):
        if status in found:
            return status
    return "diverged"


def group_status(
    results: Sequence[RunResult], planned: int, failures: Sequence[Failure] = ()
) -> Status:
    """The status of a group of so many runs: interrupted as long as some haven't ended."""
    if failures:
        return "failed"
    if len(results) < planned:
        return "interrupted"
    return overall_status([result.status for result in results])


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


def or_inf(value: float | None) -> float:
    """The same number; infinite if it is missing."""
    return math.inf if value is None else value


def finite(value: float) -> float | None:
    """The same number; None if it isn't finite."""
    return value if math.isfinite(value) else None
