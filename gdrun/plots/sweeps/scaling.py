"""What it takes to reach the target, against the batch size, as a picture."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gdrun.analysis.larger_batches import interval_in_words
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell, TargetCost
from gdrun.config.parts.groups import Scale
from gdrun.plots.layout import BELOW, SHRINK, chosen, headed_figure
from gdrun.plots.placement import Label, label_points, number_ticks, room_beyond, rows_of_numbers
from gdrun.plots.scales import fitting, number_log_axis, points_across
from gdrun.plots.style import TITLE, StyledFigure, styled
from gdrun.plots.sweeps.looks import ALONE, IN_COMMON, PointLook, points_of
from gdrun.results.lanes import BAND, MIN_BAND_SEEDS
from gdrun.text import batches, number, rounded

# Where trainings ended, if the 80th percentile of the seeds had not reached the target by then.
OPEN: Any = {"marker": "^", "ms": 4.5, "alpha": 0.55, "linestyle": "none"}
# The band of a single batch size.
BAR: Any = {"alpha": 0.4, "linewidth": 3, "solid_capstyle": "butt"}
LEFT, RIGHT, GAP = 0.62, 0.15, 0.62  # inches beside the panels and between them
PANEL = (3.0, 2.8)  # inches, width and height
TICK_ROW = 0.15  # inches for each further row of numbers below an axis
INTERVAL_ROW = 0.035  # of a panel's height, for the interval of each of several optimizers


@styled()
def scaling_figure(
    sweep: SweepResult, *, panel: str | None = None, scale: Scale = "paper"
) -> StyledFigure:
    """Updates, samples and time to the target against the batch size, each at its best rate.

    With the line of perfect scaling, on which a batch twice as large takes half the updates, and
    the fit K(B) = K_min (1 + B_crit / B) of `gdrun.analysis.critical_batch`
    (Shallue et al. 2019, fig. 1). A batch size that did not reach the target is shown where its
    training ended: it takes more than that.

    Args:
        sweep: what to draw.
        panel: the only panel to draw: `updates`, `samples` or `seconds`.
        scale: `slides` makes the text large enough to project.

    Raises:
        ValueError: there is no such panel.
    """
    panels = scaling_panels(sweep)
    if panel is not None:
        only = chosen({str(cost): cost for cost in panels}, panel)
        panels = {only: panels[only]}
    across, up = SHRINK[scale]
    wide = 1.6 if len(panels) == 1 else 1.35 if len(sweep.parts) > 1 else 1.0
    panel_width = across * wide * PANEL[0]
    sizes, limits = sweep.batch_sizes, _limits(sweep)
    texts = [f"{size:,}" for size in sizes]
    rows = rows_of_numbers(sizes, texts, limits, panel_width)
    tick_rows = TICK_ROW * max(row or 0 for row in rows)
    right = max(RIGHT, room_beyond(sizes[-1], texts[-1], limits, panel_width) + 0.05)
    width = LEFT + len(panels) * panel_width + (len(panels) - 1) * GAP + right
    about = sweep.description
    figure, top, bottom = headed_figure(
        f"{about.network} on {about.data}: what it takes to reach a train loss of "
        f"{number(sweep.target)}",
        _notes(sweep),
        _legend(sweep),
        width=width / across,
        height=PANEL[1] + (BELOW + tick_rows) / up,
        scale=scale,
    )
    bottom += tick_rows / figure.get_figheight()
    sides: Any = {"left": LEFT / width, "right": 1 - right / width, "wspace": GAP / panel_width}
    grid = figure.add_gridspec(1, len(panels), **sides, top=top, bottom=bottom)
    for column, (cost, (titles, cost_of_update)) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[column])
        for part, look in points_of(sweep):
            _draw_cells(axes, part, cost, cost_of_update, look)
            if cost != "seconds":
                _draw_fit(axes, part, cost_of_update, look.fit)
        if len(sweep.parts) > 1 and cost != "seconds":
            _draw_intervals(axes, sweep)
        axes.set_title(fitting(titles, points_across(axes), 10), **TITLE)
        _scale_axes(axes, limits)
        number_ticks(axes, sizes, texts, rows)
        if not column and len(sweep.parts) == 1:
            _label_rates(axes, sweep.best_of_batch, cost, cost_of_update)
    return figure


CostOfUpdate = Callable[[int], float]


def scaling_panels(sweep: SweepResult) -> dict[TargetCost, tuple[Sequence[str], CostOfUpdate]]:
    """By cost: the titles of its panel, and what one update costs by batch size."""
    panels: dict[TargetCost, tuple[Sequence[str], CostOfUpdate]] = {
        "updates": (["updates to target"], lambda _: 1.0),
        "samples": (["samples to target"], float),
    }
    if _is_timed(sweep):
        unit, factor = _unit_of_time(sweep)
        titles = [f"training time to target ({unit})", f"time to target ({unit})"]
        panels["seconds"] = (titles, lambda size: factor * sweep.pace[size])
    return panels


def _unit_of_time(sweep: SweepResult) -> tuple[str, float]:
    """The unit in which the longest time to the target is above 1, and how many a second has."""
    times = map(sweep.seconds_alone, sweep.best_of_batch)
    longest = max(filter(math.isfinite, times), default=1.0)
    units = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))
    return next((own for own in units if longest * own[1] >= 1), units[-1])


def _is_timed(sweep: SweepResult) -> bool:
    """Whether the pace of all batch sizes was measured."""
    return all(size in sweep.pace for size in sweep.batch_sizes)


def _limits(sweep: SweepResult) -> tuple[float, float]:
    """The limits of the axis of batch sizes."""
    low, high = sweep.batch_sizes[0], sweep.batch_sizes[-1]
    margin = (high / low) ** 0.08 if low < high else 2.0
    return low / margin, high * margin


def _legend(sweep: SweepResult) -> list[Any]:
    cells, looks = sweep.best_of_batch, points_of(sweep)
    several = len(looks) > 1
    common = IN_COMMON if several else ALONE
    handles: list[Any] = []
    if any(math.isfinite(cell.to_target("updates")) for cell in cells):
        for part, look in looks:
            label = part.optimizer or "at the best lr"
            handles.append(Line2D([], [], marker=look.marker, color=look.color, label=label))
        if len(cells) > len(looks):
            handles.append(Line2D([], [], linestyle=":", color="0.6", label="perfect scaling"))
    if any(part.sound_fit for part in sweep.parts):
        handles.append(Line2D([], [], linestyle="--", color=common.fit, label="fit"))
    if several and any(map(_interval_within, sweep.parts)):
        handles.append(Line2D([], [], marker="|", color=common.fit, label="B_crit, 95 %"))
    elif _interval_within(sweep):
        handles.append(Patch(color="0.92", label="B_crit, 95 %"))
    elif (fit := sweep.sound_fit) and _is_within(sweep, fit.batch_crit):
        handles.append(Line2D([], [], color="0.55", linewidth=1, label="B_crit"))
    if any(map(_is_open, cells)):
        label = f"{BAND[1]}th percentile not reached by then"
        handles.append(Line2D([], [], color=common.color, **OPEN, label=label))
    if any(map(_is_missed, cells)):
        missed: Any = {"marker": "^", "markerfacecolor": "white", "ls": "none"}
        handles.append(Line2D([], [], color=common.missed, **missed, label="not reached by then"))
    return handles


def _is_within(sweep: SweepResult, size: float) -> bool:
    """Whether a batch size lies within the sizes tried."""
    return sweep.batch_sizes[0] <= size <= sweep.batch_sizes[-1]


def _notes(sweep: SweepResult) -> list[str]:
    several = len(sweep.parts) > 1
    notes = ["each at its best lr" if several else "numbers: the best lr, where it changes"]
    if sweep.seeds >= MIN_BAND_SEEDS:
        notes.append(f"median of {sweep.seeds} seeds, band {BAND[0]}th to {BAND[1]}th percentile")
    elif sweep.seeds > 1:
        notes.append(f"median of {sweep.seeds} seeds, too few for a band")
    for part in sweep.parts:
        fit = part.sound_fit
        if fit is None:
            continue
        name = part.optimizer or "fit"
        notes.append(
            f"{name}: K_min = {number(fit.updates_min)} updates, B_crit {fit.sign} "
            f"{rounded(fit.batch_crit)}{interval_in_words(fit)}"
        )
    if _is_timed(sweep):
        notes.append("time: one training alone")
    return notes + _absent(sweep)


def _absent(sweep: SweepResult) -> list[str]:
    """Notes on batch sizes without a point."""
    absent = [cell for cell in sweep.best_of_batch if not (_is_reached(cell) or _is_missed(cell))]
    reasons: dict[str, list[int]] = {}
    for cell in absent:
        if not cell.updates_trained:
            reason = "not trained"
        else:
            reason = "no update needed" if cell.reaches_target else "diverged at every lr"
        reasons.setdefault(reason, []).append(cell.batch_size)
    return [f"no point for {batches(own)}: {reason}" for reason, own in reasons.items()]


def _draw_cells(
    axes: Axes, sweep: SweepResult, cost: TargetCost, cost_of_update: CostOfUpdate, look: PointLook
) -> None:
    """The best cell of each batch size with its band, or where it ended without the target."""
    cells = sweep.best_of_batch
    reached = [cell for cell in cells if _is_reached(cell)]
    if reached:
        x = [cell.batch_size for cell in reached]
        y = [_height(cell, cost, cost_of_update) for cell in reached]
        if len(cells) > 1:
            samples = y[0] * x[0] / cost_of_update(x[0])  # that perfect scaling takes
            sizes = sweep.batch_sizes
            perfect = [samples * cost_of_update(size) / size for size in sizes]
            axes.plot(sizes, perfect, ":", color="0.6", linewidth=1.3)
        bands = [band for cell in reached if (band := cell.band(_counted(cost)))]
        if bands:
            low, high = (
                [
                    _scaled(cell, band[k], cost, cost_of_update)
                    for cell, band in zip(reached, bands, strict=True)
                ]
                for k in (0, 1)
            )
            ends = [_end(cell, cost, cost_of_update) for cell in reached]
            _draw_band(axes, x, low, high, ends, look.color)
        axes.plot(x, y, f"{look.marker}-", color=look.color, markersize=5, linewidth=1.4)
    for cell in filter(_is_missed, cells):
        end = _end(cell, cost, cost_of_update)
        axes.plot([cell.batch_size], [end], "^", color=look.missed, markerfacecolor="white", ms=7)


def _counted(cost: TargetCost) -> TargetCost:
    """What is counted of a cost.

    Samples are, since the last batch of an epoch may be smaller. Time is that of the updates, at
    the pace of one training alone.
    """
    return "samples" if cost == "samples" else "updates"


def _scaled(cell: Cell, count: float, cost: TargetCost, cost_of_update: CostOfUpdate) -> float:
    return count * cost_of_update(cell.batch_size) if cost == "seconds" else count


def _end(cell: Cell, cost: TargetCost, cost_of_update: CostOfUpdate) -> float:
    """What the longest training of a cell took."""
    longest = max(getattr(trial, _counted(cost)) for trial in cell.trials)
    return _scaled(cell, longest, cost, cost_of_update)


def _height(cell: Cell, cost: TargetCost, cost_of_update: CostOfUpdate) -> float:
    """Where a cell is drawn: what the target took or, where it wasn't reached, the training."""
    if not cell.reaches_target:
        return _end(cell, cost, cost_of_update)
    return _scaled(cell, cell.to_target(_counted(cost)), cost, cost_of_update)


