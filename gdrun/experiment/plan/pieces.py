"""The pieces of a sweep that ranks take one after the other: so many that they are done soonest.

Few pieces leave ranks without work while one is at the longest. Many take more time altogether: the
lanes of a run are computed together, and often cost little more than some of them.
"""

from heapq import heapify, heapreplace

from gdrun.compiler.spec import spec_for
from gdrun.experiment.cost.formulas import compiled_seconds, eager_seconds
from gdrun.experiment.plan.make import replanned
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan

FOR_EACH_RANK = (1, 2, 4)  # pieces that are tried, beside one run for each batch size
PAYS = 0.9  # of the time without pieces, at most


def in_pieces_for(experiment: ExperimentPlan, ranks: int) -> ExperimentPlan:
    """A sweep in the pieces with which so many ranks are done soonest, by the formulas.

    It stays in one run for each batch size where pieces would save little.
    """
    sweep = experiment.config.sweep
    cut = [
        experiment.config.model_copy(
            update={"sweep": sweep.model_copy(update={"pieces": ranks * number})}
        )
        for number in FOR_EACH_RANK
    ]
    candidates = (replanned(experiment, config) for config in cut)
    best = min(candidates, key=lambda planned: _seconds(planned, ranks))
    pays = _seconds(best, ranks) < PAYS * _seconds(experiment, ranks)
    return best if pays else experiment


def _seconds(experiment: ExperimentPlan, ranks: int) -> float:
    """About how long ranks take that begin one run after the other, in their order."""
    busy = [0.0] * ranks
    heapify(busy)
    for run in experiment.runs:
        heapreplace(busy, busy[0] + _run_seconds(run))
    return max(busy)


def _run_seconds(run: RunPlan) -> float:
    """About how long a run takes by the engine that it would have."""
    eager = eager_seconds(run.problem, run.plan)
    if run.config.engine == "eager" or run.problem.data.x.device.type != "cpu":
        return eager
    compiled = compiled_seconds(run.problem, run.plan, spec_for(run.problem, run.plan))
    return compiled if run.config.engine == "compiled" else min(eager, compiled)
