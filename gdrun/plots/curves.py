"""The curves of results on given axes: medians and bands over seeds, and where they diverge.

One seed is shown as it is, several seeds as their median and the band between their 20th and 80th
percentile. A lane that diverged counts as infinite.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from gdrun.plots.looks import Look, Looks
from gdrun.plots.scales import number_log_axis
from gdrun.results.axes import Cost
from gdrun.results.lanes import band_positions, lanes_by_rate
from gdrun.results.rows.downsample import lowest_of_blocks
from gdrun.results.rows.history import History
from gdrun.results.rows.log_rows import SCHEDULED_LR
from gdrun.results.run import RunResult, or_inf

Array = NDArray[np.float64]
MAX_POINTS = 5000  # of a noisy curve, or one of several seeds; no picture is wider
BAND_ALPHA = 0.2
UPPER, LOWER = 0.66, 0.26  # shares of the height of a panel with learning rates below it
DECADE = 10  # learning rates that are so far apart are told apart on a logarithmic axis
LOWEST = 200  # that axis begins at so small a part of the lowest learning rate, not below
MAX_VECTOR_POINTS = 2000  # a line of more points is embedded as pixels in SVG and PDF files


@dataclass(frozen=True)
class Trace:
    """A curve that was drawn.

    Attributes:
        lr: its learning rate.
        lines: what was drawn of it.
        diverges_at: where on the x axis it diverges; None if it doesn't.
    """

    lr: float
    lines: Sequence[Line2D]
    diverges_at: float | None


def draw_epochs(
    axes: Axes,
    result: RunResult,
    looks: Looks,
    loss: str,
    cost: Cost,
    *,
    log_x: bool | None = None,
) -> list[Trace]:
    """A loss at the ends of epochs against a cost; both are columns of `epochs.csv`.

    Without a `log_x`, every cost but epochs is shown on a logarithmic axis.
    """
    log_x = cost != "epoch" if log_x is None else log_x
    traces = []
    for look, lanes in lr_groups(result, looks):
        x, losses = align([result.histories[lane] for lane in lanes], "epochs", cost, loss)
        # Before training the cost is 0, which a logarithmic axis can't show.
        shown = slice(1 if log_x else 0, None)
        line = draw_band(axes, x[shown], losses[:, shown], look)
        lr = result.series.lanes[lanes[0]].lr
        traces.append(Trace(lr, [line], divergence(result, lanes, cost)))
    return traces


def draw_rates_below(axes: Axes, result: RunResult, looks: Looks) -> None:
    """Make a panel less high, and below it draw the learning rates at the ends of epochs."""
    whole = axes.get_position()
    height = UPPER * whole.height
    axes.set_position((whole.x0, whole.y1 - height, whole.width, height))
    axes.tick_params(labelbottom=False)
    below = axes.inset_axes((0, 1 - 1 / UPPER, 1, LOWER / UPPER), sharex=axes)
    below.set(xlabel="epoch", ylabel="lr")
    draw_epochs(below, result, looks, SCHEDULED_LR, "epoch")
    lrs = result.series.lrs
    if max(lrs) >= DECADE * min(lrs):
        below.set_yscale("log")
        below.set_ylim(bottom=max(below.get_ylim()[0], min(lrs) / LOWEST))
        number_log_axis(below.yaxis)
    else:
        below.set_ylim(bottom=0)
        below.yaxis.set_major_locator(MaxNLocator(nbins=3, steps=[1, 2, 5, 10]))
        below.yaxis.set_major_formatter("{x:g}")


def draw_band(
    axes: Axes,
    x: Array,
    curves: Array,
    look: Look,
    *,
    band: bool = True,
    gid: str | None = None,
) -> Line2D:
    """The median of curves, (lanes, points), and their band; what isn't finite isn't drawn."""
    x, median, low, high = quantiles(x, curves)
    if band and look.band and len(curves) > 1:
        axes.fill_between(x, low, high, color=look.color, alpha=BAND_ALPHA, linewidth=0)
    finite = np.isfinite(median)
    dot: Any = {"marker": "o", "markersize": 4} if finite.sum() == 1 else {}
    (line,) = axes.plot(x, median, color=look.color, linestyle=look.style, gid=gid, **dot)
    return line


def divergence(result: RunResult, lanes: Sequence[int], cost: Cost) -> float | None:
    """The cost at which the median over lanes diverges, to the update; None if it doesn't."""
    ends = [(or_inf(result.lanes[lane].diverged_at), lane) for lane in lanes]
    update, lane = sorted(ends)[(len(ends) - 1) // 2]
    return _cost_of(result, lane, update, cost) if math.isfinite(update) else None


def _cost_of(result: RunResult, lane: int, update: float, cost: Cost) -> float:
    """What the update took at which a lane diverged; within an epoch, each takes the same time."""
    end, table = result.lanes[lane], result.histories[lane].epochs
    if cost == "updates":
        return update
    if cost == "samples":
        return end.samples
    if table["updates"][-1] >= update:
        return float(np.interp(update, table["updates"], table[cost]))
    if cost == "seconds":  # stopped within that epoch
        return end.seconds
    return table["epoch"][-1] + (end.samples - table["samples"][-1]) / result.description.rows


def lr_groups(result: RunResult, looks: Looks) -> Iterator[tuple[Look, list[int]]]:
    """For each learning rate, how its curve is drawn and the positions of its lanes."""
    for lr, positions in lanes_by_rate(result.series.lanes).items():
        yield looks[result.series.name, lr], positions


def _at_rest(history: History, column: Sequence[float]) -> float:
    """What a lane's numbers stay at once it has ended: its last known one unless it diverged."""
    last = (history.epochs[name][-1] for name in ("batch_loss", "train_loss"))
    known = (number for number in reversed(column) if not math.isnan(number))
    return math.inf if any(map(math.isinf, last)) else next(known, math.inf)


def align(histories: Sequence[History], table: str, x: str, y: str) -> tuple[Array, Array]:
    """One x axis, (points,), and y, (lanes, points), which is infinite once a lane diverged.

    It stays as it was once a lane was stopped. Points that weren't evaluated are left out.
    """
    columns = [getattr(history, table) for history in histories]
    longest = max(columns, key=lambda column: len(column[x]))
    values = np.full((len(columns), len(longest[x])), np.inf)
    for row, column, history in zip(values, columns, histories, strict=True):
        row[: len(column[y])] = column[y]
        if len(column[y]) < len(row):
            row[len(column[y]) :] = _at_rest(history, column[y])
    evaluated = ~np.isnan(np.asarray(longest[y], dtype=float))
    values[np.isnan(values)] = np.inf
    return np.asarray(longest[x], dtype=float)[evaluated], values[:, evaluated]


def quantiles(x: Array, curves: Array) -> tuple[Array, Array, Array, Array]:
    """Where to draw, and there the median, 20th and 80th percentile over lanes; NaN if infinite."""
    median = np.median(curves, axis=0)
    if len(curves) > 1:
        shown = extremes(median)
        x, median, curves = x[shown], median[shown], curves[:, shown]
    low, high = np.sort(curves, axis=0)[list(band_positions(len(curves)))]
    median, low, high = (np.where(np.isfinite(q), q, np.nan) for q in (median, low, high))
    return x, median, low, high


def extremes(values: Array) -> NDArray[np.intp]:
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