def _draw_band(
    axes: Axes,
    x: Sequence[float],
    low: Sequence[float],
    high: Sequence[float],
    ends: Sequence[float],
    color: str,
) -> None:
    """The band over seeds; without an upper end, it ends with a mark where the trainings ended."""
    upper = [min(pair) for pair in zip(high, ends, strict=True)]
    if len(x) > 1:
        axes.fill_between(x, low, upper, color=color, alpha=0.18, linewidth=0)
    else:
        axes.plot([x[0], x[0]], [low[0], upper[0]], color=color, **BAR)
    for size, top, last in zip(x, high, upper, strict=True):
        if math.isinf(top):
            axes.plot([size], [last], color=color, **OPEN)


def _is_reached(cell: Cell) -> bool:
    """Whether a cell reaches the target by training."""
    return 0 < cell.to_target("updates") < math.inf


def _is_missed(cell: Cell) -> bool:
    """Whether a cell was trained without reaching the target."""
    return cell.falls_short and cell.updates_trained > 0


def _is_open(cell: Cell) -> bool:
    """Whether a cell reaches the target, but with so few seeds that its band has no upper end."""
    band = cell.band("updates")
    return band is not None and _is_reached(cell) and math.isinf(band[1])


def _label_rates(
    axes: Axes, cells: Sequence[Cell], cost: TargetCost, cost_of_update: CostOfUpdate
) -> None:
    """The learning rates beside the points, where they change."""
    labels, points = [], []
    for before, cell in zip([None, *cells], cells, strict=False):
        if not (_is_reached(cell) or _is_missed(cell)):
            continue
        value = _height(cell, cost, cost_of_update)
        points.append((cell.batch_size, value))
        if before is None or cell.lr != before.lr:
            color = ALONE.color if cell.reaches_target else ALONE.missed
            labels.append(Label(f"{cell.lr:g}", cell.batch_size, value, color))
    label_points(axes, labels, points, 7.5)


