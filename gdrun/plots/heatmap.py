"""The final loss over batch size and learning rate, as a picture."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from gdrun.analysis.sweep_result import Cell, SweepResult
from gdrun.plots.style import STYLE, TITLE, headed_figure
from gdrun.text import count, digits

COLORS = "viridis_r"  # low losses are light
SPREAD = 30  # times the lowest loss, above which all losses have the darkest colour
CELL = (0.8, 0.38)  # inches, at most
MOST_NAMED = (20, 50)  # batch sizes and learning rates on the axes
SMALLEST = (0.48, 0.2)  # inches of a cell that has room for a number
DIVERGED: Any = {"facecolor": "0.93", "edgecolor": "0.75", "hatch": "xxxx", "linewidth": 0}
GUIDES: dict[str, tuple[float, Any]] = {"lr ∝ B": (1.0, "-"), "lr ∝ √B": (0.5, "--")}


@mpl.rc_context(STYLE)
def heatmap_figure(answer: SweepResult) -> Figure:
    """The final loss of each pair, median over seeds: train and, where there is one, validation.

    Through the best cell go the lines on which lr/B and lr/√B are constant: the linear (Goyal et
    al. 2017, sec. 2.1) and the square-root (Krizhevsky 2014, sec. 3) scaling rules.
    """
    panels: list[tuple[str, Callable[[Cell], float], Cell | None]] = [
        ("final train loss", lambda cell: cell.train_loss, answer.best)
    ]
    if answer.has_validation:
        panels.append(("final validation loss", lambda cell: cell.val_loss, answer.best_validated))
    columns, lines = len(answer.batch_sizes), len(answer.lrs)
    cell = (min(CELL[0], 12 / (columns * len(panels))), min(CELL[1], 9 / lines))
    roomy = cell[0] >= SMALLEST[0] and cell[1] >= SMALLEST[1]
    width = max(6.5, len(panels) * (max(2.6, cell[0] * columns) + 1.1) + 0.4)
    figure, top, bottom = headed_figure(
        f"{answer.description.network} on {answer.description.data}, {count(answer.rows, 'row')}",
        _notes(answer),
        _legend(answer),
        width=width,
        height=max(1.8, cell[1] * lines) + 1.0,
    )
    grid = figure.add_gridspec(
        1,
        len(panels),
        left=(0.45 + 0.065 * max(len(f"{lr:g}") for lr in answer.lrs)) / width,
        right=1 - 0.3 / width,
        top=top,
        bottom=bottom,
        wspace=0.2,
    )
    for k, (title, loss, best) in enumerate(panels):
        axes = figure.add_subplot(grid[k])
        drawn = _draw(axes, answer, loss, best, roomy=roomy)
        if not roomy:
            figure.colorbar(drawn, ax=axes, pad=0.02)
        axes.set_title(title, **TITLE)
        if k:
            axes.set_ylabel("")
    return figure


def _draw(
    axes: Axes,
    answer: SweepResult,
    loss: Callable[[Cell], float],
    best: Cell | None,
    *,
    roomy: bool,
) -> AxesImage:
    sizes, lrs = answer.batch_sizes, answer.lrs
    table = np.full((len(lrs), len(sizes)), np.nan)
    for cell in answer.cells:
        table[lrs.index(cell.lr), sizes.index(cell.batch_size)] = loss(cell)
    alive = table[np.isfinite(table) & (table > 0)]
    low = float(alive.min()) if len(alive) else 1.0
    high = max(1.001 * low, min(float(alive.max()), SPREAD * low)) if len(alive) else 10.0
    norm = LogNorm(low, high, clip=True)
    shown = np.ma.masked_invalid(np.where(table > 0, table, np.nan))
    image = axes.imshow(shown, cmap=COLORS, norm=norm, origin="lower", aspect="auto")
    for cell in answer.cells:
        x, y, value = sizes.index(cell.batch_size), lrs.index(cell.lr), loss(cell)
        if not math.isfinite(value):
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, **DIVERGED))
        elif roomy:
            ground = colormaps[COLORS](norm(value))
            light = 0.3 * ground[0] + 0.59 * ground[1] + 0.11 * ground[2] > 0.5
            # Some of the seeds diverged: how many, as a footnote has it.
            some = f"$^{{×{cell.diverged}}}$" if cell.diverged else ""
            axes.text(
                x,
                y,
                digits(value) + some,
                ha="center",
                va="center",
                size=7.5,
                color="black" if light else "white",
                zorder=4,
                bbox={"facecolor": ground, "edgecolor": "none", "pad": 1.2},  # over the lines
            )
    _axes(axes, sizes, lrs)
    if best:
        _guides(axes, best, sizes, lrs)
        at = (sizes.index(best.batch_size) - 0.5, lrs.index(best.lr) - 0.5)
        axes.add_patch(Rectangle(at, 1, 1, fill=False, edgecolor="#D55E00", lw=2.2, zorder=5))
    return image


def _axes(axes: Axes, sizes: Sequence[int], lrs: Sequence[float]) -> None:
    axes.grid(visible=False)
    some = slice(None, None, -(-len(sizes) // MOST_NAMED[0]))
    axes.set_xticks(range(len(sizes))[some], [f"{size:,}" for size in sizes[some]])
    some = slice(None, None, -(-len(lrs) // MOST_NAMED[1]))
    axes.set_yticks(range(len(lrs))[some], [f"{lr:g}" for lr in lrs[some]])
    axes.set_xlabel("batch size B")
    axes.set_ylabel("learning rate")
    axes.tick_params(length=0)
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_ylim(-0.5, len(lrs) - 0.5)
    for side in axes.spines.values():
        side.set_visible(False)


def _guides(axes: Axes, best: Cell, sizes: Sequence[int], lrs: Sequence[float]) -> None:
    """The scaling rules' lines, through the centres of cells where they hold exactly."""
    if len(sizes) < 2 or len(lrs) < 2:
        return
    batches = np.union1d(np.geomspace(sizes[0], sizes[-1], 200), sizes)
    x = np.interp(np.log(batches), np.log(sizes), np.arange(len(sizes)))
    for power, style in GUIDES.values():
        y = _position(best.lr * (batches / best.batch_size) ** power, lrs)
        (line,) = axes.plot(x, y, style, color="black", linewidth=1.1, alpha=0.7, zorder=3)
        line.set_path_effects([withStroke(linewidth=2.5, foreground="white", alpha=0.6)])


