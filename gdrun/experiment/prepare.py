"""From a command and its config to what is about to be trained: for a terminal, a preview, Python.

The steps are the same for all: plan the runs, choose a device, resume what an earlier process
left, choose how updates are executed, build programs, measure and estimate how long a sweep takes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gdrun.config.schema import RunConfig
from gdrun.experiment.cost.estimate import Estimate, estimate
from gdrun.experiment.cost.formulas import affordable_growth
from gdrun.experiment.cost.measure import measure_updates
from gdrun.experiment.cost.refusal import refuse_costly_probes
from gdrun.experiment.devices import on_chosen_device
from gdrun.experiment.distributed.division import division_notes
from gdrun.experiment.distributed.processes import THIS_ONE, Processes, require_gpu_each
from gdrun.experiment.engines import (
    build_programs,
    choose_engine,
    engine_changes,
    without_wrong_programs,
)
from gdrun.experiment.memory import refuse_too_many_records
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.plan.pieces import in_pieces_for
from gdrun.experiment.plan.runs import ExperimentPlan
from gdrun.experiment.resume import resume_experiment


@dataclass(frozen=True)
class PreparedCommand:
    """A command that is ready to be executed, or previewed.

    Attributes:
        experiment: what is to be trained.
        engine: how its updates are executed and why, in words; nothing if none are left.
        device: where, in words, if that was a choice or needs a word; nothing if none are left.
        estimate: how long a sweep takes, or what is previewed; None where it wasn't estimated.
        is_ranked: whether the runs are trained by ranks that a launcher has started.
    """

    experiment: ExperimentPlan
    engine: str
    estimate: Estimate | None = None
    device: str = ""
    is_ranked: bool = False


def prepare_command(
    command: str,
    config: RunConfig,
    *,
    resume: Path | None = None,
    keep_rows: int | None = None,
    processes: Processes = THIS_ONE,
    preview: bool = False,
    estimates: bool = True,
    force: bool = True,
    watch: float = 0.0,
    on_progress: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    meanwhile: Callable[[], None] = lambda: None,
) -> PreparedCommand:
    """Prepare what a command trains; no file of a run is changed.

    Args:
        command: `compare`, `sweep` or a method.
        config: as requested.
        resume: the directory of a run or group to resume; the caller holds its lock.
        keep_rows: how many rows of each table of a run are kept in memory; None keeps all.
        processes: those that will train it.
        preview: build no program and measure no pace of updates; only say what would be done.
        estimates: whether to estimate how long a sweep, a command with probes, or one that is
            previewed takes.
        force: whether probes may take longer than the training; of a preview they may.
        watch: the seconds that the training is to take at least, for those who watch it.
        on_progress: called with what is being done.
        stop: asked while programs are built.
        meanwhile: called once while compilers are at work, if they are.

    Raises:
        GdrunError: the request or the data is wrong, the run can't be resumed, or probes take too
            long.
        KeyboardInterrupt: `stop` said so.
    """
    experiment = plan_experiment(command, config, on_progress)
    experiment, device = on_chosen_device(experiment, resume, processes)
    experiment = _among_ranks(experiment, processes, is_new=resume is None)
    plans = [run.plan for run in experiment.runs]
    largest = max(experiment.runs, key=lambda run: run.problem.model.parameters)
    refuse_too_many_records(
        largest.problem, largest.config, plans, keep_rows, min(processes.here, len(plans))
    )
    if resume or not preview:
        on_progress("hashing the rows")
        _ = experiment.problem.data.fingerprint  # kept, for all that follows
    if resume:
        on_progress("reading what was logged")
        experiment = resume_experiment(experiment, resume, keep_rows)
    experiment = _with_evaluations(experiment)
    device = device if experiment.left else ""
    choice = choose_engine(experiment)
    unbuilt = choice.unbuilt if preview else ()
    if not preview:
        choice = build_programs(choice, on_progress, stop, meanwhile)
        choice = without_wrong_programs(choice, experiment)
    line = choice.line if choice.engine else ""
    engine = choice.engine or experiment.begun_with or config.engine
    experiment = experiment.with_engine(engine)
    said = (*division_notes(experiment, processes.ranks.size), *engine_changes(experiment))
    experiment = replace(experiment, notes=(*experiment.notes, *said))
    if command == "sweep":
        on_progress("timing a moment of each run")
    if command == "sweep" and not preview:
        experiment = replace(experiment, seconds_per_update=measure_updates(experiment))
    prepared = PreparedCommand(experiment, line, device=device, is_ranked=processes.ranks.size > 1)
    if not estimates or not (command == "sweep" or preview or config.probes):
        return prepared
    found = estimate(experiment, processes.jobs, unbuilt, watch)
    if not (force or preview or resume):  # who resumes has been asked before
        refuse_costly_probes(experiment, found)
    return replace(prepared, estimate=found)


def _among_ranks(
    experiment: ExperimentPlan, processes: Processes, *, is_new: bool
) -> ExperimentPlan:
    """The same for ranks: one run that they train together, or pieces of a sweep that they take.

    Raises:
        ConfigError: ranks that train together share a GPU.
    """
    ranks, config = processes.ranks, experiment.config
    if ranks.size == 1:
        return experiment
    if not experiment.is_group:
        require_gpu_each(experiment.problem.data.x.device, config.device, processes.here)
        return replace(experiment, ranks=ranks)
    if experiment.command == "sweep" and is_new and config.sweep.pieces is None:
        return in_pieces_for(experiment, ranks.size)
    return experiment


def _with_evaluations(experiment: ExperimentPlan) -> ExperimentPlan:
    """The same with losses within epochs evaluated by the runs of a group, if that is `auto`.

    A run that was begun goes on as it was begun.
    """
    if not experiment.is_group or experiment.config.eval_growth is not None:
        return experiment
    runs = tuple(
        run if run.resumed else run.with_evaluations(affordable_growth(run.problem, run.plan))
        for run in experiment.runs
    )
    return replace(experiment, runs=runs)
