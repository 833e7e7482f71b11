"""Where runs start: at their beginning, or where an earlier process left them.

Nothing on the disk is changed here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gdrun.config.identity import fingerprint
from gdrun.config.schema import Engine
from gdrun.errors import ConfigError, DataError, OutputError
from gdrun.experiment.checkpoint import Checkpoint, last_checkpoint, most_bytes
from gdrun.experiment.landscape.layout import layout_for
from gdrun.experiment.landscape.trajectory_file import kept_records
from gdrun.experiment.memory import memory_errors
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan, RunStart
from gdrun.logs.lines import BadRowError
from gdrun.logs.rows import RowParser
from gdrun.results.events import COMPLETE
from gdrun.results.file_names import (
    CHECKPOINT,
    EPOCHS,
    MANIFEST,
    PREVIOUS_CHECKPOINT,
    STEPS,
    TRAJECTORY,
)
from gdrun.results.rows.history import Recorder
from gdrun.results.rows.log_rows import COLUMNS, columns_of
from gdrun.storage.atomic import output_errors
from gdrun.storage.manifest import Manifest, RunManifest, current_status, read_manifest
from gdrun.storage.row_file import kept_lines, verify
from gdrun.storage.run_dir import refuse_locked, root_of
from gdrun.storage.run_log import machine_facts
from gdrun.training.problem import Problem
from gdrun.training.state import TrainState, initial_state


def fresh(problem: Problem, run: RunPlan, keep_rows: int | None = None) -> RunStart:
    """The beginning of a run; `keep_rows` as in `execute`."""
    recorder = Recorder(run.series, run.config.logged_every, keep_rows)
    return RunStart(initial_state(problem, run.plan), recorder, {})


def resume_experiment(
    experiment: ExperimentPlan, directory: Path, keep_rows: int | None = None
) -> ExperimentPlan:
    """The experiment from where an earlier process left it in a directory.

    `keep_rows` as in `execute`. The caller holds the directory's lock.

    Raises:
        ConfigError, DataError: what is there can't be resumed.
        OutputError: a file can't be read.
    """
    runs = []
    with output_errors(directory, "read"), memory_errors():
        manifest = read_manifest(directory)
        for run in experiment.runs:
            place = experiment.directory_of(run, directory)
            if place != root_of(directory):  # whose lock the caller holds
                refuse_locked(place)
            if place.is_symlink() and experiment.is_group:
                raise OutputError(f"{place}: is a link, which isn't followed")
            runs.append(load(run, place, keep_rows))
    notes = [note for run in runs if run.resumed for note in run.resumed.notes]
    here = machine_facts(experiment.description, torch.get_num_threads(), experiment.ranks.size)
    if differences := _machine_differences(manifest, here):
        notes.append(
            f"resumed with {differences}: last digits may differ from those of a run never stopped"
        )
    return replace(experiment, runs=tuple(runs), manifest=manifest, notes=tuple(notes))


def load(run: RunPlan, directory: Path, keep_rows: int | None = None) -> RunPlan:
    """A run with where an earlier process left it, and the engine that it was begun with.

    The run as it is if none has begun it.

    Raises:
        ConfigError: it has more epochs behind it than are requested.
        DataError: its checkpoints are damaged, its files or its data were changed since, or it was
            begun with another config.
        OSError: a file can't be read.
    """
    if not (directory / MANIFEST).exists():
        left = (CHECKPOINT, PREVIOUS_CHECKPOINT, EPOCHS, STEPS)
        if any((directory / name).exists() for name in left):
            raise DataError(f"{directory / MANIFEST}: is missing", "put it back as it was")
        return run
    manifest = read_manifest(directory)
    if not isinstance(manifest, RunManifest):
        raise DataError(f"{directory / MANIFEST}: is damaged: is that of a group, not of a run")
    run = _evaluated_as_begun(run, manifest)
    problem = run.problem
    own = {key: (code.name, code.sha256) for key, code in problem.own_code.items()}
    refuse_other_code(own, manifest, directory)
    new = initial_state(problem, run.plan)
    checkpoint, complaints = last_checkpoint(directory, most_bytes(new))
    if checkpoint is None:
        state = _without_checkpoint(problem, run, directory, manifest, keep_rows)
    else:
        _refuse_others(checkpoint, new, problem, run, directory, manifest)
        state = _from_checkpoint(
            checkpoint, complaints, problem, run, directory, manifest, keep_rows
        )
    engine = engine_of(manifest)
    state = replace(state, engine=engine, program=manifest.program)
    if run.config.engine != "auto":
        return replace(run, resumed=state)
    config = run.config.model_copy(update={"engine": engine})
    return replace(run, config=config, resumed=state)


def refuse_other_code(
    found: Mapping[str, tuple[str, str]], manifest: RunManifest, directory: Path
) -> None:
    """Refuse functions of the user's whose files were changed since the run was begun.

    Args:
        found: by the key that names a function, what it is called, and the hash of its file.
        manifest: of the run, with the hashes that it was begun with.
        directory: of the run.

    Raises:
        DataError: one was changed.
    """
    for key, (name, sha256) in found.items():
        if manifest.code.get(key) != sha256:
            raise DataError(
                f"{directory}: {key}: the file of {name} was changed since the run was begun",
                "put it back as it was, or start a new run with it",
            )


def _evaluated_as_begun(run: RunPlan, manifest: RunManifest) -> RunPlan:
    """A run of a group whose losses within epochs are evaluated as it was begun, if `auto`."""
    begun_with = manifest.settings
    if run.config.eval_growth is not None or begun_with is None:
        return run
    return run.with_evaluations(begun_with.eval_growth)


def _without_checkpoint(
    problem: Problem,
    run: RunPlan,
    directory: Path,
    manifest: RunManifest,
    keep_rows: int | None,
) -> RunStart:
    """The beginning of a run that was stopped before its first checkpoint."""
    status = current_status(manifest, at_work=False)  # the lock is ours
    if status not in ("interrupted", "failed") or manifest.lanes:
        raise DataError(
            f"{directory / CHECKPOINT}: is missing, and the run can't be resumed without it",
            "put it back, or start a new run; the logs are as they were",
        )
    note = f"{directory}: stopped before its first checkpoint, and is begun again"
    return replace(fresh(problem, run, keep_rows), manifest=manifest, notes=(note,))


def _from_checkpoint(
    checkpoint: Checkpoint,
    complaints: Sequence[str],
    problem: Problem,
    run: RunPlan,
    directory: Path,
    manifest: RunManifest,
    keep_rows: int | None,
) -> RunStart:
    plan, state = run.plan, checkpoint.state
    per_epoch = plan.updates_per_epoch(problem.data.rows)
    total = plan.epochs * per_epoch
    if state.updates > total:
        raise ConfigError(
            f"{directory}: has trained for more than the {plan.epochs} epochs requested",
            f"request at least as many: --epochs {-(-state.updates // per_epoch)}",
        )
    digests = checkpoint.digests
    for name, digest in digests.items():
        verify(directory / name, digest)
    recorder = Recorder(run.series, run.config.logged_every, keep_rows)
    logged = {
        name: RowParser(run.series, columns_of(name, run.series)).columns(
            kept_lines(directory / name, digests[name])
        )
        for name in COLUMNS
        if name in digests
    }
    try:
        recorder.read(*(logged.get(name, ()) for name in COLUMNS))
    except BadRowError:
        raise DataError(f"{directory}: its CSV files are not those of this run") from None
    status = current_status(manifest, at_work=False)  # the lock is ours
    is_over = state.updates == total or state.is_over(plan, per_epoch)
    is_complete = is_over and status in COMPLETE
    if is_complete:  # what was written after the checkpoint is to be there, too
        for name, digest in manifest.files.items():
            verify(directory / name, digest, whole=True)
    notes = [*complaints]
    if run.config.trajectory and not is_complete:
        notes += _trajectory_notes(run, directory, state.epoch if state.begun else None)
    if complaints:
        notes.append("resumed from the checkpoint before it")
    if problem.data.is_sampled(checkpoint.data) and not is_complete:
        notes.append(
            f"{directory}: the gdrun that began it hashed only some of the rows: whether others "
            "were changed since, nobody knows"
        )
    more = "; more --epochs extend it" if run.config.may_be_extended else ""
    notes.append(
        f"{directory}: is {status}, and only read{more}"
        if is_complete
        else f"{directory}: {status} after {state.updates // per_epoch} of {plan.epochs} epochs, "
        "resumed"
    )
    return RunStart(
        state=on_device(state, problem.data.x.device),
        recorder=recorder,
        digests=digests,
        manifest=manifest,
        is_complete=is_complete,
        fell_back=bool(complaints),
        is_outdated=checkpoint.config != fingerprint(run.config, run.series.method),
        notes=tuple(notes),
    )


def _trajectory_notes(run: RunPlan, directory: Path, epoch: int | None) -> list[str]:
    """That the weights at the ends of epochs aren't kept any more, where their file is gone.

    Raises:
        DataError: it is damaged.
        OSError: it can't be read.
    """
    if epoch is None:
        return []
    if not (directory / TRAJECTORY).exists():
        return [f"{directory / TRAJECTORY}: is missing, and isn't written any more"]
    lanes, parameters = len(run.plan.lanes), run.problem.model.parameters
    kept_records(directory, layout_for(run.plan.epochs, lanes, parameters), epoch)
    return []


def _refuse_others(
    checkpoint: Checkpoint,
    new: TrainState,
    problem: Problem,
    run: RunPlan,
    directory: Path,
    manifest: RunManifest,
) -> None:
    """Refuse a checkpoint of another config, other data or another network."""
    current = fingerprint(run.config, run.series.method)
    older = fingerprint(run.config, run.series.method, with_places=True)
    if checkpoint.config not in (current, older, _older_fingerprint(run, manifest)):
        raise DataError(
            f"{directory}: its checkpoint was made with another config than it has now",
            "put config.yaml back as it was, or start a new run with it",
        )
    if not problem.data.is_as(checkpoint.data):
        raise DataError(
            f"{problem.data.title}: the data is not what the run was begun with",
            "put the data back as it was, or start a new run with it",
        )
    if not checkpoint.state.fits(new, run.plan, problem.data.rows):
        raise DataError(f"{directory}: the checkpoint is of another network, or of another plan")


def _older_fingerprint(run: RunPlan, manifest: RunManifest) -> str:
    """That of a gdrun whose configs of `full` and `sgd` held the batch size of `minibatch`."""
    batch_size = (manifest.settings or run.config).batch_size
    older = run.config.model_copy(update={"batch_size": batch_size})
    return fingerprint(older, run.series.method)


def on_device(state: TrainState, device: torch.device) -> TrainState:
    """The same state, its weights on a device and in memory of their own."""
    copy = state.clone()
    return replace(
        copy,
        params=tuple(tensor.to(device) for tensor in copy.params),
        buffers=tuple(tuple(t.to(device) for t in buffer) for buffer in copy.buffers),
        best=replace(copy.best, params=tuple(tensor.to(device) for tensor in copy.best.params)),
    )


def engine_of(manifest: RunManifest) -> Engine:
    """The engine of a run; an older gdrun had but one."""
    begun_with = manifest.settings
    return "compiled" if begun_with and begun_with.engine == "compiled" else "eager"


def _machine_differences(saved: Manifest, here: Mapping[str, Any]) -> str:
    """What of the machine and its software differs from what a run was begun with."""
    pairs = (
        ("device", saved.device, here["device"]),
        ("threads", saved.threads, here["threads"]),
        ("ranks", saved.ranks, here["ranks"]),
        ("PyTorch", saved.versions.get("torch"), here["versions"]["torch"]),
    )
    return ", ".join(f"{name} {new}, not {old}" for name, old, new in pairs if old != new)
