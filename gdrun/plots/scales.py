"""Scales, ticks and labels of axes, chosen by what the curves on them show."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.ticker import (
    FixedLocator,
    LogFormatterMathtext,
    LogLocator,
    MaxNLocator,
    NullLocator,
)
from numpy.typing import NDArray

from gdrun.results.run import RunResult
from gdrun.text import short

# The `gid` of lines that are means, of crosses where curves diverge, and of peaks beyond the frame.
MEAN, CROSS, PEAK = "mean", "cross", "peak"


LETTER = 0.62 * 9  # the width of a digit beside an axis, in points
AVERAGE_LETTER = 0.56  # the width of a letter, as a share of the font size
TICK_GAP = 9.0  # at least, between numbers side by side
BESIDE = 13.0  # that a number may reach beyond the end of its axis
LINE = 12.0  # from one number to the next above it
MAX_TICKS = 6
# The leading digits of the values that an axis of less than two powers of ten is numbered at.
ROUND = ((1, 1.5, 2, 3, 4, 5, 6, 8), (1, 2, 3, 4, 6), (1, 2, 4, 6), (1, 2, 5), (1, 3), (1,))
SHORT_FROM, PLAIN_FROM = 1e5, 1e-3  # between these, numbers are written as they are
MARGIN = 0.05  # below the lowest value, as a share of the height
FRAME = 10  # times the untrained loss: curves leave the frame above it


def label_axes(axes: Axes, x: str, y: str | None, *, whole: bool = True) -> None:
    """Name the axes; without a y, the numbers of the panel to the left serve this one, too.

    `whole` says whether the x axis has whole numbers.
    """
    axes.set_xlabel(x)
    if not any(len(np.asarray(line.get_xdata())) for line in axes.get_lines()):
        axes.set_xticks([])
        axes.text(0.5, 0.5, "nothing logged", transform=axes.transAxes, ha="center", color="0.5")
    elif axes.get_xscale() == "linear":
        _number_linear_axis(axes, whole=whole)
    if not values_of(axes).any():  # all curves diverge before there is anything to see
        axes.set_yticks([])
    if y is None:
        axes.tick_params(which="both", labelleft=False)
    else:
        axes.set_ylabel(y)


def _number_linear_axis(axes: Axes, *, whole: bool) -> None:
    """Number the x axis at as many values as have room."""
    low, high = axes.get_xlim()
    if whole and high - low < 1:
        axes.set_xlim(low - 1, high + 1)
    widest = LETTER * (max(len(_count(low)), len(_count(high))) if whole else 6) + TICK_GAP
    bins = max(1, min(MAX_TICKS, int(points_across(axes) / widest)))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=bins, steps=[1, 2, 5, 10], integer=whole))
    axes.xaxis.set_major_formatter((lambda x, _: _count(x)) if whole else "{x:g}")


def _count(value: float) -> str:
    """A whole number; written out, the large ones of a long run would overlap."""
    return f"{value:,.0f}" if abs(value) < 1e5 else short(value)


def points_across(axes: Axes) -> float:
    """The width of a panel in points."""
    return float(axes.get_window_extent().width) * 72 / dpi_of(axes)


def points_up(axes: Axes) -> float:
    """The height of a panel in points."""
    return float(axes.get_window_extent().height) * 72 / dpi_of(axes)


def fitting(texts: Sequence[str], room: float, size: float) -> str:
    """The first of some texts that has room, in points; the last if none has."""
    width = AVERAGE_LETTER * size
    return next((text for text in texts if width * len(text) <= room), texts[-1])


def dpi_of(axes: Axes) -> float:
    """The pixels per inch of the figure that a panel is in."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    return figure.dpi


def edge_of(results: Sequence[RunResult]) -> float:
    """The loss at the upper edge of the frame, which curves leave that go beyond it.

    Infinite where no lane ends below it: then what is beyond is all there is to see.
    """
    lanes = [history for result in results for history in result.histories]
    untrained = [lane.epochs["train_loss"][0] for lane in lanes]
    highest = max(filter(math.isfinite, untrained), default=math.inf)
    edge = FRAME * highest if highest > 0 else math.inf
    lowest = min(lane.latest.evaluated["train_loss"] for lane in lanes)
    return edge if lowest < edge else math.inf


