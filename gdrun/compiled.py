"""Many updates at a time, executed by a compiled program.

A call takes U updates in each of L laps: whole epochs, or a part of one. Shapes: R lanes, computed
in C groups of G, the last of which may be filled up; P weights and biases of a lane.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import compress

import torch
from torch import Tensor

from gdrun import stretches
from gdrun.evaluation import evaluate_together, evaluated_together
from gdrun.models import Params, Problem
from gdrun.program import program_for
from gdrun.programs import Run, Updates
from gdrun.state import Plan, TrainState
from gdrun.stretches import Execute, Losses, Stretch, Weights
from gdrun.threads import threads_for
from gdrun.visits import Laps, Visits

# Losses of a call, which the logs have to take before anybody is listened to.
MOST_LOSSES = 2**18
# Numbers of rows, and weights at ends of epochs, of a call: new memory takes longer than they do.
MOST_NUMBERS, MOST_WEIGHTS = 2**20, 2**19
FIRST, GROWTH = 64, 8  # updates of the first call, and how many times as many the next may have


@dataclass(frozen=True)
class _Layout:
    """How the weights of R lanes lie in memory, (C, P, G), and as what they are handed out."""

    lanes: int
    group: int
    shapes: tuple[torch.Size, ...]

    @property
    def filled_up(self) -> int:
        """C times G."""
        return -(-self.lanes // self.group) * self.group

    def pack(self, tensors: Params) -> Tensor:
        """(R, …) each → (C, P, G), what is missing like the last lane."""
        rows = torch.cat([tensor.flatten(1) for tensor in tensors], dim=1)
        rows = torch.cat([rows, rows[-1:].expand(self.filled_up - self.lanes, -1)])
        return rows.view(-1, self.group, rows.shape[1]).transpose(1, 2).contiguous()

    def unpack(self, packed: Tensor) -> list[Tensor]:
        """(L, C, P, G) → (L, R, …) each."""
        rows = packed.transpose(2, 3).flatten(1, 2)[:, : self.lanes]
        parts = torch.split(rows, [shape.numel() for shape in self.shapes], dim=2)
        shaped = zip(parts, self.shapes, strict=True)
        return [part.reshape(*part.shape[:2], *shape).contiguous() for part, shape in shaped]


@dataclass(frozen=True)
class _Call:
    """What a call came to.

    Attributes:
        losses: (L, U, R).
        params, velocity: (L, R, …) each, after each lap.
        seconds: what it took.
    """

    losses: Tensor
    params: list[Tensor]
    velocity: list[Tensor]
    seconds: float


def compiled(run: Run) -> Execute:
    """Execute updates by what `program_for` the same problem and plan was compiled to."""
    return partial(_execute, run)


def _execute(run: Run, problem: Problem, plan: Plan, state: TrainState) -> Iterator[Stretch]:
    """The updates after a state, whose weights are replaced."""
    layout = _layout(problem, plan, state)
    visits = Visits(problem.data, plan)
    weights = layout.pack(state.params)
    velocity = layout.pack(state.velocity) if state.velocity else None
    done, an_epoch = state.updates, plan.updates_per_epoch(problem.data.rows)
    if done == (state.epoch + 1) * an_epoch:
        yield from _by_laps(problem, plan, done, _standing(state))
    number, most = FIRST, _most_updates(problem, plan, layout)
    while done < plan.epochs * an_epoch:
        laps = visits.laps(done, number)
        call = _call(run, visits, layout, laps, weights, velocity)
        yield from _by_laps(problem, plan, done, call)
        taken = laps.laps * laps.updates
        done += taken
        in_time = int(stretches.SEGMENT_SECONDS * taken / call.seconds)
        number = max(1, min(in_time, number * GROWTH, most))


def _layout(problem: Problem, plan: Plan, state: TrainState) -> _Layout:
    shapes = tuple(tensor.shape[1:] for tensor in state.params)
    return _Layout(len(plan.lanes), program_for(problem, plan).lanes, shapes)


def _most_updates(problem: Problem, plan: Plan, layout: _Layout) -> int:
    """How many updates a call may have by what it takes of memory, and gives to log."""
    an_epoch = plan.updates_per_epoch(problem.data.rows)
    ends = MOST_WEIGHTS // (layout.filled_up * problem.network.parameters)
    columns = max(1, problem.data.x.shape[1])
    rows = MOST_NUMBERS // (layout.lanes * plan.batch_size * columns)
    return min(max(1, ends) * an_epoch, rows, MOST_LOSSES // layout.filled_up)


def _call(
    run: Run,
    visits: Visits,
    layout: _Layout,
    laps: Laps,
    weights: Tensor,
    velocity: Tensor | None,
) -> _Call:
    """Go on for some laps; weights and velocity, (C, P, G), are moved."""
    start = time.perf_counter()
    plan = visits.plan
    with threads_for(1):
        x, y, rows = visits.rows(laps)
    lr = torch.empty(layout.filled_up)
    lr[:] = plan.rates(lr.device)[-1]
    lr[: layout.lanes] = plan.rates(lr.device)
    losses = torch.empty(laps.laps, laps.updates, layout.filled_up)
    ends = [torch.empty(laps.laps, *t.shape) for t in (weights, velocity) if t is not None]
    run(
        Updates(
            laps=laps.laps,
            updates=laps.updates,
            batch=plan.batch_size,
            last=laps.last,
            lanes=layout.filled_up,
            visitors=layout.lanes,
            x=x.data_ptr(),
            y=y.data_ptr(),
            rows=rows.data_ptr() if rows is not None else None,
            weights=weights.data_ptr(),
            velocity=velocity.data_ptr() if velocity is not None else None,
            lr=lr.data_ptr(),
            losses=losses.data_ptr(),
            ends_w=ends[0].data_ptr(),
            ends_v=ends[1].data_ptr() if velocity is not None else None,
        )
    )
    seconds = time.perf_counter() - start
    params, *buffers = map(layout.unpack, ends)
    return _Call(losses[..., : layout.lanes], params, buffers[0] if buffers else [], seconds)


def _standing(state: TrainState) -> _Call:
    """What a call came to that ended where a state is."""
    params, velocity = (
        [tensor.unsqueeze(0) for tensor in each] for each in (state.params, state.velocity)
    )
    return _Call(torch.empty(1, 0, len(state.diverged_at)), params, velocity, 0.0)


def _by_laps(problem: Problem, plan: Plan, done: int, call: _Call) -> Iterator[Stretch]:
    """What a call came to, lap by lap."""
    params = zip(*(tensor.unbind() for tensor in call.params), strict=True)
    buffers = zip(*(tensor.unbind() for tensor in call.velocity), strict=True)
    seconds = call.seconds / len(call.losses)
    known = _known(problem, plan, done, call)
    for losses, end in zip(call.losses, known, strict=True):
        yield Stretch(losses, Weights(next(params), next(buffers, ())), seconds, end)


def _known(problem: Problem, plan: Plan, done: int, call: _Call) -> Iterator[Losses | None]:
    """The losses after each lap, or None where they aren't due.

    Several are evaluated at once, where that can be done.
    """
    an_epoch = plan.updates_per_epoch(problem.data.rows)
    laps, updates, _ = call.losses.shape
    epochs = [divmod(done + (lap + 1) * updates, an_epoch) for lap in range(laps)]
    due = [
        not rest and (epoch % plan.eval_every == 0 or epoch == plan.epochs)
        for epoch, rest in epochs
    ]
    together = evaluated_together(problem, len(plan.lanes))
    left = list(compress(range(laps), due))
    found: list[Losses] = []
    for is_due in due:
        if is_due and together > 1 and not found:
            group, left = left[:together], left[together:]
            found = evaluate_together(problem, [tensor[group] for tensor in call.params])
            found.reverse()
        yield found.pop() if is_due and found else None
