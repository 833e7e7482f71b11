"""One picture of many runs: their losses against one cost."""

from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gdrun.plots.curves import draw_epochs
from gdrun.plots.looks import looks_of
from gdrun.plots.scales import label_axes, log_scale
from gdrun.plots.style import STYLE, TITLE, framed_figure
from gdrun.results.axes import AXES, COSTS, Cost, ceiling_of
from gdrun.results.run import RunResult


@mpl.rc_context(STYLE)
def curves_figure(
    results: RunResult | Sequence[RunResult], x: Cost = "updates", log_x: bool | None = None
) -> Figure:
    """The train loss of all runs, and their validation loss if there is one, against one cost.

    Args:
        results: what to draw.
        x: `epoch`, `updates`, `samples` or `seconds`.
        log_x: whether that axis is logarithmic; if not given, every axis but that of epochs is.

    Raises:
        ValueError: there are no results, or there is no such cost.
    """
    results = [results] if isinstance(results, RunResult) else results
    if not results:
        raise ValueError("there are no results to draw")
    if x not in COSTS:
        raise ValueError(f"x must be one of {', '.join(COSTS)}, got {x!r}")
    log_x = x != "epoch" if log_x is None else log_x
    losses = {"train_loss": "train loss"}
    if any(result.description.val_rows for result in results):
        losses["val_loss"] = "validation loss"
    width, gap = (6.4, 0.15) if len(losses) == 1 else (9.6, 0.4)  # room for titles
    figure, top, bottom = framed_figure(results, width=width, height=3.6, gap=gap)
    grid = figure.add_gridspec(
        1,
        len(losses),
        left=0.75 / width,
        right=1 - 0.15 / width,
        top=top,
        bottom=bottom,
        wspace=0.08,
    )
    ceiling, looks = ceiling_of(results), looks_of(results)
    first = None
    for column, (loss, title) in enumerate(losses.items()):
        first = axes = figure.add_subplot(grid[column], sharey=first)
        for result in results:
            draw_epochs(axes, result, ceiling, looks, loss, x, log_x=log_x)
        log_scale(axes, x=log_x)
        if len(losses) > 1:
            axes.set_title(title, **TITLE)
        name = "loss over all rows" if len(losses) > 1 else "train loss"
        _label(axes, x, name if column == 0 else None)
    return figure


def _label(axes: Axes, x: Cost, y: str | None) -> None:
    limits = axes.get_xlim()
    label_axes(axes, AXES[x].title_with_unit, y)
    if axes.get_yscale() == "linear":  # all curves diverge before there is anything to see
        axes.set_yticks([])
    if x == "seconds" and axes.get_xscale() == "linear":  # ticks at fractions of a second
        axes.set_xlim(limits)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.xaxis.set_major_formatter("{x:g}")
