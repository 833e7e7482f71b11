"""The records of a run in memory: columns, downsampled when a run is long."""

import math
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat

from gdrun.results.downsample import downsample
from gdrun.results.events import EpochEnds, Lane, Segment, Series, as_column, range_array
from gdrun.results.log_rows import (
    EPOCH_COLUMNS,
    LANE_COLUMNS,
    STEP_COLUMNS,
    as_logged,
    cell_value,
    count_until_divergence,
)

COUNTS = frozenset({"epoch", "update", "updates", "samples"})
LOSSES = ("batch_loss", "train_loss", "val_loss")
# Rows of a table that are kept per lane for pictures and the table of results.
KEPT_ROWS = 2**16
READ_LINES = 2**14  # of a CSV file, between two checks of how many rows there are


@dataclass(frozen=True, slots=True)
class History:
    """The records of one lane as columns: `epochs[name]` as in `EPOCH_COLUMNS`, `steps[name]` too.

    Losses that weren't evaluated are NaN, losses that are no longer numbers infinite. A long
    history may have been downsampled: rows are then missing, but those with the lowest and highest
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
        """Whether the loss of every update is there: none left out by `log_every`, none dropped."""
        updates = self.steps["update"]
        return not updates or (updates[0] == 1 and updates[-1] == len(updates))


class Recorder:
    """Keeps the records of a run: eight bytes a number, and a bounded number of rows per table."""

    def __init__(self, series: Series, log_every: int, keep: int | None = None) -> None:
        """Begin without records; `keep` rows are kept, or all."""
        self.log_every = log_every
        self.keep = keep
        self.histories = tuple(
            History(series, lane, _empty_table(EPOCH_COLUMNS), _empty_table(STEP_COLUMNS))
            for lane in series.lanes
        )

    def add(self, segment: Segment) -> None:
        """Append what a segment says to the histories of its lanes."""
        numbers, losses = segment.logged(self.log_every)
        if numbers:
            self._add_steps(segment, numbers, losses)
        if segment.ends:
            self._add_epochs(segment.ends)

    def _add_steps(
        self, segment: Segment, numbers: range, losses: Sequence["array[float]"]
    ) -> None:
        updates, epochs = as_column(range_array(numbers)), segment.epochs_of(numbers)
        for lane, diverged_at in enumerate(segment.diverged_at):
            kept = count_until_divergence(numbers, diverged_at)
            steps = self.histories[lane].steps
            steps["epoch"].extend(epochs[:kept])
            steps["update"].extend(updates[:kept])
            steps["loss"].extend(losses[lane][:kept])
            if diverged_at is not None and kept and math.isnan(steps["loss"][-1]):
                steps["loss"][-1] = math.inf
        self._downsample_steps()

    def _add_epochs(self, ends: EpochEnds) -> None:
        by_lane = zip(ends.active, ends.batch_loss, ends.train_loss, ends.val_loss, strict=True)
        for history, (active, *losses) in zip(self.histories, by_lane, strict=True):
            if active:
                table = history.epochs
                table["epoch"].extend(ends.epochs)
                table["updates"].extend(ends.updates)
                table["samples"].extend(ends.samples)
                table["seconds"].extend(ends.seconds)
                for name, column in zip(LOSSES, losses, strict=True):
                    table[name].extend(map(as_logged, column))
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
                column.append(int(cell) if name in COUNTS else cell_value(cell))
            if number % READ_LINES == 0:
                self._downsample_epochs()
        for number, line in enumerate(steps, 1):
            _, _, lr, seed, epoch, update, loss = line.rstrip("\n").split(",")
            table = lane_of[lr, seed].steps
            table["epoch"].append(int(epoch))
            table["update"].append(int(update))
            table["loss"].append(cell_value(loss))
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


def epoch_table(histories: Iterable[History]) -> dict[str, list[float | str]]:
    """The rows of `epochs.csv` of all lanes, lane after lane, as one list per column."""
    return _joined(EPOCH_COLUMNS, [(history, history.epochs) for history in histories])


def step_table(histories: Iterable[History]) -> dict[str, list[float | str]]:
    """The rows of `steps.csv` of all lanes, lane after lane, as one list per column."""
    return _joined(STEP_COLUMNS, [(history, history.steps) for history in histories])


def _joined(
    columns: tuple[str, ...], tables: Sequence[tuple[History, Mapping[str, "array[float]"]]]
) -> dict[str, list[float | str]]:
    merged: dict[str, list[float | str]] = {name: [] for name in columns}
    for history, table in tables:
        series, lane = history.series, history.lane
        constants: tuple[float | str, ...] = (series.method, series.batch_size, lane.lr, lane.seed)
        for name, value in zip(LANE_COLUMNS, constants, strict=True):
            merged[name].extend(repeat(value, len(table["epoch"])))
        for name in columns[len(LANE_COLUMNS) :]:
            merged[name].extend(table[name])
    return merged


def _empty_table(columns: tuple[str, ...]) -> dict[str, "array[float]"]:
    """An empty column for each that varies within a lane."""
    varying = columns[len(LANE_COLUMNS) :]
    return {name: array("q" if name in COUNTS else "d") for name in varying}
