"""The axes of a panel of two features: numbers that have room, and names that do."""

import math
from collections.abc import Callable, Sequence
from unicodedata import east_asian_width

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import MaxNLocator

from gdrun.errors import excerpt
from gdrun.plots.captions import literal
from gdrun.plots.scales import (
    AVERAGE_LETTER,
    LETTER,
    LINE,
    MAX_TICKS,
    TICK_GAP,
    points_across,
    points_up,
)


def name_axes(axes: Axes, features: Sequence[str], *, lowest: bool, leftmost: bool) -> None:
    """Number and name the axes, of panels below and beside others only the outermost."""
    x, y = features
    room = points_across(axes), points_up(axes)
    unit_x = _number(
        axes.xaxis, axes.get_xlim(), lambda text: LETTER * len(text) + TICK_GAP, room[0]
    )
    unit_y = _number(axes.yaxis, axes.get_ylim(), lambda _: 2 * LINE, room[1])
    axes.tick_params(labelbottom=lowest, labelleft=leftmost, length=2.5, color="0.6")
    if lowest:
        axes.set_xlabel(_titled(x, unit_x, room[0]))
    if leftmost:
        axes.set_ylabel(_titled(y, unit_y, room[1]))


def _titled(feature: str, power: int, room: float) -> str:
    """The title of an axis, as long as has room, with the power of ten that is its unit."""
    unit = f" (×$10^{{{power}}}$)" if power else ""
    return literal(cut(feature, room / (AVERAGE_LETTER * 9) - 4 * bool(unit))) + unit


def cut(name: str, room: float) -> str:
    """A name cut to the room of so many average letters."""
    whole = excerpt(name)
    cuts = (excerpt(whole, letters) for letters in range(len(whole), 0, -1))
    return next((cut for cut in cuts if sum(map(_share, cut)) <= room), "…")


def _share(letter: str) -> float:
    """How wide a letter is, in average ones."""
    if letter in "mwMW@%…" or east_asian_width(letter) in "WF":
        return 1.8
    return 1.25 if letter.isupper() else 1.0


def _number(
    axis: Axis, limits: tuple[float, float], needs: Callable[[str], float], room: float
) -> int:
    """Number an axis at as many values as have room; the power of ten that is their unit."""
    power = math.floor(math.log10(max(map(abs, limits))))
    power = 0 if -3 < power < 4 else power

    def text(value: float, _: object = None) -> str:
        return f"{value / 10.0**power:.6g}".replace("-", "−")

    for bins in range(MAX_TICKS, 0, -1):
        locator = MaxNLocator(bins, steps=[1, 2, 5, 10])
        ticks = [tick for tick in locator.tick_values(*limits) if limits[0] <= tick <= limits[1]]
        if len(ticks) * max(needs(text(tick)) for tick in (*ticks, limits[0])) <= room:
            break
    axis.set_major_locator(locator)
    axis.set_major_formatter(text)
    return power
