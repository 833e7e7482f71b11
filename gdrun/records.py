"""What a run says of itself: plain rows and columns, without torch, that logs and plots share.

The engine yields a `Segment` at a time; `epoch_lines` and `step_lines` turn it into the rows of
`epochs.csv` and `steps.csv`.
"""

from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import chain
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Status = Literal["running", "done", "diverged", "interrupted", "failed"]
ROWS_AT_ONCE = 2**12  # that are formatted, lest that take much memory


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
class Epochs:
    """Several whole epochs after which no lane has diverged, in columns.

    Attributes:
        epochs, updates, samples: as in `Segment`, at the end of each.
        seconds: likewise.
        batch_loss, train_loss, val_loss: per lane, as in `Evaluation`.
    """

    epochs: range
    updates: range
    samples: range
    seconds: Sequence[float]
    batch_loss: Sequence[Sequence[float]]
    train_loss: Sequence[Sequence[float | None]]
    val_loss: Sequence[Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive updates of all lanes: of one epoch, or of several whole ones.

    The last of an epoch carries its evaluation.

    Attributes:
        epoch: the epoch that the last of them belongs to, from 1; 0 is before training.
        updates: updates so far, these included.
        samples: training rows consumed so far.
        seconds: training time so far, of all lanes together.
        losses: per lane, the batch loss before each update of this segment; empty if it has none.
        diverged_at: per lane, the update that first saw a non-finite loss, or None.
        evaluations: per lane, at the end of an epoch; None for a lane that diverged before it.
        whole: the epochs that they make up, where these are several.
    """

    epoch: int
    updates: int
    samples: int
    seconds: float
    losses: Sequence["array[float]"]
    diverged_at: tuple[int | None, ...]
    evaluations: tuple[Evaluation | None, ...] = ()
    whole: Epochs | None = None

    @property
    def ends_epoch(self) -> bool:
        """Whether this is the last segment of its epoch."""
        return bool(self.evaluations)

    def logged(self, every: int) -> tuple[range, Sequence["array[float]"]]:
        """The updates whose number is a multiple of `every`, and for each lane their losses."""
        first = self.updates - len(self.losses[0]) + 1 if self.losses else self.updates + 1
        skip = -first % every
        columns = self.losses if every == 1 else [column[skip::every] for column in self.losses]
        return range(first + skip, self.updates + 1, every), columns

    def epochs_of(self, updates: range) -> "array[int]":
        """The epochs that some of its updates belong to."""
        if not self.whole:
            return array("q", [self.epoch]) * len(updates)
        an_epoch = self.whole.updates.step
        return kept_in_memory((numbers_of(updates) - 1) // an_epoch + 1)


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
    """What the rows of one run have in common, and what it is called among others.

    Attributes:
        method: `full`, `sgd` or `minibatch`.
        batch_size: rows an update takes.
        lanes: what is trained in lockstep.
        name: of the run in its group, and of its directory there; its method if nothing else.
    """

    method: str
    batch_size: int
    lanes: tuple[Lane, ...]
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.method)

    @property
    def lrs(self) -> list[float]:
        """The learning rates of the lanes, each once."""
        return list(dict.fromkeys(lane.lr for lane in self.lanes))


def numbers_of(updates: range) -> "NDArray[np.int64]":
    """A range as an array, of which there may be millions."""
    import numpy as np

    return np.arange(updates.start, updates.stop, updates.step, dtype=np.int64)


def kept_in_memory(numbers: "NDArray[np.int64]") -> "array[int]":
    """The same numbers as they are kept in memory."""
    return array("q", numbers.tobytes())


def header(record: type[EpochRecord] | type[StepRecord]) -> str:
    """The first line of the CSV file that holds such records."""
    return ",".join(column.name for column in fields(record)) + "\n"


def epoch_lines(series: Series, segment: Segment) -> str:
    """The rows of `epochs.csv` that a segment completes: one a lane that hadn't diverged before."""
    if segment.whole:
        return _lines_of_epochs(series, segment.whole)
    at = f"{segment.epoch},{segment.updates},{segment.samples},{segment.seconds:.6f}"
    return "".join(
        [
            f"{series.method},{series.batch_size},{lane.lr!r},{lane.seed},{at},"
            f"{loss_cell(e.batch_loss)},{loss_cell(e.train_loss)},{loss_cell(e.val_loss)}\n"
            for lane, e in zip(series.lanes, segment.evaluations, strict=False)
            if e is not None
        ]
    )


def _lines_of_epochs(series: Series, whole: Epochs) -> str:
    at = [
        f"{epoch},{updates},{samples},{seconds:.6f}"
        for epoch, updates, samples, seconds in zip(
            whole.epochs, whole.updates, whole.samples, whole.seconds, strict=True
        )
    ]
    columns = []
    for lane, *losses in zip(
        series.lanes, whole.batch_loss, whole.train_loss, whole.val_loss, strict=True
    ):
        start = f"{series.method},{series.batch_size},{lane.lr!r},{lane.seed}"
        cells = zip(at, *(map(loss_cell, column) for column in losses), strict=True)
        columns.append([f"{start},{a},{b},{t},{v}\n" for a, b, t, v in cells])
    return "".join(chain.from_iterable(zip(*columns, strict=True)))


def step_lines(series: Series, segment: Segment, every: int) -> str:
    """The rows of `steps.csv` of a segment, as text: update by update, lane by lane.

    All updates that have the same lanes left are formatted at once, since there may be millions.
    """
    numbers, losses = segment.logged(every)
    epochs = segment.epochs_of(numbers)
    ends = [logged_of(numbers, at) for at in segment.diverged_at]
    texts: list[str] = []
    start = 0
    while left := [lane for lane, end in enumerate(ends) if end > start]:
        end = min([start + max(1, ROWS_AT_ONCE // len(left)), *[ends[lane] for lane in left]])
        template = "".join(
            [
                f"{series.method},{series.batch_size},{series.lanes[lane].lr!r},"
                f"{series.lanes[lane].seed},%d,%d,%.9g\n"
                for lane in left
            ]
        )
        width = 3 * len(left)
        cells: list[float] = [0] * (width * (end - start))
        for place, lane in enumerate(left):
            cells[3 * place :: width] = epochs[start:end]
            cells[3 * place + 1 :: width] = numbers[start:end]
            cells[3 * place + 2 :: width] = losses[lane][start:end]
        texts.append(template * (end - start) % tuple(cells))
        start = end
    return "".join(texts)


def logged_of(numbers: range, diverged_at: int | None) -> int:
    """How many of the updates count for a lane: up to that which showed that it diverged."""
    return len(numbers) if diverged_at is None else bisect_right(numbers, diverged_at)


def loss_cell(loss: float | None) -> str:
    """A loss with the nine digits that tell every 32-bit float from its neighbours."""
    return "" if loss is None else f"{loss:.9g}"
