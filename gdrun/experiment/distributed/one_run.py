"""One run that all ranks train together: what rank 0 tells the others, and what they do with it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from gdrun.config import timing
from gdrun.config.schema import Engine, RunConfig
from gdrun.config.timing import Timing
from gdrun.errors import DataError
from gdrun.experiment.distributed.group import Group
from gdrun.experiment.distributed.processes import own_device, require_gpu_each
from gdrun.experiment.engines import built_as_chosen, without_wrong_programs
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan, RunStart
from gdrun.experiment.resume import on_device
from gdrun.experiment.train_run import train_run
from gdrun.results.rows.history import Recorder
from gdrun.training.device import CPU
from gdrun.training.ranks import ALONE
from gdrun.training.state import TrainState, initial_state

LEAST_ROWS = 1  # that are kept of a table: nobody reads what ranks other than 0 record


@dataclass(frozen=True)
class RunTask:
    """What the other ranks have to know of a run that they train with rank 0.

    Attributes:
        command: a method.
        config: with the engine that was chosen.
        fingerprint: of the rows.
        state: where the run begins, or is resumed: that of all lanes, on the processor.
        timing: how often to report.
        device: that of rank 0.
    """

    command: str
    config: RunConfig
    fingerprint: str
    state: TrainState
    timing: Timing
    device: torch.device


def share_run(experiment: ExperimentPlan, group: Group) -> ExperimentPlan:
    """Let the other ranks take part in the one run of an experiment; rank 0 calls it.

    The experiment that results has another engine where one of them can't use that of this one.
    A run that is complete is only read, which rank 0 does alone.

    Raises:
        RankError: a rank is lost, or can't take part.
    """
    (run,) = experiment.runs
    if run.is_complete:
        return replace(experiment, ranks=ALONE)
    whole = run.resumed.state if run.resumed else initial_state(run.problem, run.plan)
    state = on_device(whole, CPU)
    data = experiment.problem.data
    group.tell(
        RunTask(
            experiment.command,
            experiment.config,
            data.fingerprint,
            state,
            timing.DEFAULT,
            data.x.device,
        )
    )
    engine = _common_engine(experiment, group)
    notes = experiment.notes
    if engine != experiment.config.engine:
        notes = (*notes, f"engine: {engine}, as one of the ranks can't use a compiled program")
    return replace(experiment.with_engine(engine), notes=notes)


def take_part(task: RunTask, group: Group, stop: Callable[[], bool]) -> None:
    """Train the run of a task with the other ranks; every rank but 0 calls it.

    Raises:
        GdrunError: the run can't be trained here, or another rank is lost.
    """
    asked = task.config.device
    device = own_device(task.device, asked)
    require_gpu_each(device, asked, group.local_size)
    planned = plan_experiment(task.command, task.config).with_device(device)
    experiment = replace(planned, ranks=group.ranks)
    require_rows(experiment, task.fingerprint)
    (run,) = experiment.runs
    state = on_device(task.state, experiment.problem.data.x.device)
    _require_network(run, state)
    recorder = Recorder(run.series, run.config.logged_every, LEAST_ROWS)
    run = replace(run, resumed=RunStart(state, recorder, {}))
    experiment = replace(experiment, runs=(run,))
    experiment = experiment.with_engine(_common_engine(experiment, group))
    (run,) = experiment.runs
    for _ in train_run(experiment, run, None, {}, stop, LEAST_ROWS, task.timing):
        pass


def require_rows(experiment: ExperimentPlan, fingerprint: str) -> None:
    """Check that the rows here are those of rank 0, by their fingerprint.

    Raises:
        DataError: they aren't.
    """
    if experiment.problem.data.fingerprint != fingerprint:
        raise DataError(
            f"{experiment.description.data}: the rows are not those of rank 0",
            "each machine needs the same data at the same place",
        )


def _require_network(run: RunPlan, state: TrainState) -> None:
    """Check that the network here is that of rank 0, by the shapes of its weights.

    Raises:
        DataError: it isn't.
    """
    here = run.problem.model.init([run.plan.lanes[0].seed])
    if [weights.shape[1:] for weights in here] != [weights.shape[1:] for weights in state.params]:
        raise DataError(
            f"{run.config.model}: the network is not that of rank 0",
            "each machine needs the same code at the same place",
        )


def _common_engine(experiment: ExperimentPlan, group: Group) -> Engine:
    """The engine of all ranks: that of rank 0, or eager where one can't use its program.

    Raises:
        RankError: a rank is lost.
    """
    engine = experiment.config.engine
    if engine != "compiled":
        return engine
    choice = without_wrong_programs(built_as_chosen(experiment), experiment)
    fails = group.ranks.any(choice.engine != "compiled")
    return "eager" if any(fails) else "compiled"
