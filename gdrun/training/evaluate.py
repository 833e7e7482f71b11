"""The loss over all rows: at the end of an epoch, or of several at once where they are short."""

import time
from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from gdrun.data.rows import Rows, blocks
from gdrun.training import backend
from gdrun.training.backend import Losses
from gdrun.training.models import Params, Problem
from gdrun.training.threads import threads_for

T = TypeVar("T")


# Numbers in flight where the ends of several epochs are evaluated at once (4 MB).
TOGETHER_NUMBERS = 2**20


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
    deadline = time.perf_counter() + backend.SEGMENT_SECONDS
    work = problem.work(lanes, len(x))
    for k, (xs, ys) in enumerate(zip(blocks(x, chunk), blocks(y, chunk), strict=True)):
        if k and time.perf_counter() > deadline:
            yield pulse()
            deadline = time.perf_counter() + backend.SEGMENT_SECONDS
        with threads_for(work):
            mean = problem.losses(params, xs.expand(lanes, -1, -1), ys.expand(lanes, -1, -1))
        total += mean.cpu().double() * len(xs)
    return (total / len(x)).tolist()


def evaluate_all(
    problem: Problem, params: Params, pulse: Callable[[], T]
) -> Generator[T, None, Losses]:
    """Mean loss over all training and all validation rows of each lane, in pulses as `evaluate`."""
    data = problem.data
    train = yield from evaluate(problem, params, data.x, data.y, pulse)
    if not len(data.x_val):
        return Losses(train, [None] * len(train))
    return Losses(train, (yield from evaluate(problem, params, data.x_val, data.y_val, pulse)))


def evaluated_together(problem: Problem, lanes: int) -> int:
    """At the ends of how many epochs the losses of so many lanes are evaluated at once.

    One, where all rows don't go through the network at once.
    """
    rows = max(len(problem.data.x), len(problem.data.x_val))
    if rows > problem.rows_at_once(lanes):
        return 1
    return max(1, TOGETHER_NUMBERS // (lanes * rows * sum(problem.network.sizes)))


@torch.no_grad()
def evaluate_together(problem: Problem, ends: Sequence[Tensor]) -> list[Losses]:
    """The losses of all lanes at E ends of epochs, as if all were lanes; weights (E, R, …)."""
    epochs, lanes = ends[0].shape[:2]
    # Of one lane alone the mean is taken in another order, which moves last digits.
    copies = 1 if epochs * lanes > 1 else 2
    params = tuple(torch.cat([tensor.flatten(0, 1)] * copies) for tensor in ends)
    data, every = problem.data, len(params[0])

    def losses(x: Rows, y: Rows) -> list[list[float]]:
        with threads_for(every * len(x) * problem.network.parameters):
            found = problem.losses(params, *(t[:].expand(every, -1, -1) for t in (x, y)))
        return found.view(-1, lanes)[:epochs].tolist()

    train = losses(data.x, data.y)
    none: list[None] = [None] * lanes
    val: Sequence[list[float] | list[None]] = [none] * epochs
    if len(data.x_val):
        val = losses(data.x_val, data.y_val)
    return [Losses(*each) for each in zip(train, val, strict=True)]
