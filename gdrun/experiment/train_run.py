"""One run of an experiment, from where it starts to its result, with its files."""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from gdrun.compiler.executor import BACKENDS
from gdrun.config.timing import DEFAULT, Timing
from gdrun.errors import GdrunError, in_words
from gdrun.experiment.memory import memory_errors
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan
from gdrun.experiment.probing import is_pending, with_probes
from gdrun.experiment.resume import fresh
from gdrun.experiment.run_files import RunFiles, engines_of
from gdrun.experiment.trained.networks import TrainedNetworks
from gdrun.experiment.trained.on_demand import SavedNetworks
from gdrun.results.events import Segment
from gdrun.results.file_names import EPOCHS
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult
from gdrun.storage.atomic import output_errors
from gdrun.storage.reader import SavedEpochs
from gdrun.training.loop import train
from gdrun.training.outcome import describe, run_result
from gdrun.training.ranks import Pace, Ranks
from gdrun.training.shares import own_share, whole_state
from gdrun.training.state import Plan, TrainState

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
        if experiment.ranks.is_first:  # others have no logs to recall it from
            progress.recall(run.resumed.recorder.histories)
    return progress


def failures_as_events(name: str, events: Iterator[T]) -> Generator[T | Failure]:
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

    Of several ranks all train it together; rank 0 alone has files and a result.

    The last checkpoint is that of the last update, before the closing evaluation: a run that is
    extended later continues as if it had never ended there.

    Args:
        experiment: what it belongs to.
        run: what to train.
        directory: where its files go; None writes none.
        facts: what `run.json` says of the machine and the command.
        stop: asked after every segment whether to stop.
        keep_rows: how many rows of each table of a run are kept in memory; None keeps all.
        timing: how often to report, log and save.

    Raises:
        OutputError: the compiled program of the run is gone, and can't be built.
        OSError: a file can't be written.
    """
    start = run.resumed or fresh(run.problem, run, keep_rows)
    recorder, progress, ranks = start.recorder, progress_of(experiment, run), experiment.ranks
    run = replace(run, plan=replace(run.plan, ranks=ranks))
    problem, plan = run.problem, run.plan
    state = own_share(plan, start.state)
    written_to = None if start.is_complete else directory  # a complete run is only read
    with RunFiles(experiment, run, start, written_to, facts, timing) as files:
        segments = train(problem, plan, state, BACKENDS[run.config.engine], timing)
        meetings = _Meetings(ranks, timing.segment)
        for segment in with_probes(segments, run, state, recorder.histories):
            recorder.add(segment)
            progress.advance(segment)
            files.add(segment)
            saves, stops = meetings.decide(segment, files, stop)
            _keep(files, segment, plan, state, saves=saves)
            try:
                yield progress
            except GeneratorExit:  # the consumer stops here; the state is complete
                if ranks.size == 1:
                    files.leave(state)
                raise
            if stops or (ranks.size == 1 and stop()):
                break
        state = whole_state(plan, state)
        files.leave(state)
        if not state.begun:  # stopped before anything was known
            files.finish("interrupted")
            return
        if not ranks.is_first:
            return
        recorder.settle()
        result = run_result(
            problem,
            describe(problem, run.config),
            run.series,
            plan,
            state,
            recorder.histories,
            directory,
            engines_of(run),
            is_measured=not is_pending(run, state, recorder.histories),
        )
        files.finish(result.status, result.lanes)
    if directory:
        log, networks = SavedEpochs(directory / EPOCHS, run.series), SavedNetworks(directory)
        yield replace(result, log=log, networks=networks)
    elif experiment.command == "sweep":  # of many runs, whose networks nobody asks for
        yield result
    else:
        yield replace(result, networks=TrainedNetworks.of(problem, state))


class _Meetings:
    """The segments after which all ranks decide together whether to save, and whether to stop.

    One process decides after each. Several do after some tenths of a second, since they wait for
    each other to do so, and not within probes, of which some ranks have more than others.
    """

    def __init__(self, ranks: Ranks, seconds: float) -> None:
        self._ranks, self._pace = ranks, Pace(ranks, seconds)
        self._is_due = False

    def decide(
        self, segment: Segment, files: RunFiles, stop: Callable[[], bool]
    ) -> tuple[bool, bool]:
        """Whether to save after a segment, and whether to stop; they don't where they don't meet.

        That the last update is saved needs no decision.
        """
        self._is_due |= files.is_due(segment)
        if self._ranks.size > 1:
            if segment.is_probing or not self._pace.is_over():
                return False, False
            self._pace.begin()
        saves, stops = self._ranks.any(self._is_due, stop())
        self._is_due = False
        return saves, stops


def _keep(files: RunFiles, segment: Segment, plan: Plan, state: TrainState, *, saves: bool) -> None:
    """Write what is due after a segment, from what all ranks have: weights, a checkpoint."""
    if files.keeps_weights(segment, state):
        files.keep_weights(whole_state(plan, state))
    if saves or files.ends_with(segment):
        files.save(whole_state(plan, state))
