"""About how long what is left of a command takes, part by part, and how much it logs."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gdrun.compiler import program_cache
from gdrun.compiler.spec import ProgramSpec, spec_for
from gdrun.experiment.cost.formulas import (
    SHARED_WORK,
    build_seconds,
    compiled_seconds,
    eager_seconds,
    epoch_seconds,
    forward_microseconds,
    machine_pace,
    seconds_within,
)
from gdrun.experiment.cost.measure import MOMENT_SECONDS, WINDOWS, seconds_per_update
from gdrun.experiment.cost.probes import probe_seconds
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan
from gdrun.results.rows.log_rows import bytes_to_log
from gdrun.training.computing import SPLIT_WORK
from gdrun.training.state import initial_state

# Seconds that a process takes to start, which loads PyTorch and the data; to load what draws
# pictures; to draw one; and for its pixels at so many of them.
WORKER, LOAD_PLOTS, PICTURE, PIXELS, DPI = 1.6, 0.65, 0.05, 0.05, 150
# Microseconds to log a byte of losses and one of `steps.csv`, where a program's aren't timed.
LOSSES_BYTE, STEPS_BYTE = 0.06, 0.012
# Of one pass over all rows, from which on a training isn't tried: the formula has to do.
LONG_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """About how many seconds a command still takes, part by part.

    Attributes:
        prepare: building programs, and measuring how long updates take.
        train: training, with logs and evaluations.
        probe: measuring what probes measure.
        draw: drawing the pictures, with loading what draws them.
        in_turn: `train` if one run were trained after the other.
    """

    prepare: float
    train: float
    draw: float
    in_turn: float
    probe: float = 0.0


def estimate(
    experiment: ExperimentPlan,
    jobs: int = 1,
    unbuilt: Sequence[ProgramSpec] = (),
    watch: float = 0.0,
) -> Estimate:
    """About how long what is left of an experiment takes.

    Args:
        experiment: what is left of it is timed for a moment; formulas do where that takes long, or
            a program isn't built.
        jobs: how many processes train.
        unbuilt: the programs that are built before.
        watch: the seconds that training is to take at least, for those who watch it.
    """
    pace = machine_pace()
    needs = training_seconds(experiment, pace)
    in_turn = train = sum(needs)
    if jobs > 1:
        slower = [
            seconds * _slowdown(run, min(jobs, len(needs)))
            for run, seconds in zip(experiment.left, needs, strict=True)
        ]
        train = side_by_side(slower, jobs, pace * WORKER)
    draw = pace * _drawing_seconds(experiment)
    prepare = pace * build_seconds(unbuilt)
    if experiment.command == "sweep" and experiment.left and not experiment.seconds_per_update:
        prepare += MOMENT_SECONDS * (1 + 1 / WINDOWS) * len(experiment.runs)  # not measured yet
    together = max(1, min(jobs, len(needs), os.cpu_count() or 1))
    probe = probe_seconds(experiment) / together
    return Estimate(prepare, max(train, watch) if train else 0.0, draw, in_turn, probe)


def training_seconds(experiment: ExperimentPlan, pace: float) -> list[float]:
    """About how long each run that is left takes, logs and evaluations included.

    `pace` is that of the machine.
    """
    found = []
    for run in experiment.left:
        state = run.resumed.state.clone() if run.resumed else initial_state(run.problem, run.plan)
        total = run.plan.epochs * run.plan.updates_per_epoch(run.problem.data.rows)
        left = total - state.updates
        within = pace * seconds_within(run.problem, run.plan, state.updates)
        if not left:
            found.append(0.0)
        elif not _is_there(run) or pace * epoch_seconds(run.problem, run.plan) > LONG_SECONDS:
            found.append(within + left / total * pace * _seconds_by_formula(run))
        else:
            found.append(within + left * seconds_per_update(run, state))
    return found


def _seconds_by_formula(run: RunPlan) -> float:
    """About how long all of a run takes by the formulas, logs and evaluations included."""
    problem, plan = run.problem, run.plan
    if run.config.engine != "compiled":
        return eager_seconds(problem, plan)
    rows = problem.data.rows + len(problem.data.x_val)
    evaluations = len(plan.lanes) * plan.epochs / plan.eval_every * rows
    of_losses, of_steps = log_bytes_after(run, 0, 0)
    shared = (
        evaluations * forward_microseconds(problem)
        + LOSSES_BYTE * of_losses
        + STEPS_BYTE * of_steps
    )
    return compiled_seconds(problem, plan, spec_for(problem, plan)) + 1e-6 * shared


def log_bytes_after(run: RunPlan, epoch: int, updates: int) -> tuple[int, int]:
    """About how much a run adds to its files of losses and to `steps.csv` after an epoch.

    `updates` are those taken by then, some of the next epoch perhaps.
    """
    plan, data = run.plan, run.problem.data
    return bytes_to_log(
        run.series,
        range(epoch, plan.epochs),
        plan.updates_per_epoch(data.rows),
        run.config.logged_every,
        within=plan.count_within(data.rows, updates),
        probed=run.count_probes(epoch),
        validation=len(data.x_val) > 0,
    )


def side_by_side(needs: Sequence[float], jobs: int, worker: float) -> float:
    """About how long runs take that are trained by some processes at a time.

    Each takes the next run when it has finished one. They share the processors.

    Args:
        needs: what each run takes by itself.
        jobs: how many processes.
        worker: what a process takes to start.
    """
    if not sum(needs):
        return 0.0
    jobs = min(jobs, len(needs))
    share = max(1.0, jobs / (os.cpu_count() or 1))
    busy_until = [worker] * jobs
    for seconds in needs:
        busy_until[busy_until.index(min(busy_until))] += seconds
    return share * max(busy_until)


def _slowdown(run: RunPlan, jobs: int) -> float:
    """How many times as long a run takes with its share of the threads as with all of them."""
    plan, threads = run.plan, torch.get_num_threads()
    shares = run.problem.work(len(plan.lanes), plan.batch_size) >= SPLIT_WORK
    if run.config.engine == "compiled":
        shares |= len(plan.lanes) > spec_for(run.problem, plan).lanes
    return math.pow(threads / max(1, threads // jobs), SHARED_WORK) if shares else 1.0


def _drawing_seconds(experiment: ExperimentPlan) -> float:
    """About how long drawing takes: loss and, of one feature, fit of each run, two of all."""
    config, left = experiment.config.plot, experiment.left
    if not config.enabled or not (left or experiment.command == "sweep"):
        return 0.0
    about = experiment.description
    each = 1 + (about.has_fit or about.has_regions)
    pictures = each * len(left) + 2 * experiment.is_group
    return LOAD_PLOTS + pictures * (PICTURE + PIXELS * (config.dpi / DPI) ** 2)


def _is_there(run: RunPlan) -> bool:
    """Whether what executes a run is: its program may still have to be built."""
    compiled = run.config.engine == "compiled"
    return not compiled or program_cache.is_built(spec_for(run.problem, run.plan))
