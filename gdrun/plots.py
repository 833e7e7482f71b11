"""Results → pictures: `Figure` objects drawn with Agg, without pyplot and so without global state.

One seed is shown as it is, several as their median and the band between their 20th and 80th
percentile; several learning rates differ in line style. A lane that diverged counts as infinite.
numpy is here as the array type of matplotlib's interface.
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from gdrun.config import PlotConfig
from gdrun.labels import METHOD_COLORS, METHOD_NAMES
from gdrun.records import History
from gdrun.results import RunResult

Array = NDArray[np.float64]

BAND = (20, 80)  # percentiles
LINE_STYLES = ("-", "--", ":", "-.")
CHARACTER = {"full": "smooth", "sgd": "noisy", "minibatch": "practical"}
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.92",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}
# A title with a place of its own needn't be laid out around the ticks, which takes long.
TITLE: Any = {"loc": "left", "y": 1.01}
# Above this many points a line is embedded as pixels in SVG and PDF files.
RASTERIZE_ABOVE = 2000
# A loss this many times that of the untrained network isn't drawn: the training diverges.
EXPLODED = 100
MEAN = "mean"  # marks the lines that are running means


@dataclass(frozen=True)
class Picture:
    """A picture to be: where it goes and how it is drawn."""

    path: Path
    draw: Callable[[], Figure]

    def save(self, dpi: int) -> None:
        """Draw and write it."""
        self.draw().savefig(self.path, dpi=dpi)


class StyledFigure(Figure):
    """A figure that carries gdrun's style along, and that a notebook shows by itself."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw with the style in force: matplotlib makes ticks and texts only now."""
        with mpl.rc_context(STYLE):
            super().draw(renderer)

    def _repr_png_(self) -> bytes:
        png = BytesIO()
        self.savefig(png, format="png", dpi=100)
        return png.getvalue()


def pictures(results: Sequence[RunResult], directory: Path, config: PlotConfig) -> list[Picture]:
    """The pictures of a run, or of a group and its runs, the most telling first."""
    found: list[tuple[Path, str, Callable[[], Figure]]] = []
    has_fit = all(result.fit for result in results)
    if any(result.directory != directory for result in results):
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
def compare_figure(results: Sequence[RunResult]) -> Figure:
    """The loss of every update by method; below, the train loss of all against four axes."""
    figure = _figure(11, 6.6)
    ceiling = _ceiling(results)
    sides: Any = {"left": 0.065, "right": 0.98}
    above = figure.add_gridspec(1, len(results), **sides, top=0.81, bottom=0.515, wspace=0.08)
    panels = [
        ("train_loss", "epoch", "epoch", "train loss against epochs"),
        ("train_loss", "updates", "updates", "… against updates"),
        ("train_loss", "samples", "samples seen", "… against samples"),
        ("train_loss", "seconds", "training time (s)", "… against training time"),
    ]
    if results[0].description.val_rows:
        panels.append(("val_loss", "epoch", "epoch", "validation loss"))
    below = figure.add_gridspec(1, len(panels), **sides, top=0.405, bottom=0.085, wspace=0.08)

    first = None
    for column, result in enumerate(results):
        method = result.series.method
        first = axes = figure.add_subplot(above[column], sharey=first)
        _draw_steps(axes, result, ceiling)
        axes.set_title(
            f"{METHOD_NAMES[method]}, B = {result.series.batch_size:,}: {CHARACTER[method]}",
            color=METHOD_COLORS[method],
            **TITLE,
        )
        _label(axes, "update", "loss of each update" if column == 0 else None)
    _cut_below_the_means(figure.axes)

    first = None
    for column, (loss, cost, unit, title) in enumerate(panels):
        first = axes = figure.add_subplot(below[column], sharey=first)
        for result in results:
            _draw_epochs(axes, result, ceiling, loss, cost)
        _log_scale(axes, x=cost != "epoch")
        axes.set_title(title, **TITLE)
        _label(axes, unit, "loss over all rows" if column == 0 else None)
    _head(figure, results, "top: each update faint, running mean over an epoch bold")
    return figure


