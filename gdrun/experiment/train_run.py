"""One run of an experiment, from where it stands to its result, with its files."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gdrun.config.identity import fingerprint
from gdrun.config.schema import RunConfig
from gdrun.errors import DataError, GdrunError, OutputError, in_words
from gdrun.experiment.backends import executor
from gdrun.experiment.checkpoint import Checkpoint, save_checkpoint
from gdrun.experiment.guards import memory_errors
from gdrun.experiment.outcome import run_result
from gdrun.experiment.plan import ExperimentPlan, RunPlan
from gdrun.experiment.resume import ResumeState, at_start, where_left
from gdrun.results.events import Segment, Series
from gdrun.results.file_names import CHECKPOINT, EPOCHS, MANIFEST, PREVIOUS_CHECKPOINT, STEPS
from gdrun.results.history import Recorder
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult
from gdrun.storage.atomic import output_errors
from gdrun.storage.manifest import read_manifest
from gdrun.storage.run_dir import Manifest
from gdrun.storage.run_log import RunLog, log_facts
from gdrun.training.loop import train

# The first checkpoint comes early, those after it ever later.
FIRST_SECONDS = 1.0
CHECKPOINT_SECONDS = 30.0
# Checkpoints take no more than this share of the training time; what one takes is guessed at first.
CHECKPOINT_SHARE = 0.02
FIRST_COST_SECONDS = 0.005


@dataclass(frozen=True)
class Progress:
    """A step forward of one run."""

    series: Series
    segment: Segment


Event = Progress | RunResult | Failure
T = TypeVar("T")


def begin(experiment: ExperimentPlan, member: RunPlan, keep: int | None = None) -> ResumeState:
    """Where a run stands that nobody has begun yet; `keep` as in `execute`."""
    recorder = Recorder(member.series, member.config.log_every, keep)
    return at_start(experiment.problem, member.plan, recorder)


def left_in(
    experiment: ExperimentPlan, member: RunPlan, place: Path, keep: int | None = None
) -> ResumeState | None:
    """Where an earlier process left a run in its directory; None if it is still to come.

    Raises:
        ConfigError, DataError: what is there can't be gone on with.
        OutputError: a link stands in its place.
        OSError: a file can't be read.
    """
    if experiment.is_group and place.is_symlink():
        raise OutputError(f"{place}: is a link, which isn't followed")
    if not (place / MANIFEST).exists():
        if any(
            (place / name).exists() for name in (CHECKPOINT, PREVIOUS_CHECKPOINT, EPOCHS, STEPS)
        ):
            raise DataError(f"{place / MANIFEST}: is missing", "put it back as it was")
        return None
    return where_left(
        experiment.problem,
        member.series,
        member.plan,
        member.config,
        place,
        read_manifest(place),
        Recorder(member.series, member.config.log_every, keep),
    )


def track_of(
    experiment: ExperimentPlan, member: RunPlan, standing: ResumeState | None
) -> RunProgress:
    """How far a run is before it goes on."""
    rows = experiment.problem.data.rows
    track = RunProgress(member.series, member.plan.epochs, member.plan.updates_per_epoch(rows))
    if standing and standing.state.begun:
        state = standing.state
        track.epoch, track.updates, track.seconds = state.epoch, state.updates, state.seconds
        track.recall(standing.recorder.histories)
    return track


def contained(name: str, events: Iterator[T]) -> Iterator[T | Failure]:
    """The same events and, if the run fails that they are of, that as the last."""
    try:
        with output_errors(None, "written"), memory_errors():
            yield from events
    except (GdrunError, MemoryError, RuntimeError) as error:  # what a device's driver raises, too
        problems, hints = in_words(error)
        yield Failure(name, tuple(problems), tuple(hints))


def train_member(
    experiment: ExperimentPlan,
    member: RunPlan,
    standing: ResumeState,
    place: Path | None,
    facts: Mapping[str, Any],
    stop: Callable[[], bool],
) -> Iterator[Progress | RunResult]:
    """Train one run; what it recorded is on the disk before its result is handed out.

    The last checkpoint is that of the last update, before the closing evaluation: a run that is
    extended later goes on as if it had never ended there.
    """
    problem, config, plan = experiment.problem, member.config, member.plan
    state, recorder = standing.state, standing.recorder
    log = None
    if place and not standing.is_complete:  # what is complete is only read
        log = _log(config, member, standing, place, facts)
    total = plan.epochs * plan.updates_per_epoch(problem.data.rows)
    keep_last = not standing.fell_back

    def save() -> None:
        nonlocal keep_last
        if log:  # the rows first: a checkpoint is never ahead of them
            marks = log.marks()
            asked = fingerprint(config, member.series.method)
            checkpoint = Checkpoint(state, asked, problem.data.fingerprint, marks)
            save_checkpoint(log.directory, checkpoint, keep_last=keep_last)
            keep_last = True

    checkpoints = _Checkpoints(config.checkpoint_every, state.seconds)
    with log or nullcontext():
        execute = executor(problem, plan, config.engine)
        for segment in train(problem, plan, state, execute):
            recorder.add(segment)
            if log:
                log.add(segment)
            if segment.losses and segment.updates == total and not segment.ends_epoch:
                save()
            elif log and segment.updates < total and checkpoints.is_due(segment):
                checkpoints.take(save)
            try:
                yield Progress(member.series, segment)
            except GeneratorExit:  # nobody listens any more; the state is complete here
                if state.updates < total:
                    save()
                raise
            if stop():
                break
        if log and state.updates < total:
            save()
        if not state.begun:  # stopped before there was anything to tell
            if log:
                log.finish("interrupted")
            return
        result = run_result(
            problem, experiment.description, member.series, plan, state, recorder.histories, place
        )
        if log:
            log.finish(result.status, result.lanes)
    yield result


def _log(
    config: RunConfig, member: RunPlan, standing: ResumeState, place: Path, facts: Mapping[str, Any]
) -> RunLog:
    place.mkdir(exist_ok=True)
    about = log_facts(facts, member.series, config)
    manifest = Manifest(place, about, standing.manifest, standing.state.updates)
    return RunLog(place, member.series, config, manifest, standing.marks)


class _Checkpoints:
    """When to save between the start and the end of a run."""

    def __init__(self, every: int | None, seconds: float) -> None:
        """Every so many epochs, if given; `seconds` of training are behind the run already."""
        self._every = every
        self._began_at = seconds
        self._began = self._saved = time.monotonic()
        self._spent = 0.0
        self._last = FIRST_COST_SECONDS

    def is_due(self, segment: Segment) -> bool:
        """Whether to save: after so many epochs or seconds, unless training would wait too long."""
        ended = segment.whole.epochs if segment.whole else [segment.epoch][: segment.ends_epoch]
        ends = self._every and any(epoch % self._every == 0 for epoch in ended)
        patience = min(CHECKPOINT_SECONDS, max(FIRST_SECONDS, self._saved - self._began))
        if not ends and time.monotonic() - self._saved <= patience:
            return False
        trained = segment.seconds - self._began_at
        return self._spent + self._last <= CHECKPOINT_SHARE * trained

    def take(self, save: Callable[[], None]) -> None:
        """Save, and note what that took."""
        start = time.monotonic()
        save()
        self._saved = time.monotonic()
        self._last = self._saved - start
        self._spent += self._last
