"""The final loss over batch size and learning rate, as a picture of the grid of a sweep."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke

from gdrun.analysis.recommend import recommended
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell
from gdrun.config.parts.groups import Scale
from gdrun.plots.layout import BELOW, SHRINK, chosen, headed_figure
from gdrun.plots.scales import LETTER, LINE, TICK_GAP, points_across, points_up
from gdrun.plots.style import TITLE, StyledFigure, styled
from gdrun.results.axes import TRAIN, VALIDATION
from gdrun.text import count, digits

COLORS = "viridis_r"  # low losses are light
MAX_RATIO = 30  # to the lowest loss; beyond it, all losses have the darkest colour
MAX_CELL = (0.8, 0.38)  # width and height in inches
MIN_NUMBERED_CELL = (0.48, 0.2)  # inches; a smaller cell has no room for a number
TITLE_ROOM = 0.35  # inches above a panel below another
MAX_TICKS = (20, 50)  # of batch sizes and of learning rates
LOWEST: Any = {"fill": False, "edgecolor": "#D55E00", "linewidth": 2.2}
ADVISED: Any = {"fill": False, "edgecolor": "black", "linewidth": 1.8, "linestyle": (0, (2.5, 1))}
DIVERGED: Any = {"facecolor": "0.93", "edgecolor": "0.75", "hatch": "xxxx", "linewidth": 0}
GUIDES: dict[str, tuple[float, Any]] = {"lr ∝ B": (1.0, "-"), "lr ∝ √B": (0.5, "--")}


@styled()
def heatmap_figure(
    sweep: SweepResult, *, panel: str | None = None, scale: Scale = "paper"
) -> StyledFigure:
    """The final loss of each pair, median over seeds: train and, where there is one, validation.

    Lines through the best cell show where lr/B and lr/√B are constant: the linear (Goyal et al.
    2017, sec. 2.1) and the square-root (Krizhevsky 2014, sec. 3) scaling rules.

    Args:
        sweep: what to draw.
        panel: the only panel to draw: `train` or `validation`.
        scale: `slides` makes the text large enough to project.

    Raises:
        ValueError: there is no such panel.
    """
    panels = heatmap_panels(sweep)
    if panel is not None:
        panels = {panel: chosen(panels, panel)}
    parts = sweep.parts
    # Of several optimizers, each has a row of panels or, if there is but one loss, a column.
    down, beside = (len(parts), len(panels)) if len(panels) > 1 else (1, len(parts))
    columns, rows = len(sweep.batch_sizes), max(len(part.lrs) for part in parts)
    across, up = SHRINK[scale]
    cell_width = across * min(MAX_CELL[0], 12 / (columns * beside))
    cell_height = max(MIN_NUMBERED_CELL[1], up * MAX_CELL[1])
    cell_height = min(cell_height, up * 9 / rows)
    numbered = cell_width >= MIN_NUMBERED_CELL[0] and cell_height >= MIN_NUMBERED_CELL[1]
    width = max(across * 6.5, beside * (max(2.6, cell_width * columns) + 1.1) + 0.4)
    panel_height = max(1.4, cell_height * rows)
    between = (BELOW + TITLE_ROOM) * (down - 1)
    figure, top, bottom = headed_figure(
        f"{sweep.description.network} on {sweep.description.data}, {count(sweep.rows, 'row')}",
        _notes(sweep),
        _legend(sweep),
        width=width / across,
        height=(panel_height * down + between + BELOW) / up,
        scale=scale,
    )
    grid = figure.add_gridspec(
        down,
        beside,
        left=(0.45 + 0.065 * max(len(f"{lr:g}") for lr in sweep.lrs)) / width,
        right=1 - 0.3 / width,
        top=top,
        bottom=bottom,
        wspace=0.2,
        hspace=(BELOW + TITLE_ROOM) / panel_height,
    )
    advised = recommended(sweep)
    for row, part in enumerate(parts):
        for k, name in enumerate(panels):
            axes = figure.add_subplot(grid[row * len(panels) + k])
            title, loss, best = heatmap_panels(part)[name]
            norm = _color_norm([loss(cell) for cell in sweep.cells])
            image = _draw(axes, part, loss, (best, advised), norm, numbered=numbered)
            if not numbered:
                figure.colorbar(image, ax=axes, pad=0.02)
            _name_axes(axes, part.batch_sizes, part.lrs)
            axes.set_title(f"{part.optimizer}: {title}" if part.optimizer else title, **TITLE)
            if k:
                axes.set_ylabel("")
    return figure


def heatmap_panels(
    sweep: SweepResult,
) -> dict[str, tuple[str, Callable[[Cell], float], Cell | None]]:
    """By name: the title of a panel, its loss, and the cell in which that is lowest."""
    panels: dict[str, tuple[str, Callable[[Cell], float], Cell | None]] = {
        TRAIN: ("final train loss", lambda cell: cell.train_loss, sweep.best)
    }
    if sweep.has_validation:
        panels[VALIDATION] = (
            "final validation loss",
            lambda cell: cell.val_loss,
            sweep.best_validated,
        )
    return panels


def _draw(
    axes: Axes,
    sweep: SweepResult,
    loss: Callable[[Cell], float],
    framed: tuple[Cell | None, Cell | None],
    norm: Normalize,
    *,
    numbered: bool,
) -> AxesImage:
    """One panel: coloured cells, perhaps with numbers, the best cell and the lines through it.

    Framed are the best cell and, if it is in this panel, the recommended one.
    """
    best, _ = framed
    sizes, lrs = sweep.batch_sizes, sweep.lrs
    table = np.full((len(lrs), len(sizes)), np.nan)
    for cell in sweep.cells:
        table[lrs.index(cell.lr), sizes.index(cell.batch_size)] = loss(cell)
    can_show = table > 0 if isinstance(norm, LogNorm) else np.isfinite(table)
    shown = np.ma.masked_invalid(np.where(can_show, table, np.nan))
    image = axes.imshow(shown, cmap=COLORS, norm=norm, origin="lower", aspect="auto")
    for cell in sweep.cells:
        x, y = _place(cell, sweep)
        if not math.isfinite(loss(cell)):
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, **DIVERGED))
        elif numbered:
            # A raised number says how many of the seeds diverged.
            diverged = f"$^{{×{cell.diverged}}}$" if cell.diverged else ""
            color = colormaps[COLORS](norm(loss(cell)))
            _write(axes, x, y, digits(loss(cell)) + diverged, color)
    if best:
        _guides(axes, best, sizes, lrs)
    # The inner frame leaves the outer one visible where both are around the same cell.
    for one, style, inset in zip(framed, (LOWEST, ADVISED), (0.0, 0.08), strict=True):
        if one and one in sweep.cells:
            x, y = _place(one, sweep)
            corner, side = (x - 0.5 + inset, y - 0.5 + inset), 1 - 2 * inset
            axes.add_patch(Rectangle(corner, side, side, **style, zorder=5))
    return image


def _place(cell: Cell, sweep: SweepResult) -> tuple[int, int]:
    """The column and row of a cell."""
    return sweep.batch_sizes.index(cell.batch_size), sweep.lrs.index(cell.lr)


def _color_norm(found: Sequence[float]) -> Normalize:
    """The logarithmic scale of colours, from the lowest loss to `MAX_RATIO` times that.

    If half of the losses are above that, it goes on to their median.

    Losses of which one is negative have a linear one.
    """
    finite = [loss for loss in found if math.isfinite(loss)]
    if finite and min(finite) < 0:
        return Normalize(min(finite), max(finite), clip=True)
    losses = np.array([loss for loss in found if 0 < loss < math.inf])
    if not len(losses):
        return LogNorm(1.0, 10.0, clip=True)
    low = float(losses.min())
    most = max(MAX_RATIO * low, float(np.median(losses)))
    high = max(1.001 * low, min(float(losses.max()), most))
    return LogNorm(low, high, clip=True)


def _write(axes: Axes, x: float, y: float, text: str, background: Sequence[float]) -> None:
    """Write into a cell, in black or white, whichever its background lets stand out."""
    red, green, blue, *_ = background
    is_light = 0.3 * red + 0.59 * green + 0.11 * blue > 0.5
    axes.text(
        x,
        y,
        text,
        ha="center",
        va="center",
        size=7.5,
        color="black" if is_light else "white",
        zorder=4,
        # The background covers the lines of the scaling rules.
        bbox={"facecolor": background, "edgecolor": "none", "pad": 1.6},
    )


def _name_axes(axes: Axes, sizes: Sequence[int], lrs: Sequence[float]) -> None:
    """Number rows and columns, as many as have room, and name the axes."""
    axes.grid(visible=False)
    across, up = points_across(axes) / len(sizes), points_up(axes) / len(lrs)
    widest = LETTER * max(len(f"{size:,}") for size in sizes) + TICK_GAP
    every = max(-(-len(sizes) // MAX_TICKS[0]), math.ceil(widest / across))
    axes.set_xticks(range(0, len(sizes), every), [f"{size:,}" for size in sizes[::every]])
    every = max(-(-len(lrs) // MAX_TICKS[1]), math.ceil(LINE / up))
    axes.set_yticks(range(0, len(lrs), every), [f"{lr:g}" for lr in lrs[::every]])
    axes.set_xlabel("batch size B")
    axes.set_ylabel("learning rate")
    axes.tick_params(length=0)
    axes.set_xlim(-0.5, len(sizes) - 0.5)
    axes.set_ylim(-0.5, len(lrs) - 0.5)
    for side in axes.spines.values():
        side.set_visible(False)


def _guides(axes: Axes, best: Cell, sizes: Sequence[int], lrs: Sequence[float]) -> None:
    """The lines of the scaling rules, through the centres of cells where these hold exactly."""
    if len(sizes) < 2 or len(lrs) < 2:
        return
    batches = np.union1d(np.geomspace(sizes[0], sizes[-1], 200), sizes)
    x = np.interp(np.log(batches), np.log(sizes), np.arange(len(sizes)))
    for power, style in GUIDES.values():
        y = _position(best.lr * (batches / best.batch_size) ** power, lrs)
        (line,) = axes.plot(x, y, style, color="black", linewidth=1.1, alpha=0.7, zorder=3)
        line.set_path_effects([withStroke(linewidth=2.5, foreground="white", alpha=0.6)])


def _position(values: Any, lrs: Sequence[float]) -> Any:
    """Learning rates as places on the axis, interpolated in their logarithms; NaN beyond it."""
    logs = np.log(lrs)
    below, above = logs[0] - (logs[1] - logs[0]) / 2, logs[-1] + (logs[-1] - logs[-2]) / 2
    known = np.concatenate([[below], logs, [above]])
    places = np.concatenate([[-0.5], np.arange(len(lrs)), [len(lrs) - 0.5]])
    return np.interp(np.log(values), known, places, left=np.nan, right=np.nan)


def _has_guides(sweep: SweepResult) -> bool:
    """Whether there are lines through the best cell."""
    return any(
        part.best and len(part.batch_sizes) > 1 and len(part.lrs) > 1 for part in sweep.parts
    )


def _legend(sweep: SweepResult) -> list[Any]:
    handles: list[Any] = []
    if sweep.best:
        lowest = "lowest" if len(sweep.parts) == 1 else "lowest of each panel"
        handles.append(Patch(**LOWEST, label=lowest))
    if advised := recommended(sweep):
        handles.append(Patch(**ADVISED, label=f"train with this: {advised.pair}"))
    if any(math.isinf(cell.train_loss) for cell in sweep.cells):
        handles.append(Patch(**DIVERGED, label="diverged"))
    if _has_guides(sweep):
        handles += [
            Line2D([], [], color="black", linestyle=style, linewidth=1.3, label=name)
            for name, (_, style) in GUIDES.items()
        ]
    return handles


def _notes(sweep: SweepResult) -> list[str]:
    notes = [f"loss: {sweep.description.loss_name}"]
    if sweep.seeds > 1:
        notes.append(f"median of {sweep.seeds} seeds")
    if any(cell.diverged > 0 and math.isfinite(cell.train_loss) for cell in sweep.cells):
        notes.append("raised number: seeds that diverged")
    if _has_guides(sweep):
        notes.append("lines through the lowest: lr/B and lr/√B constant")
    return notes
