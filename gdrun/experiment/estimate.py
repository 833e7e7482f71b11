"""How long trainings take: by formulas, to choose an engine; and from a moment of each, on a copy.

The formulas were fitted to times of one core of an AMD EPYC (Zen 5), see the benchmark. An engine
is chosen by them alone, so that the same command makes the same choice each time. How fast this
machine is moves only what is shown.
"""

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import repeat

import torch

from gdrun.compiler import program_cache
from gdrun.compiler.executor import BACKENDS
from gdrun.compiler.spec import ProgramSpec, spec_for
from gdrun.experiment.plan import ExperimentPlan, RunPlan
from gdrun.results.rows.log_rows import bytes_to_log, epoch_lines, step_lines
from gdrun.training.loop import train
from gdrun.training.optimizers.sgd import SGD
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState, initial_state
from gdrun.training.threads import SPLIT_WORK

# Microseconds that PyTorch takes for an update: for each layer, for each weight, for each row in
# each layer, for each activation, and for each weight that a row is multiplied by.
UPDATE, LAYER, WEIGHT, ROW_LAYER, ACTIVATION, PRODUCT = 13.0, 15.6, 2.8e-4, 0.03, 4.9e-4, 5.7e-5
# And for each buffer of an optimizer that isn't SGD: for each layer and weight; as a program.
BUFFER_LAYER, BUFFER_WEIGHT, PROGRAM_BUFFER = 15.0, 8e-4, 3e-4
# And for evaluating, booking and logging an epoch, which a program's epochs share.
EPOCH = 70.0
# And for each evaluation within an epoch, and each lane of it.
WITHIN, WITHIN_LANE = 50.0, 1.5
# The shares by which updates may grow from one such evaluation to the next, the finest first; what
# all of them may take of the time of the updates, and seconds that they may take in any case.
GROWTHS = (0.05, 0.1, 0.2, 0.5)
EVALUATED_SHARE, EVALUATED_SECONDS = 0.5, 1.0
SHARED_WORK = 0.8  # n threads do the work of n to this power
# Microseconds that a program takes for each row in each layer; and for each weight, and each weight
# that a row is multiplied by, in networks of up to so many weights: they are in one cache or the
# next, or in none.
PROGRAM_ROW_LAYER = 0.004
PROGRAM_WEIGHTS = ((3e5, 1.5e-4, 3.7e-5), (2e6, 3e-4, 6.5e-5), (math.inf, 4e-3, 8e-5))
PROGRAM_VECTOR = 1e-3  # for each weight that a row is multiplied by, of a vector of lanes
SLICED_CHUNKS = 64  # from this many chunks in a batch on, threads share it
# Seconds to build a first program, each program, and each layer of it for each size of its chunks.
BUILD_FIRST, BUILD, BUILD_LAYER = 0.25, 0.04, 0.03
# The operation whose time says how fast a machine is, and what it takes on that of the formulas.
PACE_SHAPE, PACE_MICROSECONDS, PACE_CALLS = (16, 16), 1.15, 64

# Seconds that a process takes to start, which loads PyTorch and the data; to load what draws
# pictures; to draw one; and for its pixels at so many of them.
WORKER, LOAD_PLOTS, PICTURE, PIXELS, DPI = 1.6, 0.65, 0.05, 0.05, 150
# Microseconds to log a byte of losses and one of `steps.csv`, where a program's aren't timed.
LOSSES_BYTE, STEPS_BYTE = 0.06, 0.012

ENDLESS = 10**9  # epochs
# Of one pass over all rows, from which on a training isn't tried: the formula has to do.
LONG_SECONDS = 1.0
WINDOWS, MOMENT_SECONDS = 3, 0.05  # of each run, after as much again to get going


