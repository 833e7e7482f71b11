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
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gdrun.config import Sampling
from gdrun.gradients import lane_gradients
from gdrun.models import Params, Problem
from gdrun.order import visiting_order
from gdrun.records import Evaluation, Lane, Segment

# A segment ends after this many seconds at the latest, so that whoever consumes `train` can act.
SEGMENT_SECONDS = 0.1
# Batches are gathered, and rows evaluated, in blocks of about this many numbers (16 MB).
BLOCK_NUMBERS = 2**22

Step = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Plan:
    """How to descend: everything about a training but the problem."""

    lanes: tuple[Lane, ...]
    batch_size: int
    epochs: int
    sampling: Sampling = "reshuffle"
    drop_last: bool = False
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    eval_every: int = 1

    def updates_per_epoch(self, rows: int) -> int:
        """Updates in one pass over N rows: ⌈N/B⌉, or ⌊N/B⌋ with `drop_last`."""
        return rows // self.batch_size if self.drop_last else -(-rows // self.batch_size)


@dataclass
class TrainState:
    """Everything that the next update depends on, and nothing else; `train` moves it in place.

    Attributes:
        params: stacked weights, (R, …) each.
        velocity: momentum buffers, shaped like `params`; empty without momentum.
        epoch: finished epochs; -1 before the untrained losses have been reported.
        updates, samples: so far.
        seconds: training time so far.
        loss_sum: (R,) batch losses times rows, summed over the unfinished epoch so far.
        row_sum: the rows in that sum.
        diverged_at: per lane, the update that first saw a non-finite loss, or None.
    """

    params: Params
    velocity: Params
    epoch: int
    updates: int
    samples: int
    seconds: float
    loss_sum: Tensor
    row_sum: int
    diverged_at: list[int | None]

    def clone(self) -> "TrainState":
        """A copy that shares nothing."""
        return replace(
            self,
            params=tuple(p.clone() for p in self.params),
            velocity=tuple(v.clone() for v in self.velocity),
            loss_sum=self.loss_sum.clone(),
            diverged_at=list(self.diverged_at),
        )


def initial_state(problem: Problem, plan: Plan) -> TrainState:
    """The state before the first update, on the device of the problem's data."""
    device = problem.data.x.device
    seeds = [lane.seed for lane in plan.lanes]
    params = tuple(p.to(device) for p in problem.network.init(seeds))
    return TrainState(
        params=params,
        velocity=tuple(torch.zeros_like(p) for p in params) if plan.momentum else (),
        epoch=-1,
        updates=0,
        samples=0,
        seconds=0.0,
        loss_sum=torch.zeros(len(plan.lanes), dtype=torch.float64),
        row_sum=0,
        diverged_at=[None] * len(plan.lanes),
    )


def train(problem: Problem, plan: Plan, state: TrainState) -> Iterator[Segment]:
    """Descend from a state to the plan's last epoch, or until every lane has diverged.

    Yields the untrained losses first (epoch 0), then a segment at least every `SEGMENT_SECONDS` and
    at the end of each epoch. Whenever it yields, `state` is complete: a copy of it goes on from
    there.
    """
    if state.epoch < 0:
        state.epoch = 0
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


def make_step(problem: Problem, plan: Plan, state: TrainState) -> Step:
    """One update in place: (R, B, D), (R, B, O) → the batch losses before it, (R,).

    The rule is that of `torch.optim.SGD` (Sutskever et al. 2013 in PyTorch's variant, where lr
    scales the velocity), lane by lane:

        g ← ∇loss(w) + weight_decay · w
        v ← momentum · v + g,   g ← g + momentum · v  if nesterov  else  v
        w ← w − lr · g
    """
    weights = state.params
    # The same memory seen as leaves of the autograd graph: `weights` can then move unrecorded.
    leaves = tuple(w.detach().requires_grad_() for w in weights)
    lr = torch.tensor([lane.lr for lane in plan.lanes]).view(-1, 1, 1).to(weights[0])
    lrs = (lr,) * len(weights)
    ones = torch.ones_like(lr).flatten()

    def step(x: Tensor, y: Tensor) -> Tensor:
        losses = problem.losses(leaves, x, y)
        g = lane_gradients(losses, leaves, ones)
        if plan.weight_decay:
            g = torch._foreach_add(g, weights, alpha=plan.weight_decay)
        if plan.momentum:
            torch._foreach_mul_(state.velocity, plan.momentum)
            torch._foreach_add_(state.velocity, g)
            v = state.velocity
            g = torch._foreach_add(g, v, alpha=plan.momentum) if plan.nesterov else v
        torch._foreach_addcmul_(weights, g, lrs, value=-1)
        return losses.detach()

    return step


def batches(
    problem: Problem, plan: Plan, epoch: int, skip: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of an epoch (from 1) after the first `skip`: (R, B, D) and (R, B, O) each."""
    x, y = problem.data.x, problem.data.y
    lanes, size = len(plan.lanes), plan.batch_size
    order = visiting_order(plan.sampling, len(x), [lane.seed for lane in plan.lanes], epoch)
    used = min(len(x), plan.updates_per_epoch(len(x)) * size)
    numbers_per_batch = lanes * size * (x.shape[1] + y.shape[1])
    block = size * max(1, min(1024, BLOCK_NUMBERS // numbers_per_batch))
    for start in range(skip * size, used, block):
        rows = slice(start, min(start + block, used))
        if order is None:
            xs, ys = (t[rows].expand(lanes, -1, -1) for t in (x, y))
        else:
            index = order[:, rows].to(x.device)
            xs, ys = x[index], y[index]
        yield from zip(torch.split(xs, size, dim=1), torch.split(ys, size, dim=1), strict=True)


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
    # All batches hold B rows, but for what is left to the last one of an epoch.
    rows = torch.full((len(losses), 1), plan.batch_size)
    rows[-1] = min(plan.batch_size, problem.data.rows - state.row_sum - int(rows[:-1].sum()))
    state.loss_sum += (seen.double() * rows).sum(dim=0)
    state.row_sum += int(rows.sum())
    state.samples += int(rows.sum())
    state.updates += len(losses)
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
    alive = None in state.diverged_at
    if state.epoch % plan.eval_every == 0 or state.epoch == plan.epochs or not alive:
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
