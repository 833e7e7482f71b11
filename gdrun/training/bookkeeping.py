"""The books of a training: updates are counted in its state, epochs ended and reported.

Shapes: R lanes, E epochs that are counted at once, U updates of each.
"""

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdrun.results.events import EpochEnds, Segment, ended_at
from gdrun.results.rows.log_rows import SCHEDULED_LR
from gdrun.training.evaluate import Losses, evaluate, evaluate_all
from gdrun.training.optimizers.schedule import CONSTANT
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState


class Counted(NamedTuple):
    """Updates that are counted in the state, and not reported yet.

    Attributes:
        losses: of each lane's updates; empty if there are none.
        loss_sums: (E, R) batch losses times rows, summed over each epoch so far.
        seconds: (E) training time at the end of each.
    """

    losses: list["array[float]"]
    loss_sums: NDArray[np.float64]
    seconds: Sequence[float]


def no_updates(state: TrainState) -> Counted:
    """No updates to report."""
    return Counted([], state.loss_sum.numpy()[np.newaxis], [state.seconds])


def count_updates(
    plan: Plan, state: TrainState, rows: int, losses: NDArray[np.float32], seconds: float
) -> Counted:
    """Count updates in the state, by their losses (E, U, R) and the training time they took.

    The lanes that a loss shows to have diverged are noted; weights are the caller's business.
    """
    epochs, updates, lanes = losses.shape
    times = [state.seconds + seconds * (k + 1) / epochs for k in range(epochs)]
    state.seconds = times[-1]
    if not updates:
        return no_updates(state)
    seen = losses.astype(np.float64)
    before, state.updates = state.updates, state.updates + epochs * updates
    consumed, state.samples = state.samples, plan.samples_after(state.updates, rows)
    # All batches hold B rows, but for an epoch's incomplete last one.
    per_epoch = (state.samples - consumed) // epochs
    weighted = seen * plan.batch_size
    weighted[:, -1] = seen[:, -1] * (per_epoch - plan.batch_size * (updates - 1))
    # Added one after the other, so that the sum is the same however an epoch is divided.
    loss_sum = state.loss_sum.numpy()
    weighted[0, 0] += loss_sum
    sums: NDArray[np.float64] = weighted.cumsum(axis=1)[:, -1]
    loss_sum[:] = sums[-1]
    by_update = seen.reshape(-1, lanes)
    if not np.isfinite(loss_sum).all():
        finite = np.isfinite(by_update)
        for lane, ended_at in enumerate(state.ended_at):
            if ended_at is None and not finite[:, lane].all():
                state.diverged_at[lane] = before + 1 + int(finite[:, lane].argmin())
    return Counted([array("d", column.tobytes()) for column in by_update.T], sums, times)


def end_epochs(
    problem: Problem,
    plan: Plan,
    state: TrainState,
    epochs: range,
    counted: Counted,
    known: Sequence[Losses | None],
    report_seconds: float,
    stacked: Sequence[Tensor] = (),
) -> Iterator[Segment]:
    """Evaluate the last of some epochs if that is due, end them in the state, and report them.

    Several epochs are passed only if nothing happens in them: no lane diverges, none is stopped but
    at the end of the last one, and what has to be evaluated is known. The updates of the plan's
    last epoch are reported before its evaluation, which a longer training might not make.

    Args:
        problem: what is minimised.
        plan: how.
        state: of the training; it is moved.
        epochs: which; 0 is before training.
        counted: their updates, as far as they are not reported yet.
        known: for each, the losses at its end if they were evaluated already.
        report_seconds: between two empty segments in the middle of a long evaluation.
        stacked: the weights at the end of each, (E, R, …); empty where there is but the last.
    """
    last, losses = epochs[-1], counted.losses
    # The update before the first of them; before training no lane has diverged.
    before = (epochs[0] - 1) * plan.updates_per_epoch(problem.data.rows)
    active = [at is None or at > before for at in state.ended_at]
    diverges = any(
        at is not None and takes_part
        for at, takes_part in zip(state.diverged_at, active, strict=True)
    )
    at_ends = list(known)

    def pulse() -> Segment:
        nonlocal losses
        now, losses = report(state, last, losses), []
        return now

    if last == plan.epochs and losses:
        yield pulse()
    if at_ends[-1] is None and (plan.is_evaluated(last) or diverges):
        at_ends[-1] = yield from evaluate_all(
            problem, plan.division, state.params, pulse, report_seconds
        )
    diverged_at = list(state.diverged_at)
    for lane, loss in enumerate(at_ends[-1].train if at_ends[-1] else []):
        if active[lane] and diverged_at[lane] is None and not math.isfinite(loss):
            diverged_at[lane] = state.updates
    _note_best(plan, state, epochs, at_ends, diverged_at, stacked)
    ends = _ends(problem, plan, epochs, counted, at_ends, active)
    state.epoch, state.begun, state.diverged_at = last, True, diverged_at
    state.loss_sum.zero_()
    yield report(state, last, losses, ends)


