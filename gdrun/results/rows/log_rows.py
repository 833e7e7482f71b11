"""The rows of a run's CSV files: segments as text, and what is read back of it."""

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from gdrun.results.events import Probed, Segment, Series
from gdrun.results.file_names import EPOCHS, EVALUATIONS, PROBES, STEPS

# The columns of the files: the first four are constant within a lane. In `evaluations.csv` are the
# train losses within epochs.
LANE_COLUMNS = ("method", "batch_size", "lr", "seed")
EPOCH_COLUMNS = (
    *LANE_COLUMNS,
    *("epoch", "updates", "samples", "seconds", "batch_loss", "train_loss", "val_loss"),
)
EVALUATION_COLUMNS = (*LANE_COLUMNS, "epoch", "updates", "samples", "seconds", "train_loss")
STEP_COLUMNS = (*LANE_COLUMNS, "epoch", "update", "loss")
PROBE_COLUMNS = (*LANE_COLUMNS, "epoch", "updates")
COLUMNS: Mapping[str, tuple[str, ...]] = {  # by file, those that all runs have
    EPOCHS: EPOCH_COLUMNS,
    EVALUATIONS: EVALUATION_COLUMNS,
    STEPS: STEP_COLUMNS,
    PROBES: PROBE_COLUMNS,
}
SCHEDULED_LR = "scheduled_lr"  # a further one of `epochs.csv`, of learning rates that change
COUNTS = frozenset({"epoch", "update", "updates", "samples"})  # whole numbers
SHARED = COUNTS | {"seconds"}  # the same for all lanes; what follows them is each lane's own
EPOCH_LOSSES = ("batch_loss", "train_loss", "val_loss")
TYPICAL_LOSS, TYPICAL_PROBE, TYPICAL_SECONDS = 0.0123456789, 12.345678, "123.456789"
MAX_ROWS_AT_ONCE = 2**12  # formatted together: more would take memory and gain nothing


@dataclass(frozen=True, slots=True)
class LoggedRows:
    """The rows of consecutive epochs, or of logged updates, in which the same lanes take part.

    Attributes:
        lanes: their positions, in the order of the rows of each epoch.
        shared: the columns that are the same for all lanes: one number per epoch.
        losses: the other columns: one number per row.
    """

    lanes: Sequence[int]
    shared: Mapping[str, Sequence[float]]
    losses: Mapping[str, Sequence[float]]

    def of_lane(self, place: int) -> dict[str, Sequence[float]]:
        """The columns of the lane that has so many before it in each epoch."""
        step = len(self.lanes)
        own = {name: column[place::step] for name, column in self.losses.items()}
        return {**self.shared, **own}


def columns_of(name: str, series: Series) -> tuple[str, ...]:
    """The columns of a file of a run."""
    further = {EPOCHS: series.columns, PROBES: series.probe_columns}
    return (*COLUMNS[name], *further.get(name, ()))


def metrics_of(columns: Sequence[str]) -> list[str]:
    """Those of further columns that are measured together with the losses."""
    return [name for name in columns if name.startswith(("train_", "val_"))]


def evaluated_of(columns: Sequence[str]) -> list[str]:
    """The columns that an evaluation of all rows fills, where a run has such further ones."""
    return ["train_loss", "val_loss", *metrics_of(columns)]


def header(columns: tuple[str, ...]) -> str:
    """The first line of a CSV file with these columns."""
    return ",".join(columns) + "\n"


def epoch_lines(series: Series, segment: Segment) -> str:
    """The rows of `epochs.csv` for the epochs that a segment ends: one per active lane each."""
    ends = segment.ends
    if ends is None:
        return ""
    counts = [
        f"{epoch},{updates},{samples},{seconds:.6f}"
        for epoch, updates, samples, seconds in zip(
            ends.epochs, ends.updates, ends.samples, ends.seconds, strict=True
        )
    ]
    lines = []
    by_lane = zip(series.lanes, ends.active, ends.losses_of(series.columns), strict=True)
    for lane, active, losses in by_lane:
        if active:
            start = f"{series.method},{series.batch_size},{lane.lr!r},{lane.seed}"
            cells = zip(counts, *(map(loss_cell, column) for column in losses), strict=True)
            lines.append([f"{start},{','.join(row)}\n" for row in cells])
    return "".join(chain.from_iterable(zip(*lines, strict=True)))


