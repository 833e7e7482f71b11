"""Results → pictures: `Figure` objects drawn with Agg; no pyplot and so no global state."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.schema import PlotConfig
from gdrun.errors import excerpt
from gdrun.plots.curves import (
    RASTERIZE_ABOVE,
    cut_below_the_means,
    draw_band,
    draw_epochs,
    draw_steps,
    label_axes,
    log_scale,
    lr_groups,
)
from gdrun.plots.looks import for_validation, looks_of
from gdrun.plots.style import STYLE, TITLE, framed_figure, plain
from gdrun.results.axes import ceiling_of
from gdrun.results.colors import kind_of, run_colors
from gdrun.results.events import Series
from gdrun.results.run import RunResult
from gdrun.storage.atomic import replacing
from gdrun.text import METHOD_NAMES

MOST_PANELS = 4  # runs that get a panel each
CHARACTER = {"full": "smooth", "sgd": "noisy", "minibatch": "practical"}


@dataclass(frozen=True)
class Picture:
    """A picture to be: where it goes and how it is drawn."""

    path: Path
    draw: Callable[[], Figure]

    def save(self, dpi: int) -> None:
        """Draw and write it, in the place of an earlier one.

        Raises:
            OSError: it can't be written; the earlier one stands.
        """
        figure = self.draw()
        with replacing(self.path, durable=False) as partial:
            figure.savefig(partial, dpi=dpi, format=self.path.suffix[1:])


def pictures(
    results: Sequence[RunResult],
    directory: Path,
    config: PlotConfig,
    answer: SweepResult | None = None,
) -> list[Picture]:
    """The pictures of a run, or of a group and its runs, the most telling first."""
    found: list[tuple[Path, str, Callable[[], Figure]]] = []
    has_fit = all(result.fit for result in results)
    if answer:
        from gdrun.plots.batch_scaling import scaling_figure
        from gdrun.plots.heatmap import heatmap_figure

        found.append((directory, "heatmap", partial(heatmap_figure, answer)))
        if answer.target is not None:
            found.append((directory, "scaling", partial(scaling_figure, answer)))
    elif any(result.directory != directory for result in results):
        found.append((directory, "compare", partial(compare_figure, results)))
        if has_fit:
            found.append((directory, "fit", partial(fit_figure, results)))
    for result in results:
        if result.directory:
            found.append((result.directory, "loss", partial(loss_figure, result)))
            if has_fit:
                found.append((result.directory, "fit", partial(fit_figure, [result])))
    return [Picture(place / f"{name}.{config.format}", draw) for place, name, draw in found]


@mpl.rc_context(STYLE)
def compare_figure(
    results: RunResult | Sequence[RunResult], *, note: str = "", mixed: bool = False
) -> Figure:
    """The loss of every update by run; below, the train loss of all against four axes.

    More than `MOST_PANELS` runs are shown against the four axes alone.

    Args:
        results: what to draw.
        note: what else one has to know.
        mixed: whether they may be of different problems.

    Raises:
        ValueError: there are no results, or they are of different problems.
    """
    results = _listed(results) if mixed else _comparable(results)
    with_steps = len(results) <= MOST_PANELS
    steps_note = f"top: {_steps_note(results)}" if with_steps else ""
    notes = "; ".join(part for part in (steps_note, note) if part)
    height = 5.6 if with_steps else 6.8
    figure, top, bottom = framed_figure(results, width=11, height=height, note=notes)
    ceiling = ceiling_of(results)
    looks = looks_of(results)
    color_of = run_colors([result.series for result in results])
    sides: Any = {"left": 0.07, "right": 0.98}
    inch = 1 / figure.get_figheight()
    panels = [
        ("train_loss", "epoch", "epoch", "train loss against epochs"),
        ("train_loss", "updates", "updates", "… against updates"),
        ("train_loss", "samples", "samples seen", "… against samples"),
        ("train_loss", "seconds", "training time (s)", "… against training time"),
    ]
    if any(result.description.val_rows for result in results):
        panels.append(("val_loss", "epoch", "epoch", "validation loss"))
    across = len(panels)
    split = top
    if with_steps:
        split = bottom + 0.49 * (top - bottom)
        above = figure.add_gridspec(
            1, len(results), **sides, top=top, bottom=split + 0.35 * inch, wspace=0.1
        )
        first = None
        for column, result in enumerate(results):
            series, color = result.series, color_of[result.series.name]
            first = axes = figure.add_subplot(above[column], sharey=first)
            draw_steps(axes, result, ceiling, looks)
            axes.set_title(_title(series, len(results)), color=color, **TITLE)
            label_axes(axes, "update", "batch loss" if column == 0 else None)
        cut_below_the_means(figure.axes)
        split -= 0.4 * inch
    else:
        across = -(-len(panels) // 2)
    below = figure.add_gridspec(
        -(-len(panels) // across), across, **sides, top=split, bottom=bottom, wspace=0.1, hspace=0.3
    )
    first = None
    for place, (loss, cost, unit, title) in enumerate(panels):
        first = axes = figure.add_subplot(below[divmod(place, across)], sharey=first)
        for result in results:
            draw_epochs(axes, result, ceiling, looks, loss, cost)
        log_scale(axes, x=cost != "epoch")
        axes.set_title(title, **TITLE)
        label_axes(axes, unit, "loss over all rows" if place % across == 0 else None)
    return figure


@mpl.rc_context(STYLE)
def loss_figure(result: RunResult) -> Figure:
    """The loss of every update, and train and validation loss at the ends of epochs."""
    figure, top, bottom = framed_figure(
        [result], width=8, height=3.0, note=f"left: {_steps_note([result])}"
    )
    ceiling = ceiling_of([result])
    grid = figure.add_gridspec(1, 2, left=0.085, right=0.98, top=top, bottom=bottom, wspace=0.2)
    steps, epochs = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    looks = looks_of([result])
    draw_steps(steps, result, ceiling, looks)
    cut_below_the_means([steps])
    steps.set_title("batch loss", **TITLE)
    label_axes(steps, "update", "loss")
    validation = result.description.val_rows > 0
    if validation:
        draw_epochs(epochs, result, ceiling, for_validation(looks), "val_loss", "epoch")
    draw_epochs(epochs, result, ceiling, looks, "train_loss", "epoch")
    log_scale(epochs, x=False)
    beside = f", validation loss ({'grey' if len(looks) == 1 else 'dashed'})" if validation else ""
    epochs.set_title("train loss" + beside, **TITLE)
    label_axes(epochs, "epoch", "")
    return figure


@mpl.rc_context(STYLE)
def fit_figure(results: RunResult | Sequence[RunResult]) -> Figure:
    """The data of one feature and the functions fitted to it, in original units.

    Raises:
        ValueError: the data has several features, or the results are of different problems.
    """
    results = _comparable(results)
    fits = [(result, result.fit) for result in results if result.fit]
    if not fits:
        raise ValueError("only runs on data with one feature have a fit to draw")
    _, fit = fits[0]
    dots: Any = {"linestyle": "none", "marker": "o", "markersize": 3.5, "color": "0.55"}
    dots["rasterized"] = len(fit.x) > RASTERIZE_ABOVE
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
    axes.set_xlabel(plain(excerpt(description.features[0])))
    axes.set_ylabel(plain(excerpt(description.target)))
    axes.ticklabel_format(scilimits=(-4, 5))
    everything = np.concatenate([fits[0][1].y, fits[0][1].y_val])
    margin = 0.15 * float(np.ptp(everything)) or 1.0
    axes.set_ylim(everything.min() - margin, everything.max() + margin)
    return figure


def _title(series: Series, panels: int) -> str:
    """What a panel of one run, of so many beside each other, shows."""
    if kind_of([series]) == "method":
        name = METHOD_NAMES[series.method]
        return f"{name}, B = {series.batch_size:,}: {CHARACTER[series.method]}"
    return plain(f"{excerpt(series.name, 80 // panels)}, B = {series.batch_size:,}")


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
        return "one update an epoch"
    every = max((h.steps["update"][0] for h in histories if h.steps["update"]), default=1)
    if every > 1:
        return f"every {every}th update faint, mean of each epoch bold"
    if not all(history.has_every_update for history in histories):
        return "lowest and highest updates faint, mean of each epoch bold"
    return "each update faint, running mean over an epoch bold"
