"""One panel: the train loss on the plane as contours, and the paths above it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from gdrun.plots.landscape.bands import Bands
from gdrun.plots.scales import dpi_of
from gdrun.results.landscape import Landscape, PlanePath

GAP = 7.0  # points, at least, between two markers of a path
CASING: Any = [withStroke(linewidth=2.6, foreground="white")]
START: Any = {"marker": "s", "markersize": 7.0}
END: Any = {"marker": "D", "markersize": 7.5}
POINT: Any = {"marker": "o", "markersize": 4.6}


def draw_ground(axes: Axes, landscape: Landscape, bands: Bands) -> None:
    """The loss on the plane: greys with contours between them; what is infinite has the darkest."""
    heights, levels = bands.heights(landscape.losses), bands.heights(bands.levels)
    axes.grid(visible=False)
    how: Any = {"levels": levels, "zorder": 0, "extend": "max"}
    colors = [bands.colors(k) for k in range(len(levels))]
    filled = axes.contourf(landscape.xs, landscape.ys, heights, colors=colors, **how)
    filled.set_edgecolor("face")  # no light seams between bands in a PDF
    lines: Any = {"colors": "white", "linewidths": 0.6, "linestyles": "solid"}
    axes.contour(landscape.xs, landscape.ys, heights, levels=levels, zorder=0.5, **lines)
    axes.set(xlim=(landscape.xs[0], landscape.xs[-1]), ylim=(landscape.ys[0], landscape.ys[-1]))
    for side in axes.spines.values():
        side.set(visible=True, color="0.6", linewidth=0.6)


def draw_paths(axes: Axes, landscape: Landscape, bands: Bands, colors: Mapping[str, str]) -> None:
    """Each path as a line with points filled by their own losses, its start and its end marked."""
    for path in landscape.paths:
        color = colors[path.name]
        if len(path.x) > 1:
            (line,) = axes.plot(path.x, path.y, color=color, linewidth=1.1, zorder=2)
            line.set_path_effects(CASING)
    for path in landscape.paths:
        color = colors[path.name]
        for k in spaced(axes, path)[1:-1]:
            _mark(axes, path, k, bands, color, 3.0, **POINT)
    for path in landscape.paths:
        if len(path.x) > 1:
            _mark(axes, path, 0, bands, colors[path.name], 4.0, **START)
    for path in landscape.paths:
        _mark(axes, path, len(path.x) - 1, bands, colors[path.name], 5.0, **END)


def spaced(axes: Axes, path: PlanePath) -> list[int]:
    """Points of a path, its first and its last, and others so far apart that markers have room."""
    corners = [axes.transData.transform((x, y)) for x, y in zip(path.x, path.y, strict=True)]
    places = np.asarray(corners) * 72 / dpi_of(axes)
    last = len(places) - 1
    found = [0]
    for k in range(1, last):
        others = places[[*found, last]]
        if np.hypot(*(others - places[k]).T).min() >= GAP:
            found.append(k)
    return [*found, last]


def _mark(
    axes: Axes, path: PlanePath, k: int, bands: Bands, color: str, zorder: float, **look: Any
) -> None:
    fill: Any = {"markerfacecolor": bands.color(path.losses[k]), "markeredgecolor": color}
    fill |= {"markeredgewidth": 1.2, "linestyle": "none", "zorder": zorder, "clip_on": False}
    axes.add_line(Line2D([path.x[k]], [path.y[k]], **fill, **look))


def draw_colorbar(axes: Axes, bands: Bands, title: str) -> None:
    """What the greys stand for."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    scale = ScalarMappable(norm=bands.norm, cmap=bands.colors)
    bar = figure.colorbar(scale, cax=axes, extend="max", spacing="uniform", extendfrac=0.06)
    shown = bands.levels[:: 1 if len(bands.levels) <= 14 else 2]
    bar.set_ticks(list(shown), labels=[f"{level:g}" for level in shown])
    bar.ax.tick_params(length=2, labelsize=8)
    bar.ax.minorticks_off()
    bar.set_label(title, size=8.5)
    outline: Any = bar.outline
    outline.set(linewidth=0.6, edgecolor="0.6")
