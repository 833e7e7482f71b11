"""What it takes to come to the target, against the batch size, as a picture."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, NullLocator

from gdrun.answer import FEWEST_SEEDS, Answer, Cell, Cost
from gdrun.curves import number_log_axis
from gdrun.frame import STYLE, TITLE, headed_figure
from gdrun.labels import number, short
from gdrun.payoff import rounded, sound_fit

COLOR, MISSED, FIT = "#0072B2", "#D55E00", "0.25"
MOST_TICKS = 9  # batch sizes that are named on an axis


@mpl.rc_context(STYLE)
def scaling_figure(answer: Answer) -> Figure:
    """Updates, samples and time to the target against the batch size, each at its best rate.

    With the line of perfect scaling, on which a batch twice as large takes half the updates, and
    the fit K(B) = K_min (1 + B_crit / B) of `gdrun.criticalbatch` (Shallue et al. 2019, fig. 1).
    What was not reached stands where the training ended: it takes more than that.
    """
    # What one update counts, by batch size: 1, its samples, its seconds.
    panels: dict[Cost, tuple[str, Callable[[int], float]]] = {
        "updates": ("updates to target", lambda _: 1.0),
        "samples": ("samples to target", float),
    }
    if all(size in answer.pace for size in answer.batch_sizes):
        panels["seconds"] = ("training time to target (s)", lambda size: answer.pace[size])
    about = answer.description
    width = 3.4 * len(panels) + 0.5
    figure, top, bottom = headed_figure(
        f"{about.network} on {about.data}: what it takes to come to a train loss of "
        f"{number(answer.target)}",
        _notes(answer),
        _legend(answer),
        width=width,
        height=3.3,
    )
    sides: Any = {"left": 0.6 / width, "right": 1 - 0.15 / width, "top": top, "bottom": bottom}
    grid = figure.add_gridspec(1, len(panels), **sides, wspace=0.22)
    for k, (cost, (title, weight)) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[k])
        _draw(axes, answer, cost, weight)
        if k == 0:
            _name_rates(axes, answer.best_of_batch)
        if k < 2:
            _draw_fit(axes, answer, weight)
        axes.set_title(title, **TITLE)
        _finish(axes, answer)
    return figure


def _draw(axes: Axes, answer: Answer, cost: Cost, weight: Callable[[int], float]) -> None:
    """The best cell of each batch size, its band, and where those ended that never came there."""
    cells = answer.best_of_batch
    reached = [cell for cell in cells if 0 < cell.to_target("updates") < math.inf]
    missed = [cell for cell in cells if _is_missed(cell)]

    # Samples as they were counted: the last batch of an epoch may be smaller. Time is that of
    # updates, each at the pace of a training alone.
    counted: Cost = "samples" if cost == "samples" else "updates"

    def scaled(cell: Cell, value: float) -> float:
        return value * weight(cell.batch_size) if cost == "seconds" else value

    def end(cell: Cell) -> float:
        return scaled(cell, max(getattr(trial, counted) for trial in cell.trials))

    if reached:
        x = [cell.batch_size for cell in reached]
        y = [scaled(cell, cell.to_target(counted)) for cell in reached]
        span = answer.batch_sizes
        least = y[0] * x[0] / weight(x[0])
        if len(cells) > 1:
            perfect = [least * weight(size) / size for size in span]
            axes.plot(span, perfect, ":", color="0.6", linewidth=1.3)
        bands = [cell.band(counted) for cell in reached]
        if all(bands) and len(reached) > 1:
            low, high = (
                [scaled(c, band[k]) for c, band in zip(reached, bands, strict=True) if band]
                for k in (0, 1)
            )
            # A band that is open above ends where the trainings did.
            high = [min(pair) for pair in zip(high, map(end, reached), strict=True)]
            axes.fill_between(x, low, high, color=COLOR, alpha=0.18, linewidth=0)
        axes.plot(x, y, "o-", color=COLOR, markersize=5, linewidth=1.4)
    for cell in missed:
        axes.plot([cell.batch_size], [end(cell)], "^", color=MISSED, markerfacecolor="white", ms=7)


def _is_missed(cell: Cell) -> bool:
    """Whether a cell was trained to its end and never came to the target."""
    return (
        math.isinf(cell.to_target("updates")) and math.isfinite(cell.train_loss) and cell.spent > 0
    )


def _name_rates(axes: Axes, cells: Sequence[Cell]) -> None:
    """The learning rates beside the points, where they change."""
    for before, cell in zip([None, *cells], cells, strict=False):
        reached = math.isfinite(cell.to_target("updates"))
        value = cell.to_target("updates") if reached else cell.spent
        if (reached or _is_missed(cell)) and value and (before is None or cell.lr != before.lr):
            axes.annotate(
                f"{cell.lr:g}",
                (cell.batch_size, value),
                xytext=(5, 5),
                textcoords="offset points",
                size=7.5,
                color=COLOR if reached else MISSED,
            )


def _draw_fit(axes: Axes, answer: Answer, weight: Callable[[int], float]) -> None:
    """The fitted curve, and the critical batch size with its interval."""
    fit = sound_fit(answer)
    if fit is None:
        return
    sizes = np.unique(
        np.geomspace(answer.batch_sizes[0], answer.batch_sizes[-1], 200).round().astype(int)
    )
    curve = [fit.updates(size) * weight(int(size)) for size in sizes]
    axes.plot(sizes, curve, "--", color=FIT, linewidth=1.2, zorder=1)
    low, high = answer.batch_sizes[0], answer.batch_sizes[-1]
    if within := _interval_within(answer):
        axes.axvspan(*within, color="0.92", linewidth=0, zorder=0)
    if low <= fit.batch_crit <= high:
        axes.axvline(fit.batch_crit, color="0.55", linewidth=1, zorder=0)


def _interval_within(answer: Answer) -> tuple[float, float] | None:
    """The interval of the critical batch size, as far as it lies among those tried."""
    fit = sound_fit(answer)
    if not (fit and fit.interval):
        return None
    low, high = fit.interval
    left, right = max(low, answer.batch_sizes[0]), min(high, answer.batch_sizes[-1])
    return (left, right) if left < right else None


def _finish(axes: Axes, answer: Answer) -> None:
    """Logarithmic axes, with the batch sizes as the numbers of the one."""
    sizes = answer.batch_sizes
    axes.set_xscale("log")
    if not axes.lines:
        axes.set_yticks([])
        none = "no update was needed, or none taken"
        axes.text(0.5, 0.5, none, transform=axes.transAxes, ha="center", color="0.5")
    else:
        axes.set_yscale("log")
        number_log_axis(axes.yaxis)
    margin = (sizes[-1] / sizes[0]) ** 0.08 if len(sizes) > 1 else 2.0
    axes.set_xlim(sizes[0] / margin, sizes[-1] * margin)
    shown = _apart(sizes)
    axes.xaxis.set_major_locator(FixedLocator([float(size) for size in shown]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticklabels([short(size) for size in shown])
    axes.set_xlabel("batch size")


def _apart(sizes: list[int]) -> list[int]:
    """Batch sizes that have room for their names, from the largest down."""
    least = (sizes[-1] / sizes[0]) ** (1 / MOST_TICKS)
    shown: list[int] = []
    for size in reversed(sizes):
        if not shown or shown[-1] / size >= least * 0.999:
            shown.append(size)
    return shown


def _legend(answer: Answer) -> list[Any]:
    cells = answer.best_of_batch
    found = [cell.to_target("updates") for cell in cells]
    handles: list[Any] = []
    if any(map(math.isfinite, found)):
        handles.append(Line2D([], [], marker="o", color=COLOR, label="at the best lr"))
        if len(cells) > 1:
            handles.append(Line2D([], [], linestyle=":", color="0.6", label="perfect scaling"))
    if fit := sound_fit(answer):
        handles.append(Line2D([], [], linestyle="--", color=FIT, label="fit"))
        if _interval_within(answer):
            handles.append(Patch(color="0.92", label="B_crit, 95 %"))
        elif answer.batch_sizes[0] <= fit.batch_crit <= answer.batch_sizes[-1]:
            handles.append(Line2D([], [], color="0.55", linewidth=1, label="B_crit"))
    if any(map(_is_missed, cells)):
        missed: Any = {"marker": "^", "color": MISSED, "markerfacecolor": "white", "ls": "none"}
        handles.append(Line2D([], [], **missed, label="not reached by then"))
    return handles


def _notes(answer: Answer) -> list[str]:
    notes = ["numbers: the best lr, where it changes"]
    if answer.seeds >= FEWEST_SEEDS:
        notes.append(f"median of {answer.seeds} seeds, band 20th to 80th percentile")
    elif answer.seeds > 1:
        notes.append(f"median of {answer.seeds} seeds, too few for a band")
    fit = sound_fit(answer)
    if fit:
        interval = ""
        if fit.interval:
            low, high = map(rounded, fit.interval)
            interval = f" (95 %: {low} to {high})"
        notes.append(
            f"fit: K_min = {number(fit.updates_min)} updates, B_crit {'≤' if fit.pressed else '='} "
            f"{rounded(fit.batch_crit)}{interval}"
        )
    if all(size in answer.pace for size in answer.batch_sizes):
        notes.append("time: one training alone")
    return notes
