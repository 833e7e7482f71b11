"""The train loss at many weights: on a plane, and along a path.

Each loss is that of the network over all training rows, as the loop has it at the end of an epoch:
nothing is interpolated. Many weights go through the network together, as if they were lanes.

Shapes: L weights at a time, P weights of a network, R lanes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product

import torch
from torch import Tensor

from gdrun.diagnostics.derivatives import finish
from gdrun.diagnostics.plane import Plane
from gdrun.training.evaluate import evaluate
from gdrun.training.models.model import Params
from gdrun.training.problem import Problem
from gdrun.training.ranks import Division

TOGETHER_NUMBERS = 2**21  # weights and activations at a time (8 MB)
PULSE_SECONDS = 0.1
OnPart = Callable[[float], None]  # called with the part that is done, again and again


def as_vectors(params: Params) -> Tensor:
    """The weights of R lanes, (R, …) each, as vectors (R, P)."""
    return torch.cat([tensor.flatten(1) for tensor in params], dim=1)


def as_params(vectors: Tensor, like: Params) -> Params:
    """Vectors (L, P) as the weights of L lanes, (L, …) each, of the shapes of a lane's, (…)."""
    parts = torch.split(vectors, [tensor.numel() for tensor in like], dim=1)
    return tuple(
        part.reshape(len(vectors), *tensor.shape).to(tensor)
        for part, tensor in zip(parts, like, strict=True)
    )


def losses_at(
    problem: Problem, like: Params, vectors: Tensor, on_part: OnPart = lambda _: None
) -> list[float]:
    """The train losses at weights (L, P); `like` has the shapes of a lane's weights."""
    found: list[float] = []
    size = _together(problem, vectors.shape[1])
    for part in torch.split(vectors, size):
        pulse = partial(on_part, len(found) / len(vectors))
        found += _losses(problem, as_params(part, like), pulse)
        on_part(len(found) / len(vectors))
    return found


def surface(
    problem: Problem,
    like: Params,
    plane: Plane,
    xs: Sequence[float],
    ys: Sequence[float],
    on_part: OnPart = lambda _: None,
) -> list[list[float]]:
    """The train losses at the points of a grid on a plane: a list for each y, a loss for each x.

    Args:
        problem: the rows, the network and the loss.
        like: the weights of a lane, (…) each, whose shapes those on the plane have.
        plane: where.
        xs: places along its first axis.
        ys: those along its second.
        on_part: called with the part that is done.
    """
    places = torch.tensor([(x, y) for y, x in product(ys, xs)], dtype=torch.float64)
    found: list[float] = []
    # The weights of all points may not fit into memory together.
    for part in torch.split(places, _together(problem, len(plane.centre))):
        found += losses_at(problem, like, plane.weights(part))
        on_part(len(found) / len(places))
    return [found[start : start + len(xs)] for start in range(0, len(found), len(xs))]


def _together(problem: Problem, parameters: int) -> int:
    """At how many weights losses are computed together."""
    rows = min(problem.data.rows, problem.rows_at_once(1))
    return max(1, TOGETHER_NUMBERS // (parameters + rows * problem.model.activations))


def _losses(problem: Problem, params: Params, pulse: Callable[[], None]) -> list[float]:
    """The train losses of some lanes."""
    data = problem.data
    division = Division(len(params[0]))
    (losses,) = finish(evaluate(problem, division, params, data.x, data.y, pulse, PULSE_SECONDS))
    return [*losses]
