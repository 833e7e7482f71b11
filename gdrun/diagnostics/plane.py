"""A plane among weights: the one that shows most of some points, by principal components.

The weights of networks are points of many dimensions, and a picture has two. Of all planes the
points lie closest to that through their mean along their first two principal components, whose
share of the variance says how much of them it shows. A random walk, which goes nowhere, lies in
its plane by three quarters already (Antognini & Sohl-Dickstein 2018, "PCA of high dimensional
random walks with comparison to neural network training"): only what is beyond that is shown.

Shapes: n points, P weights.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ROUNDING = 1e-13  # of the variance; what is below it is no direction but rounding, in 64 bits


@dataclass(frozen=True)
class Plane:
    """Where a picture of weights lies.

    Attributes:
        centre: the weights at (0, 0), (P,), in 64 bits.
        directions: where the two axes lead, (2, P), linearly independent.
    """

    centre: Tensor
    directions: Tensor

    def weights(self, places: Tensor) -> Tensor:
        """The weights at places on the plane, (…, 2) → (…, P)."""
        weights: Tensor = self.centre + places.to(self.directions) @ self.directions
        return weights

    def places(self, weights: Tensor) -> Tensor:
        """The places on the plane that are nearest to weights, (…, P) → (…, 2)."""
        offsets: Tensor = weights.to(self.centre) - self.centre
        places: Tensor = offsets @ torch.linalg.pinv(self.directions)
        return places


def principal_plane(points: Tensor) -> tuple[Plane, tuple[float, float]]:
    """The plane that is closest to points (n, P), and the shares of the variance along its axes.

    With X the points less their mean, these are the eigenvectors of XᵀX by way of those of XXᵀ,
    (n, n), which is small. Each points to where its largest entry is positive, so that the same
    points have the same picture. Of points on a line, the second direction is any other.

    Raises:
        ValueError: there are fewer than two weights, or the points are all the same.
    """
    if points.shape[1] < 2:
        raise ValueError("a plane needs two weights")
    centre = points.double().mean(0)
    offsets = points.double() - centre
    products = offsets @ offsets.T
    total = float(products.trace())
    if not total > 0:
        raise ValueError("the points are all the same")
    values, vectors = torch.linalg.eigh(products)
    shares = (values / total).clamp(min=0).tolist()[::-1]
    first = _upright(offsets.T @ vectors[:, -1])
    second_share = shares[1] if len(shares) > 1 else 0.0
    along = offsets.T @ vectors[:, -2] if second_share > ROUNDING else _least(first)
    second = _upright(along - (along @ first) * first)
    return Plane(centre, torch.stack([first, second])), (shares[0], second_share)


def _upright(direction: Tensor) -> Tensor:
    """The direction with length one, its largest entry positive."""
    upright: Tensor = direction / direction.norm() * direction[direction.abs().argmax()].sign()
    return upright


def _least(direction: Tensor) -> Tensor:
    """The axis that a direction has the smallest part of."""
    unit = torch.zeros_like(direction)
    unit[direction.abs().argmin()] = 1.0
    return unit


def random_walk_shares(points: int) -> list[float]:
    """The shares of the variance of a random walk along its principal components, n − 1 of them.

        share_k = 3 / [(n² − 1)(1 − cos(πk/n))]        → 6 / (π²k²) as n grows

    That is of n points in many more dimensions than there are points, where steps are at right
    angles: 60.8 %, 15.2 %, 6.8 %, … (Antognini & Sohl-Dickstein 2018). They sum to 1, as the sum of
    1/(1 − cos(πk/n)) is (n² − 1)/3.
    """
    ks = torch.arange(1, points, dtype=torch.float64)
    shares: list[float] = (3 / ((points**2 - 1) * (1 - torch.cos(torch.pi * ks / points)))).tolist()
    return shares


def random_share(paths: Sequence[Tensor]) -> float:
    """The share that a plane explains of random walks like some paths, (n, P) each.

    Of one path it is the sum of the first two of `random_walk_shares`. Several walks start where
    the paths do, take as many steps in random directions, and each has steps as long as the root
    mean square of its path's: so one that moves further counts more. In many dimensions, products
    of their points are those expected: of two points of a walk, the variance up to the earlier one.
    """
    starts = torch.stack([path[0].double() for path in paths])
    starts = starts - starts.mean(0)
    counts = [len(path) for path in paths]
    which = torch.repeat_interleave(torch.arange(len(paths)), torch.tensor(counts))
    products = (starts @ starts.T)[which][:, which]
    done = 0
    for path, count in zip(paths, counts, strict=True):
        steps = torch.arange(count, dtype=torch.float64)
        variance = _mean_square_step(path)
        own = slice(done, done + count)
        products[own, own] += variance * torch.minimum(steps[:, None], steps[None, :])
        done += count
    products = products - products.mean(0)
    products = products - products.mean(1, keepdim=True)
    total = float(products.trace())
    values = torch.linalg.eigvalsh(products)
    return float(values[-2:].sum()) / total if total > 0 else 1.0


def _mean_square_step(path: Tensor) -> float:
    if len(path) < 2:
        return 0.0
    return float(path.double().diff(dim=0).square().sum()) / (len(path) - 1)
