"""The records of a run in memory: columns, thinned to what can be seen when a run is long."""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from gdrun.results.events import Epochs, Lane, Segment, Series, as_stored_column, numbers_of
from gdrun.results.log_rows import EpochRecord, StepRecord, logged_of, loss_cell

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COUNTS = frozenset({"epoch", "update", "updates", "samples"})
# Rows of a table that are kept of a lane for pictures and the table of results.
KEPT_ROWS = 2**16
LOSSES = ("batch_loss", "train_loss", "val_loss")
READ_LINES = 2**14  # of a CSV file, between two looks at how many rows there are
OCTAVES = 40  # doublings of the number of rows for which logarithmic axes stay filled


@dataclass(frozen=True, slots=True)
class History:
    """The records of one lane as columns: `epochs[name]` as in `EpochRecord`, `steps[name]` too.

    Losses that weren't evaluated are NaN, losses that are no numbers any more infinite. A long
    history may have been thinned: rows are then missing, but those with the lowest and highest
    losses are there.
    """

    series: Series
    lane: Lane
    epochs: Mapping[str, "array[float]"]
    steps: Mapping[str, "array[float]"]

    def last_evaluated(self) -> int:
        """The position of the last epoch whose losses over all rows are known."""
        losses = self.epochs["train_loss"]
        return next(k for k in reversed(range(len(losses))) if not math.isnan(losses[k]))

    @property
    def has_every_update(self) -> bool:
        """Whether the loss of every update is there: none left out by `log_every` or thinned."""
        updates = self.steps["update"]
        return not updates or (updates[0] == 1 and updates[-1] == len(updates))


