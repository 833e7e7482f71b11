"""The loss over all rows: at one time, or at several together where epochs are short."""

import time
from collections.abc import Callable, Generator, Sequence
from itertools import compress
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from gdrun.data.rows import Rows, blocks
from gdrun.training.models.model import Params
from gdrun.training.problem import Problem
from gdrun.training.threads import threads_for

T = TypeVar("T")

# Activations in memory where the ends of several epochs are evaluated together (4 MB).
MAX_STACKED_NUMBERS = 2**20


class Losses(NamedTuple):
    """Mean losses over all training and all validation rows, per lane; None: no such rows."""

    train: list[float]
    val: list[float] | list[None]


@torch.no_grad()
def evaluate(
    problem: Problem,
    params: Params,
    x: Rows,
    y: Rows,
    pulse: Callable[[], T],
    report_seconds: float,
) -> Generator[T, None, list[float]]:
    """The value returned is the mean loss over all given rows, (N, D) and (N, O), of each lane.

    Yields a `pulse` every `report_seconds` or so meanwhile.
    """
    lanes = len(params[0])
    chunk_rows = problem.rows_at_once(lanes)
    total = torch.zeros(lanes, dtype=torch.float64)
    deadline = time.perf_counter() + report_seconds
    work = problem.work(lanes, len(x))
    for k, (xs, ys) in enumerate(zip(blocks(x, chunk_rows), blocks(y, chunk_rows), strict=True)):
        if k and time.perf_counter() > deadline:
            yield pulse()
            deadline = time.perf_counter() + report_seconds
        with threads_for(work):
            mean = problem.losses(params, xs.expand(lanes, -1, -1), ys.expand(lanes, -1, -1))
        total += mean.cpu().double() * len(xs)
    return (total / len(x)).tolist()


def evaluate_all(
    problem: Problem, params: Params, pulse: Callable[[], T], report_seconds: float
) -> Generator[T, None, Losses]:
    """Mean loss over all training and all validation rows per lane, with pulses as `evaluate`."""
    data = problem.data
    train = yield from evaluate(problem, params, data.x, data.y, pulse, report_seconds)
    if not len(data.x_val):
        return Losses(train, [None] * len(train))
    val = yield from evaluate(problem, params, data.x_val, data.y_val, pulse, report_seconds)
    return Losses(train, val)


def evaluate_stacked(
    problem: Problem, params: Sequence[Tensor], due: Sequence[bool], *, validation: bool = True
) -> list[Losses | None]:
    """The losses of all lanes at those of E times that are due; weights (E, R, …).

    All None where not even one time's rows go through the network at once.
    """
    found: list[Losses | None] = [None] * len(due)
    together = _times_together(problem, lanes=params[0].shape[1])
    if together > 1:
        for times in _groups(list(compress(range(len(due)), due)), together):
            losses = _evaluate_together(problem, [tensor[times] for tensor in params], validation)
            for time_, each in zip(times, losses, strict=True):
                found[time_] = each
    return found


def _groups(numbers: list[int], size: int) -> list[list[int]]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _times_together(problem: Problem, lanes: int) -> int:
    """At how many times the losses of so many lanes are evaluated together."""
    rows = max(len(problem.data.x), len(problem.data.x_val))
    if rows > problem.rows_at_once(lanes):
        return 1
    return max(1, MAX_STACKED_NUMBERS // (lanes * rows * problem.model.activations))


@torch.no_grad()
def _evaluate_together(
    problem: Problem, weights: Sequence[Tensor], validation: bool
) -> list[Losses]:
    """The losses of all lanes at E times, as if all were lanes; weights (E, R, …)."""
    times, lanes = weights[0].shape[:2]
    # Of one lane alone the mean is taken in another order, which moves last digits.
    copies = 1 if times * lanes > 1 else 2
    params = tuple(torch.cat([tensor.flatten(0, 1)] * copies) for tensor in weights)
    data, every = problem.data, len(params[0])

    def losses(x: Rows, y: Rows) -> list[list[float]]:
        with threads_for(every * len(x) * problem.model.parameters):
            found = problem.losses(params, *(t[:].expand(every, -1, -1) for t in (x, y)))
        return found.view(-1, lanes)[:times].tolist()

    train = losses(data.x, data.y)
    no_val: list[None] = [None] * lanes
    val: Sequence[list[float] | list[None]] = [no_val] * times
    if validation and len(data.x_val):
        val = losses(data.x_val, data.y_val)
    return [Losses(*each) for each in zip(train, val, strict=True)]
