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

HEIGHT = 12  # lines of the curves, if nobody says otherwise
DASH = 3  # dots of a dash, and of the gap after it
MIN_COLUMNS = 8  # of the curves
# The bit of each dot in the code of a braille character: four rows of two.
BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
BRAILLE = 0x2800
MARKS = "*o+x#@%&$="  # these tell curves apart without braille or colours


@dataclass(frozen=True)
class Curve:
    """A curve; at its first value that isn't finite it ends with a cross at the top."""

    label: str
    color: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


@dataclass
class _Canvas:
    """Dots, two across and four down per character; it has the colour of the curve drawn last."""

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

    def line(
        self, start: tuple[int, int], end: tuple[int, int], curve: int, *, dashed: bool
    ) -> None:
        steps = max(abs(end[0] - start[0]), abs(end[1] - start[1]), 1)
        for k in range(steps + 1):
            part = k / steps
            across = round(start[0] + part * (end[0] - start[0]))
            down = round(start[1] + part * (end[1] - start[1]))
            if not dashed or (across + down) % (2 * DASH) < DASH:
                self.dot(across, down, curve)


@dataclass(frozen=True)
class _Scale:
    """The ranges of a chart: x as it is, y in powers of ten; and how many lines it has.

    Of values of which one is negative, y is as it is, too.
    """

    first: float
    last: float
    low: float
    high: float
    rows: int
    is_linear: bool

    def dot_of(self, x: float, y: float, columns: int) -> tuple[int, int | None]:
        """The dot of a point, across and down; without a place down if it isn't finite."""
        right = (x - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        across = round(right * (2 * columns - 1))
        if not y < math.inf:
            return across, None
        at = self.low
        if self.is_linear or y > 0:
            at = y if self.is_linear else math.log10(y)
        height = (at - self.low) / (self.high - self.low)
        return across, round((1 - height) * (4 * self.rows - 1))


def chart(
    curves: Sequence[Curve],
    title: str,
    width: int,
    *,
    height: int = HEIGHT,
    x_range: tuple[float, float] | None = None,
    legend: bool = True,
    show_x: Callable[[float], str] = lambda x: f"{x:,.0f}",
    encoding: str = "utf-8",
    colored: bool = True,
) -> Iterator[Text]:
    """The lines of a chart: curves, axes and a legend; none where there is nothing to draw.

    Args:
        curves: what to draw; the last is on top.
        title: of the x axis.
        width: columns of the terminal.
        height: lines of the curves, without the x axis and the legend.
        x_range: of the x axis; None is that of the curves.
        legend: whether the curves are named below.
        show_x: a number of the x axis as text.
        encoding: what the terminal can show; without braille in it, plain characters are drawn.
        colored: whether colours tell curves apart; otherwise characters do.
    """
    scale = _scale_of(curves, height, x_range)
    if scale is None:
        return
    fancy = _can_show("⣿┤└─×", encoding)
    marks = None if fancy and (colored or len(curves) == 1) else MARKS
    ticks = dict(_linear_ticks(scale) if scale.is_linear else _ticks(scale.low, scale.high, height))
    margin = max(map(len, ticks.values()))
    columns = max(MIN_COLUMNS, width - margin - 2)
    canvas, crosses = _Canvas(columns, height), {}
    for k, curve in enumerate(curves):
        points = zip(curve.x, curve.y, strict=True)
        dots = [scale.dot_of(x, y, columns) for x, y in points]
        left = _draw(canvas, k, dots, dashed=curve.dashed)
        if left is not None:
            crosses[left // 2] = k
    tick, side, corner, bottom = "┤│└─" if fancy else "+|+-"
    for row in range(height):
        line = Text.assemble(
            (f"{ticks.get(row, ''):>{margin}} {tick if row in ticks else side}", "dim")
        )
        for column in range(columns):
            if row == 0 and column in crosses:
                color = curves[crosses[column]].color
                line.append("×" if fancy else "X", f"bold {color}")
            elif (row, column) in canvas.dots:
                owner = canvas.owner[row, column]
                braille = chr(BRAILLE + canvas.dots[row, column])
                line.append(marks[owner % len(marks)] if marks else braille, curves[owner].color)
            else:
                line.append(" ")
        line.rstrip()
        yield line
    yield Text(f"{'':>{margin}} {corner}{bottom * columns}", "dim")
    start = show_x(scale.first)
    end = show_x(scale.last) if scale.last > scale.first else ""
    room = max(1, columns - len(start) - len(end))
    yield Text(f"{'':>{margin}}  {start}{title:^{room}}{end}", "dim")
    if legend:
        yield from _legend(curves, "━━" if fancy else "--", marks, margin + 2, width)


def _scale_of(
    curves: Sequence[Curve], rows: int, x_range: tuple[float, float] | None
) -> _Scale | None:
    """The scale on which all finite values have room, but 0; None if there are none."""
    x = [value for curve in curves for value in curve.x]
    y = [value for curve in curves for value in curve.y if value and math.isfinite(value)]
    if not x or not y:
        return None
    is_linear = min(y) < 0
    low, high = (min(y), max(y)) if is_linear else (math.log10(min(y)), math.log10(max(y)))
    if high - low < 1e-3:  # a flat curve lies in the middle
        low, high = low - 0.15, high + 0.15
    first, last = x_range or (min(x), max(x))
    return _Scale(first, last, low, high, rows, is_linear)


def _draw(
    canvas: _Canvas, number: int, points: Iterable[tuple[int, int | None]], *, dashed: bool
) -> int | None:
    """Draw a curve through dots, and return the column of its first point without a place down."""
    before: tuple[int, int] | None = None
    drawn_rows: list[int] = []  # lowest and highest of the lines that end in the same column
    ends_at = None
    last, is_single = None, True
    for across, down in points:
        if down is None:
            ends_at = across if ends_at is None else ends_at
            before = None
            continue
        if before is None:
            canvas.dot(across, down, number)
        elif before[0] != across or not drawn_rows:
            canvas.line(before, (across, down), number, dashed=dashed)
            drawn_rows = [down]
        elif not min(drawn_rows) <= down <= max(drawn_rows):
            canvas.line(before, (across, down), number, dashed=dashed)
            drawn_rows = [min(down, *drawn_rows), max(down, *drawn_rows)]
        is_single &= last is None
        before = last = (across, down)
    if last is not None and is_single:  # a single dot is easily overlooked
        across, down = last
        for right, below in ((1, 0), (0, 1), (1, 1)):
            canvas.dot(across + right, down + below, number)
    return ends_at


def _ticks(low: float, high: float, rows: int) -> Iterator[tuple[int, str]]:
    """The rows of a chart that have a number: powers of ten or, if these are few, steps between."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        values = [step * 10.0**decade for decade in decades for step in steps]
        inside = [value for value in values if low <= math.log10(value) <= high]
        if len(inside) >= 3:
            break
    else:
        inside = [10.0**low, 10.0**high]
    taken: list[int] = []
    every = -(-len(inside) // max(1, rows // 2))
    for value in sorted(inside, reverse=True)[::every]:
        row = min(rows - 1, int((high - math.log10(value)) / (high - low) * rows))
        if not taken or row - taken[-1] >= 2:
            taken.append(row)
            yield row, number(value)


def _linear_ticks(scale: _Scale) -> Iterator[tuple[int, str]]:
    """The rows of a linear chart that have a number: multiples of 1, 2 or 5 · 10ᵏ."""
    span = scale.high - scale.low
    power = 10.0 ** math.floor(math.log10(span))
    steps = (power * step for step in (0.1, 0.2, 0.5, 1, 2, 5, 10))
    step = next(step for step in steps if span / step <= max(2, scale.rows // 2))
    for k in range(math.ceil(scale.low / step), math.floor(scale.high / step) + 1):
        down = (scale.high - k * step) / span
        yield min(scale.rows - 1, int(down * scale.rows)), number(k * step)


def _legend(
    curves: Sequence[Curve], dash: str, marks: str | None, indent: int, width: int
) -> Iterator[Text]:
    """The names of the curves in their colours, as many per line as there is room for."""
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
