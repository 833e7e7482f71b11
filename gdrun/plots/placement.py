"""Labels beside points and below an axis, where they cover neither each other nor the points.

The sizes of letters are estimated, since measuring them takes long. Lengths are in points, 1/72 of
an inch.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from gdrun.plots.scales import CROSS, PEAK, dpi_of

POINTS_PER_INCH = 72
LETTER_WIDTH = 0.62  # of a digit, as a share of the font size
TICK_FONT_SIZE = 9.0
GAP = 5.0  # between a point and its label, and between labels side by side
MARKER = 4.0  # half the width of a point's marker
LINE_WIDTH = 2.0
NEAR = 8.0  # between marks at the edge that share a text
TICK_ROWS = 2  # of numbers below an axis
# The sides of a point on which its label may lie, and how the label is aligned there.
SIDES = ((1, 1), (-1, 1), (1, -1), (-1, -1), (0, 1), (0, -1))
HORIZONTAL: dict[int, Literal["left", "center", "right"]] = {1: "left", 0: "center", -1: "right"}
VERTICAL: dict[int, Literal["bottom", "top"]] = {1: "bottom", -1: "top"}


@dataclass(frozen=True)
class Box:
    """A rectangle in points."""

    left: float
    bottom: float
    right: float
    top: float

    def shared(self, other: "Box") -> float:
        """The area that both boxes cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)

    @property
    def area(self) -> float:
        """The area of the box."""
        return (self.right - self.left) * (self.top - self.bottom)

    @property
    def middle(self) -> tuple[float, float]:
        """The middle of the box."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2


@dataclass(frozen=True)
class Label:
    """Text beside a point of the data."""

    text: str
    x: float
    y: float
    color: str


def label_points(
    axes: Axes, labels: Sequence[Label], points: Sequence[tuple[float, float]], size: float
) -> None:
    """Write labels beside their points, once the axes have their final limits.

    Each lies where it covers least of the other labels, the points and the lines, and if possible
    nearer to its own point than to any other.
    """
    scale = POINTS_PER_INCH / dpi_of(axes)
    panel = Box(*(float(value) * scale for value in axes.get_window_extent().extents))
    axes.get_xlim(), axes.get_ylim()  # matplotlib computes limits only once they are read
    spots = axes.transData.transform([*points, *((each.x, each.y) for each in labels)]) * scale
    taken = [Box(x - MARKER, y - MARKER, x + MARKER, y + MARKER) for x, y in spots[: len(points)]]
    taken += _along_lines(axes, scale)
    for label, (x, y) in zip(labels, spots[len(points) :], strict=True):
        choices = []
        for across, up in SIDES:
            box = _box_beside(x, y, across, up, label, size)
            cost = sum(box.shared(other) for other in taken) + box.area - box.shared(panel)
            distance = math.dist((x, y), box.middle)
            if any(math.dist(spot, box.middle) < distance - 0.1 for spot in spots):
                cost += box.area
            choices.append((cost, (across, up), box))
        # The first of those that cover least; rounded, lest errors of floats decide.
        _, (across, up), box = min(choices, key=lambda choice: round(choice[0], 3))
        taken.append(box)
        axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(across * GAP, up * _gap_above(across)),
            textcoords="offset points",
            size=size,
            color=label.color,
            ha=HORIZONTAL[across],
            va=VERTICAL[up],
        )


def _gap_above(across: int) -> float:
    """The vertical gap between a point and its label, larger where it lies straight above."""
    return GAP if across else 1.6 * GAP


def _box_beside(x: float, y: float, across: int, up: int, label: Label, size: float) -> Box:
    """The box of a label on one side of its point."""
    width, height = LETTER_WIDTH * size * len(label.text), size
    left = x + across * GAP - width * (1 - across) / 2
    bottom = y + up * _gap_above(across) - height * (1 - up) / 2
    return Box(left, bottom, left + width, bottom + height)


def _along_lines(axes: Axes, scale: float) -> list[Box]:
    """Small boxes along all lines of the data."""
    found = []
    for line in axes.get_lines():
        if line.get_transform() != axes.transData or line.get_linestyle() == "None":
            continue
        ends = axes.transData.transform(line.get_xydata()) * scale
        for (x0, y0), (x1, y1) in pairwise(ends[np.isfinite(ends).all(axis=1)].tolist()):
            steps = max(1, math.ceil(math.dist((x0, y0), (x1, y1)) / LINE_WIDTH))
            for k in range(steps):
                x, y = x0 + (x1 - x0) * k / steps, y0 + (y1 - y0) * k / steps
                found.append(
                    Box(
                        x - LINE_WIDTH / 2,
                        y - LINE_WIDTH / 2,
                        x + LINE_WIDTH / 2,
                        y + LINE_WIDTH / 2,
                    )
                )
    return found


@dataclass(frozen=True, order=True)
class EdgeMark:
    """A mark at the upper edge of a panel, and its text.

    Attributes:
        x: where, on the x axis.
        symbol: `x` where a curve diverges, `^` where it leaves the frame.
        text: beside it.
        color: that of the curve.
    """

    x: float
    symbol: Literal["x", "^"]
    text: str
    color: str


def leaves_at(axes: Axes, line: Line2D) -> tuple[float, float] | None:
    """Where a line first leaves the frame at the upper edge, and its peak; None if it doesn't."""
    edge = axes.get_ylim()[1]
    x, y = (np.asarray(data, dtype=float) for data in line.get_data())
    with np.errstate(invalid="ignore"):
        beyond = np.flatnonzero(y > edge)
    if not len(beyond):
        return None
    first = int(beyond[0])
    peak = float(np.nanmax(y))
    if first == 0 or not np.isfinite(y[first - 1]):
        return float(x[first]), peak
    below, above = axes.transData.transform([(x[first - 1], y[first - 1]), (x[first], y[first])])
    top = axes.get_window_extent().y1
    share = (top - below[1]) / (above[1] - below[1]) if np.isfinite(below).all() else 1.0
    across = below[0] + share * (above[0] - below[0])
    return float(axes.transData.inverted().transform((across, top))[0]), peak


