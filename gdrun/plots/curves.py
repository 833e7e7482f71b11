"""The curves of results on given axes: medians and bands over seeds, running means.

One seed is shown as it is, several seeds as their median and the band between their 20th and 80th
percentile. A lane that diverged counts as infinite.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from gdrun.plots.looks import Look, Looks
from gdrun.plots.scales import CROSS, MEAN, log_scale
from gdrun.results.downsample import lowest_of_blocks
from gdrun.results.history import History
from gdrun.results.lanes import band_positions, lanes_by_rate
from gdrun.results.run import RunResult

Array = NDArray[np.float64]
MAX_POINTS = 5000  # of a noisy curve, or one of several seeds; no picture is wider
MAX_VECTOR_POINTS = 2000  # a line of more points is embedded as pixels in SVG and PDF files


def draw_steps(axes: Axes, result: RunResult, ceiling: float, looks: Looks) -> None:
    """The loss of every logged update, faint, or the band of several seeds; bold, a running mean.

    Above the ceiling a curve counts as diverging.
    """
    groups = list(lr_groups(result, looks))
    alpha = 0.3 / len(groups) ** 0.5  # fainter where there are several learning rates
    for look, lanes in groups:
        histories = [result.histories[lane] for lane in lanes]
        updates, losses = _align(histories, "steps", "update", "loss")
        middles, means = _epoch_means(histories, updates, losses)
        means[means > ceiling] = np.inf
        losses[losses > ceiling] = np.inf
        updates, median, low, high = _quantiles(updates, losses)
        faint: Any = {"color": look.color, "rasterized": len(updates) > MAX_VECTOR_POINTS}
        if len(lanes) > 1 and look.band:
            axes.fill_between(updates, low, high, **faint, alpha=alpha, linewidth=0)
        elif len(lanes) == 1 and result.series.batch_size < result.description.rows:
            shown = _extremes(losses[0])
            axes.plot(updates[shown], median[shown], **faint, alpha=alpha, linewidth=0.7)
        draw_band(axes, middles, means, look, band=False, gid=MEAN)
    log_scale(axes, x=False)


def _epoch_means(
    histories: Sequence[History], updates: Array, losses: Array
) -> tuple[Array, Array]:
    """Each lane's running mean over an epoch or, if not all updates are logged, one mean per epoch.

    With the updates at the middle of each mean.
    """
    longest = max(histories, key=lambda history: len(history.steps["epoch"]))
    if len(updates) and longest.has_every_update:
        return running_mean(updates, losses, _updates_per_epoch(longest))
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
    """A loss at the ends of epochs against a cost; both are columns of `epochs.csv`.

    Without a `log_x`, every cost but epochs is shown on a logarithmic axis.
    """
    log_x = cost != "epoch" if log_x is None else log_x
    for look, lanes in lr_groups(result, looks):
        x, losses = _align([result.histories[lane] for lane in lanes], "epochs", cost, loss)
        losses[losses > ceiling] = np.inf
        # Before training the cost is 0, which a logarithmic axis can't show.
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
    """The median of curves, (lanes, points), and their band; a cross on top where it diverges."""
    x, median, low, high = _quantiles(x, curves)
    if band and look.band and len(curves) > 1:
        axes.fill_between(x, low, high, color=look.color, alpha=0.2, linewidth=0)
    finite = np.isfinite(median)
    dot: Any = {"marker": "o", "markersize": 4} if finite.all() and len(median) == 1 else {}
    axes.plot(x, median, color=look.color, linestyle=look.style, gid=gid, **dot)
    if not finite.all():
        first = np.argmin(finite)
        top = axes.get_xaxis_transform()  # x as on the axis, y from 0 at its foot to 1 at its top
        cross: Any = {"color": look.color, "markeredgewidth": 2, "alpha": 0.8, "clip_on": False}
        axes.plot(x[[first]], [0.97], "x", transform=top, gid=CROSS, **cross)


def lr_groups(result: RunResult, looks: Looks) -> Iterator[tuple[Look, list[int]]]:
    """For each learning rate, how its curve is drawn and the positions of its lanes."""
    for lr, positions in lanes_by_rate(result.series.lanes).items():
        yield looks[result.series.name, lr], positions


def _align(histories: Sequence[History], table: str, x: str, y: str) -> tuple[Array, Array]:
    """One x axis, (points,), and y, (lanes, points), which is infinite once a lane diverged.

    Points that weren't evaluated are left out.
    """
    columns = [getattr(history, table) for history in histories]
    longest = max(columns, key=lambda column: len(column[x]))
    values = np.full((len(columns), len(longest[x])), np.inf)
    for row, column in zip(values, columns, strict=True):
        row[: len(column[y])] = column[y]
    evaluated = ~np.isnan(np.asarray(longest[y], dtype=float))
    values[np.isnan(values)] = np.inf
    return np.asarray(longest[x], dtype=float)[evaluated], values[:, evaluated]


def _quantiles(x: Array, curves: Array) -> tuple[Array, Array, Array, Array]:
    """Where to draw, and there the median, 20th and 80th percentile over lanes; NaN if infinite."""
    median = np.median(curves, axis=0)
    if len(curves) > 1:
        shown = _extremes(median)
        x, median, curves = x[shown], median[shown], curves[:, shown]
    low, high = np.sort(curves, axis=0)[list(band_positions(len(curves)))]
    median, low, high = (np.where(np.isfinite(q), q, np.nan) for q in (median, low, high))
    return x, median, low, high


def _extremes(values: Array) -> NDArray[np.intp]:
    """Positions of at most about `MAX_POINTS` values: the lowest and highest of each block.

    To draw percentiles of many lanes, or a noisy line, at more points than a picture has would take
    seconds.
    """
    if len(values) <= MAX_POINTS:
        return np.arange(len(values))
    starts = np.arange(0, len(values), -(-2 * len(values) // MAX_POINTS))
    unknown = np.isnan(values)  # shown, as a gap, where a whole block is
    lowest = lowest_of_blocks(np.where(unknown, np.inf, values), starts)
    highest = lowest_of_blocks(np.where(unknown, np.inf, -values), starts)
    return np.unique(np.concatenate([lowest, highest, [0, len(values) - 1]]))


def running_mean(x: Array, y: Array, window: int) -> tuple[Array, Array]:
    """The mean of `window` consecutive values along the last axis, at the middle of its window.

    A window is the end of one block of values and the beginning of the next one, so sums within
    blocks suffice. The difference of two running sums would lose small losses after a large one.
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


def _updates_per_epoch(history: History) -> int:
    """The number of logged updates per epoch."""
    epochs = history.steps["epoch"]
    return bisect_right(epochs, epochs[0]) if len(epochs) else 1
