"""What figures are made of: a head of title, notes and legend, and below it rows of panels."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.lines import Line2D

from gdrun.config.parts.groups import Scale
from gdrun.errors import excerpt
from gdrun.plots.captions import caption, literal
from gdrun.plots.curves import Trace
from gdrun.plots.looks import looks_of, styles_of, tells_rates_by_color
from gdrun.plots.placement import EdgeMark, leaves_at, mark_edge
from gdrun.plots.scales import (
    edge_of,
    fitting,
    frame,
    label_axes,
    log_scale,
    points_across,
    values_of,
    widen,
)
from gdrun.plots.style import StyledFigure
from gdrun.results.colors import run_colors, says_size
from gdrun.results.run import RunResult
from gdrun.text import number

# Sizes on slides as shares of those on paper: text stays as it is, and so becomes larger in a
# picture that is shown as large. Width, and height of the panels.
SHRINK: Mapping[Scale, tuple[float, float]] = {"paper": (1.0, 1.0), "slides": (0.68, 0.56)}
LEFT, RIGHT, BETWEEN = 0.77, 0.2, 0.32  # inches beside panels, and between two with one y axis
BELOW = 0.5  # inches below panels, for the numbers and the title of the x axis
MAX_LINES = 6  # of a title or of notes
# The width of an entry of a legend: its line with the gaps around it, and each letter on average.
LINE_INCHES, LETTER_INCHES = 0.51, 0.0675
BESIDE_LEGEND = 0.11  # inches from the edge of the picture to its first entry


def framed_figure(
    results: Sequence[RunResult],
    *,
    width: float,
    height: float,
    scale: Scale,
    note: str = "",
    more: Sequence[Artist] = (),
    gap: float = 0.5,
    curves_end: bool = True,
    of_one: bool = False,
) -> tuple[StyledFigure, float, float]:
    """A figure of runs: its head says what was trained on what and how to read the curves.

    `curves_end` says whether curves end where they diverge, `of_one` whether all are of one run,
    which the title names; the rest is as in `headed_figure`.
    """
    title, notes = caption(results, note, curves_end=curves_end)
    handles = [*legend_of(results, of_one=of_one), *more]
    return headed_figure(title, notes, handles, width=width, height=height, scale=scale, gap=gap)


def headed_figure(
    title: str,
    notes: Sequence[str],
    handles: Sequence[Artist],
    *,
    width: float,
    height: float,
    scale: Scale,
    gap: float = 0.5,
) -> tuple[StyledFigure, float, float]:
    """A figure with a head, and the top and bottom of the part that is left for panels.

    The head holds a title, notes, the legend, and then a gap; it hides no curve. Sizes are in
    inches on paper; the height of the head is added to `height`.
    """
    across, up = SHRINK[scale]
    width, height = across * width, up * height
    title_lines = _wrapped(title, int(12 * width))
    note_lines = _wrapped("; ".join(notes), int(14.5 * width))
    columns = _columns([str(handle.get_label()) for handle in handles], width)
    by_rows = [handle for k in range(columns) for handle in handles[k::columns]]
    below_margin = 0.1
    below_title = below_margin + 0.22 * len(title_lines)
    below_notes = below_title + 0.17 * len(note_lines)
    head = below_notes + 0.2 * -(-len(handles) // columns) + gap
    figure = StyledFigure(width, height + head, enlarged=1 / across)

    def y(inches: float) -> float:
        """A distance from the upper edge as a share of the height."""
        return 1 - inches / (height + head)

    x = 0.1 / width
    figure.text(x, y(below_margin), literal("\n".join(title_lines)), size=11, va="top")
    notes_text = literal("\n".join(note_lines))
    figure.text(x, y(below_title + 0.04), notes_text, size=8.5, color="0.35", va="top")
    if handles:
        figure.legend(
            handles=by_rows,
            loc="upper left",
            bbox_to_anchor=(0.0, y(below_notes)),
            ncols=columns,
            columnspacing=1.4,
        )
    return figure, y(head), BELOW / (height + head)


def legend_of(results: Sequence[RunResult], *, of_one: bool) -> list[Artist]:
    """One entry per run, unless all is of one, and one per learning rate if there are several."""
    if tells_rates_by_color(results):
        return [
            Line2D([], [], color=look.color, label=f"lr {lr:g}")
            for (_, lr), look in looks_of(results).items()
        ]
    color_of = run_colors([result.series for result in results])
    styles = styles_of(results)
    # If each run has only one learning rate, its entry says which.
    several = len({result.series.schedule for result in results}) > 1
    one_each = len(styles) > 1 and all(len(result.series.lrs) == 1 for result in results)
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            color=color_of[result.series.name],
            label=_run_label(result, with_rate=one_each, with_schedule=several),
        )
        for result in results
        if not of_one
    ]
    if len(styles) > 1 and not one_each:
        handles += [
            Line2D([], [], color="0.3", linestyle=style, label=f"lr {lr:g}")
            for lr, style in styles.items()
        ]
    return handles


def _run_label(result: RunResult, *, with_rate: bool, with_schedule: bool) -> str:
    series = result.series
    facts = [] if says_size(series) else [f"B = {series.batch_size:,}"]
    facts += [f"lr {series.lrs[0]:g}"] if with_rate else []
    facts += [series.schedule or "constant"] if with_schedule else []
    name = literal(excerpt(series.name))
    return f"{name} ({', '.join(facts)})" if facts else name


def _columns(texts: Sequence[str], width: float) -> int:
    """How many entries of a legend fit side by side into a width in inches."""
    for columns in range(len(texts), 1, -1):
        longest = [max(map(len, texts[k::columns])) for k in range(columns)]
        if (
            sum(LINE_INCHES + LETTER_INCHES * letters for letters in longest)
            <= width - BESIDE_LEGEND
        ):
            return columns
    return 1


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a caption, cut off where names from a file make it too long."""
    text = text.replace(" %", "\N{NO-BREAK SPACE}%")  # which stays with its number
    return textwrap.wrap(text, width, max_lines=MAX_LINES, placeholder=" …")


