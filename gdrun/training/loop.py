"""The training loop: full-batch, stochastic and mini-batch gradient descent are one loop.

    w ← w − lr · ∇ (1/B) Σ_{i in batch} loss_i(w)

B = N is full-batch gradient descent, B = 1 stochastic gradient descent, anything between mini-batch
gradient descent. R lanes, pairs of learning rate and seed, take their updates in lockstep along a
leading tensor axis and never interact. `train` is a generator: stopping, checkpoints, logs and
display are the business of the loop that consumes it. Nothing here reads or writes a file.

Shapes: R lanes, N training rows, B batch rows, E epochs that a backend executes at once, U updates
of each.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gdrun.config.timing import DEFAULT, Timing
from gdrun.results.events import Segment, ended_at
from gdrun.training.backend import Backend, Updates, with_all_losses
from gdrun.training.bookkeeping import (
    count_updates,
    end_epochs,
    evaluate_within,
    no_updates,
    report,
)
from gdrun.training.eager import EAGER
from gdrun.training.evaluate import Losses, evaluate_stacked
from gdrun.training.patience import BestEpochs
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState


def train(
    problem: Problem,
    plan: Plan,
    state: TrainState,
    backend: Backend = EAGER,
    timing: Timing = DEFAULT,
) -> Iterator[Segment]:
    """Train from a state to the plan's last epoch, or until every lane has diverged.

    Yields the untrained losses first (epoch 0), then a segment at least every `timing.segment`
    seconds (in the middle of a long update or evaluation: an empty one) and at the end of each
    epoch, or of several in which nothing happens but finite losses. Whenever it yields, `state` is
    complete: training a copy of it further gives the same results. The updates of the last epoch
    are yielded before its evaluation, which a longer training might not make.

    Args:
        problem: what is minimised.
        plan: how.
        state: where to start; it is moved.
        backend: how updates are executed.
        timing: how often to report.
    """
    rows = problem.data.rows
    per_epoch = plan.updates_per_epoch(rows)
    if not state.begun or state.updates == (state.epoch + 1) * per_epoch:
        yield from _end_pending_epoch(problem, plan, state, backend, timing.segment)
    elif state.is_due(plan, rows):
        known = _pending_losses(problem, plan, state, backend, validation=False)
        yield from evaluate_within(
            problem, plan, state, state.epoch + 1, no_updates(state), known, timing.segment
        )
    portions = backend.execute(problem, plan, state, timing.segment)
    while not state.is_over(plan, per_epoch):
        # They may be moved in place.
        before = state.clone().params if any(state.best.stopped_at) else state.params
        executed = with_all_losses(plan, next(portions))
        state.rest(plan, before)
        yield from _book(problem, plan, state, executed, timing.segment)


def _end_pending_epoch(
    problem: Problem, plan: Plan, state: TrainState, backend: Backend, report_seconds: float
) -> Iterator[Segment]:
    """End epoch 0, or one that an earlier process left between its updates and its evaluation."""
    number = state.epoch + 1 if state.begun else 0
    epoch = range(number, number + 1)
    known = None
    if state.begun and plan.is_evaluated(number):
        known = _pending_losses(problem, plan, state, backend, validation=True)
    yield from end_epochs(problem, plan, state, epoch, no_updates(state), [known], report_seconds)


def _pending_losses(
    problem: Problem,
    plan: Plan,
    state: TrainState,
    backend: Backend,
    *,
    validation: bool,
) -> Losses | None:
    """The losses of a state as the backend's portions have them; None if one by one."""
    if not backend.stacks_epochs:
        return None
    stacked = [weights.unsqueeze(0) for weights in state.params]
    (known,) = evaluate_stacked(problem, plan.division, stacked, [True], validation=validation)
    return known


