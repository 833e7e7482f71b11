"""Probes on the way of a training: at the ends of some epochs, its lanes are measured.

The training waits meanwhile, and its clock stands. Nothing of it is changed.
"""

import math
from collections.abc import Generator, Iterable, Iterator
from dataclasses import replace

import torch

from gdrun.diagnostics.derivatives import Work
from gdrun.diagnostics.probe import Measured, lane_at_epoch, measure
from gdrun.experiment.plan.runs import RunPlan
from gdrun.results.events import Probed, Segment
from gdrun.results.rows.history import History
from gdrun.training.bookkeeping import report
from gdrun.training.ranks import ALONE
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
    if _is_pending_anywhere(run, state, histories):  # it was left before
        yield from _probe(run, state)
    for segment in segments:
        yield segment
        if segment.ends and _is_pending_anywhere(run, state, histories):
            yield from _probe(run, state)


def _is_pending_anywhere(run: RunPlan, state: TrainState, histories: Iterable[History]) -> bool:
    """Whether measurements are missing, as far as rank 0 knows, which has what was logged."""
    ranks = run.plan.ranks
    return _is_due(run, state) and any(
        ranks.any(ranks.is_first and is_pending(run, state, histories))
    )


def is_pending(run: RunPlan, state: TrainState, histories: Iterable[History]) -> bool:
    """Whether a state is the end of an epoch whose measurements are missing."""
    if not _is_due(run, state):
        return False
    return all(state.epoch not in history.probes["epoch"][-1:] for history in histories)


def _is_due(run: RunPlan, state: TrainState) -> bool:
    """Whether a state is the end of an epoch at which lanes are measured."""
    per_epoch = run.plan.updates_per_epoch(run.problem.data.rows)
    at_end = state.begun and state.updates == state.epoch * per_epoch
    is_probed = run.is_probed(state.epoch) or state.is_over(run.plan, per_epoch)
    return bool(run.config.probes) and at_end and is_probed and any(_active(state))


def _probe(run: RunPlan, state: TrainState) -> Iterator[Segment]:
    """Measure the lanes that take part one after the other; the last segment has the results.

    Of several ranks, each measures the lanes that it trains.
    """
    now = replace(report(state, state.epoch, []), is_probing=True)
    active, division = _active(state), run.plan.division
    own = replace(run.plan, lanes=run.plan.own_lanes, ranks=ALONE)
    measured: list[Measured] = []
    for lane, takes_part in enumerate(active[division.own]):
        found: Measured = {}
        if takes_part:
            work = measure(lane_at_epoch(run.problem, own, state, lane), run.config.probes)
            found = yield from _pausing(now, work)
        measured.append(found)
    names = run.series.probe_columns
    numbers = [[found.get(name, math.nan) for found in measured] for name in names]
    table: list[list[float]] = division.gather(torch.tensor(numbers, dtype=torch.float64)).tolist()
    division.by_rows.any(False)  # all are done: nobody's clock runs while others still measure
    columns = {
        name: [_or_none(number) for number in row] for name, row in zip(names, table, strict=True)
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
