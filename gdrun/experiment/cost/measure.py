"""How long updates take, by training for a moment: a copy of each run, or one lane alone."""

import math
import time
from dataclasses import replace

from gdrun.compiler.executor import BACKENDS
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan
from gdrun.results.rows.log_rows import epoch_lines, step_lines
from gdrun.training.graphs import updates_to_warm_up
from gdrun.training.loop import train
from gdrun.training.state import Plan, TrainState, initial_state

ENDLESS = 10**9  # epochs
WINDOWS, MOMENT_SECONDS = 3, 0.05  # of each run, after as much again to get going


def seconds_per_update(run: RunPlan, state: TrainState) -> float:
    """Seconds of an update of all lanes with its share of logs and of evaluations of epochs."""
    segments = train(
        run.problem, replace(run.plan, eval_growth=0.0), state, BACKENDS[run.config.engine]
    )
    warm = updates_to_warm_up(run.problem, run.plan)
    at, start, began = 0, math.inf, time.perf_counter()
    for segment in segments:
        step_lines(run.series, segment, run.config.logged_every)
        epoch_lines(run.series, segment)
        now = time.perf_counter()
        if start == math.inf and state.updates > warm:
            at, start = state.updates, now
        if now - start > MOMENT_SECONDS and state.updates > at:
            break
    if state.updates > at:
        return (now - start) / (state.updates - at)
    # There was no more than one long update, or none, or too few to begin with.
    return (now - began) / max(1, state.updates)


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
    at, start, warm = 0, 0.0, updates_to_warm_up(run.problem, plan)
    for _ in train(run.problem, plan, state, BACKENDS[run.config.engine]):
        taken = state.seconds - start
        if state.updates > max(at, warm) and (not at or taken > MOMENT_SECONDS / WINDOWS):
            found.append(taken / (state.updates - at))
            at, start = state.updates, state.seconds
        if len(found) > WINDOWS:
            break
    return min(found, default=0.0)
