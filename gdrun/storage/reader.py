"""Run directories → results, of running and of ended runs alike; without PyTorch.

What `run.json` doesn't yet say of a run that is running or was killed is taken from its CSV files.
"""

import math
import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO

from gdrun.analysis.analyze import analyze_sweep
from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.parts.schedule import schedule_in_words
from gdrun.errors import DataError
from gdrun.logs.ends import first_lanes, last_rows
from gdrun.logs.lazy import LazyTable
from gdrun.logs.lines import BLOCK_BYTES, BadRowError, read_header, whole_lines
from gdrun.logs.overview import OVERVIEW_COLUMNS, read_overview
from gdrun.logs.rows import RowParser
from gdrun.logs.search import first_at_most, last_update
from gdrun.results.events import COMPLETE, Lane, Series, Status
from gdrun.results.file_names import EPOCHS, EVALUATIONS, PROBES, STEPS
from gdrun.results.rows.history import History, Recorder, kept_per_lane
from gdrun.results.rows.log_rows import (
    EPOCH_COLUMNS,
    STEP_COLUMNS,
    LoggedRows,
    columns_of,
    header,
)
from gdrun.results.run import LaneResult, Reached, RunResult, lane_result
from gdrun.storage.atomic import open_plain, output_errors
from gdrun.storage.row_file import FileDigest, verify
from gdrun.storage.saved_run import AnySaved, SavedComparison, SavedRun, named_runs

PUT_BACK = "put the file back as it was"
LANE_BLOCK_BYTES = 128  # of each lane: a row or two, so that a block holds an epoch
FIRST_BYTES = 2**23  # in which the lanes of a run are looked for, for the list
OnRead = Callable[[Path, float], None]  # called with a file, and how much of it has been read


@dataclass(frozen=True, slots=True)
class HowToRead:
    """How much of a run is kept in memory.

    Attributes:
        keep: rows of each table, those of all lanes together; None keeps all.
        overview: whether a long `epochs.csv` is only looked over, which is fast and needs no numpy.
        on_read: called while files are read.
    """

    keep: int | None = None
    overview: bool = False
    on_read: OnRead = lambda path, part: None  # noqa: ARG005


ALL = HowToRead()


def read_results(saved: AnySaved, how: HowToRead = ALL) -> list[RunResult]:
    """The results of a run, or of all of a group or comparison; runs without a row are left out.

    Raises:
        DataError: a file is damaged.
        OutputError: one can't be read.
    """
    return [result for name, run in named_runs(saved) if (result := read_result(run, how, name))]


def read_result(run: SavedRun, how: HowToRead = ALL, name: str | None = None) -> RunResult | None:
    """The result of a run as far as its files go; None if they hold no row yet.

    `evaluations.csv`, `steps.csv` and `probes.csv` are read when their columns are first needed. Of
    a run without a final `run.json`, `steps.csv` says at which update a lane diverged.

    Args:
        run: the run.
        how: how much is kept.
        name: what the result is called; None takes the run's own name.

    Raises:
        DataError: a file is damaged.
        OutputError: one can't be read.
    """
    path, lanes = run.path / EPOCHS, run.lanes
    if not _has_begun(run, path):
        return None
    with output_errors(run.path, "read"), _opened(path, _epoch_columns(run)) as file:
        keys = [Lane(lane.lr, lane.seed) for lane in lanes] or _lanes_of(file, path)
        if not keys:
            if _has_ended(run):
                raise DataError(f"{path}: is damaged: holds no row, though the run has ended")
            return None
        manifest = run.manifest
        series = Series(
            manifest.method,
            manifest.batch_size,
            tuple(keys),
            name or run.name,
            manifest.columns,
            schedule_in_words(run.settings.schedule),
            manifest.probe_columns,
        )
        histories = _read_epochs(file, path, series, how)
        _refuse_without_start(path, histories)
        evaluations, steps, probes = (
            cache(partial(_read_table, run.path / name, series, how))
            for name in (EVALUATIONS, STEPS, PROBES)
        )
        within, files = run.settings.eval_growth, manifest.files
        if PROBES in files and _has_ended(run):  # of which none can be missing
            probes = cache(partial(_read_whole, run.path / PROBES, series, how, files[PROBES]))
        histories = tuple(
            replace(
                history,
                evaluations=LazyTable(evaluations, k) if within else history.evaluations,
                steps=LazyTable(steps, k),
                probes=LazyTable(probes, k) if series.probe_columns else history.probes,
            )
            for k, history in enumerate(histories)
        )
        if not lanes:
            seconds = max(history.latest.seconds for history in histories)  # of them all
            lanes = tuple(
                _lane_so_far(history, run.status, seconds, _diverged_at(history, run, series))
                for history in histories
            )
    return RunResult(
        series,
        run.status,
        run.description,
        histories,
        lanes,
        None,
        run.path,
        run.manifest.trained_by,
        SavedEpochs(path, series),
    )


