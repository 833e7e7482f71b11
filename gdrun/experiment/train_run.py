"""One run of an experiment, from where it starts to its result, with its files."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from gdrun.results.events import Segment, Status
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, LaneResult, RunResult
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
    with _open_files(experiment, run, start, directory, facts, timing) as files:
        backend = backend_for(problem, plan, run.config.engine)
        for segment in train(problem, plan, state, backend, timing):
            recorder.add(segment)
            progress.advance(segment)
            files.add(segment)
            try:
                yield progress
            except GeneratorExit:  # nobody listens any more; the state is complete here
                files.leave()
                raise
            if stop():
                break
        files.leave()
        if not state.begun:  # stopped before anything was known
            files.finish("interrupted")
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
        files.finish(result.status, result.lanes)
    yield result


@contextmanager
def _open_files(
    experiment: ExperimentPlan,
    run: RunPlan,
    start: ResumeState,
    directory: Path | None,
    facts: Mapping[str, Any],
    timing: Timing,
) -> "Iterator[_RunFiles | _NoFiles]":
    """The files of a run while `with` lasts; none without a directory, or of a complete run."""
    if directory is None or start.is_complete:  # a complete run is only read
        yield _NoFiles()
        return
    directory.mkdir(exist_ok=True)
    checkpoints = _Checkpoints(experiment, run, start, directory, timing)
    if start.is_outdated:  # before config.yaml and run.json are
        checkpoints.save(lambda: start.digests)
    about = log_facts(facts, run.series, run.config)
    manifest = ManifestWriter(directory, about, start.manifest, start.state.updates)
    with RunLog(directory, run.series, run.config, manifest, start.digests, timing.flush) as log:
        yield _RunFiles(log, checkpoints)


class _NoFiles:
    """Where nothing is written."""

    def add(self, segment: Segment) -> None:
        pass

    def leave(self) -> None:
        pass

    def finish(self, status: Status, lanes: Sequence[LaneResult] = ()) -> None:
        pass


@dataclass(frozen=True)
class _RunFiles:
    """The logs and checkpoints of a run while it is trained."""

    log: RunLog
    checkpoints: "_Checkpoints"

    def add(self, segment: Segment) -> None:
        """Log a segment, and save where that is due."""
        self.log.add(segment)
        if self.checkpoints.is_due(segment):
            self.checkpoints.save(self.log.digests)

    def leave(self) -> None:
        """Save a run that is stopped; one that has ended was saved before its last evaluation."""
        if not self.checkpoints.has_all_updates:
            self.checkpoints.save(self.log.digests)

    def finish(self, status: Status, lanes: Sequence[LaneResult] = ()) -> None:
        """Record how the run and its lanes ended."""
        self.log.finish(status, lanes)


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

    @property
    def has_all_updates(self) -> bool:
        """Whether no update is left to be taken."""
        return self._state.updates == self._total

    def is_due(self, segment: Segment) -> bool:
        """Whether to save: after the last update always, before it as the schedule says."""
        if self.has_all_updates:
            return bool(segment.losses and not segment.ends)
        return self._schedule.is_due(segment)

    def save(self, digests: Callable[[], Mapping[str, FileDigest]]) -> None:
        """Write a checkpoint of the state as it is.

        `digests` puts the rows that it counts on on the disk, and returns what the files hold.
        """
        with self._schedule.measured():
            checkpoint = Checkpoint(self._state, self._config, self._data, digests())
            save_checkpoint(self._directory, checkpoint, keep_last=self._keep_last)
        self._keep_last = True
