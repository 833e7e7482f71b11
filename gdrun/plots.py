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
from matplotlib.axis import Axis, YAxis
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import NDArray

from gdrun.config import PlotConfig
from gdrun.labels import METHOD_COLORS, METHOD_NAMES, count
from gdrun.records import History
from gdrun.results import RunResult

Array = NDArray[np.float64]
LineStyle = Any  # matplotlib's: a name or (offset, on-off pattern in points)

BAND = (20, 80)  # percentiles
# Solid, dashed, dotted, dash-dotted, and on-off patterns in points for further learning rates.
LINE_STYLES: tuple[LineStyle, ...] = (
    "-",
    "--",
    ":",
    "-.",
    (0, (6, 1, 1, 1, 1, 1)),
    (0, (1, 4)),
    (0, (8, 4)),
)
STEPS_NOTE = "each update faint, running mean over an epoch bold"
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
    """The loss of every update by method; below, the train loss of all against four axes.

    Raises:
        ValueError: there are no results.
    """
    if not results:
        raise ValueError("there are no results to compare")
    figure, top, bottom = _figure(results, width=11, height=5.6, note=f"top: {STEPS_NOTE}")
    ceiling = _ceiling(results)
    sides: Any = {"left": 0.07, "right": 0.98}
    split = bottom + 0.49 * (top - bottom)
    inch = 1 / figure.get_figheight()
    above = figure.add_gridspec(
        1, len(results), **sides, top=top, bottom=split + 0.35 * inch, wspace=0.08
    )
    panels = [
        ("train_loss", "epoch", "epoch", "train loss against epochs"),
        ("train_loss", "updates", "updates", "… against updates"),
        ("train_loss", "samples", "samples seen", "… against samples"),
        ("train_loss", "seconds", "training time (s)", "… against training time"),
    ]
    if results[0].description.val_rows:
        panels.append(("val_loss", "epoch", "epoch", "validation loss"))
    below = figure.add_gridspec(
        1, len(panels), **sides, top=split - 0.4 * inch, bottom=bottom, wspace=0.08
    )

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
    return figure


@mpl.rc_context(STYLE)
def loss_figure(result: RunResult) -> Figure:
    """The loss of every update, and train and validation loss at the ends of epochs."""
    figure, top, bottom = _figure([result], width=8, height=3.0, note=f"left: {STEPS_NOTE}")
    ceiling = _ceiling([result])
    grid = figure.add_gridspec(1, 2, left=0.085, right=0.98, top=top, bottom=bottom, wspace=0.2)
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
    return figure


@mpl.rc_context(STYLE)
def fit_figure(results: RunResult | Sequence[RunResult]) -> Figure:
    """The data of one feature and the functions fitted to it, in original units.

    Raises:
        ValueError: the data has several features.
    """
    results = [results] if isinstance(results, RunResult) else results
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
    figure, top, bottom = _figure(results, width=6.4, height=3.7, more=rows, gap=0.25)
    axes = figure.add_subplot(
        figure.add_gridspec(1, 1, left=0.12, right=0.97, top=top, bottom=bottom)[0]
    )
    for points in rows:
        axes.plot(points.get_xdata(), points.get_ydata(), **dots, **_face(points))
    for result, fit in fits:
        groups = list(_lr_groups(result))
        for style, lanes in groups:
            curves = np.array([fit.curves[lane] for lane in lanes])
            curves[~np.isfinite(curves)] = np.inf
            color = METHOD_COLORS[result.series.method]
            # The bands of several learning rates would cover each other and the data.
            _draw_band(axes, np.asarray(fit.grid), curves, color, style, band=len(groups) == 1)
    description = results[0].description
    axes.set_xlabel(_plain(description.features[0]))
    axes.set_ylabel(_plain(description.target))
    axes.ticklabel_format(scilimits=(-4, 5))
    everything = np.concatenate([fits[0][1].y, fits[0][1].y_val])
    margin = 0.15 * float(np.ptp(everything)) or 1.0
    axes.set_ylim(everything.min() - margin, everything.max() + margin)
    return figure


