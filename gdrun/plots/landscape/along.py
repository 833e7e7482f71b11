"""One panel: the true losses along the paths, and those that the plane has beside them."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gdrun.plots.landscape.bands import Bands
from gdrun.plots.scales import number_log_axis
from gdrun.results.landscape import Landscape

PLANE = (0, (3.5, 1.5))  # dashes


def draw_along(axes: Axes, landscape: Landscape, bands: Bands, colors: Mapping[str, str]) -> None:
    """Against the epoch; a loss on the plane that is far above all others leaves the frame."""
    true = [loss for path in landscape.paths for loss in path.losses]
    for path in landscape.paths:
        color = colors[path.name]
        axes.plot(path.epochs, path.losses, color=color, linewidth=1.4, zorder=3)
        plane = np.asarray(path.plane_losses, dtype=float)
        axes.plot(path.epochs, plane, color=color, linewidth=1.1, linestyle=PLANE, zorder=2)
    if bands.is_log and min(true) > 0:
        axes.set_yscale("log")
    axes.margins(x=0.02)
    low, high = axes.get_ylim()
    axes.set_ylim(low, min(high, bands.levels[-1] * 1.05) if bands.levels[-1] > 0 else high)
    number_log_axis(axes.yaxis)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
    axes.set_xlabel("epoch")
    axes.set_ylabel("train loss")