def _note_best(
    plan: Plan,
    state: TrainState,
    epochs: range,
    at_ends: Sequence[Losses | None],
    diverged_at: Sequence[int | None],
    stacked: Sequence[Tensor],
) -> None:
    """Keep the weights of the epochs with the lowest validation losses, and stop lanes."""
    taking_part = [at is None for at in ended_at(diverged_at, state.best.stopped_at)]
    for k, (epoch, losses) in enumerate(zip(epochs, at_ends, strict=True)):
        if losses is None:
            continue
        improved = state.best.note(epoch, losses.val, taking_part)
        if improved:
            params = [tensor[k] for tensor in stacked] if stacked else state.params
            state.best.keep(plan.division.own_positions(improved), params)
        state.best.stop(epoch, state.updates, plan.patience, taking_part)


def evaluate_within(
    problem: Problem,
    plan: Plan,
    state: TrainState,
    epoch: int,
    counted: Counted,
    known: Losses | None,
    report_seconds: float,
) -> Iterator[Segment]:
    """Evaluate the train loss within an epoch, and report it with the updates before it.

    Whether a lane has diverged is judged by batch losses, and at the ends of epochs: this changes
    nothing but what is known.

    Args:
        problem: what is minimised.
        plan: how.
        state: of the training; it notes that the loss was evaluated.
        epoch: which.
        counted: the updates before, as far as they are not reported yet.
        known: the losses, if they were evaluated already.
        report_seconds: between two empty segments in the middle of a long evaluation.
    """
    losses = counted.losses

    def pulse() -> Segment:
        nonlocal losses
        now, losses = report(state, epoch, losses), []
        return now

    if known:
        train_loss = known.train
    else:
        data = problem.data
        (train_loss,) = yield from evaluate(
            problem, plan.division, state.params, data.x, data.y, pulse, report_seconds
        )
    state.evaluated = state.updates
    yield replace(report(state, epoch, losses), train_loss=train_loss)


def columns_of(problem: Problem, plan: Plan) -> tuple[str, ...]:
    """The further columns of `epochs.csv`, behind those that all runs have."""
    measured = (name for metric in problem.loss.metrics for name in metric.columns)
    return (*measured, *([SCHEDULED_LR] if plan.schedule != CONSTANT else []))


def _ends(
    problem: Problem,
    plan: Plan,
    epochs: range,
    counted: Counted,
    at_ends: Sequence[Losses | None],
    active: Sequence[bool],
) -> EpochEnds:
    """What is reported of epochs; the batch loss is the mean over the rows of each."""
    rows = problem.data.rows
    per_epoch = plan.updates_per_epoch(rows)
    samples = plan.samples_after(per_epoch, rows)
    none: list[None] = [None] * len(plan.lanes)
    columns: dict[str, Sequence[Sequence[float | None]]] = {
        name: _by_lane([each.metrics[name] if each else none for each in at_ends])
        for metric in problem.loss.metrics
        for name in metric.columns
    }
    if plan.schedule != CONSTANT:
        columns[SCHEDULED_LR] = scheduled_rates(plan, epochs, rows)
    batch_loss: Sequence[Sequence[float | None]] = [[None]] * len(none)  # before training
    if epochs[0] > 0:
        batch_loss = (counted.loss_sums / samples).T.tolist()
    return EpochEnds(
        epochs=epochs,
        updates=_multiples(epochs, per_epoch),
        samples=_multiples(epochs, samples),
        seconds=counted.seconds,
        batch_loss=batch_loss,
        train_loss=_by_lane([each.train if each else none for each in at_ends]),
        val_loss=_by_lane([each.val if each else none for each in at_ends]),
        active=active,
        columns=columns,
    )


def _by_lane(at_ends: Sequence[Sequence[float | None]]) -> list[tuple[float | None, ...]]:
    """Numbers of each epoch and lane, by lane and epoch."""
    return list(zip(*at_ends, strict=True))


def scheduled_rates(plan: Plan, epochs: range, rows: int) -> list[list[float]]:
    """The learning rates of the last update of some epochs, of each lane; at first, of update 1."""
    per_epoch = plan.updates_per_epoch(rows)
    updates = torch.tensor([max(1, epoch * per_epoch) for epoch in epochs], dtype=torch.float64)
    factors: list[float] = plan.schedule.factors(updates, plan.scheduled_updates(rows)).tolist()
    return [[lane.lr * factor for factor in factors] for lane in plan.lanes]


def _multiples(epochs: range, factor: int) -> range:
    return range(epochs.start * factor, epochs.stop * factor, factor)


def report(
    state: TrainState, epoch: int, losses: list["array[float]"], ends: EpochEnds | None = None
) -> Segment:
    """What is reported of a state."""
    return Segment(
        epoch=epoch,
        updates=state.updates,
        samples=state.samples,
        seconds=state.seconds,
        losses=losses,
        diverged_at=tuple(state.diverged_at),
        stopped_at=tuple(state.best.stopped_at),
        ends=ends,
    )