# ------------------------------------------------------------------------------------------ parts


def _figure(
    results: Sequence[RunResult],
    *,
    width: float,
    height: float,
    note: str = "",
    more: Sequence[Artist] = (),
    gap: float = 0.5,
) -> tuple[Figure, float, float]:
    """A figure with its head, where it hides no curve, and the top and bottom left for panels.

    The head holds what was trained on what, how to read the curves, and the legend, and then a
    gap. Sizes are in inches; the head's comes on top of `height`.
    """
    title, notes = _caption(results, note)
    title_lines = textwrap.wrap(title, int(12 * width))
    note_lines = textwrap.wrap("; ".join(notes), int(16 * width))
    handles = [*_legend(results), *more]
    columns = max(1, min(len(handles), int(width / 1.35)))
    by_rows = [handle for k in range(columns) for handle in handles[k::columns]]
    at = [0.1, 0.22 * len(title_lines), 0.17 * len(note_lines), 0.2 * -(-len(handles) // columns)]
    head = sum(at) + gap
    figure = StyledFigure(figsize=(width, height + head))
    FigureCanvasAgg(figure)
    inch = 1 / (height + head)
    place: Any = {"x": 0.1 / width, "va": "top"}
    figure.text(y=1 - at[0] * inch, s=_plain("\n".join(title_lines)), size=11, **place)
    figure.text(
        y=1 - (sum(at[:2]) + 0.04) * inch,
        s=_plain("\n".join(note_lines)),
        size=8.5,
        color="0.35",
        **place,
    )
    figure.legend(
        handles=by_rows,
        loc="upper left",
        bbox_to_anchor=(0.0, 1 - sum(at[:3]) * inch),
        ncols=columns,
        columnspacing=1.4,
    )
    return figure, 1 - head * inch, 0.5 * inch


def _caption(results: Sequence[RunResult], note: str) -> tuple[str, list[str]]:
    """The title, and what one has to know to read the curves."""
    description, lanes = results[0].description, results[0].series.lanes
    lrs = list(dict.fromkeys(lane.lr for lane in lanes))
    rate = f", learning rate {lrs[0]:g}" if len(lrs) == 1 else ""
    rows = count(description.rows, "row")
    notes = [f"loss: {description.loss_name}"]
    if len(lanes) > len(lrs):
        seeds = len(lanes) // len(lrs)
        notes.append(f"median of {seeds} seeds, band {BAND[0]}th to {BAND[1]}th percentile")
        note = note.replace("each update faint", "band of each update faint")
    if note:
        notes.append(note)
    if any(lane.status == "diverged" for result in results for lane in result.lanes):
        notes.append("×: diverges")
    return f"{description.network} on {description.data}, {rows}{rate}", notes


def _legend(results: Sequence[RunResult]) -> list[Artist]:
    """A line for each run and, where there are several, for each learning rate."""
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            color=METHOD_COLORS[result.series.method],
            label=f"{result.series.method} (B = {result.series.batch_size:,})",
        )
        for result in results
    ]
    lrs = list(dict.fromkeys(lane.lr for lane in results[0].series.lanes))
    if len(lrs) > 1:
        styles = zip(lrs, _styles(len(lrs)), strict=True)
        handles += [
            Line2D([], [], color="0.3", linestyle=style, label=f"lr {lr:g}") for lr, style in styles
        ]
    return handles


def _face(points: Line2D) -> dict[str, Any]:
    return {
        "markerfacecolor": points.get_markerfacecolor(),
        "markeredgewidth": points.get_markeredgewidth(),
    }


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
    groups = list(_lr_groups(result))
    several = len(groups) ** 0.5
    for style, lanes in groups:
        histories = [result.histories[lane] for lane in lanes]
        updates, losses = _align(histories, "steps", "update", "loss")
        losses[losses > ceiling] = np.inf
        middle, low, high = _quantiles(losses)
        faint: Any = {"color": color, "rasterized": len(updates) > RASTERIZE_ABOVE}
        if len(lanes) > 1:
            axes.fill_between(updates, low, high, **faint, alpha=0.3 / several, linewidth=0)
        elif result.series.batch_size < result.description.rows:
            axes.plot(updates, middle, **faint, alpha=0.3 / several, linewidth=0.7)
        where, means = _epoch_means(histories, updates, losses)
        means[means > ceiling] = np.inf
        _draw_band(axes, where, means, color, style, band=False, gid=MEAN)
    _log_scale(axes, x=False)


