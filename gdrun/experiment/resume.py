"""Where a run stands: at its start, or where an earlier process left it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from gdrun.config.identity import fingerprint
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError, DataError
from gdrun.experiment.checkpoint import Checkpoint, last_checkpoint
from gdrun.results.events import Series
from gdrun.results.file_names import CHECKPOINT, EPOCHS, STEPS
from gdrun.results.history import Recorder
from gdrun.storage.manifest import current_status, final_digests
from gdrun.storage.row_file import FileDigest, check, kept_lines
from gdrun.training.models import Problem
from gdrun.training.state import Plan, TrainState, initial_state


@dataclass(frozen=True)
class ResumeState:
    """Where a run stands.

    Attributes:
        state: of the training.
        recorder: the records so far.
        marks: what the CSV files hold of them; empty for files that are begun.
        manifest: the `run.json` of a run that is gone on with.
        is_complete: whether nothing is left to do but the closing evaluation, if that.
        fell_back: whether the last checkpoint was damaged, and that before it taken.
        notes: what the user should know of it.
    """

    state: TrainState
    recorder: Recorder
    marks: Mapping[str, FileDigest]
    manifest: Mapping[str, Any] | None = None
    is_complete: bool = False
    fell_back: bool = False
    notes: tuple[str, ...] = ()


def at_start(problem: Problem, plan: Plan, recorder: Recorder) -> ResumeState:
    """Where a new run stands."""
    return ResumeState(initial_state(problem, plan), recorder, {})


def where_left(
    problem: Problem,
    series: Series,
    plan: Plan,
    config: RunConfig,
    directory: Path,
    manifest: Mapping[str, Any],
    recorder: Recorder,
) -> ResumeState:
    """Where an earlier process left a run; nothing is changed.

    Raises:
        ConfigError: it has more epochs behind it than are asked for.
        DataError: its checkpoints are damaged, its files or its data were changed since, or it was
            begun with another config.
        OSError: a file can't be read.
    """
    checkpoint, complaints = last_checkpoint(directory)
    status = current_status(manifest, at_work=False)  # the lock is ours
    if checkpoint is None:
        if status not in ("interrupted", "failed") or manifest.get("lanes"):
            raise DataError(
                f"{directory / CHECKPOINT}: is missing, and nothing else can be gone on from",
                "put it back, or start a new run; the logs are as they were",
            )
        note = f"{directory}: stopped before its first checkpoint, and is begun again"
        return replace(at_start(problem, plan, recorder), manifest=manifest, notes=(note,))
    _refuse_others(checkpoint, problem, series, plan, config, directory)
    an_epoch = plan.updates_per_epoch(problem.data.rows)
    total, done = plan.epochs * an_epoch, checkpoint.state.updates
    if done > total:
        raise ConfigError(
            f"{directory}: has more than the {plan.epochs} epochs behind it that are asked for",
            f"ask for at least as many: --epochs {-(-done // an_epoch)}",
        )
    for name, mark in checkpoint.marks.items():
        check(directory / name, mark)
    epochs, steps = (kept_lines(directory / n, checkpoint.marks[n]) for n in (EPOCHS, STEPS))
    try:
        recorder.read(epochs, steps)
    except (ValueError, KeyError):
        raise DataError(f"{directory}: its CSV files are not those of this run") from None
    state = _on_device(checkpoint.state, problem.data.x.device)
    over = done == total or state.is_over(plan, an_epoch)
    is_complete = over and status in ("done", "diverged")
    if is_complete:  # what was written after the checkpoint is to be there, too
        for name, mark in final_digests(manifest, directory).items():
            check(directory / name, mark, whole=True)
    notes = [*complaints]
    if complaints:
        notes.append("went on from the checkpoint before it")
    notes.append(
        f"{directory}: is {status}, and only read; more --epochs extend it"
        if is_complete
        else f"{directory}: {status} after {done // an_epoch} of {plan.epochs} epochs, goes on"
    )
    return ResumeState(
        state=state,
        recorder=recorder,
        marks=checkpoint.marks,
        manifest=manifest,
        is_complete=is_complete,
        fell_back=bool(complaints),
        notes=tuple(notes),
    )


def _refuse_others(
    checkpoint: Checkpoint,
    problem: Problem,
    series: Series,
    plan: Plan,
    config: RunConfig,
    directory: Path,
) -> None:
    """Refuse a checkpoint of another config, other data or another network."""
    if checkpoint.config != fingerprint(config, series.method):
        raise DataError(
            f"{directory}: its checkpoint was made with another config than it has now",
            "put config.yaml back as it was, or start a new run with it",
        )
    if checkpoint.data != problem.data.fingerprint:
        raise DataError(
            f"{problem.data.title}: the data is not what the run was begun with",
            "put the data back as it was, or start a new run with it",
        )
    state, fresh = checkpoint.state, initial_state(problem, plan)
    if [_shapes(state.params), _shapes(state.velocity), len(state.diverged_at)] != [
        _shapes(fresh.params),
        _shapes(fresh.velocity),
        len(fresh.diverged_at),
    ]:
        raise DataError(f"{directory}: the checkpoint is of another network")


def _shapes(tensors: Sequence[torch.Tensor]) -> list[tuple[int, ...]]:
    return [tuple(tensor.shape) for tensor in tensors]


def _on_device(state: TrainState, device: torch.device) -> TrainState:
    """The same state, its weights on a device and in memory of their own."""
    copy = state.clone()
    return replace(
        copy,
        params=tuple(tensor.to(device) for tensor in copy.params),
        velocity=tuple(tensor.to(device) for tensor in copy.velocity),
    )
