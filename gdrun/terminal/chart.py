"""Curves on a terminal: braille dots against a logarithmic axis, or plain characters.

0.1 ┤⢣
│⠈⢆⡀
0.01 ┤  ⠑⠦⣀⣀⣀⣀⣀
└──────────
0  epoch  9
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rich.cells import cell_len
from rich.text import Text

from gdrun.text import number, visible

HEIGHT = 12  # lines of the curves
NARROWEST = 8  # columns of the curves
# The bit of a braille character for each of its dots, four rows of two.
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
BRAILLE = 0x2800
MARKS = "*o+x#@%&$="  # where braille, or colour, can't tell curves apart


@dataclass(frozen=True)
class Curve:
    """A curve: finite values are drawn; where the first isn't, it leaves at the top."""

    label: str
    color: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass
class _Canvas:
    """Dots, two across and four down a character; the curve drawn last colours a character."""

    columns: int
    rows: int
    dots: dict[tuple[int, int], int] = field(default_factory=dict)
    owner: dict[tuple[int, int], int] = field(default_factory=dict)

    def dot(self, across: int, down: int, curve: int) -> None:
        across = min(max(across, 0), 2 * self.columns - 1)
        down = min(max(down, 0), 4 * self.rows - 1)
        cell = (down // 4, across // 2)
        self.dots[cell] = self.dots.get(cell, 0) | BITS[down % 4][across % 2]
        self.owner[cell] = curve

    def line(self, start: tuple[int, int], end: tuple[int, int], curve: int) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for k in range(steps + 1):
            part = k / steps
            across = round(start[0] + part * (end[0] - start[0]))
            self.dot(across, round(start[1] + part * (end[1] - start[1])), curve)


def chart(
    curves: Sequence[Curve],
    title: str,
    width: int,
    *,
    show_x: Callable[[float], str] = lambda x: f"{x:,.0f}",
    encoding: str = "utf-8",
    colored: bool = True,
) -> Iterator[Text]:
    """The lines of a chart: curves, axes and a legend; none where there is nothing to draw.

    Args:
        curves: what to draw; the last is on top.
        title: of the x axis.
        width: columns of the terminal.
        show_x: a number of the x axis as text.
        encoding: what the terminal can show; without braille in it, plain characters are drawn.
        colored: whether colours tell curves apart; otherwise characters do.
    """
    values = [y for curve in curves for y in curve.y if 0 < y < math.inf]
    across = [x for curve in curves for x in curve.x]
    if not values or not across:
        return
    fancy = _can_show("⣿┤└─×", encoding)
    marks = None if fancy and (colored or len(curves) == 1) else MARKS
    low, high = math.log10(min(values)), math.log10(max(values))
    if high - low < 1e-3:  # a flat curve lies in the middle
        low, high = low - 0.15, high + 0.15
    ticks = dict(_ticks(low, high))
    margin = max(map(len, ticks.values()))
    columns = max(NARROWEST, width - margin - 2)
    canvas = _Canvas(columns, HEIGHT)
    first, last = min(across), max(across)
    crosses: dict[int, int] = {}

    def place(x: float, y: float) -> tuple[int, int]:
        right = (x - first) / (last - first) if last > first else 0.5
        height = (math.log10(y) - low) / (high - low) if y > 0 else 0.0
        return round(right * (2 * columns - 1)), round((1 - height) * (4 * HEIGHT - 1))

    for k, curve in enumerate(curves):
        left = _draw(
            canvas,
            k,
            [
                place(x, y) if y < math.inf else (place(x, 1)[0], None)
                for x, y in zip(curve.x, curve.y, strict=True)
            ],
        )
        if left is not None:
            crosses[left // 2] = k
    axis = "┤│└─" if fancy else "+|+-"
    for row in range(HEIGHT):
        side = f"{ticks.get(row, ''):>{margin}} {axis[0 if row in ticks else 1]}"
        line = Text.assemble((side, "dim"))
        for column in range(columns):
            cell = (row, column)
            if row == 0 and column in crosses:
                mark, style = "×" if fancy else "X", f"bold {curves[crosses[column]].color}"
            elif cell in canvas.dots:
                owner = canvas.owner[cell]
                mark = marks[owner % len(marks)] if marks else chr(BRAILLE + canvas.dots[cell])
                style = curves[owner].color
            else:
                mark, style = " ", ""
            line.append(mark, style)
        line.rstrip()
        yield line
    yield Text(f"{'':>{margin}} {axis[2]}{axis[3] * columns}", "dim")
    start, end = show_x(first), show_x(last) if last > first else ""
    room = max(1, columns - len(start) - len(end))
    yield Text(f"{'':>{margin}}  {start}{title:^{room}}{end}", "dim")
    yield from _legend(curves, "━━" if fancy else "--", marks, margin + 2, width)


def _draw(canvas: _Canvas, number: int, points: Iterable[tuple[int, int | None]]) -> int | None:
    """Draw a curve through dots; where it leaves, if it does: the column of its first None."""
    before: tuple[int, int] | None = None
    seen: list[int] = []  # the rows in the column of the dot before: lowest and highest suffice
    leaves = None
    last, alone = None, True
    for across, down in points:
        if down is None:
            leaves = across if leaves is None else leaves
            before = None
            continue
        if before is None:
            canvas.dot(across, down, number)
        elif before[0] != across or not seen:
            canvas.line(before, (across, down), number)
            seen = [down]
        elif not min(seen) <= down <= max(seen):
            canvas.line(before, (across, down), number)
            seen = [min(down, *seen), max(down, *seen)]
        alone &= last is None
        before = last = (across, down)
    if last is not None and alone:  # a single dot is easily overlooked
        across, down = last
        for right, below in ((1, 0), (0, 1), (1, 1)):
            canvas.dot(across + right, down + below, number)
    return leaves


def _ticks(low: float, high: float) -> Iterator[tuple[int, str]]:
    """Lines of a chart and the numbers that stand there, for powers of ten or, of few, between."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        values = [step * 10.0**decade for decade in decades for step in steps]
        inside = [value for value in values if low <= math.log10(value) <= high]
        if len(inside) >= 3:
            break
    else:
        inside = [10.0**low, 10.0**high]
    taken: list[int] = []
    every = -(-len(inside) // (HEIGHT // 2))
    for value in sorted(inside, reverse=True)[::every]:
        row = min(HEIGHT - 1, int((high - math.log10(value)) / (high - low) * HEIGHT))
        if not taken or row - taken[-1] >= 2:
            taken.append(row)
            yield row, number(value)


def _legend(
    curves: Sequence[Curve], dash: str, marks: str | None, indent: int, width: int
) -> Iterator[Text]:
    """The names of the curves in their colours, as many a line as there is room for."""
    line = Text(" " * indent)
    for k, curve in enumerate(curves):
        sign = marks[k % len(marks)] * 2 if marks else dash
        entry = Text(f"{sign} {visible(curve.label)}", curve.color)
        if line.cell_len > indent and line.cell_len + cell_len(entry.plain) > width:
            line.rstrip()
            yield line
            line = Text(" " * indent)
        line.append_text(entry)
        line.append("   ")
    line.rstrip()
    yield line


def _can_show(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True
