"""What a run says of itself: plain rows and columns, without torch, that logs and plots share.

The engine yields a `Segment` at a time. `epoch_rows` and `step_rows` turn it into the rows of
`epochs.csv` and `steps.csv`; a `History` keeps one lane's rows as columns.
"""

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Literal

COUNTS = frozenset({"epoch", "update", "updates", "samples"})

Status = Literal["running", "done", "diverged", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Lane:
    """One training among those that run in lockstep."""

    lr: float
    seed: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The losses of one lane at the end of an epoch.

    Attributes:
        batch_loss: mean of the losses that the epoch's updates saw, weighted by batch rows; None
            before training.
        train_loss: loss over all training rows at the weights that stand at the end of the epoch;
            None where this epoch wasn't evaluated.
        val_loss: the same over the validation rows; None also where there are none.
    """

    batch_loss: float | None
    train_loss: float | None
    val_loss: float | None


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive updates of one epoch, of all lanes; the last of an epoch carries its evaluation.

    Attributes:
        epoch: the epoch that the updates belong to, from 1; 0 is the state before training.
        updates: updates so far, these included.
        samples: training rows consumed so far.
        seconds: training time so far, of all lanes together.
        losses: (updates of this segment, R) the batch loss before each update.
        diverged_at: per lane, the update that first saw a non-finite loss, or None.
        evaluations: per lane, at the end of an epoch; None for a lane that diverged before it.
    """

    epoch: int
    updates: int
    samples: int
    seconds: float
    losses: Sequence[Sequence[float]]
    diverged_at: tuple[int | None, ...]
    evaluations: tuple[Evaluation | None, ...] = ()

    @property
    def ends_epoch(self) -> bool:
        """Whether this is the last segment of its epoch."""
        return bool(self.evaluations)

    def logged(self, every: int) -> tuple[range, Sequence[Sequence[float]]]:
        """The updates whose number is a multiple of `every`, and their losses, (R,) each."""
        first = self.updates - len(self.losses) + 1
        skip = -first % every
        return range(first + skip, self.updates + 1, every), self.losses[skip::every]


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """A row of `epochs.csv`. Losses are in the units of the loss, `seconds` is training time."""

    method: str
    batch_size: int
    lr: float
    seed: int
    epoch: int
    updates: int
    samples: int
    seconds: float
    batch_loss: float | None
    train_loss: float | None
    val_loss: float | None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A row of `steps.csv`: the batch loss that an update saw before it moved the weights."""

    method: str
    batch_size: int
    lr: float
    seed: int
    epoch: int
    update: int
    loss: float


@dataclass(frozen=True, slots=True)
class Series:
    """What the rows of one run have in common: its name, batch size and lanes."""

    method: str
    batch_size: int
    lanes: tuple[Lane, ...]

    @property
    def lrs(self) -> list[float]:
        """The learning rates of the lanes, each once."""
        return list(dict.fromkeys(lane.lr for lane in self.lanes))


def epoch_rows(series: Series, segment: Segment) -> Iterator[EpochRecord]:
    """The rows of `epochs.csv` that a segment completes: one a lane that hadn't diverged before."""
    for lane, evaluation in zip(series.lanes, segment.evaluations, strict=False):
        if evaluation is not None:
            yield EpochRecord(
                series.method,
                series.batch_size,
                lane.lr,
                lane.seed,
                segment.epoch,
                segment.updates,
                segment.samples,
                segment.seconds,
                evaluation.batch_loss,
                evaluation.train_loss,
                evaluation.val_loss,
            )


def header(record: type[EpochRecord] | type[StepRecord]) -> str:
    """The first line of the CSV file that holds such records."""
    return ",".join(column.name for column in fields(record)) + "\n"


def epoch_lines(series: Series, segment: Segment) -> str:
    """The rows of `epochs.csv` that a segment completes, as text."""
    return "".join(
        f"{row.method},{row.batch_size},{row.lr!r},{row.seed},{row.epoch},{row.updates},"
        f"{row.samples},{row.seconds:.6f},{_cell(row.batch_loss)},{_cell(row.train_loss)},"
        f"{_cell(row.val_loss)}\n"
        for row in epoch_rows(series, segment)
    )


def step_lines(series: Series, segment: Segment, every: int) -> str:
    """The rows of `steps.csv` of a segment, as text: update by update, lane by lane.

    One template serves all updates that have the same lanes left, since this runs once an update.
    """
    numbers, losses = segment.logged(every)
    lines: list[str] = []
    while len(lines) < len(numbers):
        first = numbers[len(lines)]
        last = [segment.updates if at is None else at for at in segment.diverged_at]
        left = [lane for lane, update in enumerate(last) if update >= first]
        if not left:
            break
        until = min(last[lane] for lane in left)
        template = "".join(
            f"{series.method},{series.batch_size},{series.lanes[lane].lr!r},"
            f"{series.lanes[lane].seed},{segment.epoch},\0,%.9g\n"
            for lane in left
        )
        pick = itemgetter(*left)
        lines += [
            template.replace("\0", str(number)) % pick(row)
            for number, row in zip(numbers[len(lines) :], losses[len(lines) :], strict=True)
            if number <= until
        ]
    return "".join(lines)


def _cell(loss: float | None) -> str:
    """A loss with the nine digits that tell every 32-bit float from its neighbours."""
    return "" if loss is None else f"{loss:.9g}"


@dataclass(frozen=True, slots=True)
class History:
    """The records of one lane as columns: `epochs[name]` as in `EpochRecord`, `steps[name]` too.

    Losses that weren't evaluated are NaN, losses that are no numbers any more infinite.
    """

    series: Series
    lane: Lane
    epochs: Mapping[str, "array[float]"]
    steps: Mapping[str, "array[float]"]

    def last_evaluated(self) -> int:
        """The position of the last epoch whose losses over all rows are known."""
        losses = self.epochs["train_loss"]
        return next(k for k in reversed(range(len(losses))) if not math.isnan(losses[k]))


class Recorder:
    """Keeps the records of a run in memory, eight bytes a number."""

    def __init__(self, series: Series, log_every: int) -> None:
        self.log_every = log_every
        self.histories = tuple(
            History(series, lane, _columns(EpochRecord), _columns(StepRecord))
            for lane in series.lanes
        )

    def add(self, segment: Segment) -> None:
        """Append what a segment says to the histories of its lanes."""
        numbers, losses = segment.logged(self.log_every)
        updates, epochs = array("q", numbers), array("q", [segment.epoch]) * len(numbers)
        by_lane = zip(self.histories, zip(*losses, strict=True), segment.diverged_at, strict=False)
        for history, seen, diverged in by_lane:
            # A lane counts up to the update that showed that it diverged.
            kept = len(numbers) if diverged is None else bisect_right(numbers, diverged)
            history.steps["epoch"].extend(epochs[:kept])
            history.steps["update"].extend(updates[:kept])
            history.steps["loss"].extend(array("d", seen[:kept]))
            if diverged is not None and kept and math.isnan(history.steps["loss"][-1]):
                history.steps["loss"][-1] = math.inf
        for history, evaluation in zip(self.histories, segment.evaluations, strict=False):
            if evaluation is not None:
                for name, column in history.epochs.items():
                    owner = evaluation if name.endswith("_loss") else segment
                    value = getattr(owner, name)
                    lost = value is not None and math.isnan(value)
                    column.append(math.nan if value is None else math.inf if lost else value)


def columns(
    record: type[EpochRecord] | type[StepRecord], histories: Iterable[History]
) -> dict[str, list[float | str]]:
    """The rows of all lanes, lane after lane, as one list for each column of the CSV file."""
    merged: dict[str, list[float | str]] = {column.name: [] for column in fields(record)}
    for history in histories:
        own = history.epochs if record is EpochRecord else history.steps
        length = len(own["epoch"])
        for name, column in merged.items():
            owner = history.lane if hasattr(history.lane, name) else history.series
            column.extend(own[name] if name in own else [getattr(owner, name)] * length)
    return merged


def _columns(record: type[EpochRecord] | type[StepRecord]) -> dict[str, "array[float]"]:
    """An empty column for each field that varies within a lane."""
    constant = {*(f.name for f in fields(Series)), *(f.name for f in fields(Lane))}
    names = [column.name for column in fields(record) if column.name not in constant]
    return {name: array("q" if name in COUNTS else "d") for name in names}
