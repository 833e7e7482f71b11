"""The eager backend: updates one by one, as PyTorch executes them."""

import math
import time
from collections.abc import Callable, Iterator
from itertools import count

import torch
from torch import Tensor

from gdrun.training.backend import Backend, Updates
from gdrun.training.batches import chunks
from gdrun.training.graphs import make_graphed_step
from gdrun.training.optimizers.step import Step, make_step
from gdrun.training.problem import Problem
from gdrun.training.ranks import ALONE, Pace, Ranks
from gdrun.training.state import Plan, TrainState
from gdrun.training.threads import threads_for


def _execute(
    problem: Problem, plan: Plan, state: TrainState, report_seconds: float
) -> Iterator[Updates]:
    """The updates that follow a state, whose weights are moved in place.

    A portion may be empty: in the middle of a long update whose batch comes in chunks.
    """
    _warm_up(problem, plan, state)
    step = _step(problem, plan, state, plan.division.by_rows)
    clock = make_clock(problem)
    work = problem.work(len(plan.own_lanes), plan.division.by_rows.most(plan.batch_size))
    pace = Pace(plan.ranks, report_seconds)
    done, rows = state.updates, problem.data.rows
    skip = done - state.epoch * plan.updates_per_epoch(rows)
    for epoch in count(state.epoch + 1):
        epoch_chunks = chunks(problem, plan, epoch, skip)
        skip, left = 0, True
        while left:
            losses: list[Tensor] = []
            left = False
            due = next(plan.evaluated_within(rows, after=done), math.inf) - done
            with threads_for(work):
                start = clock()
                pace.begin()
                for chunk in epoch_chunks:
                    loss = step(*chunk)
                    if loss is not None:
                        losses.append(loss)
                    # Ranks cut their rows into chunks of their own, and so wait for the last.
                    is_known = loss is not None or plan.ranks.size == 1
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


def _step(problem: Problem, plan: Plan, state: TrainState, ranks: Ranks) -> Step:
    device = state.params[0].device
    factors = plan.factors_after(state.updates, problem.data.rows, device)
    lr = plan.learning_rates(device)
    # What a user's code does in Python would be left out of a graph.
    has_graphs = device.type == "cuda" and not {"model", "loss"} & problem.own_code.keys()
    how = problem.losses, plan.optimizer, state.params, state.buffers, lr, factors
    if has_graphs and ranks.size == 1:
        return make_graphed_step(*how)
    return make_step(*how, ranks)


def _warm_up(problem: Problem, plan: Plan, state: TrainState) -> None:
    """Take one update on a copy, so that the first one timed doesn't pay for PyTorch's start.

    Or a chunk of one. Of that, ranks may have different numbers: each takes it by itself.
    """
    copy = state.clone()
    with threads_for(problem.work(len(plan.own_lanes), plan.batch_size)):
        for chunk in chunks(problem, plan, epoch=1):
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