def evaluation_lines(series: Series, segment: Segment) -> str:
    """The rows of `evaluations.csv` for a train loss within an epoch: one per active lane."""
    counts = f"{segment.epoch},{segment.updates},{segment.samples},{segment.seconds:.6f}"
    return "".join(
        f"{series.method},{series.batch_size},{lane.lr!r},{lane.seed},{counts},{loss:.9g}\n"
        for lane, loss in segment.evaluated(series.lanes)
    )


def probe_lines(series: Series, probed: Probed) -> str:
    """The rows of `probes.csv` at the end of an epoch: one per lane that was measured."""
    columns = [probed.columns[name] for name in series.probe_columns]
    by_lane = zip(series.lanes, probed.active, zip(*columns, strict=True), strict=True)
    return "".join(
        f"{series.method},{series.batch_size},{lane.lr!r},{lane.seed},{probed.epoch},"
        f"{probed.updates},{','.join(map(loss_cell, values))}\n"
        for lane, active, values in by_lane
        if active
    )


def step_lines(series: Series, segment: Segment, every: int) -> str:
    """The rows of `steps.csv` for a segment: update by update, lane by lane.

    All updates that have the same lanes left are formatted at once, since there may be millions.
    """
    numbers, losses = segment.logged(every)
    epochs = segment.epochs_of(numbers)
    ends = [count_until_end(numbers, at) for at in segment.ended_at]
    texts: list[str] = []
    start = 0
    while left := [lane for lane, end in enumerate(ends) if end > start]:
        rows = max(1, MAX_ROWS_AT_ONCE // len(left))
        end = min([start + rows, *[ends[lane] for lane in left]])
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


def bytes_to_log(
    series: Series,
    epochs: range,
    updates_per_epoch: int,
    every: int,
    *,
    within: int,
    probed: int,
    validation: bool,
) -> tuple[int, int]:
    """About how much epochs that are left will add to the losses and to `steps.csv`, in bytes.

    Args:
        series: the run.
        epochs: the numbers of the epochs.
        updates_per_epoch: of each.
        every: updates between two rows of `steps.csv`.
        within: how often the train loss is evaluated within them.
        probed: how many of them are probed.
        validation: whether there is a validation loss.
    """
    updates = epochs.stop * updates_per_epoch
    losses = f",{TYPICAL_LOSS}" * ((3 if validation else 2) + len(series.columns))
    counts = f",{epochs.stop},{updates},{updates * series.batch_size},{TYPICAL_SECONDS}"
    of_losses = of_steps = 0
    for lane in series.lanes:
        start = len(f"{series.method},{series.batch_size},{lane.lr!r},{lane.seed}\n")
        of_losses += len(epochs) * (start + len(counts + losses))
        probe = start + len(f",{epochs.stop},{updates}")
        of_losses += probed * (probe + len(f",{TYPICAL_PROBE}" * len(series.probe_columns)))
        of_losses += within * (start + len(f"{counts},{TYPICAL_LOSS}"))
        step = start + len(f",{epochs.stop},{updates},{TYPICAL_LOSS}")
        of_steps += len(epochs) * updates_per_epoch * step // every
    return of_losses, of_steps


def count_until_end(numbers: range, ended_at: int | None) -> int:
    """How many of the updates count for a lane: those up to the one at which it ended."""
    return len(numbers) if ended_at is None else bisect_right(numbers, ended_at)


def loss_cell(loss: float | None) -> str:
    """A loss with the nine digits that tell every 32-bit float from its neighbours."""
    return "" if loss is None else f"{loss:.9g}"


def cell_value(cell: str) -> float:
    """The number in a cell of a CSV file: empty is NaN (unknown), NaN counts as infinite."""
    value = float(cell) if cell else math.nan
    return math.inf if cell and math.isnan(value) else value


def as_logged(loss: float | None) -> float:
    """A loss as reading it back from the file gives it, so that a resumed run has the same."""
    return cell_value(loss_cell(loss))
