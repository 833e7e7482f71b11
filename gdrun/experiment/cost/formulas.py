"""How long trainings take, by formulas: to choose an engine, and where trying would take long.

They were fitted to times of one core of an AMD EPYC (Zen 5), see the benchmark. An engine is chosen
by them alone, so that the same command makes the same choice each time. How fast this machine is
moves only what is shown.
"""

import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import repeat

import torch

from gdrun.compiler.spec import MANY_CHUNKS, ProgramSpec
from gdrun.experiment.cost.gpu import PROCESSORS, gpu_row_microseconds, gpu_seconds
from gdrun.training.computing import SPLIT_WORK
from gdrun.training.optimizers.sgd import SGD
from gdrun.training.problem import Problem
from gdrun.training.state import Plan

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
# Seconds to build a first program, each program, and each layer of it for each size of its chunks.
BUILD_FIRST, BUILD, BUILD_LAYER = 0.25, 0.04, 0.03
# The operation whose time says how fast a machine is, and what it takes on that of the formulas.
PACE_SHAPE, PACE_MICROSECONDS, PACE_CALLS = (16, 16), 1.15, 64
PACE_WINDOWS = 3


def eager_seconds(problem: Problem, plan: Plan) -> float:
    """About how long all updates of a plan take one by one, by the formula for its device."""
    if processors := _gpu_processors(problem):
        return gpu_seconds(problem, plan, processors)
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
    each = WITHIN + WITHIN_LANE * len(plan.lanes) + rows * forward_microseconds(problem)
    return 1e-6 * each * plan.count_within(problem.data.rows, after)


def forward_microseconds(problem: Problem) -> float:
    """Microseconds to evaluate a lane's loss of a row: a third of those of an update."""
    if processors := _gpu_processors(problem):
        return gpu_row_microseconds(problem) * PROCESSORS / processors / 3
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
    if groups > 1 or plan.batch_size >= MANY_CHUNKS * spec.rows:
        update /= _threads()
    return 1e-6 * update * _updates(problem, plan)


def build_seconds(specs: Sequence[ProgramSpec]) -> float:
    """About how long building programs takes, side by side, by the formula."""
    each = [BUILD + BUILD_LAYER * len(s.chunks) * s.model.layers for s in specs]
    return BUILD_FIRST + max(*each, sum(each) / (os.cpu_count() or 1)) if specs else 0.0


def _gpu_processors(problem: Problem) -> int:
    """How many processors the GPU has that a problem is on; 0 if it is on none."""
    device = problem.data.x.device
    if device.type != "cuda":
        return 0
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _buffers(plan: Plan) -> int:
    return 0 if isinstance(plan.optimizer, SGD) else plan.optimizer.buffers


def _threads() -> float:
    """How many times as fast all threads are as one."""
    return math.pow(torch.get_num_threads(), SHARED_WORK)


def _updates(problem: Problem, plan: Plan) -> int:
    return plan.epochs * plan.updates_per_epoch(problem.data.rows)


def machine_pace() -> float:
    """How many times as long as on the machine of the formulas this one takes, about."""
    fastest = min(_seconds_of_products() for _ in range(PACE_WINDOWS))
    return 1e6 * fastest / PACE_CALLS / PACE_MICROSECONDS


def _seconds_of_products() -> float:
    """Seconds that the operation takes, as often as is timed at once."""
    factor, start = torch.ones(PACE_SHAPE), time.perf_counter()
    for _ in repeat(None, PACE_CALLS):
        torch.mm(factor, factor)
    return time.perf_counter() - start


def epoch_seconds(problem: Problem, plan: Plan) -> float:
    """What an epoch of one update takes, one evaluation of all rows included, by the formula."""
    return eager_seconds(problem, replace(plan, batch_size=problem.data.rows, epochs=1))