def eager_seconds(problem: Problem, plan: Plan) -> float:
    """About how long all updates of a plan take one by one, by the formula."""
    model = problem.model
    weights, layers, lanes = model.parameters, model.layers, len(plan.lanes)
    rows, buffers = lanes * plan.batch_size, _buffers(plan)
    work = (
        (WEIGHT + BUFFER_WEIGHT * buffers) * lanes * weights
        + PRODUCT * rows * weights
        + ACTIVATION * rows * model.activations
    )
    if problem.work(lanes, plan.batch_size) >= SPLIT_WORK:
        work /= _threads()
    update = UPDATE + (LAYER + BUFFER_LAYER * buffers) * layers + ROW_LAYER * rows * layers + work
    return 1e-6 * (update * _updates(problem, plan) + EPOCH * plan.epochs)


def seconds_within(problem: Problem, plan: Plan, after: int = 0) -> float:
    """About how long evaluating the losses within epochs takes, by the formula: a third of updates.

    Those after some update count.
    """
    rows = len(plan.lanes) * problem.data.rows
    each = WITHIN + WITHIN_LANE * len(plan.lanes) + rows * _forward(problem)
    return 1e-6 * each * plan.count_within(problem.data.rows, after)


def _forward(problem: Problem) -> float:
    """Microseconds to evaluate a lane's loss of a row."""
    model = problem.model
    row = ROW_LAYER * model.layers + ACTIVATION * model.activations
    return (row + PRODUCT * model.parameters) / 3


def affordable_growth(problem: Problem, plan: Plan) -> float:
    """The finest `eval_growth` whose evaluations take little of the time of a training; or 0.

    It is 0, too, where an epoch is an update, so that there is nothing within.
    """
    if plan.updates_per_epoch(problem.data.rows) == 1:
        return 0.0
    most = max(EVALUATED_SECONDS, EVALUATED_SHARE * eager_seconds(problem, plan))
    costs = ((each, seconds_within(problem, replace(plan, eval_growth=each))) for each in GROWTHS)
    return next((growth for growth, seconds in costs if seconds <= most), 0.0)


