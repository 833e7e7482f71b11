"""How long trainings will take, from a moment of each on a copy."""

import math
import time
from contextlib import suppress
from dataclasses import replace

from gdrun.experiment.backends import executor
from gdrun.experiment.plan import ExperimentPlan, RunPlan
from gdrun.results.log_rows import epoch_lines, step_lines
from gdrun.training.loop import train
from gdrun.training.state import Plan, TrainState, initial_state

ENDLESS = 10**9
WINDOWS = 3
MOMENT_SECONDS = 0.05  # of each run, after as much again to get going


def estimate_seconds(experiment: ExperimentPlan, jobs: int = 1) -> float:
    """About how long the training of what is left will take, logs and evaluations included.

    With several processes, each takes the next run when it has finished one.
    """
    ends = [0.0] * jobs
    for member in experiment.left:
        standing = (experiment.standings or {}).get(member.series.name)
        problem, plan = experiment.problem, member.plan
        state = standing.state.clone() if standing else initial_state(problem, plan)
        total = plan.epochs * plan.updates_per_epoch(problem.data.rows)
        left = total - state.updates
        first = ends.index(min(ends))
        ends[first] += left * _seconds_an_update(experiment, member, state) if left else 0.0
    return max(ends)


def _seconds_an_update(experiment: ExperimentPlan, member: RunPlan, state: TrainState) -> float:
    """Seconds of an update of all lanes with its share of evaluations and logs."""
    execute = executor(experiment.problem, member.plan, member.config.engine)
    segments = train(experiment.problem, member.plan, state, execute)
    at, start, began = 0, math.inf, time.perf_counter()
    for segment in segments:
        step_lines(member.series, segment, member.config.log_every)
        epoch_lines(member.series, segment)
        now = time.perf_counter()
        if start == math.inf and state.updates:
            at, start = state.updates, now
        if now - start > MOMENT_SECONDS and state.updates > at:
            break
    if state.updates > at:
        return (now - start) / (state.updates - at)
    return (now - began) / max(1, at)  # there was no more than one long update, or none


def timed(experiment: ExperimentPlan) -> ExperimentPlan:
    """The experiment with the seconds that an update of one lane alone takes, by batch size.

    That is training time, as in the logs. The lanes of a sweep are trained together, at the expense
    of large batches: their time says little of that of a training alone. What was measured when the
    experiment was begun stands.
    """
    saved = (experiment.saved or {}).get("seconds_an_update_alone")
    if isinstance(saved, dict):
        with suppress(TypeError, ValueError):  # damaged, and so measured again
            pace = {int(size): float(seconds) for size, seconds in saved.items()}
            return replace(experiment, pace=pace)
    pace = {m.series.batch_size: _alone(experiment, m.plan) for m in experiment.members}
    # One without a finite loss takes no update at all.
    return replace(experiment, pace={size: seconds for size, seconds in pace.items() if seconds})


def _alone(experiment: ExperimentPlan, plan: Plan) -> float:
    """The fastest of several windows, since other work on the machine only ever slows one down."""
    unmoved = replace(plan.lanes[0], lr=0.0)  # it won't diverge and end
    plan = replace(plan, lanes=(unmoved,), epochs=ENDLESS, eval_every=ENDLESS)
    state = initial_state(experiment.problem, plan)
    found: list[float] = []
    at, start = 0, 0.0
    for _ in train(experiment.problem, plan, state):
        taken = state.seconds - start
        if state.updates > at and (not at or taken > MOMENT_SECONDS / WINDOWS):
            found.append(taken / (state.updates - at))
            at, start = state.updates, state.seconds
        if len(found) > WINDOWS:
            break
    return min(found, default=0.0)