class Recorder:
    """Keeps the records of a run, eight bytes a number, and at most so many rows of each table."""

    def __init__(self, series: Series, log_every: int, keep: int | None = None) -> None:
        """Begin without records; `keep` rows are kept, or all."""
        self.log_every = log_every
        self.keep = keep
        self.histories = tuple(
            History(series, lane, _columns(EpochRecord), _columns(StepRecord))
            for lane in series.lanes
        )

    def add(self, segment: Segment) -> None:
        """Append what a segment says to the histories of its lanes."""
        numbers, losses = segment.logged(self.log_every)
        if numbers:
            self._add_steps(segment, numbers, losses)
        if segment.whole:
            self._add_epochs(segment.whole)
        elif segment.evaluations:
            self._add_epoch(segment)

    def _add_steps(
        self, segment: Segment, numbers: range, losses: Sequence["array[float]"]
    ) -> None:
        updates, epochs = as_stored_column(numbers_of(numbers)), segment.epochs_of(numbers)
        for lane, diverged in enumerate(segment.diverged_at):
            kept = logged_of(numbers, diverged)
            steps = self.histories[lane].steps
            steps["epoch"].extend(epochs[:kept])
            steps["update"].extend(updates[:kept])
            steps["loss"].extend(losses[lane][:kept])
            if diverged is not None and kept and math.isnan(steps["loss"][-1]):
                steps["loss"][-1] = math.inf
        self._downsample_steps()

    def _add_epochs(self, whole: Epochs) -> None:
        by_lane = zip(whole.batch_loss, whole.train_loss, whole.val_loss, strict=True)
        for history, losses in zip(self.histories, by_lane, strict=True):
            named = zip(LOSSES, losses, strict=True)
            for name, column in (
                *((name, getattr(whole, name)) for name in ("updates", "samples", "seconds")),
                *((name, map(_number, map(loss_cell, column))) for name, column in named),
            ):
                history.epochs[name].extend(column)
            history.epochs["epoch"].extend(whole.epochs)
        self._downsample_epochs()

    def _add_epoch(self, segment: Segment) -> None:
        for history, evaluation in zip(self.histories, segment.evaluations, strict=True):
            if evaluation is not None:
                epochs = history.epochs
                epochs["epoch"].append(segment.epoch)
                epochs["updates"].append(segment.updates)
                epochs["samples"].append(segment.samples)
                epochs["seconds"].append(segment.seconds)
                # As the file has them, so that results don't depend on whether a run was resumed.
                epochs["batch_loss"].append(_number(loss_cell(evaluation.batch_loss)))
                epochs["train_loss"].append(_number(loss_cell(evaluation.train_loss)))
                epochs["val_loss"].append(_number(loss_cell(evaluation.val_loss)))
        self._downsample_epochs()

    def read(self, epochs: Iterable[str], steps: Iterable[str]) -> None:
        """Append the lines of CSV files that a run of the same series wrote.

        Raises:
            ValueError, KeyError: a line isn't one that it wrote.
        """
        lane_of = {(repr(h.lane.lr), str(h.lane.seed)): h for h in self.histories}
        for number, line in enumerate(epochs, 1):
            _, _, lr, seed, *cells = line.rstrip("\n").split(",")
            named = lane_of[lr, seed].epochs.items()
            for (name, column), cell in zip(named, cells, strict=True):
                column.append(int(cell) if name in COUNTS else _number(cell))
            if number % READ_LINES == 0:
                self._downsample_epochs()
        for number, line in enumerate(steps, 1):
            _, _, lr, seed, epoch, update, loss = line.rstrip("\n").split(",")
            columns = lane_of[lr, seed].steps
            columns["epoch"].append(int(epoch))
            columns["update"].append(int(update))
            columns["loss"].append(_number(loss))
            if number % READ_LINES == 0:
                self._downsample_steps()
        self._downsample_epochs()
        self._downsample_steps()

    def _downsample_epochs(self) -> None:
        if self.keep and any(len(h.epochs["epoch"]) > self.keep for h in self.histories):
            tables = [history.epochs for history in self.histories]
            downsample(tables, "epoch", LOSSES, self.keep // 2)

    def _downsample_steps(self) -> None:
        if self.keep and any(len(h.steps["epoch"]) > self.keep for h in self.histories):
            tables = [history.steps for history in self.histories]
            downsample(tables, "update", ("loss",), self.keep // 2)


def downsample(
    lanes: Sequence[Mapping[str, "array[float]"]], by: str, losses: Sequence[str], keep: int
) -> None:
    """Leave of the rows of all lanes at most about so many, in place, and the same of each lane.

    Rows fall into blocks of consecutive numbers in the column `by`, and of each block those with
    the lowest and highest of the `losses` among the lanes stay. So do each lane's first and last
    row, and that with its lowest loss. Blocks grow with their numbers up to some width, so that
    logarithmic axes are as well filled as linear ones.
    """
    import numpy as np

    # Copies throughout: an array that is looked at can't be cut.
    numbers = np.array(max((lane[by] for lane in lanes), key=len))
    always = np.zeros(len(numbers), bool)
    always[[0, *(len(lane[by]) - 1 for lane in lanes if lane[by])]] = True
    extremes = []
    for name in losses:
        lowest, highest = np.full((2, len(numbers)), np.nan)
        for lane in lanes:
            values = np.array(lane[name])
            values[np.isinf(values)] = np.nan
            rows = np.flatnonzero(~np.isnan(values))
            if len(rows):
                always[[rows[-1], np.nanargmin(values)]] = True
            low, high = lowest[: len(values)], highest[: len(values)]
            np.fmin(low, values, out=low)
            np.fmax(high, values, out=high)
        extremes += [lowest, -highest]
    chosen = _extremes_of_blocks(numbers, extremes, always, keep)
    for lane in lanes:
        own = chosen[: len(lane[by])]
        for column in lane.values():
            column[:] = array(column.typecode, np.array(column)[own].tobytes())


def _extremes_of_blocks(
    numbers: "NDArray[np.int64]",
    extremes: "Sequence[NDArray[np.float64]]",
    always: "NDArray[np.bool_]",
    keep: int,
) -> "NDArray[np.bool_]":
    """Which rows stay: some always, and where each of the `extremes` is lowest in a block.

    Blocks are the narrowest that leave at most so many rows.
    """
    import numpy as np

    known = ~np.isnan(extremes).all(axis=0)
    # Powers of two, so that blocks are made of whole blocks whenever a history is thinned again.
    an_octave = max(1, keep // (2 * OCTAVES * len(extremes)))
    octaves = 2 ** np.log2(np.maximum(numbers // an_octave, 1)).astype(np.int64)
    widest = 1
    while True:
        widest *= 2
        is_last = widest > numbers[-1]
        widths = np.minimum(octaves, widest)
        begins = np.diff(numbers // widths, prepend=-1) + np.diff(widths, prepend=0) != 0
        starts = np.flatnonzero(begins)
        # Each block of which a loss is known leaves a row at least: most widths need no more.
        if not is_last and np.count_nonzero(np.logical_or.reduceat(known, starts)) > keep:
            continue
        chosen = always.copy()
        blocks = np.cumsum(begins) - 1
        for values in extremes:
            rows = np.flatnonzero(values == np.fmin.reduceat(values, starts)[blocks])
            chosen[rows[np.diff(blocks[rows], prepend=-1) != 0]] = True  # the first of each block
        if is_last or np.count_nonzero(chosen) <= keep:
            return chosen


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


def _number(cell: str) -> float:
    """A number as the CSV files hold it: empty is unknown, what is no number counts as infinite."""
    value = float(cell) if cell else math.nan
    return math.inf if cell and math.isnan(value) else value
