"""What it takes to reach the target, against the batch size, as a picture."""

import math
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from gdrun.analysis.larger_batches import interval_in_words
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import TargetCost
from gdrun.plots.placement import number_ticks, rows_of_numbers
from gdrun.plots.scaling_panel import (
    COLOR,
    FIT,
    MISSED,
    OPEN,
    draw_cells,
    draw_fit,
    interval_within,
    is_missed,
    is_open,
    label_rates,
    scale_axes,
)
from gdrun.plots.style import STYLE, TITLE, headed_figure
from gdrun.results.lanes import BAND, MIN_BAND_SEEDS
from gdrun.text import number, rounded, short

LEFT, RIGHT = 0.6, 0.15  # inches beside the panels
GAP = 0.22  # between panels, as a share of their width
TICK_ROW = 0.15  # inches for each further row of numbers below an axis


@mpl.rc_context(STYLE)
def scaling_figure(sweep: SweepResult) -> Figure:
    """Updates, samples and time to the target against the batch size, each at its best rate.

    With the line of perfect scaling, on which a batch twice as large takes half the updates, and
    the fit K(B) = K_min (1 + B_crit / B) of `gdrun.analysis.critical_batch`
    (Shallue et al. 2019, fig. 1). A batch size that did not reach the target is shown where its
    training ended: it takes more than that.
    """
    # By cost: the title of its panel, and what one update costs by batch size.
    panels: dict[TargetCost, tuple[str, Callable[[int], float]]] = {
        "updates": ("updates to target", lambda _: 1.0),
        "samples": ("samples to target", float),
    }
    if _is_timed(sweep):
        panels["seconds"] = ("training time to target (s)", lambda size: sweep.pace[size])
    width = 3.4 * len(panels) + 0.5
    panel_width = (width - LEFT - RIGHT) / (len(panels) + GAP * (len(panels) - 1))
    sizes, limits = sweep.batch_sizes, _limits(sweep)
    texts = [short(size) for size in sizes]
    rows = rows_of_numbers(sizes, texts, limits, panel_width)
    tick_rows = TICK_ROW * max(row or 0 for row in rows)
    about = sweep.description
    figure, top, bottom = headed_figure(
        f"{about.network} on {about.data}: what it takes to reach a train loss of "
        f"{number(sweep.target)}",
        _notes(sweep),
        _legend(sweep),
        width=width,
        height=3.3 + tick_rows,
    )
    bottom += tick_rows / figure.get_figheight()
    sides: Any = {"left": LEFT / width, "right": 1 - RIGHT / width}
    grid = figure.add_gridspec(1, len(panels), **sides, top=top, bottom=bottom, wspace=GAP)
    for column, (cost, (title, cost_of_update)) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[column])
        draw_cells(axes, sweep, cost, cost_of_update)
        if cost != "seconds":
            draw_fit(axes, sweep, cost_of_update)
        axes.set_title(title, **TITLE)
        scale_axes(axes, limits)
        number_ticks(axes, sizes, texts, rows)
        if cost == "updates":
            label_rates(axes, sweep.best_of_batch)
    return figure


def _is_timed(sweep: SweepResult) -> bool:
    """Whether the pace of all batch sizes was measured."""
    return all(size in sweep.pace for size in sweep.batch_sizes)


def _limits(sweep: SweepResult) -> tuple[float, float]:
    """The limits of the axis of batch sizes."""
    low, high = sweep.batch_sizes[0], sweep.batch_sizes[-1]
    margin = (high / low) ** 0.08 if low < high else 2.0
    return low / margin, high * margin


def _legend(sweep: SweepResult) -> list[Any]:
    cells = sweep.best_of_batch
    found = [cell.to_target("updates") for cell in cells]
    handles: list[Any] = []
    if any(map(math.isfinite, found)):
        handles.append(Line2D([], [], marker="o", color=COLOR, label="at the best lr"))
        if len(cells) > 1:
            handles.append(Line2D([], [], linestyle=":", color="0.6", label="perfect scaling"))
    if fit := sweep.sound_fit:
        handles.append(Line2D([], [], linestyle="--", color=FIT, label="fit"))
        if interval_within(sweep):
            handles.append(Patch(color="0.92", label="B_crit, 95 %"))
        elif sweep.batch_sizes[0] <= fit.batch_crit <= sweep.batch_sizes[-1]:
            handles.append(Line2D([], [], color="0.55", linewidth=1, label="B_crit"))
    if any(map(is_open, cells)):
        handles.append(Line2D([], [], **OPEN, label=f"{BAND[1]}th percentile not reached by then"))
    if any(map(is_missed, cells)):
        missed: Any = {"marker": "^", "color": MISSED, "markerfacecolor": "white", "ls": "none"}
        handles.append(Line2D([], [], **missed, label="not reached by then"))
    return handles


def _notes(sweep: SweepResult) -> list[str]:
    notes = ["numbers: the best lr, where it changes"]
    if sweep.seeds >= MIN_BAND_SEEDS:
        notes.append(f"median of {sweep.seeds} seeds, band {BAND[0]}th to {BAND[1]}th percentile")
    elif sweep.seeds > 1:
        notes.append(f"median of {sweep.seeds} seeds, too few for a band")
    fit = sweep.sound_fit
    if fit:
        notes.append(
            f"fit: K_min = {number(fit.updates_min)} updates, B_crit {fit.sign} "
            f"{rounded(fit.batch_crit)}{interval_in_words(fit)}"
        )
    if _is_timed(sweep):
        notes.append("time: one training alone")
    return notes
