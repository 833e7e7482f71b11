"""How long trainings will take, from a moment of each on a copy."""

import math
import time
from contextlib import suppress
from dataclasses import replace

from gdrun.experiment.engines import BACKENDS
from gdrun.experiment.plan import ExperimentPlan, RunPlan
from gdrun.results.log_rows import epoch_lines, step_lines
from gdrun.training.loop import train
from gdrun.training.models import Problem
from gdrun.training.state import Plan, TrainState, initial_state

ENDLESS = 10**9  # epochs
WINDOWS = 3
MOMENT_SECONDS = 0.05  # of each run, after as much again to get going


def estimate_seconds(experiment: ExperimentPlan, jobs: int = 1) -> float:
    """About how long the training of what is left will take, logs and evaluations included.

    With several processes, each takes the next run when it has finished one.
    """
    problem = experiment.problem
    busy_until = [0.0] * jobs
    for run in experiment.left:
        state = run.resumed.state.clone() if run.resumed else initial_state(problem, run.plan)
        total = run.plan.epochs * run.plan.updates_per_epoch(problem.data.rows)
        left = total - state.updates
        first = busy_until.index(min(busy_until))
        busy_until[first] += left * _seconds_per_update(problem, run, state) if left else 0.0
    return max(busy_until)


def _seconds_per_update(problem: Problem, run: RunPlan, state: TrainState) -> float:
    """Seconds of an update of all lanes with its share of evaluations and logs."""
    segments = train(problem, run.plan, state, BACKENDS[run.config.engine])
    at, start, began = 0, math.inf, time.perf_counter()
    for segment in segments:
        step_lines(run.series, segment, run.config.log_every)
        epoch_lines(run.series, segment)
        now = time.perf_counter()
        if start == math.inf and state.updates:
            at, start = state.updates, now
        if now - start > MOMENT_SECONDS and state.updates > at:
            break
    if state.updates > at:
        return (now - start) / (state.updates - at)
    return (now - began) / max(1, at)  # there was no more than one long update, or none


def measure_updates(experiment: ExperimentPlan) -> dict[int, float]:
    """The seconds that an update of one lane alone takes, by batch size.

    That is training time, as in the logs. The lanes of a sweep are trained together, at the expense
    of large batches: their time says little of that of a training alone. What was measured when the
    experiment was begun stands.
    """
    saved = (experiment.manifest or {}).get("seconds_an_update_alone")
    if isinstance(saved, dict):
        with suppress(TypeError, ValueError):  # damaged, and so measured again
            return {int(size): float(seconds) for size, seconds in saved.items()}
    measured = {
        run.plan.batch_size: _alone(experiment.problem, run.plan) for run in experiment.runs
    }
    # One without a finite loss takes no update at all.
    return {size: seconds for size, seconds in measured.items() if seconds}


def _alone(problem: Problem, plan: Plan) -> float:
    """The fastest of several windows, since other work on the machine only ever slows one down."""
    unmoved = replace(plan.lanes[0], lr=0.0)  # it won't diverge and end
    plan = replace(plan, lanes=(unmoved,), epochs=ENDLESS, eval_every=ENDLESS)
    state = initial_state(problem, plan)
    found: list[float] = []
    at, start = 0, 0.0
    for _ in train(problem, plan, state):
        taken = state.seconds - start
        if state.updates > at and (not at or taken > MOMENT_SECONDS / WINDOWS):
            found.append(taken / (state.updates - at))
            at, start = state.updates, state.seconds
        if len(found) > WINDOWS:
            break
    return min(found, default=0.0)
