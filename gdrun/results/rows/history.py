"""The records of a run in memory: columns, downsampled when a run is long."""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, chain, islice, repeat

from gdrun.results.events import EpochEnds, Lane, Probed, Segment, Series, as_column, range_array
from gdrun.results.file_names import EPOCHS, PROBES
from gdrun.results.rows.downsample import downsample
from gdrun.results.rows.log_rows import (
    COLUMNS,
    COUNTS,
    EPOCH_LOSSES,
    LANE_COLUMNS,
    STEP_COLUMNS,
    LoggedRows,
    as_logged,
    columns_of,
    count_until_end,
    evaluated_of,
)

# Rows of each table of a run that are kept for pictures, those of all lanes together: about 90 MB,
# however many lanes there are. 16 lanes keep as many as one alone would, and 1,000 lanes a thousand
# each. A picture is a thousand pixels wide and shows the median over lanes, with a band: 512 rows
# are the fewest that leave no gaps in it, and 5,000 lanes take 250 MB for them.
KEPT_ROWS = 2**20
MOST_PER_LANE, FEWEST_PER_LANE = 2**16, 2**9
OWN_ROWS = 7  # of a lane: its last, and of each loss the lowest and the last that is known
# An eighth more than the numbers: arrays grow ahead.
COLUMN_BYTES = 9
KEPT_ROW_BYTES = {
    "epochs": 8 * COLUMN_BYTES,
    "evaluations": 5 * COLUMN_BYTES,
    "steps": 3 * COLUMN_BYTES,
    "probes": 13 * COLUMN_BYTES,  # of all of them
}