def _epoch_means(
    histories: Sequence[History], updates: Array, losses: Array
) -> tuple[Array, Array]:
    """Each lane's mean over an epoch's updates: running, or an epoch each if not all are logged."""
    if len(updates) and updates[0] == 1:
        window = _updates_an_epoch(histories[0])
        return running_mean(updates, losses, window)
    ends, means = _align(histories, "epochs", "updates", "batch_loss")
    half = float(ends[0]) / 2 if len(ends) else 0.0
    return ends - half, means


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


def _draw_band(
    axes: Axes,
    x: Array,
    curves: Array,
    color: str,
    style: LineStyle,
    *,
    band: bool = True,
    gid: str | None = None,
) -> None:
    """The median of curves, (lanes, points), and their band; a cross where the median ends."""
    middle, low, high = _quantiles(curves)
    if band and len(curves) > 1:
        axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)
    alive = np.flatnonzero(np.isfinite(middle))
    single: Any = {"marker": "o", "markersize": 4} if len(alive) == len(middle) == 1 else {}
    axes.plot(x, middle, color=color, linestyle=style, gid=gid, **single)
    if 0 < len(alive) < len(middle):
        axes.plot(x[alive[-1]], middle[alive[-1]], "x", color=color, markeredgewidth=2, alpha=0.8)


def _label(axes: Axes, x: str, y: str | None) -> None:
    """Name the axes; without a y, its numbers are those of the panel to the left."""
    axes.set_xlabel(x)
    if not any(len(np.asarray(line.get_xdata())) for line in axes.get_lines()):
        axes.set_xticks([])
        axes.text(0.5, 0.5, "nothing logged", transform=axes.transAxes, ha="center", color="0.5")
    elif axes.get_xscale() == "linear":
        low, high = axes.get_xlim()
        if high - low < 1:
            axes.set_xlim(low - 1, high + 1)
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
        subs = (1, 2, 4, 6) if isinstance(axis, YAxis) else (1, 3)
        axis.set_major_locator(LogLocator(subs=subs))
        axis.set_major_formatter("{x:g}")
    # Ticks are most of the time that a figure takes: those without a number tell nothing.
    axis.set_minor_locator(NullLocator())


def _lr_groups(result: RunResult) -> Iterator[tuple[LineStyle, list[int]]]:
    """The lanes of each learning rate, with its line style."""
    lanes = result.series.lanes
    lrs = list(dict.fromkeys(lane.lr for lane in lanes))
    for lr, style in zip(lrs, _styles(len(lrs)), strict=True):
        yield style, [k for k, lane in enumerate(lanes) if lane.lr == lr]


def _styles(number: int) -> list[LineStyle]:
    return [LINE_STYLES[k % len(LINE_STYLES)] for k in range(number)]


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
    """The mean of `window` consecutive values along the last axis, at the middle of its window.

    Infinite from where the values are.
    """
    window = max(1, min(window, y.shape[-1]))
    with np.errstate(invalid="ignore", over="ignore"):
        sums = np.cumsum(np.concatenate([np.zeros((*y.shape[:-1], 1)), y], axis=-1), axis=-1)
        mean = (sums[..., window:] - sums[..., :-window]) / window
    mean[np.isnan(mean)] = np.inf
    return (x[: mean.shape[-1]] + x[window - 1 :]) / 2, mean


def _updates_an_epoch(history: History) -> int:
    """How many logged updates an epoch has."""
    epochs = history.steps["epoch"]
    return sum(1 for epoch in epochs if epoch == epochs[0]) if len(epochs) else 1


def _plain(text: str) -> str:
    """Text as it stands: to matplotlib, dollars would begin a formula."""
    return text.replace("$", r"\$")
