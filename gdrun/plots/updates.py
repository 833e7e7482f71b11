"""The batch losses of one run: every update, their mean, and a window in which each is seen."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from gdrun.plots.curves import (
    MAX_VECTOR_POINTS,
    Array,
    Trace,
    align,
    divergence,
    draw_band,
    extremes,
    lr_groups,
    quantiles,
)
from gdrun.plots.looks import Look, Looks
from gdrun.plots.scales import MEAN, fitting, points_across
from gdrun.results.lanes import lanes_by_rate
from gdrun.results.rows.history import History
from gdrun.results.run import RunResult

SOLID = 500  # updates; more of them side by side are a solid block
WINDOW = 300  # about as many updates are told apart in a panel
WHOLE = 0.5  # share of the width that all updates have, where a window of some is beside them
GAP = 0.1  # between the two, as a share of the width of the first


def draw_updates(axes: Axes, result: RunResult, looks: Looks) -> list[Trace]:
    """The loss of every logged update, faint, or the band of several seeds; bold, their mean.

    More updates than a panel can show one by one leave room for a panel of some of the first seed,
    beside it.
    """
    window = window_of(result)
    beside = _share_width(axes, window) if window else None
    traces = []
    for look, lanes in lr_groups(result, looks):
        histories = [result.histories[lane] for lane in lanes]
        updates, losses = align(histories, "steps", "update", "loss")
        middles, means = _epoch_means(histories, updates, losses)
        alpha = 0.3 / len(result.series.lrs) ** 0.5  # fainter where there are several rates
        lines = _draw_faint(axes, result, look, updates, losses, alpha)
        lines.append(draw_band(axes, middles, means, look, band=False, gid=MEAN))
        lr = result.series.lanes[lanes[0]].lr
        traces.append(Trace(lr, lines, divergence(result, lanes, "updates")))
        if beside:  # one seed, since a band of several hides what it is made of
            near, around = (_within(window, x) for x in (updates, middles))
            _draw_faint(beside, result, look, updates[near], losses[:1, near], 2 * alpha)
            draw_band(beside, middles[around], means[:1, around], look, band=False)
    return traces


def _draw_faint(
    axes: Axes, result: RunResult, look: Look, updates: Array, losses: Array, alpha: float
) -> list[Line2D]:
    """The loss of each update of one lane, or the band of several; the line, if there is one."""
    faint: Any = {
        "color": look.color,
        "alpha": alpha,
        "rasterized": len(updates) > MAX_VECTOR_POINTS,
    }
    x, middle, low, high = quantiles(updates, losses)
    if len(losses) > 1 and look.band:
        axes.fill_between(x, low, high, **faint, linewidth=0)
    elif result.series.batch_size < result.description.rows:
        shown = extremes(middle)
        return axes.plot(x[shown], middle[shown], **faint, linewidth=0.7)
    return []


def window_of(result: RunResult) -> tuple[float, float] | None:
    """The first and the last of some updates that are shown one by one; None if all can be.

    They are the last updates, whole epochs if these are short, or the first ones where only some of
    the last are kept.
    """
    longest = max(result.histories, key=lambda history: len(history.steps["update"]))
    updates = np.asarray(longest.steps["update"], dtype=float)
    if len(updates) <= SOLID or result.series.batch_size >= result.description.rows:
        return None
    per_epoch = _updates_per_epoch(longest)
    shown = WINDOW - WINDOW % per_epoch if per_epoch <= WINDOW else WINDOW
    for some in (updates[-shown:], updates[:shown]):
        if np.ptp(np.diff(some)) == 0:  # logged at equal distances, and none left out
            return float(some[0]), float(some[-1])
    return None


def _share_width(axes: Axes, window: tuple[float, float]) -> Axes:
    """Make a panel narrower, mark a window in it, and return the axes of that window beside it."""
    whole = axes.get_position()
    axes.set_position((whole.x0, whole.y0, WHOLE * whole.width, whole.height))
    axes.axvspan(*window, color="0.9", linewidth=0, zorder=0)
    beside = axes.inset_axes((1 + GAP, 0, 1 / WHOLE - 1 - GAP, 1), sharey=axes)
    beside.tick_params(which="both", labelleft=False)
    beside.set_xticks([])  # its title says from where to where it goes
    beside.set_facecolor("0.97")
    margin = 0.03 * (window[1] - window[0])
    beside.set_xlim(window[0] - margin, window[1] + margin)
    below_numbers = 20.0  # where the title of the other axis is
    texts = [f"{window[0]:,.0f} to {window[1]:,.0f}", f"from {window[0]:,.0f}"]
    beside.set_xlabel(fitting(texts, 1.2 * points_across(beside), 9), labelpad=below_numbers)
    return beside


def _within(window: tuple[float, float] | None, x: Array) -> NDArray[np.bool_]:
    low, high = window or (math.inf, math.inf)
    return (x >= low) & (x <= high)


def noise(result: RunResult) -> dict[float, float]:
    """How noisy the batch losses within an epoch are, by learning rate, as multiples of their mean.

    Of the U updates of an epoch with the losses l_1 … l_U, it is their standard deviation divided
    by their mean, √(Σ (l_i − m)² / U) / m with m = Σ l_i / U. Of these, the median over all epochs
    of a lane and then over its seeds. Lanes that diverge don't count. Rates without two updates an
    epoch, or of which updates are missing, have none.
    """
    found = {}
    for lr, lanes in lanes_by_rate(result.series.lanes).items():
        whole = [lane for lane in lanes if result.lanes[lane].diverged_at is None]
        ratios = [_noise_of(result.histories[lane]) for lane in whole]
        if known := [ratio for ratio in ratios if math.isfinite(ratio)]:
            found[lr] = median(known)
    return found


def _noise_of(history: History) -> float:
    """The noise of one lane; NaN where it isn't known."""
    per_epoch = _updates_per_epoch(history)
    losses = np.asarray(history.steps["loss"], dtype=float)
    epochs = losses[: len(losses) - len(losses) % per_epoch].reshape(-1, per_epoch)
    if not history.has_every_update or per_epoch < 2 or not len(epochs):
        return math.nan
    with np.errstate(all="ignore"):
        ratio = float(np.median(epochs.std(axis=1) / epochs.mean(axis=1)))
    return ratio if ratio >= 0 else math.nan  # of negative losses, it says nothing


def measured(result: RunResult) -> str:
    """What was measured of the batch losses of a run, in words; nothing if nothing was."""
    if result.series.batch_size >= result.description.rows:
        return "one update an epoch"
    ratios = [float(f"{ratio:.2g}") for ratio in noise(result).values()]
    if not ratios:
        return ""
    low, high = min(ratios), max(ratios)
    return f"noise: {low:g}{f' to {high:g}' if high > low else ''} × the epoch's mean"


def _epoch_means(
    histories: Sequence[History], updates: Array, losses: Array
) -> tuple[Array, Array]:
    """Each lane's running mean over an epoch or, if not all updates are logged, one mean per epoch.

    With the updates at the middle of each mean.
    """
    longest = max(histories, key=lambda history: len(history.steps["epoch"]))
    if len(updates) and longest.has_every_update:
        return running_mean(updates, losses, _updates_per_epoch(longest))
    ends, means = align(histories, "epochs", "updates", "batch_loss")
    half = (float(ends[0]) - 1) / 2 if len(ends) else 0.0
    return ends - half, means


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
