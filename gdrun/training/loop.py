"""The engine: gradient descent of every kind is one loop, told apart by the batch size alone.

    w ← w − lr · ∇ (1/B) Σ_{i in batch} loss_i(w)

B = N is full-batch gradient descent, B = 1 stochastic gradient descent, anything between mini-batch
gradient descent. R lanes, pairs of learning rate and seed, take their updates in lockstep along a
leading tensor axis and never interact. `train` is a generator: stopping, checkpoints, logs and
display are the business of the loop that consumes it. The engine itself reads and writes nothing.

Shapes: R lanes, N training rows, B batch rows, D features, O outputs, U updates.
"""

import math
from array import array
from collections.abc import Iterator, Sequence

import numpy as np

from gdrun.results.events import Epochs, Evaluation, Segment
from gdrun.training.backend import Chunk, Execute, Losses
from gdrun.training.eager import eagerly
from gdrun.training.evaluate import evaluate_all
from gdrun.training.models import Problem
from gdrun.training.state import Plan, TrainState


def train(
    problem: Problem, plan: Plan, state: TrainState, execute: Execute = eagerly
) -> Iterator[Segment]:
    """Descend from a state to the plan's last epoch, or until every lane has diverged.

    Yields the untrained losses first (epoch 0), then a segment at least every `SEGMENT_SECONDS` (in
    the middle of a long update or evaluation: an empty one) and at the end of each epoch, or of
    several in which nothing happens but finite losses. Whenever it yields, `state` is complete: a
    copy of it goes on from there, with the same results. The updates of the last epoch are yielded
    before its evaluation, which a longer training might not make.

    Args:
        problem: what is minimised.
        plan: how.
        state: where to start; it is moved.
        execute: how updates are executed.
    """
    if not state.begun:
        yield from _end_epoch(problem, plan, state, started_at=0, losses=[])
    an_epoch = plan.updates_per_epoch(problem.data.rows)
    stretches = execute(problem, plan, state)
    while not state.is_over(plan, an_epoch):
        started_at = state.epoch * an_epoch
        stretch = next(stretches)
        if len(stretch.ends) > 1:
            yield _whole_epochs(problem, plan, state, stretch)
            continue
        losses = _account(problem, plan, state, stretch)
        if state.updates < started_at + an_epoch:
            yield _segment(state, state.epoch + 1, losses)
        else:
            yield from _end_epoch(problem, plan, state, started_at, losses, *stretch.ends)


def _account(
    problem: Problem, plan: Plan, state: TrainState, stretch: Chunk
) -> list["array[float]"]:
    """Book a stretch in the state; its losses, lane by lane."""
    state.params, state.velocity = stretch.weights
    state.seconds += stretch.seconds
    seen = stretch.losses.numpy()  # which is faster at so little than PyTorch is
    if not len(seen):
        return []
    before, state.updates = state.updates, state.updates + len(seen)
    samples = plan.samples_after(state.updates, problem.data.rows)
    # All batches hold B rows, but for what is left to the last one of an epoch.
    weighted = seen.astype(np.float64)
    columns = [array("d", column.tobytes()) for column in weighted.T]
    weighted[:-1] *= plan.batch_size
    weighted[-1] *= samples - state.samples - plan.batch_size * (len(seen) - 1)
    # Added one after the other, so that the sum is the same however an epoch is cut into segments.
    loss_sum = state.loss_sum.numpy()
    weighted[0] += loss_sum
    loss_sum[:] = weighted.cumsum(axis=0)[-1]
    state.row_sum += samples - state.samples
    state.samples = samples
    if not np.isfinite(loss_sum).all():
        finite = np.isfinite(seen)
        for lane, diverged in enumerate(state.diverged_at):
            if diverged is None and not finite[:, lane].all():
                state.diverged_at[lane] = before + 1 + int(finite[:, lane].argmin())
    return columns


def _whole_epochs(problem: Problem, plan: Plan, state: TrainState, stretch: Chunk) -> Segment:
    """Book a stretch of several whole epochs, and report."""
    count, an_epoch = len(stretch.ends), plan.updates_per_epoch(problem.data.rows)
    first, samples = state.epoch + 1, plan.samples_after(an_epoch, problem.data.rows)
    epochs = range(first, first + count)
    seen = stretch.losses.numpy().astype(np.float64)
    sizes = np.full((an_epoch, 1), plan.batch_size)
    sizes[-1] = plan.last_batch(problem.data.rows)
    weighted = seen.reshape(count, an_epoch, -1) * sizes
    batch_loss = weighted.cumsum(axis=1)[:, -1] / samples
    seconds = state.seconds + stretch.seconds / count * np.arange(1, count + 1)
    none: list[None] = [None] * len(plan.lanes)
    whole = Epochs(
        epochs=epochs,
        updates=_multiples(epochs, an_epoch),
        samples=_multiples(epochs, samples),
        seconds=seconds.tolist(),
        batch_loss=batch_loss.T.tolist(),
        train_loss=list(zip(*(end.train if end else none for end in stretch.ends), strict=True)),
        val_loss=list(zip(*(end.val if end else none for end in stretch.ends), strict=True)),
    )
    state.params, state.velocity = stretch.weights
    state.epoch, state.seconds = epochs[-1], whole.seconds[-1]
    state.updates, state.samples = whole.updates[-1], whole.samples[-1]
    lanes = zip(whole.batch_loss, whole.train_loss, whole.val_loss, strict=True)
    evaluations = tuple(Evaluation(*(column[-1] for column in lane)) for lane in lanes)
    columns = [array("d", column.tobytes()) for column in seen.T]
    return _segment(state, state.epoch, columns, evaluations, whole)


def _multiples(epochs: range, factor: int) -> range:
    return range(epochs.start * factor, epochs.stop * factor, factor)


def _end_epoch(
    problem: Problem,
    plan: Plan,
    state: TrainState,
    started_at: int,
    losses: list["array[float]"],
    known: Losses | None = None,
) -> Iterator[Segment]:
    """Evaluate where it is due, start the next epoch's sums, and report.

    `losses` are those of updates that have not been reported yet, `started_at` is how many updates
    there were before the epoch, and `known` what an evaluation would find.
    """
    epoch = state.epoch + state.begun
    lanes = len(plan.lanes)
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
        train_loss, val_loss = known or (yield from evaluate_all(problem, state.params, pulse))
        for lane, loss in enumerate(train_loss):
            if diverged_at[lane] is None and not math.isfinite(loss):
                diverged_at[lane] = state.updates
    batch_loss: Sequence[float | None] = [None] * lanes
    if state.row_sum:
        batch_loss = (state.loss_sum.numpy() / state.row_sum).tolist()
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
    losses: list["array[float]"],
    evaluations: tuple[Evaluation | None, ...] = (),
    whole: Epochs | None = None,
) -> Segment:
    return Segment(
        epoch=epoch,
        updates=state.updates,
        samples=state.samples,
        seconds=state.seconds,
        losses=losses,
        diverged_at=tuple(state.diverged_at),
        evaluations=evaluations,
        whole=whole,
    )
