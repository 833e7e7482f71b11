"""The loss over all rows: at one time, or at several together where epochs are short."""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import compress
from typing import TypeVar

import torch
from torch import Tensor

from gdrun.data.rows import Rows
from gdrun.training.computing import computing
from gdrun.training.losses.loss import Metric
from gdrun.training.models.model import Params
from gdrun.training.models.perceptron import Perceptron
from gdrun.training.problem import Problem
from gdrun.training.ranks import Division, Pace

T = TypeVar("T")

# Activations in memory where the ends of several epochs are evaluated together (4 MB).
MAX_STACKED_NUMBERS = 2**20


Numbers = list[float] | list[None]  # of each lane; None: there are no such rows


@dataclass(frozen=True)
class Losses:
    """Mean losses over all training and all validation rows, per lane, and metrics by column."""

    train: list[float]
    val: Numbers
    metrics: Mapping[str, Numbers] = field(default_factory=dict)


@torch.no_grad()
def evaluate(
    problem: Problem,
    division: Division,
    params: Params,
    x: Rows,
    y: Rows,
    pulse: Callable[[], T],
    report_seconds: float,
    metrics: Sequence[Metric] = (),
) -> Generator[T, None, list[list[float]]]:
    """The mean loss over all given rows, (N, D) and (N, T), of each lane; then each of the metrics.

    Yields a `pulse` every `report_seconds` or so meanwhile. Of several ranks, each evaluates its
    own lanes, or its own of the rows.
    """
    lanes, count, ranks = len(params[0]), len(x), division.by_rows
    chunk_rows = problem.rows_at_once(division.most)  # as all ranks know it
    total = torch.zeros(1 + len(metrics), lanes, dtype=torch.float64)
    work = problem.work(lanes, count)
    own, pace = ranks.own(count), Pace(division.ranks, report_seconds)
    for at in range(0, ranks.most(count), chunk_rows):
        if at and pace.is_over():
            yield pulse()
            pace.begin()
        part = slice(own.start + at, min(own.start + at + chunk_rows, own.stop))
        if part.start >= part.stop:
            continue
        with computing(work):
            xs, ys = x[part].expand(lanes, -1, -1), y[part].expand(lanes, -1, -1)
            means = problem.measured(params, xs, ys, metrics)
        total += means.cpu().double() * (part.stop - part.start)
    ranks.sum(total)
    found: list[list[float]] = division.gather(total / count).tolist()
    return found


def evaluate_all(
    problem: Problem,
    division: Division,
    params: Params,
    pulse: Callable[[], T],
    report_seconds: float,
) -> Generator[T, None, Losses]:
    """Mean loss over all training and all validation rows per lane, with pulses as `evaluate`."""
    data, metrics = problem.data, problem.loss.metrics
    how = pulse, report_seconds, metrics
    train = yield from evaluate(problem, division, params, data.x, data.y, *how)
    val: list[list[float]] | None = None
    if len(data.x_val):
        val = yield from evaluate(problem, division, params, data.x_val, data.y_val, *how)
    return _losses(train, val, metrics)


def _losses(
    train: Sequence[list[float]], val: Sequence[list[float]] | None, metrics: Sequence[Metric]
) -> Losses:
    """Loss and metrics over the training rows, and over the validation rows if there are any."""
    none: list[None] = [None] * len(train[0])
    columns: dict[str, Numbers] = {}
    for k, metric in enumerate(metrics, start=1):
        columns |= zip(metric.columns, [train[k], val[k] if val else none], strict=True)
    return Losses(train[0], val[0] if val else none, columns)


def evaluate_stacked(
    problem: Problem,
    division: Division,
    params: Sequence[Tensor],
    due: Sequence[bool],
    *,
    validation: bool = True,
) -> list[Losses | None]:
    """The losses of all lanes at those of E times that are due; weights (E, R, …).

    All None where not even one time's rows go through the network at once.
    """
    found: list[Losses | None] = [None] * len(due)
    together = _times_together(problem, division.most)
    if together > 1:
        size = 1 if _depends_on_place(problem) else together
        for times in _groups(list(compress(range(len(due)), due)), size):
            weights = [tensor[times] for tensor in params]
            losses = _evaluate_together(problem, division, weights, validation)
            for time_, each in zip(times, losses, strict=True):
                found[time_] = each
    return found


def _groups(numbers: list[int], size: int) -> list[list[int]]:
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _depends_on_place(problem: Problem) -> bool:
    """Whether last digits depend on how many times are evaluated together.

    PyTorch's sigmoid rounds the last few numbers of a tensor, which don't fill a vector, otherwise.
    """
    return isinstance(problem.model, Perceptron) and problem.model.activation == "sigmoid"


def _times_together(problem: Problem, lanes: int) -> int:
    """At how many times the losses of so many lanes are evaluated together."""
    rows = max(len(problem.data.x), len(problem.data.x_val))
    if rows > problem.rows_at_once(lanes):
        return 1
    return max(1, MAX_STACKED_NUMBERS // (lanes * rows * problem.model.activations))


@torch.no_grad()
def _evaluate_together(
    problem: Problem, division: Division, weights: Sequence[Tensor], validation: bool
) -> list[Losses]:
    """The losses of all lanes at E times, as if all were lanes; weights (E, R, …)."""
    times, lanes = weights[0].shape[:2]
    # Of one lane alone the mean is taken in another order, which moves last digits.
    copies = 1 if times * lanes > 1 else 2
    params = tuple(torch.cat([tensor.flatten(0, 1)] * copies) for tensor in weights)
    data, every = problem.data, len(params[0])
    metrics = problem.loss.metrics if validation else ()

    def measured(x: Rows, y: Rows) -> list[list[list[float]]]:
        """(E, 1 + metrics, R)."""
        with computing(every * len(x) * problem.model.parameters):
            xs, ys = (rows[:].expand(every, -1, -1) for rows in (x, y))
            found = problem.measured(params, xs, ys, metrics)
        by_time = found.view(len(found), -1, lanes)[:, :times].transpose(0, 1)
        numbers: list[list[list[float]]] = division.gather(by_time).tolist()
        return numbers

    train = measured(data.x, data.y)
    val = measured(data.x_val, data.y_val) if validation and len(data.x_val) else [None] * times
    return [_losses(one, other, metrics) for one, other in zip(train, val, strict=True)]
