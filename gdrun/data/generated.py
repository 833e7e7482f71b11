"""Rows that formulas and random numbers make: the article's curve, and what else is trained on.

What is random is drawn by a generator of its own, seeded by `data.seed`: the same config gives the
same rows, whatever was drawn before.
"""

import math
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from gdrun.config.parts.data import (
    CirclesData,
    GeneratedData,
    HadamardData,
    MeanEstimationData,
    MoonsData,
    QuadraticData,
    SpiralData,
)


@dataclass(frozen=True)
class Generated:
    """Rows before they are split and scaled.

    Attributes:
        x, y: (N, D) and (N, 1).
        features, target: the columns' names.
        title: what they are, in a few words.
    """

    x: Tensor
    y: Tensor
    features: tuple[str, ...]
    target: str
    title: str


def generate(config: GeneratedData) -> Generated:
    """The rows of a config."""
    rows, seed = config.rows, config.seed
    match config:
        case QuadraticData():
            x, y = quadratic(rows, config.noise, seed)
            noise = f" + {config.noise:g}·U[0, 1)" if config.noise else ""
            return Generated(x, y, ("x",), "y", f"y = x²{noise}")
        case MeanEstimationData():
            y = numbers(rows, config.mean, config.variance, seed)
            title = f"random numbers of mean {config.mean:g} and variance {config.variance:g}"
            return Generated(y[:, :0], y, (), "x", title)
        case HadamardData():
            x, y = hadamard(rows, seed)
            names = tuple(f"x{k}" for k in range(1, rows))
            return Generated(x, y, names, "y", "orthogonal rows without noise")
        case SpiralData():
            x, y = spiral(rows, config.noise, config.turns, seed)
        case MoonsData():
            x, y = moons(rows, config.noise, seed)
        case CirclesData():
            x, y = circles(rows, config.noise, config.factor, seed)
        case _:
            assert_never(config)
    noise = f" + {config.noise:g}·N(0, 1)" if config.noise else ""
    return Generated(x, y, ("x1", "x2"), "class", f"two {config.source.removesuffix('s')}s{noise}")


def quadratic(rows: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """The article's data, (rows, 1) each: x = linspace(−1, 1), y = x² + noise · U[0, 1).

    The noise is what `torch.manual_seed(seed); torch.rand(rows, 1)` gives.
    """
    x = torch.linspace(-1, 1, rows).unsqueeze(1)
    uniform = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
    return x, x.pow(2) + noise * uniform


def numbers(rows: int, mean: float, variance: float, seed: int) -> Tensor:
    """Normal random numbers, (rows, 1), of exactly this mean and variance (with 1/N), in 64 bits.

    They are those of `torch.manual_seed(seed); torch.randn(rows, 1, dtype=torch.float64)`, shifted
    and scaled. One row has no variance.
    """
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, 1, dtype=torch.float64, generator=generator)
    z -= z.mean()
    if rows > 1:
        z *= math.sqrt(variance) / z.std(correction=0)
    return z.add_(mean)


def hadamard(rows: int, seed: int) -> tuple[Tensor, Tensor]:
    """Rows of Sylvester's matrix, d of them, and a linear function of them, in 64 bits.

    The entry (i, j) of the matrix is 1 where i and j share an even number of binary ones, and else
    −1 (Sylvester 1867, "Thoughts on inverse orthogonal matrices"). x, (d, d − 1), are all columns
    but the first, which is constant. y, (d, 1), is the matrix times d normal random coefficients,
    scaled so that their squares have the sum 1: then the mean of y² is 1.
    """
    bits = torch.arange(rows)
    shared, powers = bits.unsqueeze(1) & bits, range(max(1, (rows - 1).bit_length()))
    ones = sum((shared >> power) & 1 for power in powers)
    matrix = 1.0 - 2.0 * torch.as_tensor(ones).remainder(2).double()
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randn(rows, 1, dtype=torch.float64, generator=generator)
    return matrix[:, 1:], matrix @ (weights / weights.norm())


def spiral(rows: int, noise: float, turns: float, seed: int) -> tuple[Tensor, Tensor]:
    """Two intertwined spirals, as x (rows, 2) and the class of each row (rows, 1).

    Class 1 has the Archimedean spiral r = ¼ + θ / 2π at evenly spaced θ from 0 to 2π · turns,
    class 0 the same turned by half a turn. So along each ray from the middle the classes take
    turns, half a unit apart, and `noise` means the same for any number of turns. 194 rows in three
    turns, without noise, are those of Lang & Witbrock (1988, "Learning to tell two spirals apart",
    Proceedings of the 1988 Connectionist Models Summer School), at half their size and rotated.
    """

    def arm(count: int) -> Tensor:
        angle = torch.linspace(0, 2 * math.pi * turns, count, dtype=torch.float64)
        return (0.25 + angle / (2 * math.pi)).unsqueeze(1) * _on_circle(angle)

    return _in_turns(-arm(rows // 2), arm(rows - rows // 2), noise, seed)


def moons(rows: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """Two interleaving half circles, as x (rows, 2) and the class of each row (rows, 1).

    Class 0 is (cos θ, sin θ) and class 1 is (1 − cos θ, ½ − sin θ), at evenly spaced θ from 0 to π.
    Without noise these are the points of scikit-learn's `make_moons`, in another order.
    """

    def arc(count: int) -> Tensor:
        return _on_circle(torch.linspace(0, math.pi, count, dtype=torch.float64))

    other = torch.tensor([1.0, 0.5], dtype=torch.float64) - arc(rows - rows // 2)
    return _in_turns(arc(rows // 2), other, noise, seed)


def circles(rows: int, noise: float, factor: float, seed: int) -> tuple[Tensor, Tensor]:
    """A circle in another, as x (rows, 2) and the class of each row (rows, 1).

    Class 0 is (cos θ, sin θ) at evenly spaced θ from 0 to 2π, which is left out, and class 1 is
    `factor` times that. Without noise these are the points of scikit-learn's `make_circles`, in
    another order.
    """

    def circle(count: int) -> Tensor:
        return _on_circle(torch.arange(count, dtype=torch.float64) * (2 * math.pi / count))

    return _in_turns(circle(rows // 2), factor * circle(rows - rows // 2), noise, seed)


def _on_circle(angle: Tensor) -> Tensor:
    """(…) → (…, 2), points of the unit circle."""
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def _in_turns(class_0: Tensor, class_1: Tensor, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """The rows of two classes, one of class 1, one of class 0 and so on, with normal noise.

    So any two neighbours are of both classes, also where rows are visited in order. The noise is
    what `torch.manual_seed(seed); torch.randn(rows, 2, dtype=torch.float64)` gives.

    Args:
        class_0: (N // 2, 2).
        class_1: as many, or one more.
        noise: its deviation in each coordinate.
        seed: of the noise.
    """
    y = (torch.arange(len(class_0) + len(class_1)) + 1).remainder(2).unsqueeze(1)
    x = torch.empty(len(y), 2, dtype=torch.float64)
    x[0::2], x[1::2] = class_1, class_0
    if noise:  # or the signs of zeros would depend on the seed
        generator = torch.Generator().manual_seed(seed)
        x += noise * torch.randn(x.shape, generator=generator, dtype=x.dtype)
    return x, y
