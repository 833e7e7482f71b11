"""One run of an experiment, from where it starts to its result, with its files."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any, TypeVar

from gdrun.config.identity import fingerprint
from gdrun.config.timing import DEFAULT, Timing
from gdrun.errors import GdrunError, in_words
from gdrun.experiment.backends import backend_for
from gdrun.experiment.checkpoint import Checkpoint, CheckpointSchedule, save_checkpoint
from gdrun.experiment.memory import memory_errors
from gdrun.experiment.plan import ExperimentPlan, ResumeState, RunPlan
from gdrun.experiment.resume import fresh
from gdrun.results.events import Segment
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult
from gdrun.storage.atomic import output_errors
from gdrun.storage.manifest import ManifestWriter
from gdrun.storage.row_file import FileDigest
from gdrun.storage.run_log import RunLog, log_facts
from gdrun.training.loop import train
from gdrun.training.outcome import run_result

T = TypeVar("T")


def progress_of(experiment: ExperimentPlan, run: RunPlan) -> RunProgress:
    """How far a run is before it starts, or is resumed."""
    plan = run.plan
    per_epoch = plan.updates_per_epoch(experiment.problem.data.rows)
    progress = RunProgress(run.series, plan.epochs, per_epoch)
    if run.resumed and run.resumed.state.begun:
        state = run.resumed.state
        progress.epoch, progress.updates = state.epoch, state.updates
        progress.seconds = state.seconds
        progress.recall(run.resumed.recorder.histories)
    return progress


def failures_as_events(name: str, events: Iterator[T]) -> Iterator[T | Failure]:
    """The same events of a run and, if it fails, its failure as the last one."""
    try:
        with output_errors(None, "written"), memory_errors():
            yield from events
    except (GdrunError, MemoryError, RuntimeError) as error:  # what a device's driver raises, too
        problems, hints = in_words(error)
        yield Failure(name, tuple(problems), tuple(hints))


def train_run(
    experiment: ExperimentPlan,
    run: RunPlan,
    directory: Path | None,
    facts: Mapping[str, Any],
    stop: Callable[[], bool],
    keep_rows: int | None = None,
    timing: Timing = DEFAULT,
) -> Iterator[RunProgress | RunResult]:
    """Train one run: its progress after each segment, then its result, on the disk by then.

    The last checkpoint is that of the last update, before the closing evaluation: a run that is
    extended later continues as if it had never ended there.

    Args:
        experiment: what it belongs to.
        run: what to train.
        directory: where its files go; None writes none.
        facts: what `run.json` says of the machine and the command.
        stop: asked after every segment whether to stop.
        keep_rows: how many rows of each table are kept in memory per lane; None keeps all.
        timing: how often to report, log and save.
    """
    problem, plan = experiment.problem, run.plan
    start = run.resumed or fresh(problem, run, keep_rows)
    state, recorder, progress = start.state, start.recorder, progress_of(experiment, run)
    total = progress.total
    log = checkpoints = None
    if directory and not start.is_complete:  # a complete run is only read
        log, checkpoints = _files(experiment, run, start, directory, facts, timing)
    with log or nullcontext():
        backend = backend_for(problem, plan, run.config.engine)
        for segment in train(problem, plan, state, backend, timing):
            recorder.add(segment)
            progress.advance(segment)
            if log and checkpoints:
                log.add(segment)
                checkpoints.consider(segment, log.digests)
            try:
                yield progress
            except GeneratorExit:  # nobody listens any more; the state is complete here
                if log and checkpoints and state.updates < total:
                    checkpoints.save(log.digests())
                raise
            if stop():
                break
        if log and checkpoints and state.updates < total:
            checkpoints.save(log.digests())
        if not state.begun:  # stopped before anything was known
            if log:
                log.finish("interrupted")
            return
        result = run_result(
            problem,
            experiment.description,
            run.series,
            plan,
            state,
            recorder.histories,
            directory,
        )
        if log:
            log.finish(result.status, result.lanes)
    yield result


def _files(
    experiment: ExperimentPlan,
    run: RunPlan,
    start: ResumeState,
    directory: Path,
    facts: Mapping[str, Any],
    timing: Timing,
) -> "tuple[RunLog, _Checkpoints]":
    directory.mkdir(exist_ok=True)
    checkpoints = _Checkpoints(experiment, run, start, directory, timing)
    if start.is_outdated:  # before config.yaml and run.json are
        checkpoints.save(start.digests)
    about = log_facts(facts, run.series, run.config)
    manifest = ManifestWriter(directory, about, start.manifest, start.state.updates)
    log = RunLog(directory, run.series, run.config, manifest, start.digests, timing.flush)
    return log, checkpoints


class _Checkpoints:
    """The checkpoints of a run while it is trained."""

    def __init__(
        self,
        experiment: ExperimentPlan,
        run: RunPlan,
        start: ResumeState,
        directory: Path,
        timing: Timing,
    ) -> None:
        data = experiment.problem.data
        self._directory, self._state = directory, start.state
        self._config = fingerprint(run.config, run.series.method)
        self._data = data.fingerprint
        self._total = run.plan.epochs * run.plan.updates_per_epoch(data.rows)
        self._schedule = CheckpointSchedule(
            run.config.checkpoint_every, timing, start.state.seconds
        )
        self._keep_last = not start.fell_back  # a damaged one isn't worth keeping

    def consider(self, segment: Segment, digests: Callable[[], Mapping[str, FileDigest]]) -> None:
        """Save after the last update, and before it when that is due."""
        if segment.updates == self._total:
            if segment.losses and not segment.ends:
                self.save(digests())
        elif self._schedule.is_due(segment):
            with self._schedule.measured():
                self.save(digests())

    def save(self, digests: Mapping[str, FileDigest]) -> None:
        """Write a checkpoint of the state as it is; the rows it counts on are on the disk."""
        checkpoint = Checkpoint(self._state, self._config, self._data, digests)
        save_checkpoint(self._directory, checkpoint, keep_last=self._keep_last)
        self._keep_last = True