def _position(values: Any, lrs: Sequence[float]) -> Any:
    """Where learning rates lie on an axis of cells, their logarithms interpolated; NaN beyond."""
    logs = np.log(lrs)
    below, above = logs[0] - (logs[1] - logs[0]) / 2, logs[-1] + (logs[-1] - logs[-2]) / 2
    known = np.concatenate([[below], logs, [above]])
    places = np.concatenate([[-0.5], np.arange(len(lrs)), [len(lrs) - 0.5]])
    return np.interp(np.log(values), known, places, left=np.nan, right=np.nan)


def _has_guides(answer: SweepResult) -> bool:
    """Whether there are lines through the lowest."""
    return bool(answer.best) and len(answer.batch_sizes) > 1 and len(answer.lrs) > 1


def _legend(answer: SweepResult) -> list[Any]:
    handles: list[Any] = []
    if answer.best:
        handles.append(Patch(fill=False, edgecolor="#D55E00", linewidth=2.2, label="lowest"))
    if any(math.isinf(cell.train_loss) for cell in answer.cells):
        handles.append(Patch(**DIVERGED, label="diverged"))
    if _has_guides(answer):
        handles += [
            Line2D([], [], color="black", linestyle=style, linewidth=1.3, label=name)
            for name, (_, style) in GUIDES.items()
        ]
    return handles


def _notes(answer: SweepResult) -> list[str]:
    notes = [f"loss: {answer.description.loss_name}"]
    if answer.seeds > 1:
        notes.append(f"median of {answer.seeds} seeds")
    if any(cell.diverged > 0 and math.isfinite(cell.train_loss) for cell in answer.cells):
        notes.append("raised: seeds that diverged")
    if _has_guides(answer):
        notes.append("lines through the lowest: lr/B and lr/√B constant")
    return notes