@dataclass(frozen=True)
class Panel:
    """One panel of curves.

    Attributes:
        name: of the panel among those of its picture.
        titles: above it; the first that has room.
        x: the title of the x axis.
        y: that of the y axis.
        draw: draws the curves.
        log_x: whether the x axis is logarithmic.
        whole: whether it has whole numbers.
        color: of the title.
        measured: what was measured of the curves, below the title.
    """

    name: str
    titles: Sequence[str]
    x: str
    y: str
    draw: Callable[[Axes], Sequence[Trace]]
    log_x: bool = False
    whole: bool = True
    color: str = "black"
    measured: str = ""


Part = TypeVar("Part")


def chosen(panels: Mapping[str, Part], name: str) -> Part:
    """The panel of a name.

    Raises:
        ValueError: there is none.
    """
    if name not in list(panels):  # anything may be asked for, also what has no hash
        raise ValueError(f"panel must be one of {', '.join(panels)}, got {name!r}")
    return panels[name]


def rows_figure(
    results: Sequence[RunResult],
    rows: Sequence[Sequence[Panel]],
    *,
    width: float,
    height: float,
    scale: Scale,
    note: str = "",
    shared: bool = True,
    of_one: bool = False,
) -> StyledFigure:
    """A figure of rows of panels, each as high as given on paper; those of a row may share y.

    The legend names no runs if all is of one.
    """
    above = [0.33 + 0.17 * any(panel.measured for panel in row) for row in rows]
    _, up = SHRINK[scale]
    between = (sum(above[1:]) + BELOW * (len(rows) - 1)) / up
    figure, top, bottom = framed_figure(
        results,
        width=width,
        height=height * len(rows) + BELOW / up + between,
        scale=scale,
        note=note,
        gap=above[0] + 0.1,
        of_one=of_one,
    )
    full, inch = figure.get_figwidth(), 1 / figure.get_figheight()
    row_height = (top - bottom - between * up * inch) / len(rows)
    gap = BETWEEN if shared else LEFT
    for k, row in enumerate(rows):
        start = top - sum(above[1 : k + 1]) * inch - k * (row_height + BELOW * inch)
        panel_width = (full - LEFT - RIGHT - gap * (len(row) - 1)) / len(row)
        grid = figure.add_gridspec(
            1,
            len(row),
            left=LEFT / full,
            right=1 - RIGHT / full,
            top=start,
            bottom=start - row_height,
            wspace=gap / panel_width,
        )
        cells = [grid[column] for column in range(len(row))]
        edge = edge_of(results)
        if shared:
            draw_row(figure, cells, row, edge)
        else:
            for cell, panel in zip(cells, row, strict=True):
                draw_row(figure, [cell], [panel], edge)
    return figure


def draw_row(
    figure: Figure, cells: Sequence[SubplotSpec], panels: Sequence[Panel], edge: float
) -> None:
    """Draw panels side by side, with one y axis; a curve above its upper edge leaves the frame."""
    drawn: list[tuple[Axes, Sequence[Trace], float]] = []
    for cell, panel in zip(cells, panels, strict=True):
        axes = figure.add_subplot(cell, sharey=drawn[0][0] if drawn else None)
        room = points_across(axes)
        traces = panel.draw(axes)
        drawn.append((axes, traces, room))
    shared = np.concatenate([values_of(axes) for axes, *_ in drawn])
    for (axes, traces, _), panel in zip(drawn, panels, strict=True):
        log_scale(axes, x=panel.log_x, y=not (shared < 0).any())
        widen(axes, [trace.diverges_at for trace in traces if trace.diverges_at is not None])
    frame([axes for axes, *_ in drawn], edge)
    for k, ((axes, traces, room), panel) in enumerate(zip(drawn, panels, strict=True)):
        label_axes(axes, panel.x, None if k else panel.y, whole=panel.whole)
        title = fitting(panel.titles, room, 10)
        pad = 19.0 if panel.measured else 7.0
        axes.set_title(title, loc="left", color=panel.color, y=1.0, pad=pad)
        if panel.measured:
            short = panel.measured.replace(" × the epoch's mean", " × mean")
            said: Any = {"textcoords": "offset points", "size": 8.5, "color": "0.35"}
            said |= {"xycoords": "axes fraction", "xytext": (0, 7)}
            axes.annotate(fitting([panel.measured, short, ""], room, 8.5), (0, 1), **said)
        mark_edge(axes, _leaving(axes, traces), 7.5)


def _leaving(axes: Axes, traces: Sequence[Trace]) -> list[EdgeMark]:
    """Where curves leave the frame, with their peaks, and where they diverge, with their rates."""
    marks = []
    for trace in traces:
        color = str(trace.lines[-1].get_color())
        leaving = [found for line in trace.lines if (found := leaves_at(axes, line))]
        if leaving:
            peak = max(height for _, height in leaving)
            text = "∞" if trace.diverges_at is not None else f"peak {number(peak)}"
            marks.append(EdgeMark(min(leaving)[0], "^", text, color))
        if trace.diverges_at is not None:
            marks.append(EdgeMark(trace.diverges_at, "x", f"lr {trace.lr:g}", color))
    return marks
