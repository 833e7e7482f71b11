"""The picture of a fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gdrun.config.parts.groups import Scale
from gdrun.plots.curves import draw_band, lr_groups
from gdrun.plots.figures import comparable
from gdrun.plots.fits.functions import frame_rows, rows_of
from gdrun.plots.layout import framed_figure
from gdrun.plots.looks import looks_of
from gdrun.plots.style import StyledFigure, styled
from gdrun.results.run import RunResult


@styled()
def fit_figure(results: RunResult | Sequence[RunResult], *, scale: Scale = "paper") -> StyledFigure:
    """The data of one feature and the functions fitted to it, in the units of the data.

    Args:
        results: what to draw.
        scale: `slides` makes the text large enough to project.

    Raises:
        ValueError: the data has several features, or the results are of different problems.
    """
    results = comparable(results)
    fits = [(result, result.fit) for result in results if result.fit]
    if not fits:
        raise ValueError("only runs on data with one feature have a fit to draw")
    rows = rows_of(fits[0][1])
    figure, top, bottom = framed_figure(
        results, width=6.4, height=3.7, scale=scale, more=rows, gap=0.25, curves_end=False
    )
    width = figure.get_figwidth()
    sides: Any = {"left": 0.77 / width, "right": 1 - 0.2 / width}
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
