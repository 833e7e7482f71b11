"""What of a figure is seen once it is drawn: its texts, and where they are."""

from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from typing import Any

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox


def texts_of(figure: Figure) -> list[Text]:
    """All texts of a figure that are drawn."""
    figure.draw_without_rendering()
    panels = [each for axes in figure.axes for each in (axes, *axes.child_axes)]
    legends = [*figure.legends, *(axes.get_legend() for axes in panels)]
    entries = [text for legend in legends if legend for text in legend.get_texts()]
    found = [*figure.texts, *entries, *chain.from_iterable(_of_panel(axes) for axes in panels)]
    return [text for text in found if text.get_visible() and text.get_text().strip()]


def ticks_of(axis: Axis) -> list[Text]:
    """The numbers of an axis that are drawn: those within its limits."""
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    return [
        tick.label1
        for tick in axis.get_major_ticks()
        if low - slack <= tick.get_loc() <= high + slack and tick.label1.get_visible()
    ]


def _of_panel(axes: Any) -> Iterator[Text]:
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_visible():
            yield from ticks_of(axis)
            yield axis.label
    yield from axes.texts
    yield from (text for text in axes.get_children() if isinstance(text, Text))


def box_of(text: Text) -> Bbox:
    """Where a text is, as it is drawn; if its first lines are empty, where the others are."""
    box = text.get_window_extent()
    lines = text.get_text().split("\n")
    empty = next(k for k, line in enumerate(lines) if line.strip())
    return Bbox([(box.x0, box.y0), (box.x1, box.y1 - box.height * empty / len(lines))])


def collisions(texts: Sequence[Text]) -> list[tuple[str, str]]:
    """The pairs of texts that cover each other."""
    apart = 0.5  # pixels, for boxes are measured in whole ones
    boxes = [(text.get_text(), box_of(text)) for text in dict.fromkeys(texts)]
    return [
        (one, other)
        for (one, a), (other, b) in combinations(boxes, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > apart and min(a.y1, b.y1) - max(a.y0, b.y0) > apart
    ]


def beyond(figure: Figure, texts: Sequence[Text]) -> list[str]:
    """The texts that the edge of the picture cuts off."""
    page: Any = figure.bbox
    found = []
    for text in texts:
        box = box_of(text)
        if box.x0 < -1 or box.y0 < -1 or box.x1 > page.x1 + 1 or box.y1 > page.y1 + 1:
            found.append(text.get_text())
    return found