def compiled_seconds(problem: Problem, plan: Plan, spec: ProgramSpec) -> float:
    """About how long all updates of a plan take as a program, by the formula."""
    weights, layers = problem.model.parameters, problem.model.layers
    groups = -(-len(plan.lanes) // spec.lanes)
    each, product = next(costs for most, *costs in PROGRAM_WEIGHTS if weights <= most)
    if spec.lanes > 1:
        product = PROGRAM_VECTOR
    row = PROGRAM_ROW_LAYER * layers + product * weights
    each += PROGRAM_BUFFER * _buffers(plan)
    update = groups * (each * weights + row * plan.batch_size)
    if groups > 1 or plan.batch_size >= SLICED_CHUNKS * spec.rows:
        update /= _threads()
    return 1e-6 * update * _updates(problem, plan)


def build_seconds(specs: Sequence[ProgramSpec]) -> float:
    """About how long building programs takes, side by side, by the formula."""
    each = [BUILD + BUILD_LAYER * len(s.chunks) * s.model.layers for s in specs]
    return BUILD_FIRST + max(*each, sum(each) / (os.cpu_count() or 1)) if specs else 0.0


def _buffers(plan: Plan) -> int:
    return 0 if isinstance(plan.optimizer, SGD) else plan.optimizer.buffers


def _threads() -> float:
    """How many times as fast all threads are as one."""
    return math.pow(torch.get_num_threads(), SHARED_WORK)


def _updates(problem: Problem, plan: Plan) -> int:
    return plan.epochs * plan.updates_per_epoch(problem.data.rows)


def machine_pace() -> float:
    """How many times as long as on the machine of the formulas this one takes, about."""
    factor, fastest = torch.ones(PACE_SHAPE), math.inf
    for _ in repeat(None, WINDOWS):
        start = time.perf_counter()
        for _ in repeat(None, PACE_CALLS):
            torch.mm(factor, factor)
        fastest = min(fastest, time.perf_counter() - start)
    return 1e6 * fastest / PACE_CALLS / PACE_MICROSECONDS


@dataclass(frozen=True, slots=True)
class Estimate:
    """About how many seconds a command still takes, part by part.

    Attributes:
        prepare: building programs, and measuring how long updates take.
        train: training, with logs and evaluations.
        draw: drawing the pictures, with loading what draws them.
        in_turn: `train` if one run were trained after the other.
    """

    prepare: float
    train: float
    draw: float
    in_turn: float


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
    return Estimate(prepare, max(train, watch) if train else 0.0, draw, in_turn)


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
        elif not _is_there(run) or pace * _epoch_seconds(run.problem, run.plan) > LONG_SECONDS:
            found.append(within + left / total * pace * _seconds_by_formula(run))
        else:
            found.append(within + left * _seconds_per_update(run, state))
    return found


def _seconds_by_formula(run: RunPlan) -> float:
    """About how long all of a run takes by the formulas, logs and evaluations included."""
    problem, plan = run.problem, run.plan
    if run.config.engine != "compiled":
        return eager_seconds(problem, plan)
    rows = problem.data.rows + len(problem.data.x_val)
    evaluations = len(plan.lanes) * plan.epochs / plan.eval_every * rows
    of_losses, of_steps = log_bytes_after(run, 0, 0)
    shared = evaluations * _forward(problem) + LOSSES_BYTE * of_losses + STEPS_BYTE * of_steps
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


def _epoch_seconds(problem: Problem, plan: Plan) -> float:
    """What an epoch of one update takes, one evaluation of all rows included, by the formula."""
    return eager_seconds(problem, replace(plan, batch_size=problem.data.rows, epochs=1))


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


def _seconds_per_update(run: RunPlan, state: TrainState) -> float:
    """Seconds of an update of all lanes with its share of logs and of evaluations of epochs."""
    segments = train(
        run.problem, replace(run.plan, eval_growth=0.0), state, BACKENDS[run.config.engine]
    )
    at, start, began = 0, math.inf, time.perf_counter()
    for segment in segments:
        step_lines(run.series, segment, run.config.logged_every)
        epoch_lines(run.series, segment)
        now = time.perf_counter()
        if start == math.inf and state.updates:
            at, start = state.updates, now
        if now - start > MOMENT_SECONDS and state.updates > at:
            break
    if state.updates > at:
        return (now - start) / (state.updates - at)
    return (now - began) / max(1, at)  # there was no more than one long update, or none


def _is_there(run: RunPlan) -> bool:
    """Whether what executes a run is: its program may still have to be built."""
    compiled = run.config.engine == "compiled"
    return not compiled or program_cache.is_built(spec_for(run.problem, run.plan))


def measure_updates(experiment: ExperimentPlan) -> dict[int, float]:
    """The seconds that an update of one lane alone takes, by batch size.

    That is training time, as in the logs, by the engine that trains the runs, whose programs for
    one lane are built. The lanes of a sweep are trained together, at the expense of large batches:
    their time says little of that of a training alone. What was measured when the experiment was
    begun stands.
    """
    manifest = experiment.manifest
    if manifest and manifest.seconds_an_update_alone is not None:
        return manifest.seconds_an_update_alone
    if not experiment.is_timed:
        return {}
    measured = {run.plan.batch_size: _seconds_alone(run) for run in experiment.runs}
    # One without a finite loss takes no update at all.
    return {size: seconds for size, seconds in measured.items() if seconds}


def alone(plan: Plan) -> Plan:
    """The plan of one of its lanes whose updates are timed: it has no end, and won't diverge."""
    unmoved = replace(plan.lanes[0], lr=0.0)
    return replace(plan, lanes=(unmoved,), epochs=ENDLESS, eval_every=ENDLESS, eval_growth=0.0)


def _seconds_alone(run: RunPlan) -> float:
    """The fastest of several windows, since other work on the machine only ever slows one down."""
    plan = alone(run.plan)
    state = initial_state(run.problem, plan)
    found: list[float] = []
    at, start = 0, 0.0
    for _ in train(run.problem, plan, state, BACKENDS[run.config.engine]):
        taken = state.seconds - start
        if state.updates > at and (not at or taken > MOMENT_SECONDS / WINDOWS):
            found.append(taken / (state.updates - at))
            at, start = state.updates, state.seconds
        if len(found) > WINDOWS:
            break
    return min(found, default=0.0)
