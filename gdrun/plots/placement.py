"""Words beside points and below an axis, where they cover neither each other nor the points.

Sizes of letters are estimated, since measuring them takes long; everything is in points, 1/72 inch.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

POINT = 72  # of them an inch
LETTER = 0.62  # width of a digit, of the size of the letters
GAP = 5.0  # between a point and the words beside it, and between words beside each other
THICK = 2.0  # of a line
ROWS = 2  # of numbers below an axis
# From a point: towards which side the words lie, and how they are aligned there.
SIDES = ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))
ALIGNED = {1: "left", 0: "center", -1: "right"}, {1: "bottom", -1: "top"}


@dataclass(frozen=True)
class Box:
    """A rectangle in points."""

    left: float
    bottom: float
    right: float
    top: float

    def shared(self, other: "Box") -> float:
        """The area that both have."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    @property
    def area(self) -> float:
        """Its own area."""
        return (self.right - self.left) * (self.top - self.bottom)


@dataclass(frozen=True)
class Word:
    """What stands beside a point of the data."""

    text: str
    x: float
    y: float
    color: str


def name_points(
    axes: Axes, words: Sequence[Word], points: Sequence[tuple[float, float]], size: float
) -> None:
    """Write words beside their points, each where it covers least; the axes have their limits.

    Least of other words, points and lines, that is, and it is to be nearest to its own point.
    """
    figure = axes.get_figure()
    assert figure is not None
    scale = POINT / figure.dpi
    whole = Box(*(float(value) * scale for value in axes.get_window_extent().extents))
    # Where limits are only asked for, they are worked out.
    axes.get_xlim(), axes.get_ylim()
    spots = axes.transData.transform([*points, *((word.x, word.y) for word in words)]) * scale
    taken = [Box(x - 4, y - 4, x + 4, y + 4) for x, y in spots[: len(points)]]
    taken += _along_lines(axes, scale)
    for word, (x, y) in zip(words, spots[len(points) :], strict=True):
        width, height = LETTER * size * len(word.text), size
        choices = []
        for across, up in SIDES:
            gap = GAP if across else 1.6 * GAP
            left = x + across * GAP - width * (1 - across) / 2
            bottom = y + up * gap - height * (1 - up) / 2
            box = Box(left, bottom, left + width, bottom + height)
            cost = sum(box.shared(other) for other in taken) + box.area - box.shared(whole)
            middle = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
            if any(math.dist(spot, middle) < math.dist((x, y), middle) - 0.1 for spot in spots):
                cost += box.area
            choices.append((cost, (across, up, gap), box))
        # The first of those that cover least, but for the rounding of floats.
        _, (across, up, gap), box = min(choices, key=lambda choice: round(choice[0], 3))
        taken.append(box)
        axes.annotate(
            word.text,
            (word.x, word.y),
            xytext=(across * GAP, up * gap),
            textcoords="offset points",
            size=size,
            color=word.color,
            ha=ALIGNED[0][across],
            va=ALIGNED[1][up],
        )


def _along_lines(axes: Axes, scale: float) -> list[Box]:
    """Small boxes along all lines of the data, as thick as these about are."""
    found = []
    for line in axes.get_lines():
        if line.get_transform() != axes.transData or line.get_linestyle() == "None":
            continue
        ends = axes.transData.transform(line.get_xydata()) * scale
        for (x0, y0), (x1, y1) in pairwise(ends[np.isfinite(ends).all(axis=1)].tolist()):
            steps = max(1, math.ceil(math.dist((x0, y0), (x1, y1)) / THICK))
            for k in range(steps):
                x, y = x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps
                found.append(Box(x - THICK / 2, y - THICK / 2, x + THICK / 2, y + THICK / 2))
    return found


def rows_of_numbers(
    values: Sequence[float], texts: Sequence[str], limits: tuple[float, float], inches: float
) -> list[int | None]:
    """In which row below a logarithmic axis each number has room; None where it has none.

    The largest comes first, then the others down to the smallest. They ascend.
    """
    size = 9.0
    scale = inches * POINT / math.log(limits[1] / limits[0])
    free = [math.inf] * ROWS  # where the last word of a row begins
    found: list[int | None] = []
    for value, text in zip(reversed(values), reversed(texts), strict=True):
        at, half = math.log(value / limits[0]) * scale, LETTER * size * len(text) / 2
        row = next((k for k, left in enumerate(free) if at + half + GAP <= left), None)
        if row is not None:
            free[row] = at - half
        found.append(row)
    return found[::-1]


def number_ticks(
    axes: Axes, values: Sequence[float], texts: Sequence[str], rows: Sequence[int | None]
) -> None:
    """A tick for each value, and its number in the row that it has, if in any."""
    axes.xaxis.set_major_locator(FixedLocator(list(values)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels(
        ["" if row is None else "\n" * row + text for row, text in zip(rows, texts, strict=True)]
    )
