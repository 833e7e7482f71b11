"""The curves of results on given axes: medians and bands over seeds, running means, log scales.

One seed is shown as it is, several as their median and the band between their 20th and 80th
percentile. A lane that diverged counts as infinite.
numpy is here as the array type of matplotlib's interface.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis, YAxis
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from gdrun.analysis.sweep_result import BAND
from gdrun.plots.looks import Look, Looks
from gdrun.results.history import History
from gdrun.results.run import RunResult
from gdrun.text import short

Array = NDArray[np.float64]
# Points of a noisy curve, or one of several seeds: a picture is no wider.
SHOWN_POINTS = 5000
# Above this many points a line is embedded as pixels in SVG and PDF files.
RASTERIZE_ABOVE = 2000
MEAN, CROSS = "mean", "cross"  # mark the lines that are running means and crosses


def draw_steps(
    axes: Axes,
    result: RunResult,
    ceiling: float,
    looks: Looks,
) -> None:
    """Faint: the loss of every logged update (of several seeds, their band); bold: running mean."""
    groups = list(lr_groups(result, looks))
    several = len(groups) ** 0.5
    for look, lanes in groups:
        histories = [result.histories[lane] for lane in lanes]
        updates, losses = _align(histories, "steps", "update", "loss")
        where, means = _epoch_means(histories, updates, losses)
        means[means > ceiling] = np.inf
        losses[losses > ceiling] = np.inf
        updates, middle, low, high = _quantiles(updates, losses)
        faint: Any = {"color": look.color, "rasterized": len(updates) > RASTERIZE_ABOVE}
        if len(lanes) > 1 and look.band:
            axes.fill_between(updates, low, high, **faint, alpha=0.3 / several, linewidth=0)
        elif len(lanes) == 1 and result.series.batch_size < result.description.rows:
            shown = _extremes(losses[0])
            axes.plot(updates[shown], middle[shown], **faint, alpha=0.3 / several, linewidth=0.7)
        draw_band(axes, where, means, look, band=False, gid=MEAN)
    log_scale(axes, x=False)


def _epoch_means(
    histories: Sequence[History], updates: Array, losses: Array
) -> tuple[Array, Array]:
    """Each lane's mean over an epoch's updates: running, or an epoch each if not all are logged."""
    longest = max(histories, key=lambda history: len(history.steps["epoch"]))
    if len(updates) and longest.has_every_update:
        return running_mean(updates, losses, _updates_an_epoch(longest))
    ends, means = _align(histories, "epochs", "updates", "batch_loss")
    half = (float(ends[0]) - 1) / 2 if len(ends) else 0.0
    return ends - half, means


def draw_epochs(
    axes: Axes,
    result: RunResult,
    ceiling: float,
    looks: Looks,
    loss: str,
    cost: str,
    *,
    log_x: bool | None = None,
) -> None:
    """A loss at the ends of epochs against what it cost; both are columns of `epochs.csv`.

    Without a `log_x`, all costs but epochs are shown on a log axis.
    """
    log_x = cost != "epoch" if log_x is None else log_x
    for look, lanes in lr_groups(result, looks):
        x, losses = _align([result.histories[lane] for lane in lanes], "epochs", cost, loss)
        losses[losses > ceiling] = np.inf
        # Nothing has been spent before training, which a logarithmic axis can't show.
        shown = slice(1 if log_x else 0, None)
        draw_band(axes, x[shown], losses[:, shown], look)


def draw_band(
    axes: Axes,
    x: Array,
    curves: Array,
    look: Look,
    *,
    band: bool = True,
    gid: str | None = None,
) -> None:
    """The median of curves, (lanes, points), and their band; a cross on top where it leaves."""
    x, middle, low, high = _quantiles(x, curves)
    if band and look.band and len(curves) > 1:
        axes.fill_between(x, low, high, color=look.color, alpha=0.2, linewidth=0)
    alive = np.flatnonzero(np.isfinite(middle))
    single: Any = {"marker": "o", "markersize": 4} if len(alive) == len(middle) == 1 else {}
    axes.plot(x, middle, color=look.color, linestyle=look.style, gid=gid, **single)
    gone = np.flatnonzero(~np.isfinite(middle))
    if len(gone):
        edge = axes.get_xaxis_transform()  # x as on the axis, y from 0 at its foot to 1 at its top
        cross: Any = {"color": look.color, "markeredgewidth": 2, "alpha": 0.8, "clip_on": False}
        axes.plot(x[gone[:1]], [0.97], "x", transform=edge, gid=CROSS, **cross)


def label_axes(axes: Axes, x: str, y: str | None) -> None:
    """Name the axes; without a y, its numbers are those of the panel to the left."""
    axes.set_xlabel(x)
    if not any(len(np.asarray(line.get_xdata())) for line in axes.get_lines()):
        axes.set_xticks([])
        axes.text(0.5, 0.5, "nothing logged", transform=axes.transAxes, ha="center", color="0.5")
    elif axes.get_xscale() == "linear":
        low, high = axes.get_xlim()
        if high - low < 1:
            axes.set_xlim(low - 1, high + 1)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
        # In full, the numbers of a long run would run into each other.
        in_full = high < 1e5
        axes.xaxis.set_major_formatter("{x:,.0f}" if in_full else lambda x, _: short(x))
    if y is None:
        axes.tick_params(which="both", labelleft=False)
    else:
        axes.set_ylabel(y)


def cut_below_the_means(panels: Sequence[Axes]) -> None:
    """Let the means fill the height: single samples come close to zero, which has no logarithm."""
    lines = [line for axes in panels for line in axes.get_lines() if line.get_gid() == MEAN]
    means = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])
    positive = means[np.isfinite(means) & (means > 0)]
    if len(positive):
        bottom, top = panels[0].get_ylim()
        panels[0].set_ylim(max(bottom, positive.min() / 30), top)


def log_scale(axes: Axes, *, x: bool) -> None:
    """Log scales where there is anything positive to show on them."""
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
    """Numbers at powers of ten or, where the axis has hardly more than one, between them."""
    low, high = axis.get_view_interval()
    if 0 < low < high and (high < 30 * low or high < 10 * 10 ** math.ceil(math.log10(low))):
        dense = (1, 1.5, 2, 3, 4, 5, 6, 8) if high < 5 * low else (1, 2, 4, 6)
        subs = dense if isinstance(axis, YAxis) else (1, 3)
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter("{x:,g}")
    # Ticks are most of the time that a figure takes: those without a number tell nothing.
    axis.set_minor_locator(NullLocator())


def lr_groups(result: RunResult, looks: Looks) -> Iterator[tuple[Look, list[int]]]:
    """The lanes of each learning rate, and how their curve is drawn."""
    lanes: dict[float, list[int]] = {}
    for k, lane in enumerate(result.series.lanes):
        lanes.setdefault(lane.lr, []).append(k)
    for lr, own in lanes.items():
        yield looks[result.series.name, lr], own


def _align(histories: Sequence[History], table: str, x: str, y: str) -> tuple[Array, Array]:
    """One x axis and (lanes, points) of y: evaluated points only, infinite once a lane diverged."""
    columns = [getattr(history, table) for history in histories]
    longest = max(columns, key=lambda column: len(column[x]))
    values = np.full((len(columns), len(longest[x])), np.inf)
    for row, column in zip(values, columns, strict=True):
        row[: len(column[y])] = column[y]
    evaluated = ~np.isnan(np.asarray(longest[y], dtype=float))
    values[np.isnan(values)] = np.inf
    return np.asarray(longest[x], dtype=float)[evaluated], values[:, evaluated]


def _quantiles(x: Array, curves: Array) -> tuple[Array, Array, Array, Array]:
    """Where to draw, and there median, 20th and 80th percentile over lanes, NaN where infinite."""
    middle = np.median(curves, axis=0)
    if len(curves) > 1:
        shown = _extremes(middle)
        x, middle, curves = x[shown], middle[shown], curves[:, shown]
    # Observed values, not interpolated ones: between a finite and an infinite one lies nothing.
    low, high = np.percentile(curves, BAND, axis=0, method="inverted_cdf")
    middle, low, high = (np.where(np.isfinite(q), q, np.nan) for q in (middle, low, high))
    return x, middle, low, high


def _extremes(values: Array) -> NDArray[np.intp]:
    """Where at most about `SHOWN_POINTS` values are that have the lowest and highest of all parts.

    Percentiles of many lanes at more points than a picture has would take seconds, and so would
    a noisy line through them.
    """
    if len(values) <= SHOWN_POINTS:
        return np.arange(len(values))
    width = -(-2 * len(values) // SHOWN_POINTS)
    starts = np.arange(0, len(values), width)
    padded = np.concatenate([values, np.full(-len(values) % width, values[-1])])
    parts = padded.reshape(-1, width)
    ends = [0, len(values) - 1]
    found = np.concatenate([starts + parts.argmin(axis=1), starts + parts.argmax(axis=1), ends])
    return np.unique(np.minimum(found, len(values) - 1))


def running_mean(x: Array, y: Array, window: int) -> tuple[Array, Array]:
    """The mean of `window` consecutive values along the last axis, at the middle of its window.

    A window is the end of one block of values and the beginning of the next, so sums within blocks
    suffice; differences of running sums would lose the small losses that follow a large one.
    """
    length = y.shape[-1]
    window = max(1, min(window, length))
    padding = [(0, 0)] * (y.ndim - 1) + [(0, -length % window)]
    blocks = np.pad(y, padding).reshape(*y.shape[:-1], -1, window)
    with np.errstate(over="ignore"):
        from_start = blocks.cumsum(axis=-1).reshape(*y.shape[:-1], -1)
        to_end = blocks[..., ::-1].cumsum(axis=-1)[..., ::-1].reshape(*y.shape[:-1], -1)
        first = np.arange(length - window + 1)
        ends = np.where(first % window, from_start[..., first + window - 1], 0.0)
        return (x[first] + x[first + window - 1]) / 2, (to_end[..., first] + ends) / window


def _updates_an_epoch(history: History) -> int:
    """How many logged updates an epoch has."""
    epochs = history.steps["epoch"]
    return bisect_right(epochs, epochs[0]) if len(epochs) else 1