def frame(panels: Sequence[Axes], edge: float) -> None:
    """Set the limits of panels that share their y axis: up to an edge, down to what tells.

    The loss of a single sample may be close to 0, which a logarithmic axis can't show: below the
    means the lowest losses are cut off.
    """
    bottom, top = panels[0].get_ylim()
    lines = [line for axes in panels for line in axes.get_lines() if line.get_gid() == MEAN]
    if lines:
        means = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])
        positive = means[np.isfinite(means) & (means > 0)]
        if len(positive):
            bottom = max(bottom, float(positive.min()) / 30)
    if bottom < edge < top:
        lowest = min(axes.dataLim.minposy for axes in panels)
        if lowest < edge:  # else all that is drawn lies beyond
            bottom, top = max(bottom, lowest * (lowest / edge) ** MARGIN), edge
    panels[0].set_ylim(bottom, top)
    for axes in panels:
        if axes.get_yscale() == "log":
            number_log_axis(axes.yaxis)


def log_scale(axes: Axes, *, x: bool, y: bool = True) -> None:
    """Make the axes logarithmic, each on request, if there is anything to see."""
    if not values_of(axes).any():
        return
    if y:
        axes.set_yscale("log")
        number_log_axis(axes.yaxis)
    if x:
        axes.set_xscale("log")
        number_log_axis(axes.xaxis)


def values_of(axes: Axes) -> NDArray[np.float64]:
    """The finite values of all curves of a panel."""
    values = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
    known = np.concatenate([np.empty(0), *values])
    finite: NDArray[np.float64] = known[np.isfinite(known)]
    return finite


def widen(axes: Axes, places: Sequence[float]) -> None:
    """Widen the x axis so that some places are on it; 0 is not on a logarithmic one."""
    logarithmic = axes.get_xscale() == "log"
    low, high = axes.get_xlim()
    beyond = [at for at in places if not low <= at <= high and (at > 0 or not logarithmic)]
    if not beyond:
        return
    axes.set_xlim(min(low, *beyond), max(high, *beyond))
    if logarithmic:
        number_log_axis(axes.xaxis)


def number_log_axis(axis: Axis) -> None:
    """Number an axis at powers of ten or, if it spans hardly two, at values between them.

    Called once its limits and its panel are as they will be; numbers are as many as have room. A
    linear axis stays as it is.
    """
    if axis.get_scale() != "log":
        return
    low, high = axis.get_view_interval()
    # Ticks take most of the time to draw a figure, and those without a number tell nothing.
    axis.set_minor_locator(NullLocator())
    upright, axes = isinstance(axis, YAxis), axis.axes
    powers_from = 200 if upright else 50  # side by side, powers are the shortest numbers
    if not 0 < low < high < math.inf or high > powers_from * low:
        axis.set_major_locator(LogLocator())
        axis.set_major_formatter(LogFormatterMathtext())
        return
    length = points_up(axes) if upright else points_across(axes)
    ticks = _values_between(low, high, length, upright=upright)
    axis.set_major_locator(FixedLocator(ticks))
    axis.set_major_formatter(lambda x, _: _tick(x))


def _tick(value: float) -> str:
    """A value beside an axis, in one way for all that are near each other."""
    if value >= SHORT_FROM:
        return short(value)
    return f"{value:,g}" if value >= PLAIN_FROM else np.format_float_positional(value, trim="-")


def _values_between(low: float, high: float, length: float, *, upright: bool) -> list[float]:
    """As many round values as have room side by side or, if upright, above each other."""
    for digits in ROUND:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        values = [float(f"{digit}e{power}") for power in powers for digit in digits]
        values = [value for value in values if low <= value <= high]
        sizes = [LINE if upright else LETTER * len(_tick(value)) + TICK_GAP for value in values]
        places = [length * math.log(value / low) / math.log(high / low) for value in values]
        if values and not upright and places[-1] + (sizes[-1] - TICK_GAP) / 2 > length + BESIDE:
            values, sizes, places = values[:-1], sizes[:-1], places[:-1]  # it would be cut off
        gaps = zip(pairwise(places), pairwise(sizes), strict=True)
        if values and all(b - a >= (one + other) / 2 for (a, b), (one, other) in gaps):
            return values
    return [float(f"{math.sqrt(low) * math.sqrt(high):.2g}")]
