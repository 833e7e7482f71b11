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
from torch import Tensor

from gdrun.config.timing import DEFAULT, Timing
from gdrun.results.events import Segment
from gdrun.training.backend import Backend, Updates
from gdrun.training.bookkeeping import count_updates, end_epochs, no_updates, report
from gdrun.training.eager import EAGER
from gdrun.training.evaluate import Losses, evaluate_stacked
from gdrun.training.models import Problem
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
    per_epoch = plan.updates_per_epoch(problem.data.rows)
    if not state.begun or state.updates == (state.epoch + 1) * per_epoch:
        yield from _end_pending_epoch(problem, plan, state, backend, timing.segment)
    portions = backend.execute(problem, plan, state, timing.segment)
    while not state.is_over(plan, per_epoch):
        yield from _book(problem, plan, state, next(portions), timing.segment)


def _end_pending_epoch(
    problem: Problem, plan: Plan, state: TrainState, backend: Backend, report_seconds: float
) -> Iterator[Segment]:
    """End epoch 0, or one that an earlier process left between its updates and its evaluation."""
    number = state.epoch + 1 if state.begun else 0
    epoch = range(number, number + 1)
    known: Sequence[Losses | None] = [None]
    if state.begun and backend.stacks_epochs:
        stacked = [weights.unsqueeze(0) for weights in state.params]
        known = _evaluate_ends(problem, plan, epoch, stacked)
    yield from end_epochs(problem, plan, state, epoch, no_updates(state), known, report_seconds)


def _book(
    problem: Problem, plan: Plan, state: TrainState, executed: Updates, report_seconds: float
) -> Iterator[Segment]:
    """Count updates in the state and end their epochs: several at once where nothing happens."""
    losses = executed.losses.numpy()  # at so few numbers faster than PyTorch
    count, updates, _ = losses.shape
    rows = problem.data.rows
    epochs = range(state.epoch + 1, state.epoch + 1 + count)
    ends_epoch = state.updates + updates == epochs[0] * plan.updates_per_epoch(rows)
    known: Sequence[Losses | None] = [None] * count
    if ends_epoch and executed.params:
        known = _evaluate_ends(problem, plan, epochs, executed.params)
    for part in _parts(plan, state, epochs, losses, known):
        seconds = executed.seconds / count * (part.stop - part.start)
        counted = count_updates(plan, state, rows, losses[part], seconds)
        if executed.params:
            state.params = tuple(weights[part.stop - 1] for weights in executed.params)
            state.velocity = tuple(buffer[part.stop - 1] for buffer in executed.velocity)
        if not ends_epoch:
            yield report(state, epochs[0], counted.losses)
            return
        yield from end_epochs(
            problem, plan, state, epochs[part], counted, known[part], report_seconds
        )
        if state.is_over(plan, plan.updates_per_epoch(rows)):
            return


def _evaluate_ends(
    problem: Problem, plan: Plan, epochs: range, params: Sequence[Tensor]
) -> list[Losses | None]:
    """The losses at the ends of epochs, where they are due; weights (E, R, …)."""
    return evaluate_stacked(problem, params, [plan.is_evaluated(epoch) for epoch in epochs])


def _parts(
    plan: Plan,
    state: TrainState,
    epochs: range,
    losses: NDArray[np.float32],
    known: Sequence[Losses | None],
) -> Iterator[slice]:
    """Which of the epochs are ended together, by their positions; the losses are (E, U, R).

    The plan's last epoch ends alone, and so does one that still has to be evaluated or has a loss
    that isn't finite in a lane that hasn't diverged before.
    """
    start = 0
    if len(epochs) > 1:
        active = [lane for lane, diverged_at in enumerate(state.diverged_at) if diverged_at is None]
        finite = [bool(np.isfinite(epoch[:, active]).all()) for epoch in losses]
        for k, (epoch, is_finite, at_end) in enumerate(zip(epochs, finite, known, strict=True)):
            is_known = at_end is not None or not plan.is_evaluated(epoch)
            is_sound = at_end is None or all(math.isfinite(at_end.train[lane]) for lane in active)
            if epoch == plan.epochs or not (is_finite and is_known and is_sound):
                if k > start:
                    yield slice(start, k)
                yield slice(k, k + 1)
                start = k + 1
    if start < len(epochs):
        yield slice(start, len(epochs))
