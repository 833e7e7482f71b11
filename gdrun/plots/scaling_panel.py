"""One panel of the picture of a sweep: what reaching the target costs, against the batch size."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell, TargetCost
from gdrun.plots.placement import Label, label_points
from gdrun.plots.scales import number_log_axis

COLOR, MISSED, FIT = "#0072B2", "#D55E00", "0.25"
# Where trainings ended, if the 80th percentile of the seeds had not reached the target by then.
OPEN: Any = {"marker": "^", "color": COLOR, "ms": 4.5, "alpha": 0.55, "linestyle": "none"}
# The band of a single batch size.
BAR: Any = {"color": COLOR, "alpha": 0.4, "linewidth": 3, "solid_capstyle": "butt"}


def draw_cells(
    axes: Axes, sweep: SweepResult, cost: TargetCost, cost_of_update: Callable[[int], float]
) -> None:
    """The best cell of each batch size with its band, or where it ended without the target."""
    # Samples as they were counted: the last batch of an epoch may be smaller. Time is that of the
    # updates, at the pace of one training alone.
    counted: TargetCost = "samples" if cost == "samples" else "updates"

    def scaled(cell: Cell, count: float) -> float:
        return count * cost_of_update(cell.batch_size) if cost == "seconds" else count

    def end(cell: Cell) -> float:
        return scaled(cell, max(getattr(trial, counted) for trial in cell.trials))

    cells = sweep.best_of_batch
    reached = [cell for cell in cells if _is_reached(cell)]
    if reached:
        x = [cell.batch_size for cell in reached]
        y = [scaled(cell, cell.to_target(counted)) for cell in reached]
        if len(cells) > 1:
            samples = y[0] * x[0] / cost_of_update(x[0])  # that perfect scaling takes
            sizes = sweep.batch_sizes
            perfect = [samples * cost_of_update(size) / size for size in sizes]
            axes.plot(sizes, perfect, ":", color="0.6", linewidth=1.3)
        bands = [band for cell in reached if (band := cell.band(counted))]
        if bands:
            low, high = (
                [scaled(cell, band[k]) for cell, band in zip(reached, bands, strict=True)]
                for k in (0, 1)
            )
            _draw_band(axes, x, low, high, [end(cell) for cell in reached])
        axes.plot(x, y, "o-", color=COLOR, markersize=5, linewidth=1.4)
    for cell in filter(is_missed, cells):
        axes.plot([cell.batch_size], [end(cell)], "^", color=MISSED, markerfacecolor="white", ms=7)


def _draw_band(
    axes: Axes,
    x: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    ends: Sequence[float],
) -> None:
    """The band over seeds; without an upper end, it ends with a mark where the trainings ended."""
    upper = [min(pair) for pair in zip(high, ends, strict=True)]
    if len(x) > 1:
        axes.fill_between(x, low, upper, color=COLOR, alpha=0.18, linewidth=0)
    else:
        axes.plot([x[0], x[0]], [low[0], upper[0]], **BAR)
    for size, top, last in zip(x, high, upper, strict=True):
        if math.isinf(top):
            axes.plot([size], [last], **OPEN)


def _is_reached(cell: Cell) -> bool:
    """Whether a cell reaches the target by training."""
    return 0 < cell.to_target("updates") < math.inf


def is_missed(cell: Cell) -> bool:
    """Whether a cell was trained without reaching the target."""
    return cell.falls_short and cell.updates_trained > 0


def is_open(cell: Cell) -> bool:
    """Whether a cell reaches the target, but with so few seeds that its band has no upper end."""
    band = cell.band("updates")
    return band is not None and _is_reached(cell) and math.isinf(band[1])


def label_rates(axes: Axes, cells: Sequence[Cell]) -> None:
    """The learning rates beside the points, where they change."""
    labels, points = [], []
    for before, cell in zip([None, *cells], cells, strict=False):
        reached = cell.reaches_target
        value = cell.to_target("updates") if reached else cell.updates_trained
        if not ((reached or is_missed(cell)) and value):
            continue
        points.append((cell.batch_size, value))
        if before is None or cell.lr != before.lr:
            color = COLOR if reached else MISSED
            labels.append(Label(f"{cell.lr:g}", cell.batch_size, value, color))
    label_points(axes, labels, points, 7.5)


def draw_fit(axes: Axes, sweep: SweepResult, cost_of_update: Callable[[int], float]) -> None:
    """The fitted curve, and the critical batch size with its interval."""
    fit = sweep.sound_fit
    if fit is None:
        return
    low, high = sweep.batch_sizes[0], sweep.batch_sizes[-1]
    sizes = np.unique(np.geomspace(low, high, 200).round().astype(int))
    curve = [fit.updates(size) * cost_of_update(int(size)) for size in sizes]
    axes.plot(sizes, curve, "--", color=FIT, linewidth=1.2, zorder=1)
    if within := interval_within(sweep):
        axes.axvspan(*within, color="0.92", linewidth=0, zorder=0)
    if low <= fit.batch_crit <= high:
        axes.axvline(fit.batch_crit, color="0.55", linewidth=1, zorder=0)


def interval_within(sweep: SweepResult) -> tuple[float, float] | None:
    """The part of the interval of the critical batch size that lies within the sizes tried."""
    fit = sweep.sound_fit
    if not (fit and fit.interval):
        return None
    low, high = fit.interval
    left, right = max(low, sweep.batch_sizes[0]), min(high, sweep.batch_sizes[-1])
    return (left, right) if left < right else None


def scale_axes(axes: Axes, limits: tuple[float, float]) -> None:
    """Make the axes logarithmic, and give the batch sizes these limits."""
    axes.set_xscale("log")
    if not axes.lines:
        axes.set_yticks([])
        nothing = "no update was needed, or none taken"
        axes.text(0.5, 0.5, nothing, transform=axes.transAxes, ha="center", color="0.5")
    else:
        axes.set_yscale("log")
        number_log_axis(axes.yaxis)
    axes.set_xlim(limits)
    axes.set_xlabel("batch size")
