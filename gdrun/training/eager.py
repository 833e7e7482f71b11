"""Updates one by one, as PyTorch executes them."""

import time
from collections.abc import Callable, Iterator
from itertools import count

import torch
from torch import Tensor

from gdrun.training import backend
from gdrun.training.backend import Chunk, Weights
from gdrun.training.batches import pieces
from gdrun.training.models import Problem
from gdrun.training.sgd import Step, make_step
from gdrun.training.state import Plan, TrainState
from gdrun.training.threads import threads_for


def eagerly(problem: Problem, plan: Plan, state: TrainState) -> Iterator[Chunk]:
    """The updates after a state, whose weights are moved in place.

    A stretch may be empty: in the middle of a long update that is made of pieces.
    """
    _warm_up(problem, plan, state)
    step = _step(problem, plan, state)
    clock = make_clock(problem)
    work = problem.work(len(plan.lanes), plan.batch_size)
    an_epoch = plan.updates_per_epoch(problem.data.rows)
    epoch, skip = state.epoch + 1, state.updates - state.epoch * an_epoch
    if skip == an_epoch:
        yield Chunk(torch.empty(0, len(plan.lanes)), Weights(state.params, state.velocity), 0.0)
        epoch, skip = epoch + 1, 0
    for number in count(epoch):
        epoch_pieces = pieces(problem, plan, number, skip)
        skip, left = 0, True
        while left:
            losses: list[Tensor] = []
            left = False
            with threads_for(work):
                start = clock()
                deadline = time.perf_counter() + backend.SEGMENT_SECONDS
                for piece in epoch_pieces:
                    loss = step(*piece)
                    if loss is not None:
                        losses.append(loss)
                    if time.perf_counter() > deadline:
                        left = True
                        break
                seconds = clock() - start
            if losses or left:
                seen = torch.stack(losses).cpu() if losses else torch.empty(0, len(plan.lanes))
                yield Chunk(seen, Weights(state.params, state.velocity), seconds)


def _step(problem: Problem, plan: Plan, state: TrainState) -> Step:
    lr = plan.rates(state.params[0].device)
    return make_step(problem.losses, plan.rule, state.params, state.velocity, lr)


def _warm_up(problem: Problem, plan: Plan, state: TrainState) -> None:
    """Take one update on a copy, so that the first one timed doesn't pay for PyTorch's start."""
    copy = state.clone()
    with threads_for(problem.work(len(plan.lanes), plan.batch_size)):
        for piece in pieces(problem, plan, epoch=1):
            _step(problem, plan, copy)(*piece)
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
