"""One feature: its rows as points, and the functions fitted to them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gdrun.config.parts.groups import Scale
from gdrun.errors import excerpt
from gdrun.plots.captions import literal
from gdrun.plots.curves import MAX_VECTOR_POINTS, draw_band, lr_groups
from gdrun.plots.layout import LEFT, RIGHT, framed_figure
from gdrun.plots.looks import looks_of
from gdrun.plots.style import StyledFigure
from gdrun.results.fits import Fit
from gdrun.results.run import RunResult


def functions_figure(
    results: Sequence[RunResult], fits: Sequence[tuple[RunResult, Fit]], scale: Scale
) -> StyledFigure:
    """The rows of one feature, and the functions that are fitted to them."""
    rows = rows_of(fits[0][1])
    figure, top, bottom = framed_figure(
        results, width=6.4, height=3.7, scale=scale, more=rows, gap=0.25, curves_end=False
    )
    width = figure.get_figwidth()
    sides: Any = {"left": LEFT / width, "right": 1 - RIGHT / width}
    axes = figure.add_subplot(figure.add_gridspec(1, 1, **sides, top=top, bottom=bottom)[0])
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
    frame_rows(axes, *fits[0])
    return figure


def rows_of(fit: Fit) -> list[Line2D]:
    """The rows of one feature, for training and for validation, as points."""
    dots: Any = {"linestyle": "none", "marker": "o", "markersize": 3.5, "color": "0.55"}
    dots["rasterized"] = len(fit.x) > MAX_VECTOR_POINTS
    rows = [Line2D(fit.x, fit.y, **dots, markeredgewidth=0, label="training data")]
    if fit.x_val:
        rows.append(
            Line2D(fit.x_val, fit.y_val, **dots, markerfacecolor="white", label="validation data")
        )
    return rows


def frame_rows(axes: Axes, result: RunResult, fit: Fit) -> None:
    """Name the axes of a fit, and let them show what the rows need: a function may go beyond."""
    description = result.description
    axes.set_xlabel(literal(excerpt(description.features[0])))
    axes.set_ylabel(literal(excerpt(description.target)))
    axes.ticklabel_format(scilimits=(-4, 5))
    targets = np.concatenate([fit.y, fit.y_val])
    margin = 0.15 * float(np.ptp(targets)) or 1.0
    axes.set_ylim(targets.min() - margin, targets.max() + margin)
