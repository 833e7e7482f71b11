"""About how long all runs of an experiment take on the processor and on a GPU, by formulas."""

import math

from torch import Tensor

from gdrun.compiler.spec import spec_for
from gdrun.data.rows import MOST_SHARE
from gdrun.experiment.cost.formulas import (
    build_seconds,
    compiled_seconds,
    eager_seconds,
    forward_microseconds,
    seconds_within,
)
from gdrun.experiment.cost.gpu import (
    EPOCH,
    PROCESSORS,
    START,
    gpu_bytes,
    gpu_row_microseconds,
    gpu_seconds,
)
from gdrun.experiment.engines import choose_engine
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan


def cpu_estimate(experiment: ExperimentPlan) -> float:
    """About how many seconds all runs take on the processor, by the engine they would have there.

    That is what they take on the machine of the formulas, so that it is the same each time.
    """
    choice = choose_engine(experiment)
    seconds = build_seconds(choice.programs)
    for run in experiment.runs:
        pair = (run.problem, run.plan)
        is_compiled = choice.engine == "compiled"
        seconds += compiled_seconds(*pair, spec_for(*pair)) if is_compiled else eager_seconds(*pair)
        seconds += seconds_within(*pair)
        seconds += 1e-6 * _rows_evaluated(run) * forward_microseconds(run.problem)
    return seconds


def gpu_estimate(experiment: ExperimentPlan, processors: int = PROCESSORS) -> float:
    """About how many seconds all runs take on a GPU, with its start; its `processors` as in `Gpu`.

    Evaluations are a third of an update of the same rows.
    """
    seconds = START
    for run in experiment.runs:
        rows = run.problem.data.rows
        within = run.plan.count_within(rows)
        evaluated = _rows_evaluated(run) + within * len(run.plan.lanes) * rows
        row = gpu_row_microseconds(run.problem) * PROCESSORS / processors / 3
        seconds += gpu_seconds(run.problem, run.plan, processors)
        seconds += 1e-6 * (EPOCH * within + evaluated * row)
    return seconds


def _rows_evaluated(run: RunPlan) -> float:
    """How many rows the lanes are evaluated on, at the ends of all epochs together."""
    data, plan = run.problem.data, run.plan
    return len(plan.lanes) * plan.epochs / plan.eval_every * (data.rows + len(data.x_val))


def bytes_on_gpu(experiment: ExperimentPlan, jobs: int = 1) -> int:
    """About how much memory of a GPU that takes, with the data in it once for each process.

    And as much as has to be free for rows to be moved there at once. Those that are read from a
    file as they are needed aren't held there.
    """
    data = experiment.problem.data
    parts = (data.x, data.y, data.x_val, data.y_val)
    held = sum(rows.nbytes for rows in parts if isinstance(rows, Tensor))
    each = held + max(gpu_bytes(run.problem, run.plan) for run in experiment.runs)
    each = max(each, math.ceil(held / MOST_SHARE))
    return each * max(1, min(jobs, len(experiment.runs)))
