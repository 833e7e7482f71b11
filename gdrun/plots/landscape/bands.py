"""Bands of losses: the levels of contours, and the colours of what lies between two of them.

The ground between two contours and a point whose loss is between their levels have one colour.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap
from matplotlib.ticker import MaxNLocator

DARKEST = 0.72  # of the greys: what is darker would hide lines
SPANS_DECADES = 5.0  # times as large as the lowest: from there on, levels are apart by their ratio
LEVELS = (6, 15)  # how many
MOST_RATIO = 1e8  # of the highest level to the lowest
CONSTANT = 1e-9  # of losses: what is within it is one
CEILING = 1e3  # of the levels, above which losses are all the same
BEYOND = 3.0  # times the highest loss of a path: the ground above it has one colour
# The leading digits of levels, from many in a decade to one in several.
DIGITS = ((1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8), (1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,))


@dataclass(frozen=True)
class Bands:
    """Levels, rising, and whether they are apart by their ratio."""

    levels: tuple[float, ...]
    is_log: bool

    @cached_property
    def colors(self) -> Colormap:
        """Greys, for losses from low to high: light to dark, so that paths stand out."""
        greys = colormaps["Greys"](np.linspace(0.02, DARKEST, len(self.levels)))
        return ListedColormap([tuple(grey) for grey in greys])

    @cached_property
    def norm(self) -> BoundaryNorm:
        """Loss → the number of its band; the last is of all that is above the highest level."""
        return BoundaryNorm(self.levels, len(self.levels), extend="max")

    def color(self, loss: float) -> Any:
        """The colour of a loss."""
        return self.colors(int(self.norm(max(loss, self.levels[0]))))

    def heights(self, losses: Any) -> Any:
        """Losses as what contours are interpolated between: logarithms where levels are by ratio.

        What is infinite, or NaN, lies above all levels, and what is below them at the lowest.
        """
        low, high = self.levels[0], self.levels[-1]
        values = np.asarray(losses, dtype=float)
        values = np.where(np.isfinite(values), np.maximum(values, low), np.inf)
        if self.is_log:
            return np.log10(np.minimum(values, high * CEILING))
        return np.minimum(values, high + CEILING * (high - low))


def bands_of(ground: Iterable[float], paths: Sequence[float], beyond: float = BEYOND) -> Bands:
    """The bands for the losses of a plane and those of paths, which all lie within.

    Args:
        ground: losses on the plane, which rise far above the paths where nobody was.
        paths: losses of points.
        beyond: up to how many times the highest of these the ground has bands.
    """
    known = [loss for loss in ground if math.isfinite(loss)]
    finite = [loss for loss in paths if math.isfinite(loss)]
    low, high = min([*known, *finite]), max(finite or known)
    top = high + (beyond - 1) * abs(high)
    high = min(max([*known, *finite]), top)
    positive = [loss for loss in (*known, *finite) if loss > 0]
    if low >= 0 and positive and high > SPANS_DECADES * min(positive):
        low = max(low, min(positive), high / MOST_RATIO)
        return Bands(_by_ratio(low, high), is_log=True)
    return Bands(_evenly(low, high), is_log=False)


def _by_ratio(low: float, high: float) -> tuple[float, ...]:
    """Round levels around losses, the finest that are few enough."""
    fewest, most = LEVELS
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in DIGITS:
        values = [float(f"{digit}e{power}") for power in powers for digit in digits]
        inside = [value for value in values if low < value < high]
        below = max([value for value in values if value <= low], default=low)
        above = min([value for value in values if value >= high], default=high)
        if len(inside) + 2 <= most:
            return (below, *inside, above)
    every = -(-len(powers) // fewest)
    return tuple(float(f"1e{power}") for power in [*powers, powers[-1] + 1][::every])


def _evenly(low: float, high: float) -> tuple[float, ...]:
    size = max(abs(low), abs(high)) or 1.0
    if high - low <= CONSTANT * size:  # as of a loss that is the same everywhere
        low, high = low - size / 2, high + size / 2
    values = MaxNLocator(nbins=LEVELS[1] - 1, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    return tuple(float(value) for value in values)
