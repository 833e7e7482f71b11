"""Scales, ticks and labels of axes, chosen by what the curves on them show."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

from gdrun.text import short

# The `gid` of lines that are running means, and of the crosses where curves diverge.
MEAN, CROSS = "mean", "cross"


def label_axes(axes: Axes, x: str, y: str | None) -> None:
    """Name the axes; without a y, the numbers of the panel to the left serve this one, too."""
    axes.set_xlabel(x)
    if not any(len(np.asarray(line.get_xdata())) for line in axes.get_lines()):
        axes.set_xticks([])
        axes.text(0.5, 0.5, "nothing logged", transform=axes.transAxes, ha="center", color="0.5")
    elif axes.get_xscale() == "linear":
        low, high = axes.get_xlim()
        if high - low < 1:
            axes.set_xlim(low - 1, high + 1)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
        # Written out, the large numbers of a long run would overlap.
        axes.xaxis.set_major_formatter("{x:,.0f}" if high < 1e5 else lambda x, _: short(x))
    if y is None:
        axes.tick_params(which="both", labelleft=False)
    else:
        axes.set_ylabel(y)


def cut_below_means(panels: Sequence[Axes]) -> None:
    """Cut off the lowest losses, so that the means fill the height.

    The loss of a single sample may be close to 0, which a logarithmic axis can't show.
    """
    lines = [line for axes in panels for line in axes.get_lines() if line.get_gid() == MEAN]
    means = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])
    positive = means[np.isfinite(means) & (means > 0)]
    if len(positive):
        bottom, top = panels[0].get_ylim()
        panels[0].set_ylim(max(bottom, positive.min() / 30), top)


def log_scale(axes: Axes, *, x: bool) -> None:
    """Make the y axis logarithmic, and on request the x axis, if there is any positive value."""
    lines = [
        np.asarray(line.get_ydata(), dtype=float)
        for line in axes.get_lines()
        if line.get_gid() != CROSS
    ]
    if any((np.isfinite(y) & (y > 0)).any() for y in lines):
        axes.set_yscale("log")
        number_log_axis(axes.yaxis)
        if x:
            axes.set_xscale("log")
            number_log_axis(axes.xaxis)


def number_log_axis(axis: Axis) -> None:
    """Number an axis at powers of ten and, if it spans hardly more than one, between them."""
    low, high = axis.get_view_interval()
    if 0 < low < high and (high < 30 * low or high < 10 * 10 ** math.ceil(math.log10(low))):
        dense = (1, 1.5, 2, 3, 4, 5, 6, 8) if high < 5 * low else (1, 2, 4, 6)
        subs = dense if isinstance(axis, YAxis) else (1, 3)
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter("{x:,g}")
    # Ticks take most of the time to draw a figure, and those without a number tell nothing.
    axis.set_minor_locator(NullLocator())
