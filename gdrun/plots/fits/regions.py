"""Two features: their rows as points, and the regions of the classes that were learned of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gdrun.config.parts.groups import Scale
from gdrun.plots.captions import literal, loss_note, status_notes, title_of
from gdrun.plots.curves import MAX_VECTOR_POINTS, Array
from gdrun.plots.figures import titles_of
from gdrun.plots.fits.classes import (
    color_of,
    edge_of,
    leads,
    logs_of,
    marker_of,
    mean_of,
    painted,
    refined,
)
from gdrun.plots.fits.frame import cut, name_axes
from gdrun.plots.layout import BELOW, BETWEEN, LEFT, RIGHT, SHRINK, headed_figure
from gdrun.plots.scales import (
    fitting,
    points_across,
)
from gdrun.plots.style import StyledFigure, styled
from gdrun.results.colors import run_colors
from gdrun.results.compare import BEST_RATES, at_best_rate
from gdrun.results.fits import Regions
from gdrun.results.run import RunResult
from gdrun.text import listed, span, visible

MAX_ACROSS = 4  # panels in a single row; more are in several
ALONE, BESIDE = (4.3, 3.8), (2.4, 2.4)  # inches of a panel
WIDEST = 11.0  # inches of all panels of a row
ABOVE = 0.36  # inches above panels, for their titles
BOUNDARY, SEED = "boundary", "seed"  # the `gid` of lines: where the mean of seeds, or one, is equal
MAX_MARKER = 0.022  # of the width of a panel
CONSTANT = 1e-9  # of the values of a feature: a range below has no ticks of its own
MAX_CLASS = 20.0  # average letters of its name in the legend
SIZES = ((200, 4.2), (1000, 3.2), (math.inf, 2.2))  # of markers in points, for so many rows


@dataclass(frozen=True)
class _Shown:
    """A run at the learning rate that is shown, with the lanes of which there are regions."""

    result: RunResult
    regions: Regions
    lanes: Sequence[int]


def regions_figure(found: Sequence[tuple[RunResult, Regions]], scale: Scale) -> StyledFigure:
    """The regions of classes, a panel a run; each at its best learning rate, mean over its seeds.

    A lane that diverged has no regions.
    """
    runs = [_shown(result) for result, _ in found]
    reduced = any(len(result.series.lrs) > 1 for result, _ in found)
    return _drawn(runs, _notes(runs, reduced=reduced), scale)


def _shown(result: RunResult) -> _Shown:
    best = at_best_rate(result)
    assert isinstance(best.fit, Regions)
    lanes = [
        k
        for k, (lane, values) in enumerate(zip(best.lanes, best.fit.probabilities, strict=True))
        if lane.diverged_at is None and np.isfinite(np.asarray(values)).all()
    ]
    return _Shown(best, best.fit, lanes)


@styled()
def _drawn(runs: Sequence[_Shown], notes: Sequence[str], scale: Scale) -> StyledFigure:
    across, up = SHRINK[scale]
    columns = _columns(len(runs))
    rows = -(-len(runs) // columns)
    sides = ALONE if len(runs) == 1 else BESIDE
    width = across * min(sides[0], (WIDEST - BETWEEN * (columns - 1)) / columns)
    height = up * min(sides[1], sides[1] * width / (across * sides[0]))
    full = LEFT + RIGHT + columns * width + (columns - 1) * BETWEEN
    title = title_of([run.result for run in runs])
    figure, top, bottom = headed_figure(
        title,
        notes,
        _legend(runs[0].regions),
        width=full / across,
        height=(rows * height + (rows - 1) * ABOVE + BELOW) / up,
        scale=scale,
        gap=ABOVE + 0.1,
    )
    grid = figure.add_gridspec(
        rows,
        columns,
        left=LEFT / full,
        right=1 - RIGHT / full,
        top=top,
        bottom=bottom,
        wspace=BETWEEN / width,
        hspace=ABOVE / height,
    )
    colors = run_colors([run.result.series for run in runs])
    first: Axes | None = None
    for k, run in enumerate(runs):
        axes = figure.add_subplot(grid[k // columns, k % columns], sharex=first, sharey=first)
        first = first or axes
        _draw_regions(axes, run)
        _draw_rows(axes, run.regions)
        name_axes(
            axes,
            run.result.description.features,
            lowest=k + columns >= len(runs),
            leftmost=k % columns == 0,
        )
        titles = _titles(run, [each.result for each in runs])
        room = points_across(axes)
        title = fitting(titles, room, 10)
        axes.set_title(title, loc="left", color=colors[run.result.series.name], y=1.0, pad=6.0)
    return figure


def _columns(panels: int) -> int:
    """How many panels are side by side: all of a few, and otherwise rows of about one length."""
    if panels <= MAX_ACROSS:
        return panels
    rows = -(-panels // math.ceil(math.sqrt(1.5 * panels)))
    return -(-panels // rows)


def _titles(run: _Shown, results: Sequence[RunResult]) -> list[str]:
    """Titles of a panel, the first of which fits best, with learning rates if these differ."""
    titles = titles_of(run.result.series)
    if len({result.series.lrs[0] for result in results}) == 1:
        return titles
    rate = f", lr {run.result.series.lrs[0]:g}"
    return [*(title + rate for title in titles), *titles]


def _draw_regions(axes: Axes, run: _Shown) -> None:
    """The background, the boundaries of single seeds, and above them that of their mean."""
    regions = run.regions
    x, y = _spread(regions.grid_x), _spread(regions.grid_y)
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set(visible=True, color="0.6", linewidth=0.6)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
    if not run.lanes:
        said: Any = {"transform": axes.transAxes, "ha": "center", "color": "0.35", "zorder": 5}
        axes.text(0.5, 0.5, "diverged", bbox={"facecolor": "white", "edgecolor": "none"}, **said)
        return
    seeds = logs_of(regions, run.lanes)
    mean = refined(mean_of(seeds))
    dx, dy = np.ptp(x) / (mean.shape[1] - 1) / 2, np.ptp(y) / (mean.shape[0] - 1) / 2
    extent = (x[0] - dx, x[-1] + dx, y[0] - dy, y[-1] + dy)  # colours are in the middle of pixels
    shown: Any = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "zorder": 0}
    axes.imshow(painted(mean), extent=extent, **shown)
    if len(seeds) > 1:
        for seed in seeds:
            _draw_boundary(axes, seed, x, y, SEED, colors="0.25", linewidths=0.5, alpha=0.4)
    fine_x = np.linspace(x[0], x[-1], mean.shape[1])
    fine_y = np.linspace(y[0], y[-1], mean.shape[0])
    _draw_boundary(axes, mean, fine_x, fine_y, BOUNDARY, colors="black", linewidths=1.4)
    axes.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))


def _spread(grid: Sequence[float]) -> Array:
    """The values of an axis; if a feature has but one, with room around it."""
    values = np.asarray(grid, dtype=float)
    size = max(abs(values[0]), abs(values[-1]))
    if values[-1] - values[0] > CONSTANT * size:
        return values
    return np.asarray(values[0] + np.linspace(-0.5, 0.5, len(values)) * (size or 1.0))


def _draw_boundary(axes: Axes, logs: Any, x: Any, y: Any, gid: str, **look: Any) -> None:
    """The lines on which two classes are the likeliest: around each class, or between two."""
    classes = logs.shape[-1]
    for label in range(classes if classes > 2 else 1):
        lead = leads(logs, label)
        if lead.min() < 0 < lead.max():
            axes.contour(x, y, lead, levels=[0.0], zorder=1.5, **look).set_gid(gid)


def _draw_rows(axes: Axes, regions: Regions) -> None:
    """The rows as points: for training filled, for validation hollow."""
    rows = len(regions.labels) + len(regions.labels_val)
    size = next(size for most, size in SIZES if rows <= most)
    size = min(size, MAX_MARKER * points_across(axes))
    for points, labels, hollow in (
        (regions.x, regions.labels, False),
        (regions.x_val, regions.labels_val, True),
    ):
        places, own = np.asarray(points, dtype=float).reshape(-1, 2), np.asarray(labels)
        for label in range(len(regions.classes)):
            shown = places[own == label]
            line = _points(label, size, hollow=hollow)
            line.set_data(shown[:, 0], shown[:, 1])
            line.set_rasterized(rows > MAX_VECTOR_POINTS)
            if len(shown):
                axes.add_line(line)


def _points(label: int, size: float, *, hollow: bool) -> Line2D:
    """Points of a class, none yet."""
    look: Any = {"linestyle": "none", "marker": marker_of(label), "markersize": size, "zorder": 2}
    look |= {"markerfacecolor": "white" if hollow else color_of(label)}
    look |= {"markeredgecolor": edge_of(label), "markeredgewidth": 0.9 if hollow else 0.5}
    return Line2D([], [], color=color_of(label), **look)


def _legend(regions: Regions) -> list[Line2D]:
    """One entry a class, and what filled and hollow points are."""
    handles = [_points(label, 6.0, hollow=False) for label in range(len(regions.classes))]
    for handle, name in zip(handles, regions.classes, strict=True):
        handle.set_label(literal(cut(visible(name), MAX_CLASS)))
    if regions.labels_val:
        dots: Any = {"linestyle": "none", "marker": "o", "markersize": 6, "color": "0.4"}
        handles.append(Line2D([], [], **dots, markeredgewidth=0.35, label="training data"))
        handles.append(Line2D([], [], **dots, markerfacecolor="white", label="validation data"))
    return handles


def _notes(runs: Sequence[_Shown], *, reduced: bool) -> list[str]:
    """How to read the panels."""
    results = [run.result for run in runs]
    notes = [loss_note(results), "colour: the likeliest class, pale where another comes close"]
    seeds = [len(run.lanes) for run in runs if run.lanes]
    if seeds and max(seeds) > 1:
        notes.append(f"mean over {span(seeds)} seeds, thin: the boundary of each")
    if reduced:
        notes.append(BEST_RATES if len(runs) > 1 else "at its best learning rate")
    notes += _left_out(runs)
    return [*notes, *status_notes(results)]


def _left_out(runs: Sequence[_Shown]) -> Iterator[str]:
    """That seeds which diverged have no part in the mean."""
    some = [
        f"{run.result.seeds - len(run.lanes)} of {run.result.seeds} seeds"
        + (f" of {run.result.series.name}" if len(runs) > 1 else "")
        for run in runs
        if 0 < len(run.lanes) < run.result.seeds
    ]
    if some:
        yield f"not drawn, as they diverged: {listed(some)}"
