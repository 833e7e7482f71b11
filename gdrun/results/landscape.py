"""The train loss around the weights of runs, on a plane: what `gdrun landscape` has found.

Plain numbers, which pictures and sentences are made of.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

ASPECT = 1.25  # of the picture of a plane: how many times as wide as high
STATIONARY = 1e-3  # of the untrained network's gradient; one that is no larger counts as none


@dataclass(frozen=True, slots=True)
class Curvature:
    """The signs of the eigenvalues of the Hessian.

    Attributes:
        negative, zero, positive: how many are below −tolerance, between, and above.
        lowest, highest: of them.
        tolerance: up to which size an eigenvalue may be rounding.
    """

    negative: int
    zero: int
    positive: int
    lowest: float
    highest: float
    tolerance: float


@dataclass(frozen=True, slots=True)
class PathEnd:
    """The last point of a path.

    Attributes:
        gradient: the norm of the gradient of the train loss.
        first_gradient: that of the untrained network.
        curvature: None where there are too many weights for all eigenvalues, or not finite ones.
    """

    gradient: float
    first_gradient: float
    curvature: Curvature | None

    @property
    def is_stationary(self) -> bool:
        """Whether hardly any gradient is left (Kelley 1999, "Iterative methods", sec. 2.1)."""
        return self.gradient <= STATIONARY * self.first_gradient


@dataclass(frozen=True, slots=True)
class PlanePath:
    """The path of one lane of a run, n points at the ends of epochs.

    Attributes:
        name: of the run.
        lane, lr, seed: which lane it is.
        epochs: those of its points.
        x, y: the places on the plane that are nearest to its points.
        losses: the train losses at its points.
        plane_losses: those at the places on the plane.
        end: its last point.
        is_cut: whether it went on to infinity from there.
    """

    name: str
    lane: int
    lr: float
    seed: int
    epochs: Sequence[int]
    x: Sequence[float]
    y: Sequence[float]
    losses: Sequence[float]
    plane_losses: Sequence[float]
    end: PathEnd
    is_cut: bool = False

    @property
    def difference(self) -> float:
        """The median of how far the loss on the plane is from that of the path, relative to it."""
        return median(
            abs(plane - own) / max(abs(own), math.ulp(0.0)) if math.isfinite(plane) else math.inf
            for own, plane in zip(self.losses, self.plane_losses, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Landscape:
    """The train loss on a plane, and the paths of runs beside it.

    Attributes:
        xs, ys: places along the axes of the plane, G and H of them.
        losses: the train losses there: H lists of G. They may be infinite, or NaN.
        paths: of the runs; of a random plane the one point that it goes through.
        parameters: P, the weights of the network.
        explained: the shares of the variance of the points along the axes; None of a random plane.
        random_share: what two directions explain of random walks like the paths.
        seed: of a random plane.
    """

    xs: Sequence[float]
    ys: Sequence[float]
    losses: Sequence[Sequence[float]]
    paths: Sequence[PlanePath]
    parameters: int
    explained: tuple[float, float] | None = None
    random_share: float | None = None
    seed: int | None = None