def mark_edge(axes: Axes, marks: Sequence[EdgeMark], size: float) -> None:
    """Draw marks at the upper edge, once the axes have their limits, and write beside them.

    Texts that would cover each other go to rows below.
    """
    low, high = axes.get_xlim()
    scale, panel = POINTS_PER_INCH / dpi_of(axes), axes.get_window_extent()
    at_edge = axes.get_xaxis_transform()  # x as on the axis, y from 0 to 1 at the edge
    taken: list[list[tuple[float, float]]] = []

    def spot_of(mark: EdgeMark) -> float:
        """Where a mark is, in points; before the first update, a logarithmic axis begins."""
        across = axes.transData.transform((min(max(mark.x, low), high), axes.get_ylim()[1]))[0]
        return float(across - panel.x0) * scale

    for mark in marks:
        own: Any = {"gid": CROSS, "markeredgewidth": 2} if mark.symbol == "x" else {"gid": PEAK}
        at = min(max(mark.x, low), high)
        own |= {"color": mark.color, "clip_on": False, "zorder": 6, "markersize": 6}
        axes.plot([at], [1.0], mark.symbol, transform=at_edge, **own)
    for mark, spot in _gathered(sorted((mark, spot_of(mark)) for mark in marks)):
        at = min(max(mark.x, low), high)
        width = LETTER_WIDTH * size * len(mark.text)
        right = spot + GAP + width <= panel.width * scale
        start = spot + GAP if right else spot - GAP - width
        reach = (start - GAP, start + width + GAP)
        row = next((k for k, row in enumerate(taken) if _is_free(row, reach)), len(taken))
        taken += [[]] if row == len(taken) else []
        taken[row].append(reach)
        axes.annotate(
            mark.text,
            (at, 1.0),
            xycoords=at_edge,
            xytext=(GAP if right else -GAP, -4 - 1.3 * size * row),
            textcoords="offset points",
            size=size,
            color=mark.color,
            ha="left" if right else "right",
            va="top",
            zorder=6,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.8},
        )
    axes.set_xlim(low, high)


def _gathered(marks: Iterable[tuple[EdgeMark, float]]) -> Iterator[tuple[EdgeMark, float]]:
    """Marks with their places, neighbours of a kind and colour as one with the texts of all."""
    alike: dict[tuple[str, str], list[tuple[EdgeMark, float]]] = defaultdict(list)
    for mark, spot in marks:
        kind = alike[mark.symbol, mark.color]
        if kind and spot - kind[-1][1] < NEAR:
            first, place = kind[-1]
            text = mark.text.removeprefix("lr ").removeprefix("peak ")
            known = first.text.removeprefix("lr ").removeprefix("peak ").split(", ")
            joined = first.text if text in known else f"{first.text}, {text}"
            kind[-1] = replace(first, text=joined), place
        else:
            kind.append((mark, spot))
    yield from sorted(chain.from_iterable(alike.values()))


def _is_free(row: Sequence[tuple[float, float]], reach: tuple[float, float]) -> bool:
    return all(reach[1] <= left or right <= reach[0] for left, right in row)


def rows_of_numbers(
    values: Sequence[float], texts: Sequence[str], limits: tuple[float, float], inches: float
) -> list[int | None]:
    """For ascending values on a logarithmic axis, the row below it in which each number has room.

    None for a number without room. The largest value comes first, then the others down to the
    smallest.
    """
    scale = inches * POINTS_PER_INCH / math.log(limits[1] / limits[0])
    free = [math.inf] * TICK_ROWS  # up to where each row is free
    found: list[int | None] = []
    for value, text in zip(reversed(values), reversed(texts), strict=True):
        middle = math.log(value / limits[0]) * scale
        half = LETTER_WIDTH * TICK_FONT_SIZE * len(text) / 2
        row = next((k for k, end in enumerate(free) if middle + half + GAP <= end), None)
        if row is not None:
            free[row] = middle - half
        found.append(row)
    return found[::-1]


def room_beyond(value: float, text: str, limits: tuple[float, float], inches: float) -> float:
    """How far the number of a value reaches beyond the right end of its axis, in inches."""
    after = inches * math.log(limits[1] / value) / math.log(limits[1] / limits[0])
    return LETTER_WIDTH * TICK_FONT_SIZE * len(text) / 2 / POINTS_PER_INCH - after


def number_ticks(
    axes: Axes, values: Sequence[float], texts: Sequence[str], rows: Sequence[int | None]
) -> None:
    """A tick for each value, with its number in the given row, or without a number."""
    axes.xaxis.set_major_locator(FixedLocator(list(values)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels(
        ["" if row is None else "\n" * row + text for row, text in zip(rows, texts, strict=True)]
    )