def _book(
    problem: Problem, plan: Plan, state: TrainState, executed: Updates, report_seconds: float
) -> Iterator[Segment]:
    """Count updates in the state, end their epochs, and evaluate what is due within epochs."""
    rows, lanes = problem.data.rows, len(plan.lanes)
    per_epoch = plan.updates_per_epoch(rows)
    losses = executed.losses.numpy().reshape(-1, lanes)  # at so few numbers faster than PyTorch
    ends = executed.ends or [len(losses)]
    known: Sequence[Losses | None] = [None]
    if executed.params:
        known = _evaluate_ends(problem, plan, state, executed)
    taken = 0
    for part in _parts(plan, state, per_epoch, ends, losses, known):
        count, stop = part.stop - part.start, ends[part.stop - 1]
        seconds = executed.seconds * ((stop - taken) / len(losses) if stop else 1)
        by_epoch = losses[taken:stop].reshape(count, (stop - taken) // count, lanes)
        counted = count_updates(plan, state, rows, by_epoch, seconds)
        if executed.params:
            before = state.params
            state.params = tuple(weights[part.stop - 1] for weights in executed.params)
            state.rest(plan, before)
            state.buffers = tuple(
                tuple(tensor[part.stop - 1] for tensor in buffer) for buffer in executed.buffers
            )
        epoch = state.epoch + count
        if state.updates == epoch * per_epoch:
            epochs = range(state.epoch + 1, epoch + 1)
            stacked = [weights[part] for weights in executed.params]
            yield from end_epochs(
                problem, plan, state, epochs, counted, known[part], report_seconds, stacked
            )
        elif state.is_due(plan, rows):
            at_end = known[part.stop - 1]
            yield from evaluate_within(problem, plan, state, epoch, counted, at_end, report_seconds)
        else:
            yield report(state, epoch, counted.losses)
        if state.is_over(plan, per_epoch):
            return
        taken = stop


def _evaluate_ends(
    problem: Problem, plan: Plan, state: TrainState, executed: Updates
) -> list[Losses | None]:
    """The losses at the ends of a portion where they are due: within epochs, and at their ends."""
    rows = problem.data.rows
    per_epoch = plan.updates_per_epoch(rows)
    updates = [state.updates + end for end in executed.ends]
    epochs = [update // per_epoch if update % per_epoch == 0 else None for update in updates]
    due = [epoch is not None and plan.is_evaluated(epoch) for epoch in epochs]
    known = evaluate_stacked(problem, plan.division, executed.params, due)
    if None in epochs:
        due = [
            epoch is None and plan.is_evaluated_after(update, rows)
            for epoch, update in zip(epochs, updates, strict=True)
        ]
        within = evaluate_stacked(problem, plan.division, executed.params, due, validation=False)
        known = [one or other for one, other in zip(known, within, strict=True)]
    return known


def _parts(
    plan: Plan,
    state: TrainState,
    per_epoch: int,
    ends: Sequence[int],
    losses: NDArray[np.float32],
    known: Sequence[Losses | None],
) -> Iterator[slice]:
    """Which ends are booked together, by their positions; the losses are (updates, R).

    These are the ends of whole epochs. The plan's last epoch ends alone, and so does one that still
    has to be evaluated or has a loss that isn't finite in a lane that hasn't ended before. One at
    which a lane is stopped is the last of several.
    """
    active = [lane for lane, ended_at in enumerate(state.ended_at) if ended_at is None]
    before, best = state.updates, state.best.clone()  # they move meanwhile
    start = taken = 0
    for k, end in enumerate(ends):
        epoch, rest = divmod(before + end, per_epoch)
        is_quiet = rest == 0 and end - taken == per_epoch and epoch != plan.epochs
        if is_quiet and len(ends) > 1:
            at_end = known[k]
            is_quiet = at_end is not None or not plan.is_evaluated(epoch)
            is_quiet &= bool(np.isfinite(losses[taken:end, active]).all())
            is_quiet &= at_end is None or all(math.isfinite(at_end.train[lane]) for lane in active)
        taken = end
        stops = plan.patience and rest == 0 and _stops(plan, state, best, epoch, known[k])
        if is_quiet and (stops or plan.is_snapshot(epoch)):
            yield slice(start, k + 1)
            start = k + 1
        elif not is_quiet:
            if k > start:
                yield slice(start, k)
            yield slice(k, k + 1)
            start = k + 1
    if start < len(ends):
        yield slice(start, len(ends))


def _stops(
    plan: Plan, state: TrainState, best: BestEpochs, epoch: int, losses: Losses | None
) -> bool:
    """Whether a lane is stopped at the end of an epoch; noted in a copy of `state.best`."""
    if losses is None:
        return False
    taking_part = [at is None for at in ended_at(state.diverged_at, best.stopped_at)]
    best.note(epoch, losses.val, taking_part)
    return best.stop(epoch, epoch, plan.patience, taking_part)
