"""What explains runs: sharpness against its limit, noise against batch size, gradient and noise."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from gdrun.config.parts.groups import Scale
from gdrun.plots.curves import draw_band, lr_groups
from gdrun.plots.layout import BELOW, LEFT, RIGHT, SHRINK, chosen, framed_figure
from gdrun.plots.looks import Look, Looks, looks_of
from gdrun.plots.scales import (
    dpi_of,
    fitting,
    label_axes,
    log_scale,
    number_log_axis,
    points_across,
)
from gdrun.plots.style import StyledFigure, styled
from gdrun.results.rows import probe_columns as names
from gdrun.results.rows.history import History
from gdrun.results.rows.probe_columns import compared_with_limit
from gdrun.results.run import RunResult
from gdrun.text import number

Array = NDArray[np.float64]
Draw = Callable[[Axes, Sequence[History], RunResult, Look], "_Compared | None"]
WIDTH, HEIGHT = 3.7, 2.6  # inches of a panel on paper
DOTTED = (0, (1.2, 1.6))  # of what is compared with: rates are told apart by dashes
FAR_ABOVE = 30.0  # times the highest of the curves, where a panel ends
GREY = "0.35"  # of a line that several runs are compared with
LABEL, LABEL_GAP = 8.0, 11.0  # points: the size of a label, and from one to the next
HALO = [withStroke(linewidth=2.5, foreground="white")]


@dataclass(frozen=True)
class _Compared:
    """What the curve of a run is compared with: a line, and what is written on it."""

    x: Array
    y: Array
    label: str
    color: str


@dataclass(frozen=True)
class _Part:
    """A panel: its name, titles and y axis, what bounds it, and how lanes of a rate are drawn."""

    name: str
    titles: Sequence[str]
    y: str
    bound: str
    draw: Draw


@styled()
def why_figure(
    results: Sequence[RunResult], *, panel: str | None = None, scale: Scale = "paper"
) -> StyledFigure:
    """What the probes of runs measured, over epochs, in a panel for each probe.

    Sharpness and the limit that the optimizer tolerates; the noise scale and the batch size; the
    norm of the gradient and the deviation of that of a batch. What is compared with is dotted.

    Args:
        results: of runs of which some were probed, each at few learning rates.
        panel: the only panel to draw: `sharpness`, `noise` or `gradient`.
        scale: `slides` makes the text large enough to project.

    Raises:
        ValueError: none was probed, or there is no such panel.
    """
    results = [result for result in results if result.series.probe_columns]
    parts = _parts(results)
    if not parts:
        raise ValueError("none of the runs was probed")
    shown = [*parts.values()] if panel is None else [chosen(parts, panel)]
    figure, top, bottom = framed_figure(
        results,
        width=WIDTH * len(shown) + (2.0 if len(shown) == 1 else 0.0),
        height=HEIGHT + BELOW / SHRINK[scale][1],
        scale=scale,
        note=f"dotted: {', '.join(part.bound for part in shown)}",
        curves_end=False,
    )
    looks, full = looks_of(results), figure.get_figwidth()
    width = (full - len(shown) * (LEFT + RIGHT)) / len(shown)
    grid = figure.add_gridspec(
        1,
        len(shown),
        left=LEFT / full,
        right=1 - RIGHT / full,
        top=top,
        bottom=bottom,
        wspace=(LEFT + RIGHT) / width,
    )
    for k, part in enumerate(shown):
        _draw(figure.add_subplot(grid[k]), part, results, looks)
    return figure


def why_panels(results: Sequence[RunResult]) -> list[str]:
    """The names of the panels of `why_figure`; none if nothing was probed."""
    return [*_parts(results)]


def _parts(results: Sequence[RunResult]) -> dict[str, _Part]:
    """The panels of what some run has measured."""
    columns = {name for result in results for name in result.series.probe_columns}
    adaptive = {names.PRECONDITIONED in result.series.probe_columns for result in results}
    what = "preconditioned sharpness" if adaptive == {True} else "sharpness"
    every = {
        names.SHARPNESS: _Part(
            "sharpness",
            [f"{what}, and the largest that is stable", f"{what} and its limit", what],
            "largest eigenvalue",
            "the largest that is stable",
            _sharpness,
        ),
        names.SIMPLE_SCALE: _Part(
            "noise",
            ["noise scale, and the batch size", "noise scale, batch size", "noise scale"],
            "rows",
            "the batch size",
            _noise,
        ),
        names.GRADIENT_NORM: _Part(
            "gradient",
            ["norm of the gradient, and a batch's noise", "gradient norm and noise", "gradient"],
            "norm",
            "how far a batch's gradient is off",
            _gradient,
        ),
    }
    return {part.name: part for column, part in every.items() if column in columns}


def _draw(axes: Axes, part: _Part, results: Sequence[RunResult], looks: Looks) -> None:
    room = points_across(axes)
    compared = [
        found
        for result in results
        for look, lanes in lr_groups(result, looks)
        if (found := part.draw(axes, [result.histories[lane] for lane in lanes], result, look))
    ]
    lines = [each for each in _merged(compared) if np.isfinite(each.y).any()]
    highest = max((float(np.nanmax(line.get_ydata())) for line in axes.get_lines()), default=1.0)
    for each in lines:
        if len(each.x) == 1:  # of a single moment, which is no line
            axes.axhline(each.y[0], color=each.color, linestyle=DOTTED, linewidth=1.4)
        else:
            axes.plot(each.x, each.y, color=each.color, linestyle=DOTTED, linewidth=1.4)
    log_scale(axes, x=False)
    top = axes.get_ylim()[1]
    if top > FAR_ABOVE * highest > 0:  # limits without end, as where a rate falls to nothing
        axes.set_ylim(top=FAR_ABOVE * highest)
    number_log_axis(axes.yaxis)
    label_axes(axes, "epoch", part.y)
    _write(axes, lines)
    axes.set_title(fitting(part.titles, room, 10), loc="left", pad=7.0)


def _merged(compared: Sequence[_Compared]) -> list[_Compared]:
    """Lines that are the same for several runs as one, in grey."""
    found: dict[tuple[bytes, bytes], _Compared] = {}
    for each in compared:
        key = (each.x.tobytes(), each.y.tobytes())
        found[key] = replace(each, color=GREY) if key in found else each
    return [*found.values()]


def _write(axes: Axes, lines: Sequence[_Compared]) -> None:
    """Write what lines are above their right ends, as far as there is room; the same only once."""
    scale = 72 / dpi_of(axes)
    low, high = axes.get_ylim()
    right = axes.get_xlim()[1]
    taken: list[float] = []
    written: set[str] = set()
    for each in sorted(lines, key=lambda each: -each.y[-1]):
        _, height = axes.transData.transform((right, each.y[-1]))
        is_free = all(abs(height * scale - other) > LABEL_GAP for other in taken)
        if low < each.y[-1] < high and each.label not in written and is_free:
            taken.append(height * scale)
            written.add(each.label)
            axes.annotate(
                each.label,
                (right, float(each.y[-1])),
                xytext=(-2, 2),
                textcoords="offset points",
                ha="right",
                va="bottom",
                size=LABEL,
                color=each.color,
                path_effects=HALO,
            )


def _sharpness(
    axes: Axes, histories: Sequence[History], result: RunResult, look: Look
) -> _Compared | None:
    _curve(axes, histories, compared_with_limit(result.series.probe_columns), look)
    x, limits = _aligned(histories, names.LIMIT)
    if not len(x):
        return None
    known = np.where(np.isfinite(limits), limits, -np.inf).max(axis=0)
    constant = np.ptp(known) <= 1e-6 * float(known[-1])
    label = f"stable up to {number(float(known[-1]))}" if constant else "limit"
    return _Compared(x, known, label, look.color)


def _noise(
    axes: Axes, histories: Sequence[History], result: RunResult, look: Look
) -> _Compared | None:
    _curve(axes, histories, names.SIMPLE_SCALE, look)
    x, _ = _aligned(histories, names.SIMPLE_SCALE)
    size = result.series.batch_size
    if not len(x):
        return None
    return _Compared(x, np.full(len(x), float(size)), f"B = {size:,}", look.color)


def _gradient(
    axes: Axes, histories: Sequence[History], _: RunResult, look: Look
) -> _Compared | None:
    _curve(axes, histories, names.GRADIENT_NORM, look)
    x, variances = _aligned(histories, names.BATCH_VARIANCE)
    if not np.isfinite(variances).any():  # a batch of all rows has no noise
        return None
    return _Compared(x, np.sqrt(np.median(variances, axis=0)), "noise", look.color)


def _curve(axes: Axes, histories: Sequence[History], column: str, look: Look) -> None:
    """The median and band of a column over the lanes."""
    x, values = _aligned(histories, column)
    if len(x):
        draw_band(axes, x, values, look)


def _aligned(histories: Sequence[History], column: str) -> tuple[Array, Array]:
    """The probed epochs, and a column of each lane there: (lanes, epochs); infinite if unknown.

    A logarithmic axis has no place for what isn't positive, which counts as unknown.
    """
    known = [history.probes for history in histories if column in history.probes]
    epochs = sorted({epoch for table in known for epoch in table["epoch"]})
    values = np.full((len(known), len(epochs)), np.inf)
    for row, table in zip(values, known, strict=True):
        places = np.searchsorted(epochs, np.asarray(table["epoch"], dtype=float))
        row[places] = table[column]
    return np.asarray(epochs, dtype=float), np.where(values > 0, values, np.inf)
