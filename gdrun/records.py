"""What a run says of itself: plain rows and columns, without torch, that logs and plots share.

The engine yields a `Segment` at a time; `epoch_lines` and `step_lines` turn it into the rows of
`epochs.csv` and `steps.csv`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from operator import itemgetter
from typing import Literal

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
        f"{row.samples},{row.seconds:.6f},{loss_cell(row.batch_loss)},{loss_cell(row.train_loss)},"
        f"{loss_cell(row.val_loss)}\n"
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


def loss_cell(loss: float | None) -> str:
    """A loss with the nine digits that tell every 32-bit float from its neighbours."""
    return "" if loss is None else f"{loss:.9g}"
