"""Run directories → results, of running and of ended runs alike; without PyTorch.

What `run.json` doesn't yet say of a run that is running or was killed is taken from its CSV files.
"""

import math
import os
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

from gdrun.analysis.analyze import analyze
from gdrun.analysis.sweep_result import SweepResult
from gdrun.errors import DataError
from gdrun.results.events import COMPLETE, Lane, Series, Status
from gdrun.results.file_names import EPOCHS, STEPS
from gdrun.results.history import History, Recorder
from gdrun.results.log_rows import EPOCH_COLUMNS, STEP_COLUMNS, header
from gdrun.results.run import LaneResult, RunResult, lane_result
from gdrun.storage.atomic import open_plain, output_errors
from gdrun.storage.saved_run import Saved, SavedRun


def read_results(saved: Saved, keep: int | None = None) -> list[RunResult]:
    """The results of a run or of the runs of a group; runs without a row are left out.

    Args:
        saved: the run or group.
        keep: how many rows of each table are kept of a lane; None keeps all.

    Raises:
        DataError: a file is damaged.
        OutputError: one can't be read.
    """
    found = [read_result(run, keep) for run in saved.runs]
    return [result for result in found if result]


def read_result(
    run: SavedRun, keep: int | None = None, name: str | None = None, *, exact: bool = True
) -> RunResult | None:
    """The result of a run as far as its files go; None if they hold no row yet.

    `steps.csv` is read when its columns are first needed. Of a run without a final `run.json` it
    says at which update a lane diverged; unless `exact`, the end of that epoch has to do.

    Args:
        run: the run.
        keep: how many rows of each table are kept of a lane; None keeps all.
        name: what the result is called; None takes the run's own name.
        exact: whether `steps.csv` may be read to find out where a lane diverged.

    Raises:
        DataError: a file is damaged.
        OutputError: one can't be read.
    """
    with output_errors(run.path, "read"):
        lanes = run.lanes
        ended = run.status in COMPLETE or bool(lanes)
        rows = RowReader(run.path / EPOCHS, header(EPOCH_COLUMNS), required=ended)
        keys = [Lane(lane.lr, lane.seed) for lane in lanes] or rows.lanes()
        if not keys:
            if ended:
                raise DataError(f"{rows.path}: is damaged: holds no row, though the run has ended")
            return None
        series = Series(run.manifest.method, run.manifest.batch_size, tuple(keys), name or run.name)
        recorder = Recorder(series, 1, keep)
        rows.read_into(recorder, epochs=True)
        read = cache(partial(_read_steps, run.path / STEPS, series, keep))
        histories = tuple(
            History(series, history.lane, history.epochs, LazySteps(read, k))
            for k, history in enumerate(recorder.histories)
        )
        _refuse_without_start(rows.path, histories)
        if not lanes:
            seconds = max(history.epochs["seconds"][-1] for history in histories)  # of them all
            lanes = tuple(
                _lane_so_far(history, run.status, seconds, exact) for history in histories
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
    )


def _refuse_without_start(path: Path, histories: Sequence[History]) -> None:
    for history in histories:
        losses = history.epochs["train_loss"]
        if not losses or math.isnan(losses[0]):
            raise DataError(
                f"{path}: is damaged: holds no train loss at epoch 0 of lr {history.lane.lr:g}, "
                f"seed {history.lane.seed}"
            )


def _lane_so_far(history: History, status: Status, seconds: float, exact: bool) -> LaneResult:
    """Sum up a lane from its rows; one that diverged counts up to the update that showed it."""
    epochs = history.epochs
    epoch, updates, samples = (int(epochs[name][-1]) for name in ("epoch", "updates", "samples"))
    diverged_at = _diverged_at(history, exact)
    if diverged_at:
        whole, rest = divmod(diverged_at, updates // epoch)
        samples = whole * (samples // epoch) + rest * history.series.batch_size
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


def _diverged_at(history: History, exact: bool) -> int | None:
    """The update that showed that a lane diverged; None of a lane that didn't."""
    epochs = history.epochs
    if math.isinf(epochs["batch_loss"][-1]) and exact:
        steps = history.steps
        # With `log_every` above 1, the row of that update may be missing.
        if steps["loss"] and math.isinf(steps["loss"][-1]):
            return int(steps["update"][-1])
    if math.isinf(epochs["batch_loss"][-1]) or math.isinf(epochs["train_loss"][-1]):
        return int(epochs["updates"][-1])
    return None


def saved_sweep_result(saved: Saved, results: Sequence[RunResult]) -> SweepResult | None:
    """The result of a sweep; None of anything else, and of a sweep without results."""
    if saved.experiment != "sweep":
        return None
    facts = saved.manifest
    target, pace = saved.settings.sweep.target, facts.seconds_an_update_alone
    return analyze(results, target, pace, facts.jobs, facts.batch_sizes)


# ------------------------------------------------------------------------------------- CSV files


class RowReader:
    """The whole lines below the header of a CSV file, which a process may still be writing."""

    def __init__(self, path: Path, first_line: str, *, required: bool) -> None:
        """Name the file; one that isn't `required` may be missing, and then has no lines."""
        self.path = path
        self._first_line = first_line
        self._required = required
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        try:
            descriptor = open_plain(self.path, os.O_RDONLY)
        except FileNotFoundError:
            if self._required:
                raise DataError(f"{self.path}: is missing", "put it back as it was") from None
            return
        with os.fdopen(descriptor, "rb") as file:
            for self._number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                if self._number > 1:
                    yield line.decode()
                elif line.decode(errors="replace") != self._first_line:
                    raise DataError(
                        f"{self.path}: is damaged: expected {self._first_line.strip()} "
                        "as its first line"
                    )

    def lanes(self) -> list[Lane]:
        """The lanes that have a row of epoch 0, in the order of the rows."""
        found: list[Lane] = []
        try:
            for line in self:
                _, _, lr, seed, epoch, *_ = line.split(",")
                if epoch != "0":
                    break
                found.append(Lane(float(lr), int(seed)))
        except ValueError:
            raise self._damaged() from None
        return found

    def read_into(self, recorder: Recorder, *, epochs: bool) -> None:
        """Record all rows: those of `epochs.csv`, or else of `steps.csv`.

        Raises:
            DataError: a row isn't one of the run.
        """
        try:
            recorder.read(self if epochs else (), () if epochs else self)
        except (ValueError, KeyError, OverflowError):
            raise self._damaged() from None

    def _damaged(self) -> DataError:
        return DataError(
            f"{self.path}, line {self._number}: is damaged: no row of this run",
            "put the file back as it was",
        )


def _read_steps(path: Path, series: Series, keep: int | None) -> list[History]:
    """The lanes of `steps.csv`.

    Raises:
        DataError: the file is damaged.
        OutputError: it can't be read.
    """
    recorder = Recorder(series, 1, keep)
    with output_errors(path, "read"):
        rows = RowReader(path, header(STEP_COLUMNS), required=True)
        rows.read_into(recorder, epochs=False)
    return list(recorder.histories)


class LazySteps(Mapping[str, "array[float]"]):
    """The columns of one lane of `steps.csv`, which is read when one of them is first needed."""

    def __init__(self, read: Callable[[], list[History]], lane: int) -> None:
        self._read = read
        self._lane = lane

    def __getitem__(self, name: str) -> "array[float]":
        return self._read()[self._lane].steps[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read()[self._lane].steps)

    def __len__(self) -> int:
        return len(self._read()[self._lane].steps)