def latest_lanes(run: SavedRun) -> Sequence[LaneResult]:
    """How the lanes of a run ended or, if it is running or was killed, how far they are.

    Of such a run only the first and the last rows are read, however many there are. So its best
    train loss isn't known, nor the others where they weren't evaluated in any of the last epochs.

    Raises:
        DataError: a file is damaged.
        OSError: one can't be read.
    """
    if run.lanes:
        return run.lanes
    path = run.path / EPOCHS
    if not _has_begun(run, path):
        return ()
    with _opened(path, _epoch_columns(run)) as file:
        lanes = _lanes_of(file, path, FIRST_BYTES)
        if not lanes:
            return ()
        manifest = run.manifest
        series = Series(
            manifest.method, manifest.batch_size, tuple(lanes), columns=manifest.columns
        )
        with _rows_of_the_run(path):
            may_stop = run.settings.patience is not None
            first_line = header(_epoch_columns(run))
            ends = last_rows(file, series, len(first_line), may_stop=may_stop)
    return ends.lane_results(series, run.status, may_stop=may_stop) if ends else ()


def _epoch_columns(run: SavedRun) -> tuple[str, ...]:
    return (*EPOCH_COLUMNS, *run.manifest.columns)


def _has_ended(run: SavedRun) -> bool:
    return run.status in COMPLETE or bool(run.lanes)


def _has_begun(run: SavedRun, path: Path) -> bool:
    """Whether a run must have a file with a header: a process that begins makes it in two steps."""
    try:
        return _has_ended(run) or path.lstat().st_size >= len(header(_epoch_columns(run)))
    except FileNotFoundError:
        return False


def _refuse_without_start(path: Path, histories: Sequence[History]) -> None:
    for history in histories:
        losses = history.epochs["train_loss"]
        if not losses or math.isnan(losses[0]):
            raise DataError(
                f"{path}: is damaged: holds no train loss at epoch 0 of lr {history.lane.lr:g}, "
                f"seed {history.lane.seed}"
            )


