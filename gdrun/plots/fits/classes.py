"""Classes on a plane: how they look, and which is the likeliest where.

Shapes: S seeds, H × G points of a grid, K classes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb

from gdrun.plots.curves import Array
from gdrun.results.fits import Regions

# Told apart with all common forms of colour vision, the first six at a glance; none is the colour
# of a method. From the eleventh class on the pairs of colour and marker are others.
COLORS = (
    "#AA3377", "#DDAA33", "#33BBEE", "#663300", "#ACD39E",
    "#4B0082", "#F0E442", "#F4A6C0", "#8A8A8A", "#1A1A1A",
)  # fmt: skip
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p")
DARKER = 0.6
PALE, FULL = 0.05, 0.5  # the share of a class's colour where two classes are equal, and for sure
RGB = tuple[float, float, float]
TINY = 1e-45  # about the least that a probability of four bytes can be; zero has no logarithm
FINE = 360  # points across, at least, that regions are coloured at


def color_of(label: int) -> str:
    """The colour of a class."""
    return COLORS[label % len(COLORS)]


def edge_of(label: int) -> RGB:
    """The colour around the marker of a class: a darker one, seen on any background."""
    red, green, blue = to_rgb(color_of(label))
    return (DARKER * red, DARKER * green, DARKER * blue)


def marker_of(label: int) -> str:
    """The marker of a class."""
    return MARKERS[(label + label // len(COLORS)) % len(MARKERS)]


def logs_of(regions: Regions, lanes: Sequence[int]) -> Array:
    """The logarithms of the probabilities of some lanes, (S, H, G, K).

    Between points of the grid they change evenly, where probabilities jump from 0 to 1.
    """
    shape = (len(regions.grid_y), len(regions.grid_x), len(regions.classes))
    found = np.array([np.asarray(regions.probabilities[lane]) for lane in lanes], dtype=float)
    return np.asarray(np.log(np.maximum(found, TINY)).reshape(-1, *shape))


def mean_of(logs: Array) -> Array:
    """The logarithms of the mean probabilities, (H, G, K), of those of seeds."""
    highest = logs.max(axis=0)
    return np.asarray(highest + np.log(np.exp(logs - highest).mean(axis=0)))


def refined(logs: Array) -> Array:
    """The same on a finer grid, which has the points of the coarse one."""
    for axis in (0, 1):
        steps = max(1, -(-FINE // (logs.shape[axis] - 1)))
        at = np.arange((logs.shape[axis] - 1) * steps + 1) / steps
        low = np.minimum(at.astype(int), logs.shape[axis] - 2)
        share = (at - low).reshape((-1, 1, 1) if axis == 0 else (-1, 1))
        below, above = (np.take(logs, low + k, axis=axis) for k in (0, 1))
        logs = below + (above - below) * share
    return logs


def leads(logs: Array, label: int) -> Array:
    """By how much a class is likelier than the likeliest other, (H, G): above 0 in its region."""
    return np.asarray(logs[..., label] - np.delete(logs, label, axis=-1).max(axis=-1))


def painted(logs: Array) -> Array:
    """The colours of a background, (H, G, 3): of the likeliest class, paler if another is close."""
    likely = np.exp(logs - logs.max(axis=-1, keepdims=True))
    likely /= likely.sum(axis=-1, keepdims=True)
    second, first = np.moveaxis(np.partition(likely, -2, axis=-1)[..., -2:], -1, 0)
    colors: Any = np.array([to_rgb(color_of(label)) for label in range(logs.shape[-1])])
    share = PALE + (FULL - PALE) * (first - second)
    return np.asarray(1 - share[..., None] * (1 - colors[logs.argmax(axis=-1)]))
