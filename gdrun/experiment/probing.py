"""Probes on the way of a training: at the ends of some epochs, its lanes are measured.

The training waits meanwhile, and its clock stands. Nothing of it is changed.
"""

import math
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

from gdrun.diagnostics.derivatives import Work
from gdrun.diagnostics.probe import Measured, lane_at_epoch, measure
from gdrun.experiment.plan import RunPlan
from gdrun.results.events import Probed, Segment
from gdrun.results.rows.history import History
from gdrun.training.bookkeeping import report
from gdrun.training.state import TrainState


def with_probes(
    segments: Iterable[Segment], run: RunPlan, state: TrainState, histories: Iterable[History]
) -> Iterator[Segment]:
    """The segments of a training, and behind those that end a probed epoch what is measured there.

    Meanwhile empty ones are yielded, so that the training can be left. Where it was left before the
    measurement was made, it begins with that.

    Args:
        segments: of the training, which moves the state.
        run: what is trained.
        state: where it is, which is complete whenever a segment is yielded.
        histories: what is known of its lanes.
    """
    if not run.config.probes:
        yield from segments
        return
    if is_pending(run, state, histories):  # it was left before
        yield from _probe(run, state)
    for segment in segments:
        yield segment
        if segment.ends and is_pending(run, state, histories):
            yield from _probe(run, state)


def is_pending(run: RunPlan, state: TrainState, histories: Iterable[History]) -> bool:
    """Whether a state is the end of an epoch whose measurements are missing."""
    per_epoch = run.plan.updates_per_epoch(run.problem.data.rows)
    at_end = state.begun and state.updates == state.epoch * per_epoch
    is_due = run.is_probed(state.epoch) or state.is_over(run.plan, per_epoch)
    if not (run.config.probes and at_end and is_due and any(_active(state))):
        return False
    return all(state.epoch not in history.probes["epoch"][-1:] for history in histories)


def _probe(run: RunPlan, state: TrainState) -> Iterator[Segment]:
    """Measure the lanes that take part one after the other; the last segment has the results."""
    now = replace(report(state, state.epoch, []), is_probing=True)
    active = _active(state)
    measured: list[Measured] = []
    for lane, takes_part in enumerate(active):
        found: Measured = {}
        if takes_part:
            work = measure(lane_at_epoch(run.problem, run.plan, state, lane), run.config.probes)
            found = yield from _pausing(now, work)
        measured.append(found)
    columns = {
        name: [_or_none(found.get(name, math.nan)) for found in measured]
        for name in run.series.probe_columns
    }
    yield replace(now, is_probing=False, probed=Probed(state.epoch, state.updates, active, columns))


def _pausing(now: Segment, work: Work[Measured]) -> Generator[Segment, None, Measured]:
    """Go through with some work, and yield a segment in its pauses; the result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            measured: Measured = end.value
            return measured
        yield now


def _active(state: TrainState) -> list[bool]:
    """Per lane, whether it hadn't ended before the end of this epoch, nor has diverged by then."""
    ends = zip(state.diverged_at, state.best.stopped_at, strict=True)
    return [out is None and (stopped is None or stopped >= state.updates) for out, stopped in ends]


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