def _lane_so_far(
    history: History, status: Status, seconds: float, diverged_at: int | None
) -> LaneResult:
    """Sum up a lane from its rows; one that diverged counts up to the update that showed it."""
    latest = history.latest
    updates, samples = latest.updates, latest.samples
    if diverged_at:
        whole, rest = divmod(diverged_at, updates // latest.epoch)
        samples = whole * (samples // latest.epoch) + rest * history.series.batch_size
        updates = diverged_at
    return lane_result(
        history,
        status if diverged_at is None else "diverged",
        diverged_at,
        updates=updates,
        samples=samples,
        seconds=seconds,
        stopped_at=None,
    )


def _diverged_at(history: History, run: SavedRun, series: Series) -> int | None:
    """The update that showed that a lane diverged; None of a lane that didn't.

    Raises:
        DataError: `steps.csv` is damaged.
        OutputError: it can't be read.
    """
    latest = history.latest
    if math.isinf(latest.batch_loss):
        path = run.path / STEPS
        with _reading(path, STEP_COLUMNS) as file:
            found = last_update(file, series, history.lane, latest.epoch)
        # With `log_every` above 1, the row of that update may be missing.
        if found and not math.isfinite(found[1]):
            return found[0]
    is_out = math.isinf(latest.batch_loss) or math.isinf(latest.train_loss)
    return latest.updates if is_out else None


def saved_sweep_result(saved: AnySaved, results: Sequence[RunResult]) -> SweepResult | None:
    """The result of a sweep; None of anything else, and of a sweep without results.

    Raises:
        DataError: a file is damaged.
        OutputError: one can't be read.
    """
    if isinstance(saved, SavedComparison) or saved.experiment != "sweep":
        return None
    facts = saved.manifest
    pace = facts.seconds_an_update_alone
    return analyze_sweep(saved.settings, results, pace, facts.jobs, facts.batch_sizes)


# ------------------------------------------------------------------------------------- CSV files


@contextmanager
def _opened(path: Path, columns: tuple[str, ...]) -> Iterator[BinaryIO]:
    """A CSV file, behind its header; a process may still be writing it."""
    try:
        descriptor = open_plain(path, os.O_RDONLY)
    except FileNotFoundError:
        raise DataError(f"{path}: is missing", "put it back as it was") from None
    with os.fdopen(descriptor, "rb") as file:
        first_line, found = header(columns), read_header(file)
        if found != first_line.encode():
            raise DataError(f"{path}: is damaged: expected {first_line.strip()} as its first line")
        yield file


@contextmanager
def _rows_of_the_run(path: Path) -> Iterator[None]:
    """Name the file where a row isn't one of the run.

    Raises:
        DataError: one isn't.
    """
    try:
        yield
    except BadRowError as error:
        where = f"{path}, line {error.line}" if error.line else f"{path}, at its end"
        raise DataError(f"{where}: is damaged: no row of this run", PUT_BACK) from None
    except (ValueError, IndexError):
        raise DataError(f"{path}: is damaged: no rows of this run", PUT_BACK) from None


@contextmanager
def _reading(path: Path, columns: tuple[str, ...]) -> Iterator[BinaryIO]:
    """A CSV file, behind its header, while rows of the run are read from it."""
    with output_errors(path, "read"), _opened(path, columns) as file, _rows_of_the_run(path):
        yield file


def _lanes_of(file: BinaryIO, path: Path, end: int | None = None) -> list[Lane]:
    with _rows_of_the_run(path):
        return first_lanes(file, end)


def _rows(
    file: BinaryIO,
    path: Path,
    series: Series,
    on_read: OnRead,
    needed: Sequence[str] | None = None,
) -> Iterator[LoggedRows]:
    """All rows of a file, block after block; `needed` columns at once, all without them."""
    columns = columns_of(path.name, series)
    file.seek(len(header(columns)))
    size = os.fstat(file.fileno()).st_size
    blocks = whole_lines(
        file,
        block_bytes=max(BLOCK_BYTES, LANE_BLOCK_BYTES * len(series.lanes)),
        on_read=lambda _: on_read(path, file.tell() / size),
    )
    yield from RowParser(series, columns, needed=needed).columns(blocks)


def _read_epochs(file: BinaryIO, path: Path, series: Series, how: HowToRead) -> tuple[History, ...]:
    """The histories of the lanes, as far as `epochs.csv` has them."""
    with _rows_of_the_run(path):
        if how.overview and how.keep:
            epochs = _last_epoch(file, series)
            if epochs >= kept_per_lane(len(series.lanes), how.keep):
                rows = _rows(file, path, series, how.on_read, OVERVIEW_COLUMNS)
                return read_overview(series, rows, epochs, how.keep)
        recorder = Recorder(series, 1, how.keep)
        recorder.read(_rows(file, path, series, how.on_read))
    recorder.settle()
    return recorder.histories


def _last_epoch(file: BinaryIO, series: Series) -> int:
    """The last epoch of an `epochs.csv`; too many where its end is damaged, as reading finds it."""
    with suppress(BadRowError):
        ends = last_rows(file, series, len(header(columns_of(EPOCHS, series))))
        return int(ends.last.shared["epoch"][0]) if ends else 0
    return os.fstat(file.fileno()).st_size


def _read_table(
    path: Path, series: Series, how: HowToRead
) -> Sequence[Mapping[str, "array[float]"]]:
    """The columns of the lanes of an `evaluations.csv`, `steps.csv` or `probes.csv`.

    Raises:
        DataError: the file is damaged.
        OutputError: it can't be read.
    """
    recorder = Recorder(series, 1, how.keep)
    with _reading(path, columns_of(path.name, series)) as file:
        recorder.read(**{path.stem: _rows(file, path, series, how.on_read)})
    recorder.settle()
    return [getattr(history, path.stem) for history in recorder.histories]


def _read_whole(
    path: Path, series: Series, how: HowToRead, digest: FileDigest
) -> Sequence[Mapping[str, "array[float]"]]:
    """Likewise, of a file that is known to be no longer written.

    Raises:
        DataError: it isn't what it was then, or damaged.
        OutputError: it can't be read.
    """
    with output_errors(path, "read"):
        verify(path, digest, whole=True)
    return _read_table(path, series, how)


@dataclass(frozen=True, slots=True)
class SavedEpochs:
    """An `epochs.csv` that has been read, or written, in which single rows are looked up."""

    path: Path
    series: Series

    def first_at_most(
        self, target: float, between: Mapping[Lane, tuple[int, int]]
    ) -> Mapping[Lane, Reached]:
        """As in `gdrun.results.run.EpochLog`."""
        with _reading(self.path, columns_of(EPOCHS, self.series)) as file:
            found = first_at_most(file, target, between, self.series)
        if len(found) < len(between):
            raise DataError(f"{self.path}: is damaged: it was changed while it was read", PUT_BACK)
        return found
