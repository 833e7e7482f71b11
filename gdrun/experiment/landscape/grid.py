"""Where on a plane losses are computed: a grid around the paths, coarse where a loss takes long."""

import math

import torch
from torch import Tensor

from gdrun.results.landscape import ASPECT
from gdrun.training.problem import Problem

SIDES = (15, 61)  # points along an axis of the grid: odd, so that its middle is one
GRID_WORK = 2e11  # multiply-adds of the whole grid, for which it may get coarser
MARGIN = 0.15  # beside the paths, as a share of their extent
ON_A_LINE = 1e-6  # of the extent: what is narrower has no width
FLATTEST = 4.0  # times as wide as high: up to that both axes have one scale


def side_of(problem: Problem) -> int:
    """How many points the grid has along an axis: fewer where a loss takes long."""
    most = math.isqrt(int(GRID_WORK / max(1, problem.data.rows * problem.model.parameters)))
    low, high = SIDES
    return max(low, min(high, most)) // 2 * 2 + 1


def grid_around(places: Tensor, side: int) -> tuple[list[float], list[float]]:
    """The axes of a grid around places on a plane, (n, 2).

    Both have one scale in a picture that is `ASPECT` times as wide as high, unless the places lie
    nearly on a line, `FLATTEST` times as long in one direction as in the other.
    """
    low, high = places.min(0).values, places.max(0).values
    middle, spans = (low + high) / 2, (high - low) * (1 + 2 * MARGIN)
    across, up = spans.tolist()
    is_line = min(across, up) <= ON_A_LINE * max(across, up)
    is_flat = across > FLATTEST * ASPECT * up or up > FLATTEST * across / ASPECT
    if is_line or not is_flat:
        across, up = max(across, ASPECT * up), max(up, across / ASPECT)
    axes = [
        torch.linspace(-span / 2, span / 2, side, dtype=torch.float64) + at
        for span, at in zip((across, up), middle, strict=True)
    ]
    return axes[0].tolist(), axes[1].tolist()
