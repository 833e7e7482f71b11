"""Figures of results, drawn with Agg: without pyplot, and so without global state."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from gdrun.errors import excerpt
from gdrun.plots.curves import MAX_VECTOR_POINTS, draw_band, draw_epochs, draw_steps, lr_groups
from gdrun.plots.head import framed_figure, literal
from gdrun.plots.looks import Looks, for_validation, has_bands, looks_of
from gdrun.plots.scales import cut_below_means, label_axes, log_scale
from gdrun.plots.style import TITLE, styled
from gdrun.results.axes import AXES, COSTS, Cost, ceiling_of
from gdrun.results.colors import kind_of, run_colors
from gdrun.results.events import Series
from gdrun.results.run import RunResult
from gdrun.text import METHOD_NAMES

MAX_RUN_PANELS = 4  # with more runs, none has a panel of its own
CHARACTER = {"full": "smooth", "sgd": "noisy", "minibatch": "practical"}
SIDES: Any = {"left": 0.07, "right": 0.98}  # of the panels, as shares of the width


@styled()
def compare_figure(
    results: RunResult | Sequence[RunResult], *, note: str = "", mixed: bool = False
) -> Figure:
    """The loss of every update, one panel per run; below, the train loss of all against each cost.

    More than `MAX_RUN_PANELS` runs are shown by the panels below alone.

    Args:
        results: what to draw.
        note: an addition to the notes in the head.
        mixed: whether the results may be of different problems.

    Raises:
        ValueError: there are no results, or they are of different problems.
    """
    results = _listed(results) if mixed else _comparable(results)
    with_steps = len(results) <= MAX_RUN_PANELS
    steps_note = f"top: {_steps_note(results)}" if with_steps else ""
    notes = "; ".join(part for part in (steps_note, note) if part)
    height = 5.6 if with_steps else 6.8
    figure, top, bottom = framed_figure(results, width=11, height=height, note=notes)
    looks = looks_of(results)
    if not with_steps:
        _draw_costs(figure, results, looks, top, bottom, rows=2)
        return figure
    inch = 1 / figure.get_figheight()
    split = bottom + 0.49 * (top - bottom)
    _draw_runs(figure, results, looks, top, split + 0.35 * inch)
    _draw_costs(figure, results, looks, split - 0.4 * inch, bottom, rows=1)
    return figure


def _draw_runs(
    figure: Figure, results: Sequence[RunResult], looks: Looks, top: float, bottom: float
) -> None:
    """The loss of every update, one panel per run."""
    ceiling = ceiling_of(results)
    color_of = run_colors([result.series for result in results])
    grid = figure.add_gridspec(1, len(results), **SIDES, top=top, bottom=bottom, wspace=0.1)
    first = None
    for column, result in enumerate(results):
        series = result.series
        first = axes = figure.add_subplot(grid[column], sharey=first)
        draw_steps(axes, result, ceiling, looks)
        axes.set_title(_title(series, len(results)), color=color_of[series.name], **TITLE)
        label_axes(axes, "update", "batch loss" if column == 0 else None)
    cut_below_means(figure.axes)


def _draw_costs(
    figure: Figure,
    results: Sequence[RunResult],
    looks: Looks,
    top: float,
    bottom: float,
    *,
    rows: int,
) -> None:
    """The train loss of all runs against each cost, and their validation loss if there is one."""
    ceiling = ceiling_of(results)
    panels: list[tuple[str, Cost, str]] = [
        ("train_loss", cost, f"… against {axis.quantity}") for cost, axis in AXES.items()
    ]
    panels[0] = ("train_loss", "epoch", "train loss against epochs")
    if any(result.description.val_rows for result in results):
        panels.append(("val_loss", "epoch", "validation loss"))
    columns = -(-len(panels) // rows)
    grid = figure.add_gridspec(
        rows, columns, **SIDES, top=top, bottom=bottom, wspace=0.1, hspace=0.3
    )
    first = None
    for place, (loss, cost, title) in enumerate(panels):
        first = axes = figure.add_subplot(grid[divmod(place, columns)], sharey=first)
        for result in results:
            draw_epochs(axes, result, ceiling, looks, loss, cost)
        log_scale(axes, x=cost != "epoch")
        axes.set_title(title, **TITLE)
        is_first = place % columns == 0
        label_axes(axes, AXES[cost].title_with_unit, "loss over all rows" if is_first else None)


@styled()
def loss_figure(result: RunResult) -> Figure:
    """The loss of every update; beside it, train and validation loss at the ends of epochs."""
    figure, top, bottom = framed_figure(
        [result], width=8, height=3.0, note=f"left: {_steps_note([result])}"
    )
    ceiling = ceiling_of([result])
    grid = figure.add_gridspec(1, 2, left=0.085, right=0.98, top=top, bottom=bottom, wspace=0.2)
    steps, epochs = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    looks = looks_of([result])
    draw_steps(steps, result, ceiling, looks)
    cut_below_means([steps])
    steps.set_title("batch loss", **TITLE)
    label_axes(steps, "update", "loss")
    validation = result.description.val_rows > 0
    if validation:
        draw_epochs(epochs, result, ceiling, for_validation(looks), "val_loss", "epoch")
    draw_epochs(epochs, result, ceiling, looks, "train_loss", "epoch")
    log_scale(epochs, x=False)
    title = "train loss"
    if validation:
        title += ", validation loss (grey)" if len(looks) == 1 else ", validation loss (dashed)"
    epochs.set_title(title, **TITLE)
    label_axes(epochs, "epoch", "")
    return figure


@styled()
def curves_figure(
    results: RunResult | Sequence[RunResult], x: Cost = "updates", log_x: bool | None = None
) -> Figure:
    """The train loss of all runs, and their validation loss if there is one, against one cost.

    Args:
        results: what to draw.
        x: `epoch`, `updates`, `samples` or `seconds`.
        log_x: whether that axis is logarithmic; if not given, every axis but that of epochs is.

    Raises:
        ValueError: there are no results, or there is no such cost.
    """
    results = [results] if isinstance(results, RunResult) else results
    if not results:
        raise ValueError("there are no results to draw")
    if x not in COSTS:
        raise ValueError(f"x must be one of {', '.join(COSTS)}, got {x!r}")
    log_x = x != "epoch" if log_x is None else log_x
    losses = {"train_loss": "train loss"}
    if any(result.description.val_rows for result in results):
        losses["val_loss"] = "validation loss"
    width, gap = (6.4, 0.15) if len(losses) == 1 else (9.6, 0.4)  # room for titles
    figure, top, bottom = framed_figure(results, width=width, height=3.6, gap=gap)
    grid = figure.add_gridspec(
        1,
        len(losses),
        left=0.75 / width,
        right=1 - 0.15 / width,
        top=top,
        bottom=bottom,
        wspace=0.08,
    )
    ceiling, looks = ceiling_of(results), looks_of(results)
    first = None
    for column, (loss, title) in enumerate(losses.items()):
        first = axes = figure.add_subplot(grid[column], sharey=first)
        for result in results:
            draw_epochs(axes, result, ceiling, looks, loss, x, log_x=log_x)
        log_scale(axes, x=log_x)
        if len(losses) > 1:
            axes.set_title(title, **TITLE)
        name = "loss over all rows" if len(losses) > 1 else "train loss"
        _label(axes, x, name if column == 0 else None)
    return figure


def _label(axes: Axes, x: Cost, y: str | None) -> None:
    limits = axes.get_xlim()
    label_axes(axes, AXES[x].title_with_unit, y)
    if axes.get_yscale() == "linear":  # all curves diverge before there is anything to see
        axes.set_yticks([])
    if x == "seconds" and axes.get_xscale() == "linear":  # ticks at fractions of a second
        axes.set_xlim(limits)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter("{x:g}")


@styled()
def fit_figure(results: RunResult | Sequence[RunResult]) -> Figure:
    """The data of one feature and the functions fitted to it, in the units of the data.

    Raises:
        ValueError: the data has several features, or the results are of different problems.
    """
    results = _comparable(results)
    fits = [(result, result.fit) for result in results if result.fit]
    if not fits:
        raise ValueError("only runs on data with one feature have a fit to draw")
    _, fit = fits[0]
    dots: Any = {"linestyle": "none", "marker": "o", "markersize": 3.5, "color": "0.55"}
    dots["rasterized"] = len(fit.x) > MAX_VECTOR_POINTS
    rows = [Line2D(fit.x, fit.y, **dots, markeredgewidth=0, label="training data")]
    if fit.x_val:
        rows.append(
            Line2D(fit.x_val, fit.y_val, **dots, markerfacecolor="white", label="validation data")
        )
    figure, top, bottom = framed_figure(
        results, width=6.4, height=3.7, more=rows, gap=0.25, curves_end=False
    )
    axes = figure.add_subplot(
        figure.add_gridspec(1, 1, left=0.12, right=0.97, top=top, bottom=bottom)[0]
    )
    for points in rows:
        axes.add_line(points)
    looks = looks_of(results)
    for result, fit in fits:
        groups = list(lr_groups(result, looks))
        for look, lanes in groups:
            curves = np.array([fit.curves[lane] for lane in lanes])
            curves[~np.isfinite(curves)] = np.inf
            # The bands of several learning rates would cover each other and the data.
            draw_band(axes, np.asarray(fit.grid), curves, look, band=len(groups) == 1)
    description = results[0].description
    axes.set_xlabel(literal(excerpt(description.features[0])))
    axes.set_ylabel(literal(excerpt(description.target)))
    axes.ticklabel_format(scilimits=(-4, 5))
    targets = np.concatenate([fits[0][1].y, fits[0][1].y_val])
    margin = 0.15 * float(np.ptp(targets)) or 1.0
    axes.set_ylim(targets.min() - margin, targets.max() + margin)
    return figure


def _title(series: Series, panels: int) -> str:
    """The title of the panel of one run, with so many panels side by side."""
    if kind_of([series]) == "method":
        name = METHOD_NAMES[series.method]
        return f"{name}, B = {series.batch_size:,}: {CHARACTER[series.method]}"
    return literal(f"{excerpt(series.name, 80 // panels)}, B = {series.batch_size:,}")


def _listed(results: RunResult | Sequence[RunResult]) -> Sequence[RunResult]:
    """The results as a sequence."""
    results = [results] if isinstance(results, RunResult) else results
    if not results:
        raise ValueError("there are no results to draw")
    return results


def _comparable(results: RunResult | Sequence[RunResult]) -> Sequence[RunResult]:
    """The results as a sequence, all of the same problem."""
    results = _listed(results)
    first = results[0].description
    for result in results[1:]:
        other = result.description
        if (first.data, first.rows, first.loss_name) != (other.data, other.rows, other.loss_name):
            raise ValueError(
                f"results of different problems: {first.loss_name} on {first.data}, "
                f"{other.loss_name} on {other.data}"
            )
    return results


def _steps_note(results: Sequence[RunResult]) -> str:
    """How to read the batch losses."""
    histories = [history for result in results for history in result.histories]
    if all(result.series.batch_size >= result.description.rows for result in results):
        return "one update per epoch"
    shown = "update"
    if max(result.seeds for result in results) > 1:
        shown = "update's band" if has_bands(results) else "update's median"
    every = max((h.steps["update"][0] for h in histories if h.steps["update"]), default=1)
    if every > 1:
        return f"every {every}th {shown} faint, mean of each epoch bold"
    if not all(history.has_every_update for history in histories):
        return "lowest and highest updates faint, mean of each epoch bold"
    return f"each {shown} faint, running mean over an epoch bold"
