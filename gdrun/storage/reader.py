"""Run directories → results, without torch, whatever state their runs are in.

What `run.json` doesn't say of a run that is still going on, or was killed, its rows do.
"""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from gdrun.analysis.analyze import analyze
from gdrun.analysis.sweep_result import SweepResult
from gdrun.errors import DataError
from gdrun.results.events import Lane, Series, Status
from gdrun.results.file_names import EPOCHS, STEPS
from gdrun.results.history import History, Recorder
from gdrun.results.log_rows import EPOCH_COLUMNS, header
from gdrun.results.run import LOSS_NAMES, Description, LaneResult, RunResult, lane_result
from gdrun.storage.atomic import output_errors
from gdrun.storage.saved_run import SavedRun
from gdrun.storage.tables import Rows, Steps, StepTable

ENDED = ("done", "diverged")


def read_results(stored: SavedRun, keep: int | None = None) -> list[RunResult]:
    """The results of a run, or of the runs of a group so far; those without a row are left out.

    Args:
        stored: the run or group.
        keep: how many rows of each table are kept of a lane; None keeps all.

    Raises:
        DataError: a file is damaged.
        OutputError: one can't be read.
    """
    found = [read_result(run, keep) for run in stored.runs]
    return [result for result in found if result]


def read_result(
    run: SavedRun, keep: int | None = None, name: str | None = None, *, exact: bool = True
) -> RunResult | None:
    """The result of a run as far as its files go; None if they hold no row yet.

    `steps.csv` is read when its columns are first asked for, unless a lane that diverged has to
    be looked up: it counts to the end of its epoch where that needn't be `exact`. Without a `name`
    the run keeps its own.

    Raises:
        DataError: a file is damaged.
        OutputError: one can't be read.
    """
    with output_errors(run.path, "read"):
        lanes = saved_lanes(run)
        method, size = run.text("method"), run.manifest["batch_size"]
        ended = run.status in ENDED or bool(lanes)
        rows = Rows(run.path / EPOCHS, header(EPOCH_COLUMNS), required=ended)
        keys = [Lane(lane.lr, lane.seed) for lane in lanes] or rows.lanes()
        if not keys:
            if ended:
                raise DataError(f"{rows.path}: is damaged: holds no row, though the run has ended")
            return None
        series = Series(method, size, tuple(keys), name or run.name)
        recorder = Recorder(series, 1, keep)
        rows.read_into(recorder, epochs=True)
        table = StepTable(run.path / STEPS, series, keep)
        histories = tuple(
            History(series, history.lane, history.epochs, Steps(table, k))
            for k, history in enumerate(recorder.histories)
        )
        for history in histories:
            losses = history.epochs["train_loss"]
            if not losses or math.isnan(losses[0]):
                raise DataError(
                    f"{rows.path}: is damaged: holds no untrained loss of lr "
                    f"{history.lane.lr:g}, seed {history.lane.seed}"
                )
        if not lanes:
            seconds = max(history.epochs["seconds"][-1] for history in histories)  # of them all
            lanes = tuple(
                _lane_so_far(history, run.status, seconds, exact) for history in histories
            )
    return RunResult(series, run.status, describe(run), histories, lanes, None, run.path)


def describe(stored: SavedRun) -> Description:
    """What a run or group was trained on what.

    Raises:
        DataError: its `run.json` is damaged.
    """
    said = stored.manifest.get("problem")
    kinds: dict[str, type] = {"parameters": int, "rows": int, "val_rows": int, "features": list}
    kinds["standardized"] = bool
    found: dict[str, Any] = {}
    for name in (field.name for field in fields(Description)):
        value = said.get(name) if isinstance(said, dict) else None
        if not isinstance(value, kinds.get(name, str)):
            raise stored.damaged(f"holds no problem.{name}")
        found[name] = value
    features = found["features"] = tuple(found["features"])
    if found["loss"] not in LOSS_NAMES or not all(isinstance(name, str) for name in features):
        raise stored.damaged("holds a problem that gdrun doesn't write")
    return Description(**found)


def saved_sweep_result(stored: SavedRun, results: Sequence[RunResult]) -> SweepResult | None:
    """What a sweep has come to; None of what isn't one, or has no results yet.

    Raises:
        DataError: its `run.json` is damaged.
    """
    if stored.experiment != "sweep":
        return None
    asked = stored.config.get("sweep")
    target = asked.get("target") if isinstance(asked, dict) else None
    pace, jobs = stored.manifest.get("seconds_an_update_alone"), stored.manifest.get("jobs", 1)
    try:
        by_size = {int(size): float(seconds) for size, seconds in (pace or {}).items()}
        planned = [int(size) for size in stored.manifest.get("batch_sizes", [])]
        return analyze(results, None if target == "auto" else target, by_size, int(jobs), planned)
    except (AttributeError, TypeError, ValueError):
        raise stored.damaged("holds no sound facts of a sweep") from None


def saved_lanes(run: SavedRun) -> tuple[LaneResult, ...]:
    """How the lanes of a run ended; none of a run that hasn't, or was killed."""
    try:
        lanes = tuple(LaneResult(**lane) for lane in run.manifest.get("lanes", ()))
        sound = all(
            isinstance(lane.lr, float | int)
            and isinstance(lane.updates, int)
            and isinstance(lane.seconds, float | int)
            and all(
                isinstance(loss, float | int | None)
                for loss in (lane.train_loss, lane.best_train_loss, lane.val_loss)
            )
            for lane in lanes
        )
    except TypeError:
        sound = False
    if not sound:
        raise run.damaged("holds lanes that gdrun doesn't write")
    return lanes


def _lane_so_far(history: History, status: Status, seconds: float, exact: bool) -> LaneResult:
    """Sum up a lane from its rows; one that diverged counts up to the update that showed it."""
    epochs = history.epochs
    epoch, updates, samples = (epochs[name][-1] for name in ("epoch", "updates", "samples"))
    diverged_at = None
    if math.isinf(epochs["train_loss"][-1]):
        diverged_at = int(updates)
    if math.isinf(epochs["batch_loss"][-1]):
        logged = history.steps if exact else None
        # `log_every` may have left it out.
        if logged and logged["loss"] and math.isinf(logged["loss"][-1]):
            diverged_at = int(logged["update"][-1])
        else:
            diverged_at = int(updates)
    if diverged_at:
        whole, rest = divmod(diverged_at, int(updates) // int(epoch))
        samples = whole * (samples // epoch) + rest * history.series.batch_size
        updates = diverged_at
    return lane_result(
        history,
        status if diverged_at is None else "diverged",
        diverged_at,
        updates=int(updates if diverged_at != 0 else 0),
        samples=int(samples),
        seconds=seconds,
        stopped_at=None,
    )