@mpl.rc_context(STYLE)
def loss_figure(result: RunResult) -> Figure:
    """The loss of every update, and train and validation loss at the ends of epochs."""
    figure = _figure(8, 3.8)
    ceiling = _ceiling([result])
    grid = figure.add_gridspec(1, 2, left=0.085, right=0.98, top=0.67, bottom=0.13, wspace=0.2)
    steps, epochs = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    _draw_steps(steps, result, ceiling)
    _cut_below_the_means([steps])
    steps.set_title("loss of each update", **TITLE)
    _label(steps, "update", "loss")
    validation = result.description.val_rows > 0
    if validation:
        _draw_epochs(epochs, result, ceiling, "val_loss", "epoch", color="0.45")
    _draw_epochs(epochs, result, ceiling, "train_loss", "epoch")
    _log_scale(epochs, x=False)
    epochs.set_title("train loss" + (", validation loss (grey)" if validation else ""), **TITLE)
    _label(epochs, "epoch", "")
    _head(figure, [result], "left: each update faint, running mean over an epoch bold")
    return figure


@mpl.rc_context(STYLE)
def fit_figure(results: Sequence[RunResult]) -> Figure:
    """The data of one feature and the functions fitted to it, in original units."""
    figure = _figure(6, 4.4)
    axes = figure.add_subplot(
        figure.add_gridspec(1, 1, left=0.11, right=0.97, top=0.77, bottom=0.12)[0]
    )
    fits = [(result, result.fit) for result in results if result.fit]
    _, fit = fits[0]
    dots: Any = {
        "linestyle": "none",
        "marker": "o",
        "markersize": 3.5,
        "rasterized": len(fit.x) > RASTERIZE_ABOVE,
    }
    axes.plot(fit.x, fit.y, **dots, color="0.6", markeredgewidth=0, label="training data")
    if fit.x_val:
        axes.plot(
            fit.x_val, fit.y_val, **dots, markerfacecolor="white", color="0.6", label="validation"
        )
    for result, fit in fits:
        grid = np.asarray(fit.grid)
        for style, lanes in _lr_groups(result):
            curves = np.array([fit.curves[lane] for lane in lanes])
            curves[~np.isfinite(curves)] = np.inf
            _draw_band(axes, grid, curves, METHOD_COLORS[result.series.method], style)
    description = results[0].description
    axes.set_xlabel(_plain(description.features[0]))
    axes.set_ylabel(_plain(description.target))
    low, high = min([*fits[0][1].y, *fits[0][1].y_val]), max([*fits[0][1].y, *fits[0][1].y_val])
    margin = 0.15 * (high - low) or 1.0
    axes.set_ylim(low - margin, high + margin)
    _head(figure, results, "", axes.get_legend_handles_labels()[0])
    return figure


# ------------------------------------------------------------------------------------------ parts


def _figure(width: float, height: float) -> Figure:
    figure = StyledFigure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def _head(
    figure: Figure, results: Sequence[RunResult], note: str, more: Sequence[Artist] = ()
) -> None:
    """What is shown, on top of the figure, where it hides no curve: title, legend, and a note."""
    description, series = results[0].description, results[0].series
    inch = 1 / figure.get_figheight()
    lrs = list(dict.fromkeys(lane.lr for lane in series.lanes))
    rate = f", learning rate {lrs[0]:g}" if len(lrs) == 1 else ""
    figure.text(
        0.012,
        1 - 0.12 * inch,
        _plain(f"{description.network} on {description.data}, {description.rows:,} rows{rate}"),
        size=12 if figure.get_figwidth() > 9 else 10.5,
        va="top",
    )
    seeds = len(series.lanes) // len(lrs)
    notes = [f"loss: {description.loss_name}"]
    if seeds > 1:
        notes.append(f"median of {seeds} seeds, band {BAND[0]}th to {BAND[1]}th percentile")
        note = note.replace("each update faint", "band of each update faint")
    notes += [note] if note else []
    if any(lane.status == "diverged" for result in results for lane in result.lanes):
        notes.append("×: diverges")
    lines = textwrap.wrap("; ".join(notes), int(15 * figure.get_figwidth()))
    figure.text(0.012, 1 - 0.38 * inch, _plain("\n".join(lines)), size=9, color="0.35", va="top")
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            color=METHOD_COLORS[result.series.method],
            label=f"{result.series.method} (B = {result.series.batch_size:,})",
        )
        for result in results
    ]
    if len(lrs) > 1:
        styles = zip(lrs, _styles(len(lrs)), strict=True)
        handles += [
            Line2D([], [], color="0.3", ls=style, label=f"lr {lr:g}") for lr, style in styles
        ]
    figure.legend(
        handles=[*handles, *more],
        loc="upper left",
        bbox_to_anchor=(0.0, 1 - (0.39 + 0.15 * len(lines)) * inch),
        ncols=8,
        columnspacing=1.6,
    )


