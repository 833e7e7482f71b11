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

from gdrun.analysis.sweep_result import FEWEST_SEEDS, Cell, Cost, SweepResult, sound_fit
from gdrun.plots.curves import number_log_axis
from gdrun.plots.placement import Word, name_points, number_ticks, rows_of_numbers
from gdrun.plots.style import STYLE, TITLE, headed_figure
from gdrun.text import number, rounded, short

COLOR, MISSED, FIT = "#0072B2", "#D55E00", "0.25"
# Where the seeds beyond those that came to the target end.
OPEN: Any = {"marker": "^", "color": COLOR, "ms": 4.5, "alpha": 0.55, "linestyle": "none"}
# The band of one batch size alone.
BAR: Any = {"color": COLOR, "alpha": 0.4, "linewidth": 3, "solid_capstyle": "butt"}
SIDES, GAP, ROW_INCHES = (0.6, 0.15), 0.22, 0.15  # inches, share of a panel, inches


@mpl.rc_context(STYLE)
def scaling_figure(answer: SweepResult) -> Figure:
    """Updates, samples and time to the target against the batch size, each at its best rate.

    With the line of perfect scaling, on which a batch twice as large takes half the updates, and
    the fit K(B) = K_min (1 + B_crit / B) of `gdrun.analysis.critical_batch`
    (Shallue et al. 2019, fig. 1).
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
    across = 1 + GAP * (len(panels) - 1) / len(panels)  # of the panels and what is between them
    inches = (width - sum(SIDES)) / len(panels) / across
    sizes, limits = answer.batch_sizes, _limits(answer)
    texts = [short(size) for size in sizes]
    rows = rows_of_numbers(sizes, texts, limits, inches)
    more = ROW_INCHES * max(row or 0 for row in rows)
    figure, top, bottom = headed_figure(
        f"{about.network} on {about.data}: what it takes to come to a train loss of "
        f"{number(answer.target)}",
        _notes(answer),
        _legend(answer),
        width=width,
        height=3.3 + more,
    )
    bottom += more / figure.get_figheight()
    sides: Any = {"left": SIDES[0] / width, "right": 1 - SIDES[1] / width}
    grid = figure.add_gridspec(1, len(panels), **sides, top=top, bottom=bottom, wspace=GAP)
    for k, (cost, (title, weight)) in enumerate(panels.items()):
        axes = figure.add_subplot(grid[k])
        _draw(axes, answer, cost, weight)
        if k < 2:
            _draw_fit(axes, answer, weight)
        axes.set_title(title, **TITLE)
        _finish(axes, limits)
        number_ticks(axes, sizes, texts, rows)
        if k == 0:
            _name_rates(axes, answer.best_of_batch)
    return figure


def _draw(axes: Axes, answer: SweepResult, cost: Cost, weight: Callable[[int], float]) -> None:
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
        bands = [band for cell in reached if (band := cell.band(counted))]
        if bands:
            low, high = (
                [scaled(c, band[k]) for c, band in zip(reached, bands, strict=True)] for k in (0, 1)
            )
            # A band that is open above ends where the trainings did, and is marked there.
            ends = [min(pair) for pair in zip(high, map(end, reached), strict=True)]
            if len(reached) > 1:
                axes.fill_between(x, low, ends, color=COLOR, alpha=0.18, linewidth=0)
            else:
                axes.plot(2 * x, low + ends, **BAR)
            for at, top, last in zip(x, high, ends, strict=True):
                if math.isinf(top):
                    axes.plot([at], [last], **OPEN)
        axes.plot(x, y, "o-", color=COLOR, markersize=5, linewidth=1.4)
    for cell in missed:
        axes.plot([cell.batch_size], [end(cell)], "^", color=MISSED, markerfacecolor="white", ms=7)


def _is_missed(cell: Cell) -> bool:
    """Whether a cell was trained to its end and never came to the target."""
    return (
        math.isinf(cell.to_target("updates")) and math.isfinite(cell.train_loss) and cell.spent > 0
    )


def _is_open(cell: Cell) -> bool:
    """Whether a cell comes to the target, but with so few seeds that its band has no upper end."""
    band = cell.band("updates")
    return band is not None and 0 < cell.to_target("updates") < math.inf == band[1]


def _name_rates(axes: Axes, cells: Sequence[Cell]) -> None:
    """The learning rates beside the points, where they change."""
    words, points = [], []
    for before, cell in zip([None, *cells], cells, strict=False):
        reached = math.isfinite(cell.to_target("updates"))
        value = cell.to_target("updates") if reached else cell.spent
        if not ((reached or _is_missed(cell)) and value):
            continue
        points.append((cell.batch_size, value))
        if before is None or cell.lr != before.lr:
            color = COLOR if reached else MISSED
            words.append(Word(f"{cell.lr:g}", cell.batch_size, value, color))
    name_points(axes, words, points, 7.5)


def _draw_fit(axes: Axes, answer: SweepResult, weight: Callable[[int], float]) -> None:
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


def _interval_within(answer: SweepResult) -> tuple[float, float] | None:
    """The interval of the critical batch size, as far as it lies among those tried."""
    fit = sound_fit(answer)
    if not (fit and fit.interval):
        return None
    low, high = fit.interval
    left, right = max(low, answer.batch_sizes[0]), min(high, answer.batch_sizes[-1])
    return (left, right) if left < right else None


def _limits(answer: SweepResult) -> tuple[float, float]:
    """Of the axis of batch sizes."""
    low, high = answer.batch_sizes[0], answer.batch_sizes[-1]
    margin = (high / low) ** 0.08 if low < high else 2.0
    return low / margin, high * margin


def _finish(axes: Axes, limits: tuple[float, float]) -> None:
    """Logarithmic axes, that of the batch sizes with these limits."""
    axes.set_xscale("log")
    if not axes.lines:
        axes.set_yticks([])
        none = "no update was needed, or none taken"
        axes.text(0.5, 0.5, none, transform=axes.transAxes, ha="center", color="0.5")
    else:
        axes.set_yscale("log")
        number_log_axis(axes.yaxis)
    axes.set_xlim(limits)
    axes.set_xlabel("batch size")


def _legend(answer: SweepResult) -> list[Any]:
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
    if any(map(_is_open, cells)):
        handles.append(Line2D([], [], **OPEN, label="80th percentile not there by then"))
    if any(map(_is_missed, cells)):
        missed: Any = {"marker": "^", "color": MISSED, "markerfacecolor": "white", "ls": "none"}
        handles.append(Line2D([], [], **missed, label="not reached by then"))
    return handles


def _notes(answer: SweepResult) -> list[str]:
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
            f"fit: K_min = {number(fit.updates_min)} updates, B_crit {fit.sign} "
            f"{rounded(fit.batch_crit)}{interval}"
        )
    if all(size in answer.pace for size in answer.batch_sizes):
        notes.append("time: one training alone")
    return notes
