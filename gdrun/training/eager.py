"""The eager backend: updates one by one, as PyTorch executes them; on a GPU some are recorded."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import torch
from torch import Tensor

from gdrun.training.backend import Backend, Updates
from gdrun.training.batches import Batches
from gdrun.training.computing import computing
from gdrun.training.graphs import RecordedUpdates, can_be_recorded
from gdrun.training.optimizers.step import Step, make_step
from gdrun.training.problem import Problem
from gdrun.training.ranks import ALONE, Pace, Ranks
from gdrun.training.state import Plan, TrainState

# Takes the updates of an epoch (from 1) after the first so many, some at a time: their losses, (R,)
# each. None of them where a batch isn't complete yet.
UpdatesOfEpoch = Callable[[int, int], Iterator[Sequence[Tensor]]]


def _execute(
    problem: Problem, plan: Plan, state: TrainState, report_seconds: float
) -> Iterator[Updates]:
    """The updates that follow a state, whose weights are moved in place.

    A portion may be empty: in the middle of a long update whose batch comes in chunks.
    """
    _warm_up(problem, plan, state)
    updates_of = _updates_of_epochs(problem, plan, state)
    clock = make_clock(problem)
    work = problem.work(len(plan.own_lanes), plan.division.by_rows.most(plan.batch_size))
    pace = Pace(plan.ranks, report_seconds)
    done, rows = state.updates, problem.data.rows
    skip = done - state.epoch * plan.updates_per_epoch(rows)
    for epoch in count(state.epoch + 1):
        updates = updates_of(epoch, skip)
        skip, left = 0, True
        while left:
            losses: list[Tensor] = []
            left = False
            due = next(plan.evaluated_within(rows, after=done), math.inf) - done
            with computing(work):
                start = clock()
                pace.begin()
                for taken in updates:
                    losses += taken
                    # Ranks cut their rows into chunks of their own, and so wait for the last.
                    is_known = bool(taken) or plan.ranks.size == 1
                    if len(losses) == due or (is_known and pace.is_over()):
                        left = True
                        break
                seconds = clock() - start
            done += len(losses)
            if losses:
                yield Updates(torch.stack(losses).cpu().unsqueeze(0), seconds)
            elif left:
                yield Updates(torch.empty(1, 0, len(plan.own_lanes)), seconds)


EAGER = Backend(_execute, stacks_epochs=False)


def _updates_of_epochs(problem: Problem, plan: Plan, state: TrainState) -> UpdatesOfEpoch:
    """What takes the updates that follow a state."""
    if can_be_recorded(problem, plan):
        return RecordedUpdates(problem, plan, state).of_epoch
    batches, step = Batches(problem, plan), _step(problem, plan, state, plan.division.by_rows)

    def one_by_one(epoch: int, skip: int) -> Iterator[Sequence[Tensor]]:
        for chunk in batches.chunks(epoch, skip):
            loss = step(*chunk)
            yield () if loss is None else (loss,)

    return one_by_one


def _step(problem: Problem, plan: Plan, state: TrainState, ranks: Ranks) -> Step:
    device = state.params[0].device
    factors = plan.factors_after(state.updates, problem.data.rows, device)
    lr = plan.learning_rates(device)
    return make_step(
        problem.losses, plan.optimizer, state.params, state.buffers, lr, factors, ranks
    )


def _warm_up(problem: Problem, plan: Plan, state: TrainState) -> None:
    """Take one update on a copy, so that the first one timed doesn't pay for PyTorch's start.

    Or a chunk of one. Of that, ranks may have different numbers: each takes it by itself.
    """
    copy = state.clone()
    with computing(problem.work(len(plan.own_lanes), plan.batch_size)):
        for chunk in Batches(problem, plan).chunks(epoch=1):
            _step(problem, plan, copy, ALONE)(*chunk)
            return


def make_clock(problem: Problem) -> Callable[[], float]:
    """Seconds, read when the device has finished what it was given."""
    device = problem.data.x.device

    def clock() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        elif device.type == "mps":
            torch.mps.synchronize()
        return time.perf_counter()

    return clock
