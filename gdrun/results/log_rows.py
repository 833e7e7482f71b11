"""Segments of a training → the rows of `epochs.csv` and `steps.csv`, as text."""

from bisect import bisect_right
from dataclasses import dataclass, fields
from itertools import chain

from gdrun.results.events import Epochs, Segment, Series

ROWS_AT_ONCE = 2**12  # that are formatted, lest that take much memory


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
