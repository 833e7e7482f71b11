"""A random plane around the weights of a network, as long in each filter as the weights are.

Directions of random numbers alone would show how large the weights are: a ReLU network computes the
same with one layer twice as large and the next one half, and then looks flatter. So each filter of
a direction, the weights that come into one unit, gets the norm of the same filter of the network
(Li et al. 2018, "Visualizing the loss landscape of neural nets", sec. 4):

    d_ij ← d_ij / |d_ij| · |w_ij|        for filter j of layer i

Biases, and all that isn't a matrix or more, don't move along: they are no filters, and the code of
that paper leaves them out by default, too.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from gdrun.diagnostics.plane import Plane
from gdrun.training.models.model import Model, Params
from gdrun.training.models.perceptron import Perceptron

PARALLEL = 1e-12  # of the area of a square: two directions that span no more are one


def random_plane(model: Model, params: Params, seed: int) -> Plane:
    """A plane through the weights of one lane, (…) each, along two directions of random numbers.

    Raises:
        ValueError: no weights but biases are there, or they are all zero, so that nothing moves.
    """
    generator = torch.Generator().manual_seed(seed)
    axes = filter_axes(model, params)
    directions = []
    for _ in range(2):
        parts = [_like(tensor, axis, generator) for tensor, axis in zip(params, axes, strict=True)]
        directions.append(torch.cat([part.flatten() for part in parts]))
    both = torch.stack(directions)
    squares = both.square().sum(1).prod()
    area = squares - (both[0] @ both[1]) ** 2
    if not float(area) > PARALLEL * float(squares):
        raise ValueError("the network has too few weights besides its biases")
    return Plane(torch.cat([tensor.double().flatten() for tensor in params]), both)


def filter_axes(model: Model, params: Params) -> Sequence[int | None]:
    """Along which axis each tensor of a lane has its filters, one after the other; None of biases.

    A perceptron has its weights as (in, out). Other networks have them as PyTorch does: (out, …).
    """
    if isinstance(model, Perceptron):
        return [1 if k % 2 == 0 else None for k in range(len(params))]
    return [0 if tensor.dim() >= 2 else None for tensor in params]


def _like(tensor: Tensor, axis: int | None, generator: torch.Generator) -> Tensor:
    """Random numbers with the norms that the filters of a tensor have, in 64 bits."""
    drawn = torch.randn(tensor.shape, dtype=torch.float64, generator=generator)
    if axis is None or not math.prod(tensor.shape):
        return torch.zeros_like(drawn)
    others = [each for each in range(tensor.dim()) if each != axis]
    norms = [each.square().sum(others, keepdim=True).sqrt() for each in (tensor.double(), drawn)]
    return drawn * norms[0] / norms[1]