def _ceiling(results: Sequence[RunResult]) -> float:
    """The loss above which a curve counts as diverging and ends, lest it flatten all others.

    Infinite where no lane ends below it: then the explosion is all there is to see.
    """
    lanes = [history.epochs["train_loss"] for result in results for history in result.histories]
    ceiling = EXPLODED * max(losses[0] for losses in lanes)
    return ceiling if any(losses[-1] < ceiling for losses in lanes) else np.inf


def _draw_steps(axes: Axes, result: RunResult, ceiling: float) -> None:
    """Faint: the loss of every logged update (of several seeds, their band); bold: running mean."""
    color = METHOD_COLORS[result.series.method]
    for style, lanes in _lr_groups(result):
        histories = [result.histories[lane] for lane in lanes]
        updates, losses = _align(histories, "steps", "update", "loss")
        losses[losses > ceiling] = np.inf
        middle, low, high = _quantiles(losses)
        faint: Any = {"color": color, "alpha": 0.3, "linewidth": 0.7}
        faint["rasterized"] = len(updates) > RASTERIZE_ABOVE
        if len(lanes) > 1:
            axes.fill_between(updates, low, high, **{**faint, "linewidth": 0, "alpha": 0.25})
        window = _updates_an_epoch(histories[0])
        if window > 1 and len(lanes) == 1:
            axes.plot(updates, middle, **faint)
        where, mean = running_mean(updates, middle, window)
        axes.plot(where, mean, color=color, linestyle=style, gid=MEAN)
    _log_scale(axes, x=False)


def _draw_epochs(
    axes: Axes, result: RunResult, ceiling: float, loss: str, cost: str, color: str | None = None
) -> None:
    color = color or METHOD_COLORS[result.series.method]
    for style, lanes in _lr_groups(result):
        x, losses = _align([result.histories[lane] for lane in lanes], "epochs", cost, loss)
        losses[losses > ceiling] = np.inf
        # Nothing has been spent before training, which a logarithmic axis can't show.
        shown = slice(0 if cost == "epoch" else 1, None)
        _draw_band(axes, x[shown], losses[:, shown], color, style)


def _draw_band(axes: Axes, x: Array, curves: Array, color: str, style: str) -> None:
    """The median of curves, (lanes, points), and their band; a cross where the median ends."""
    middle, low, high = _quantiles(curves)
    if len(curves) > 1:
        axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    single: Any = {"marker": "o", "markersize": 4} if len(x) == 1 else {}
    axes.plot(x, middle, color=color, linestyle=style, **single)
    alive = np.flatnonzero(np.isfinite(middle))
    if 0 < len(alive) < len(middle):
        axes.plot(x[alive[-1]], middle[alive[-1]], "x", color=color, markeredgewidth=2)