def _draw_fit(axes: Axes, sweep: SweepResult, cost_of_update: CostOfUpdate, color: str) -> None:
    """The fitted curve and, of one optimizer, the critical batch size with its interval."""
    fit = sweep.sound_fit
    if fit is None:
        return
    low, high = sweep.batch_sizes[0], sweep.batch_sizes[-1]
    sizes = np.unique(np.geomspace(low, high, 200).round().astype(int))
    curve = [fit.updates(size) * cost_of_update(int(size)) for size in sizes]
    axes.plot(sizes, curve, "--", color=color, linewidth=1.2, zorder=1)
    if sweep.optimizer:
        return
    if within := _interval_within(sweep):
        axes.axvspan(*within, color="0.92", linewidth=0, zorder=0)
    if _is_within(sweep, fit.batch_crit):
        axes.axvline(fit.batch_crit, color="0.55", linewidth=1, zorder=0)


def _draw_intervals(axes: Axes, sweep: SweepResult) -> None:
    """The critical batch sizes of several optimizers, each in a row at the bottom of a panel."""
    across = axes.get_xaxis_transform()
    for row, (part, look) in enumerate(reversed(points_of(sweep)), 1):
        fit, y = part.sound_fit, INTERVAL_ROW * row
        if within := _interval_within(part):
            axes.plot(within, [y, y], color=look.color, linewidth=2, alpha=0.5, transform=across)
        if fit and _is_within(sweep, fit.batch_crit):
            axes.plot([fit.batch_crit], [y], "|", color=look.color, ms=9, mew=2, transform=across)


def _interval_within(sweep: SweepResult) -> tuple[float, float] | None:
    """The part of the interval of the critical batch size that lies within the sizes tried."""
    fit = sweep.sound_fit
    if not (fit and fit.interval):
        return None
    low, high = fit.interval
    left, right = max(low, sweep.batch_sizes[0]), min(high, sweep.batch_sizes[-1])
    return (left, right) if left < right else None


def _scale_axes(axes: Axes, limits: tuple[float, float]) -> None:
    """Make the axes logarithmic, and give the batch sizes these limits."""
    axes.set_xscale("log")
    if not axes.lines:
        axes.set_yticks([])
        nothing = "no update was needed, or none taken"
        axes.text(0.5, 0.5, nothing, transform=axes.transAxes, ha="center", color="0.5")
    else:
        axes.margins(y=0.12)  # room for labels beside the outer points
        axes.set_yscale("log")
        number_log_axis(axes.yaxis)
    axes.set_xlim(limits)
    axes.set_xlabel("batch size")
