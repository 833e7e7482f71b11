"""One feature: its rows as points, and the frame around them."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gdrun.errors import excerpt
from gdrun.plots.captions import literal
from gdrun.plots.curves import MAX_VECTOR_POINTS
from gdrun.results.run import Fit, RunResult


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
