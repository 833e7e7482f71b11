"""The engine: gradient descent of every kind is one loop, told apart by the batch size alone.

    w ← w − lr · ∇ (1/B) Σ_{i in batch} loss_i(w)

B = N is full-batch gradient descent, B = 1 stochastic gradient descent, anything between mini-batch
gradient descent. R lanes, pairs of learning rate and seed, take their updates in lockstep along a
leading tensor axis and never interact. `train` is a generator: stopping, checkpoints, logs and
display are the business of the loop that consumes it. The engine itself reads and writes nothing.

Shapes: R lanes, N training rows, B batch rows, D features, O outputs, U updates.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from gdrun.batches import BLOCK_NUMBERS, batches
from gdrun.models import Params, Problem
from gdrun.records import Evaluation, Segment
from gdrun.sgd import make_step
from gdrun.state import Plan, TrainState

# A segment ends after this many seconds at the latest, so that whoever consumes `train` can act.
SEGMENT_SECONDS = 0.1


def train(problem: Problem, plan: Plan, state: TrainState) -> Iterator[Segment]:
    """Descend from a state to the plan's last epoch, or until every lane has diverged.

    Yields the untrained losses first (epoch 0), then a segment at least every `SEGMENT_SECONDS` and
    at the end of each epoch. Whenever it yields, `state` is complete: a copy of it goes on from
    there.
    """
    if not state.begun:
        state.begun = True
        yield _end_epoch(problem, plan, state, losses=[], started_at=0)
    _warm_up(problem, plan, state)
    step = make_step(problem, plan, state)
    clock = _clock(problem)
    while state.epoch < plan.epochs and None in state.diverged_at:
        started_at = state.epoch * plan.updates_per_epoch(problem.data.rows)
        epoch_batches = batches(problem, plan, state.epoch + 1, skip=state.updates - started_at)
        finished = False
        while not finished:
            losses: list[Tensor] = []
            start = clock()
            deadline = time.perf_counter() + SEGMENT_SECONDS
            for x, y in epoch_batches:
                losses.append(step(x, y))
                if time.perf_counter() > deadline:
                    break
            else:
                finished = True
            state.seconds += clock() - start
            seen = _account(problem, plan, state, losses)
            if finished:
                state.epoch += 1
                yield _end_epoch(problem, plan, state, seen, started_at)
            else:
                yield _segment(state, state.epoch + 1, seen)


@torch.no_grad()
def evaluate(problem: Problem, params: Params, x: Tensor, y: Tensor) -> list[float]:
    """Mean loss over all given rows, (N, D) and (N, O), of each lane."""
    lanes, widest = len(params[0]), max(problem.network.sizes)
    chunk = max(1, BLOCK_NUMBERS // (lanes * widest))
    total = torch.zeros(lanes, dtype=torch.float64)
    for xs, ys in zip(torch.split(x, chunk), torch.split(y, chunk), strict=True):
        mean = problem.losses(params, xs.expand(lanes, -1, -1), ys.expand(lanes, -1, -1))
        total += mean.cpu().double() * len(xs)
    return (total / len(x)).tolist()


def _account(
    problem: Problem, plan: Plan, state: TrainState, losses: list[Tensor]
) -> list[list[float]]:
    """Book the updates of a segment in the state; their losses as (U, R) numbers."""
    if not losses:
        return []
    seen = torch.stack(losses).cpu()
    finite = seen.isfinite()
    if not finite.all():
        for lane, diverged in enumerate(state.diverged_at):
            if diverged is None and not finite[:, lane].all():
                state.diverged_at[lane] = state.updates + 1 + int(finite[:, lane].int().argmin())
    state.updates += len(losses)
    samples = plan.samples_after(state.updates, problem.data.rows)
    # All batches hold B rows, but for what is left to the last one of an epoch.
    rows = torch.full((len(losses), 1), plan.batch_size)
    rows[-1] = samples - state.samples - plan.batch_size * (len(losses) - 1)
    state.loss_sum += (seen.double() * rows).sum(dim=0)
    state.row_sum += samples - state.samples
    state.samples = samples
    numbers: list[list[float]] = seen.tolist()
    return numbers


def _end_epoch(
    problem: Problem, plan: Plan, state: TrainState, losses: list[list[float]], started_at: int
) -> Segment:
    """Evaluate where it is due, start the next epoch's sums, and report."""
    data, lanes = problem.data, len(plan.lanes)
    train_loss: Sequence[float | None] = [None] * lanes
    val_loss: Sequence[float | None] = [None] * lanes
    diverged_before = [at is not None and at <= started_at for at in state.diverged_at]
    diverged_now = any(at is not None and at > started_at for at in state.diverged_at)
    if state.epoch % plan.eval_every == 0 or state.epoch == plan.epochs or diverged_now:
        train_loss = evaluate(problem, state.params, data.x, data.y)
        if len(data.x_val):
            val_loss = evaluate(problem, state.params, data.x_val, data.y_val)
        for lane, loss in enumerate(train_loss):
            if state.diverged_at[lane] is None and not math.isfinite(loss):
                state.diverged_at[lane] = state.updates
    batch_loss: Sequence[float | None] = [None] * lanes
    if state.row_sum:
        batch_loss = (state.loss_sum / state.row_sum).tolist()
    state.loss_sum.zero_()
    state.row_sum = 0
    evaluations = tuple(
        None if gone else Evaluation(*each)
        for gone, *each in zip(diverged_before, batch_loss, train_loss, val_loss, strict=True)
    )
    return _segment(state, state.epoch, losses, evaluations)


def _segment(
    state: TrainState,
    epoch: int,
    losses: list[list[float]],
    evaluations: tuple[Evaluation | None, ...] = (),
) -> Segment:
    return Segment(
        epoch=epoch,
        updates=state.updates,
        samples=state.samples,
        seconds=state.seconds,
        losses=losses,
        diverged_at=tuple(state.diverged_at),
        evaluations=evaluations,
    )


def _warm_up(problem: Problem, plan: Plan, state: TrainState) -> None:
    """Take one update on a copy, so that the first one timed doesn't pay for PyTorch's start."""
    copy = state.clone()
    for x, y in batches(problem, plan, epoch=1):
        make_step(problem, plan, copy)(x, y)
        return


def _clock(problem: Problem) -> Callable[[], float]:
    """Seconds, read when the device has finished what it was given."""
    device = problem.data.x.device

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()

    return clock