def kept_per_lane(lanes: int, keep: int) -> int:
    """How many rows of each table a lane keeps where `keep` rows are kept of all lanes together."""
    return min(MOST_PER_LANE, max(FEWEST_PER_LANE, keep // lanes))


@dataclass(frozen=True, slots=True)
class Latest:
    """How far a lane is, whichever of its rows are kept.

    Attributes:
        epoch, updates, samples, seconds, batch_loss, train_loss: its last row.
        evaluated: train and validation loss, and metrics, when they were evaluated last.
        lowest: the lowest train loss so far; infinite if none is finite.
        best_val: the lowest validation loss so far and its epoch; infinite if none is finite.
    """

    epoch: int
    updates: int
    samples: int
    seconds: float
    batch_loss: float
    train_loss: float
    evaluated: Mapping[str, float]
    lowest: float
    best_val: tuple[float, int] = (math.inf, 0)

    @classmethod
    def of(
        cls,
        row: Mapping[str, float],
        evaluated: Mapping[str, float],
        lowest: float,
        best_val: tuple[float, int],
    ) -> "Latest":
        """What a lane's last row says, and the rest."""
        return cls(
            epoch=int(row["epoch"]),
            updates=int(row["updates"]),
            samples=int(row["samples"]),
            seconds=row["seconds"],
            batch_loss=row["batch_loss"],
            train_loss=row["train_loss"],
            evaluated=evaluated,
            lowest=lowest,
            best_val=best_val,
        )


@dataclass(slots=True)
class Dropped:
    """What is known of rows of `epochs.csv` that aren't kept.

    Attributes:
        lows: for each row that is left of those downsampled, the lowest train loss of any up to it.
        latest: how far the lane was when its rows were downsampled; None if they never were.
    """

    lows: "array[float]" = field(default_factory=lambda: array("d"))
    latest: Latest | None = None


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where a train loss was first at or below some loss.

    Attributes:
        row: the position of the first row that is kept since; that of the last row if none is.
        between: the epochs, from and to, that it may be after the first and at the last of; None
            if the row is the one.
    """

    row: int
    between: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class History:
    """The records of one lane as columns: `epochs[name]` as in `epochs.csv`.

    Likewise `evaluations[name]`, the train losses within epochs, `steps[name]` and `probes[name]`,
    what was measured at the ends of some epochs.

    Losses that weren't evaluated are NaN, losses that are no longer numbers infinite. A long
    history may have been downsampled: rows are then missing, but those with the lowest and highest
    losses are there. Results don't depend on that: `latest` and `crossing` know of all rows.
    """

    series: Series
    lane: Lane
    epochs: Mapping[str, "array[float]"]
    evaluations: Mapping[str, "array[float]"]
    steps: Mapping[str, "array[float]"]
    probes: Mapping[str, "array[float]"]
    dropped: Dropped = field(default_factory=Dropped)

    @property
    def latest(self) -> Latest:
        """How far the lane is; it has at least one row, and its first is evaluated."""
        first, before = len(self.dropped.lows), self.dropped.latest
        table = self.epochs
        losses = table["train_loss"]
        if before and len(losses) == first:
            return before
        known = (k for k in range(len(losses) - 1, first - 1, -1) if not math.isnan(losses[k]))
        at = next(known, None)
        names = evaluated_of(self.series.columns)
        if at is not None:
            evaluated: Mapping[str, float] = {name: table[name][at] for name in names}
        else:
            evaluated = before.evaluated if before else dict.fromkeys(names, math.nan)
        finite = filter(math.isfinite, islice(losses, first, None))
        lowest = min(chain([before.lowest if before else math.inf], finite))
        validated = zip(
            islice(table["val_loss"], first, None),
            map(int, islice(table["epoch"], first, None)),
            strict=True,
        )
        best_val = min(
            chain(
                [before.best_val if before else (math.inf, 0)],
                ((loss, epoch) for loss, epoch in validated if math.isfinite(loss)),
            )
        )
        return Latest.of({name: table[name][-1] for name in table}, evaluated, lowest, best_val)

    def crossing(self, target: float) -> Crossing | None:
        """Where the train loss was first at or below a target; None if it never was."""
        lows, latest, epochs = self.dropped.lows, self.dropped.latest, self.epochs["epoch"]
        row = bisect_left(lows, -target, key=lambda low: -low)
        after = int(epochs[row - 1]) if row else -1
        if row < len(lows):
            until = int(epochs[row])
            return Crossing(row, (after, until) if until > after + 1 else None)
        if latest and latest.lowest <= target:
            return Crossing(row - 1, (after, latest.epoch))
        losses = enumerate(self.epochs["train_loss"])
        row = next((k for k, loss in islice(losses, len(lows), None) if loss <= target), -1)
        return Crossing(row, None) if row >= 0 else None

    def forget(self) -> None:
        """Note what will be known of the rows so far when some of them are dropped."""
        if not self.epochs["epoch"]:
            return
        latest, lows = self.latest, self.dropped.lows
        # The last of those before may itself have been dropped, and the lowest one with it.
        lowest = self.dropped.latest.lowest if self.dropped.latest else math.inf
        fresh = islice(self.epochs["train_loss"], len(lows), None)
        running = accumulate(fresh, lambda low, loss: min(low, loss), initial=lowest)
        lows.extend(islice(running, 1, None))
        self.dropped.latest = latest

    @property
    def has_every_update(self) -> bool:
        """Whether the loss of every update is there: none left out by `log_every`, none dropped."""
        updates = self.steps["update"]
        return not updates or (updates[0] == 1 and updates[-1] == len(updates))


class Recorder:
    """Keeps the records of a run: eight bytes a number, and a bounded number of rows per table."""

    def __init__(self, series: Series, log_every: int, keep: int | None = None) -> None:
        """Begin without records; `keep` rows of each table are kept of all lanes, or all."""
        self.log_every = log_every
        self.keep = kept_per_lane(len(series.lanes), keep) if keep else None
        self._columns = series.columns
        self._widest = {"epoch": 1, "update": 1}
        self.histories = tuple(empty_history(series, lane) for lane in series.lanes)

    def add(self, segment: Segment) -> None:
        """Append what a segment says to the histories of its lanes."""
        numbers, losses = segment.logged(self.log_every)
        if numbers:
            self._add_steps(segment, numbers, losses)
        for history, loss in segment.evaluated(self.histories):
            table = history.evaluations
            table["epoch"].append(segment.epoch)
            table["updates"].append(segment.updates)
            table["samples"].append(segment.samples)
            table["seconds"].append(segment.seconds)
            table["train_loss"].append(as_logged(loss))
        if segment.ends:
            self._add_epochs(segment.ends)
        if segment.probed:
            self._add_probes(segment.probed)

    def _add_probes(self, probed: Probed) -> None:
        for lane, (history, active) in enumerate(zip(self.histories, probed.active, strict=True)):
            if active:
                history.probes["epoch"].append(probed.epoch)
                history.probes["updates"].append(probed.updates)
                for name, values in probed.columns.items():
                    history.probes[name].append(as_logged(values[lane]))

    def _add_steps(
        self, segment: Segment, numbers: range, losses: Sequence["array[float]"]
    ) -> None:
        updates, epochs = as_column(range_array(numbers)), segment.epochs_of(numbers)
        ends = zip(segment.diverged_at, segment.ended_at, strict=True)
        for lane, (diverged_at, ended_at) in enumerate(ends):
            kept = count_until_end(numbers, ended_at)
            steps = self.histories[lane].steps
            steps["epoch"].extend(epochs[:kept])
            steps["update"].extend(updates[:kept])
            steps["loss"].extend(losses[lane][:kept])
            if diverged_at is not None and kept and math.isnan(steps["loss"][-1]):
                steps["loss"][-1] = math.inf
        self._downsample_steps()

    def _add_epochs(self, ends: EpochEnds) -> None:
        by_lane = zip(self.histories, ends.active, ends.losses_of(self._columns), strict=True)
        names = (*EPOCH_LOSSES, *self._columns)
        for history, active, losses in by_lane:
            if active:
                table = history.epochs
                table["epoch"].extend(ends.epochs)
                table["updates"].extend(ends.updates)
                table["samples"].extend(ends.samples)
                table["seconds"].extend(ends.seconds)
                for name, column in zip(names, losses, strict=True):
                    table[name].extend(map(as_logged, column))
        self._downsample_epochs()

    def read(
        self,
        epochs: Iterable[LoggedRows] = (),
        evaluations: Iterable[LoggedRows] = (),
        steps: Iterable[LoggedRows] = (),
        probes: Iterable[LoggedRows] = (),
    ) -> None:
        """Append what the CSV files of the run hold, those of its whole lanes."""
        for rows in epochs:
            for place, lane in enumerate(rows.lanes):
                _extend(self.histories[lane].epochs, rows.of_lane(place))
            self._downsample_epochs()
        for rows in evaluations:
            for place, lane in enumerate(rows.lanes):
                _extend(self.histories[lane].evaluations, rows.of_lane(place))
        for rows in probes:
            for place, lane in enumerate(rows.lanes):
                _extend(self.histories[lane].probes, rows.of_lane(place))
        for rows in steps:
            for place, lane in enumerate(rows.lanes):
                _extend(self.histories[lane].steps, rows.of_lane(place))
            self._downsample_steps()

    def settle(self) -> None:
        """Once all rows are there, keep those that stay however they came, piece by piece."""
        self._downsample_epochs(at_end=True)
        self._downsample_steps(at_end=True)

    def _downsample_epochs(self, *, at_end: bool = False) -> None:
        if self._has_too_many("epoch", (h.epochs for h in self.histories), at_end):
            for history in self.histories:
                history.forget()
            tables = [{**history.epochs, "low": history.dropped.lows} for history in self.histories]
            self._downsample(tables, "epoch", EPOCH_LOSSES)

    def _downsample_steps(self, *, at_end: bool = False) -> None:
        if self._has_too_many("update", (h.steps for h in self.histories), at_end):
            self._downsample([history.steps for history in self.histories], "update", ("loss",))

    def _has_too_many(
        self, by: str, tables: Iterator[Mapping[str, "array[float]"]], at_end: bool
    ) -> bool:
        if self.keep is None:
            return False
        return (at_end and self._widest[by] > 1) or any(len(t[by]) > self.keep for t in tables)

    def _downsample(
        self, tables: Sequence[Mapping[str, "array[float]"]], by: str, losses: Sequence[str]
    ) -> None:
        assert self.keep
        self._widest[by] = downsample(
            tables,
            by,
            losses,
            self.keep // 2,
            widest=self._widest[by],
            own_rows=OWN_ROWS * len(tables) <= self.keep // 8,
        )


def empty_history(series: Series, lane: Lane) -> History:
    """The history of a lane without a row yet."""
    epochs, evaluations, steps, probes = (
        _empty_table(columns_of(name, series)) for name in COLUMNS
    )
    return History(series, lane, epochs, evaluations, steps, probes)


def epoch_table(histories: Iterable[History]) -> dict[str, list[float | str]]:
    """The rows of `epochs.csv` of all lanes, lane after lane, as one list per column."""
    tables = [(history, history.epochs) for history in histories]
    return _joined(columns_of(EPOCHS, tables[0][0].series), tables)


def step_table(histories: Iterable[History]) -> dict[str, list[float | str]]:
    """The rows of `steps.csv` of all lanes, lane after lane, as one list per column."""
    return _joined(STEP_COLUMNS, [(history, history.steps) for history in histories])


def probe_table(histories: Iterable[History]) -> dict[str, list[float | str]]:
    """The rows of `probes.csv` of all lanes, lane after lane, as one list per column."""
    tables = [(history, history.probes) for history in histories]
    return _joined(columns_of(PROBES, tables[0][0].series), tables)


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


def _extend(table: Mapping[str, "array[float]"], columns: Mapping[str, Iterable[float]]) -> None:
    for name, column in columns.items():
        table[name].extend(column)


def _empty_table(columns: tuple[str, ...]) -> dict[str, "array[float]"]:
    """An empty column for each that varies within a lane."""
    varying = columns[len(LANE_COLUMNS) :]
    return {name: array("q" if name in COUNTS else "d") for name in varying}
