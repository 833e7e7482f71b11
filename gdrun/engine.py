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
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from gdrun.batches import pieces
from gdrun.models import Params, Problem
from gdrun.records import Evaluation, Segment
from gdrun.rows import Rows, blocks
from gdrun.sgd import make_step
from gdrun.state import Plan, TrainState
from gdrun.threads import threads_for

# A segment ends after this many seconds at the latest, so that whoever consumes `train` can act.
SEGMENT_SECONDS = 0.1

T = TypeVar("T")


def train(problem: Problem, plan: Plan, state: TrainState) -> Iterator[Segment]:
    """Descend from a state to the plan's last epoch, or until every lane has diverged.

    Yields the untrained losses first (epoch 0), then a segment at least every `SEGMENT_SECONDS` (in
    the middle of a long update or evaluation: an empty one) and at the end of each epoch. Whenever
    it yields, `state` is complete: a copy of it goes on from there, with the same results. The
    updates of the last epoch are yielded before its evaluation, which a longer training might not
    make.
    """
    if not state.begun:
        yield from _end_epoch(problem, plan, state, started_at=0, losses=[])
    _warm_up(problem, plan, state)
    step = make_step(problem, plan, state)
    clock = _clock(problem)
    work = problem.work(len(plan.lanes), plan.batch_size)
    an_epoch = plan.updates_per_epoch(problem.data.rows)
    while not state.is_over(plan, an_epoch):
        started_at = state.epoch * an_epoch
        epoch_pieces = pieces(problem, plan, state.epoch + 1, skip=state.updates - started_at)
        finished = False
        while not finished:
            losses: list[Tensor] = []
            with threads_for(work):
                start = clock()
                deadline = time.perf_counter() + SEGMENT_SECONDS
                for piece in epoch_pieces:
                    loss = step(*piece)
                    if loss is not None:
                        losses.append(loss)
                    if time.perf_counter() > deadline:
                        break
                else:
                    finished = True
                state.seconds += clock() - start
            seen = _account(problem, plan, state, losses)
            if not finished:
                yield _segment(state, state.epoch + 1, seen)
        yield from _end_epoch(problem, plan, state, started_at, seen)


@torch.no_grad()
def evaluate(
    problem: Problem, params: Params, x: Rows, y: Rows, pulse: Callable[[], T]
) -> Generator[T, None, list[float]]:
    """Mean loss over all given rows, (N, D) and (N, O), of each lane: the value returned.

    Yields a `pulse` at least every `SEGMENT_SECONDS` meanwhile.
    """
    lanes = len(params[0])
    chunk = problem.rows_at_once(lanes)
    total = torch.zeros(lanes, dtype=torch.float64)
    deadline = time.perf_counter() + SEGMENT_SECONDS
    work = problem.work(lanes, len(x))
    for k, (xs, ys) in enumerate(zip(blocks(x, chunk), blocks(y, chunk), strict=True)):
        if k and time.perf_counter() > deadline:
            yield pulse()
            deadline = time.perf_counter() + SEGMENT_SECONDS
        with threads_for(work):
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
    weighted = seen.double().mul_(plan.batch_size)
    weighted[-1] = seen[-1].double() * (samples - state.samples - plan.batch_size * (len(seen) - 1))
    # Added one after the other, so that the sum is the same however an epoch is cut into segments.
    weighted[0] += state.loss_sum
    state.loss_sum = weighted.cumsum(dim=0)[-1].clone()  # not the whole of it in checkpoints
    state.row_sum += samples - state.samples
    state.samples = samples
    numbers: list[list[float]] = seen.tolist()
    return numbers


def _end_epoch(
    problem: Problem, plan: Plan, state: TrainState, started_at: int, losses: list[list[float]]
) -> Iterator[Segment]:
    """Evaluate where it is due, start the next epoch's sums, and report.

    `losses` are those of updates that have not been reported yet.
    """
    epoch = state.epoch + state.begun
    data, lanes = problem.data, len(plan.lanes)
    diverged_at = list(state.diverged_at)
    train_loss: Sequence[float | None] = [None] * lanes
    val_loss: Sequence[float | None] = [None] * lanes
    diverged_before = [at is not None and at <= started_at for at in diverged_at]
    diverged_now = any(at is not None and at > started_at for at in diverged_at)

    def pulse() -> Segment:
        nonlocal losses
        segment, losses = _segment(state, epoch, losses), []
        return segment

    if epoch == plan.epochs and losses:
        yield pulse()
    if epoch % plan.eval_every == 0 or epoch == plan.epochs or diverged_now:
        train_loss = yield from evaluate(problem, state.params, data.x, data.y, pulse)
        if len(data.x_val):
            val_loss = yield from evaluate(problem, state.params, data.x_val, data.y_val, pulse)
        for lane, loss in enumerate(train_loss):
            if diverged_at[lane] is None and not math.isfinite(loss):
                diverged_at[lane] = state.updates
    batch_loss: Sequence[float | None] = [None] * lanes
    if state.row_sum:
        batch_loss = (state.loss_sum / state.row_sum).tolist()
    state.epoch, state.begun, state.diverged_at = epoch, True, diverged_at
    state.loss_sum.zero_()
    state.row_sum = 0
    evaluations = tuple(
        None if gone else Evaluation(*each)
        for gone, *each in zip(diverged_before, batch_loss, train_loss, val_loss, strict=True)
    )
    yield _segment(state, epoch, losses, evaluations)


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
    with threads_for(problem.work(len(plan.lanes), plan.batch_size)):
        for piece in pieces(problem, plan, epoch=1):
            make_step(problem, plan, copy)(*piece)
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