def _label(axes: Axes, x: str, y: str | None) -> None:
    """Name the axes; without a y, its numbers are those of the panel to the left."""
    axes.set_xlabel(x)
    if axes.get_xscale() == "linear":
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
        axes.xaxis.set_major_formatter("{x:,.0f}")
    if y is None:
        axes.tick_params(which="both", labelleft=False)
    else:
        axes.set_ylabel(y)


def _cut_below_the_means(panels: Sequence[Axes]) -> None:
    """Let the means fill the height: single samples come close to zero, which has no logarithm."""
    lines = [line for axes in panels for line in axes.get_lines() if line.get_gid() == MEAN]
    means = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])
    positive = means[np.isfinite(means) & (means > 0)]
    if len(positive):
        bottom, top = panels[0].get_ylim()
        panels[0].set_ylim(max(bottom, positive.min() / 30), top)


def _log_scale(axes: Axes, *, x: bool) -> None:
    """Log scales where there is anything positive to show on them."""
    lines = [np.asarray(line.get_ydata(), dtype=float) for line in axes.get_lines()]
    if any((np.isfinite(y) & (y > 0)).any() for y in lines):
        axes.set_yscale("log")
        _number_log_axis(axes.yaxis)
        if x:
            axes.set_xscale("log")
            _number_log_axis(axes.xaxis)


def _number_log_axis(axis: Axis) -> None:
    """Numbers at powers of ten or, where the axis spans hardly more than one, between them."""
    low, high = axis.get_view_interval()
    if 0 < high < 30 * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 4, 6)))
        axis.set_major_formatter("{x:g}")
    # Ticks are most of the time that a figure takes: those without a number tell nothing.
    axis.set_minor_locator(NullLocator())


def _lr_groups(result: RunResult) -> Iterator[tuple[str, list[int]]]:
    """The lanes of each learning rate, with its line style."""
    lanes = result.series.lanes
    lrs = list(dict.fromkeys(lane.lr for lane in lanes))
    for lr, style in zip(lrs, _styles(len(lrs)), strict=True):
        yield style, [k for k, lane in enumerate(lanes) if lane.lr == lr]


def _styles(count: int) -> list[str]:
    return [LINE_STYLES[k % len(LINE_STYLES)] for k in range(count)]


def _align(histories: Sequence[History], table: str, x: str, y: str) -> tuple[Array, Array]:
    """One x axis and (lanes, points) of y: evaluated points only, infinite once a lane diverged."""
    columns = [getattr(history, table) for history in histories]
    longest = max(columns, key=lambda column: len(column[x]))
    values = np.full((len(columns), len(longest[x])), np.inf)
    for row, column in zip(values, columns, strict=True):
        row[: len(column[y])] = column[y]
    evaluated = ~np.isnan(values).all(axis=0)
    values[np.isnan(values)] = np.inf
    return np.asarray(longest[x], dtype=float)[evaluated], values[:, evaluated]


def _quantiles(curves: Array) -> tuple[Array, Array, Array]:
    """Median, 20th and 80th percentile over lanes, NaN where they are infinite."""
    quantiles = [
        np.median(curves, axis=0),
        # Observed values, not interpolated ones: between a finite and an infinite one lies nothing.
        *np.percentile(curves, BAND, axis=0, method="inverted_cdf"),
    ]
    middle, low, high = (np.where(np.isfinite(q), q, np.nan) for q in quantiles)
    return middle, low, high


def running_mean(x: Array, y: Array, window: int) -> tuple[Array, Array]:
    """The mean of `window` consecutive values, each at the middle of its window."""
    window = max(1, min(window, len(y)))
    if window == 1:
        return x, y
    mean = np.convolve(y, np.full(window, 1 / window), mode="valid")
    return (x[: len(mean)] + x[window - 1 :]) / 2, mean


def _updates_an_epoch(history: History) -> int:
    """How many logged updates an epoch has."""
    epochs = history.steps["epoch"]
    return sum(1 for epoch in epochs if epoch == epochs[0]) if len(epochs) else 1


def _plain(text: str) -> str:
    """Text as it stands: to matplotlib, dollars would begin a formula."""
    return text.replace("$", r"\$")
