"""What every figure starts from: a head of title, notes and legend above the panels."""

import textwrap
from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.lines import Line2D

from gdrun.errors import excerpt
from gdrun.plots.looks import has_bands, looks_of, styles_of, tells_rates_by_color
from gdrun.plots.style import StyledFigure
from gdrun.results.colors import run_colors
from gdrun.results.lanes import BAND
from gdrun.results.run import RunResult
from gdrun.text import count, span

MAX_LINES = 6  # of a title or of notes
# The width of an entry of a legend: its line with the gaps around it, and each letter on average.
LINE_INCHES, LETTER_INCHES = 0.51, 0.0675


def framed_figure(
    results: Sequence[RunResult],
    *,
    width: float,
    height: float,
    note: str = "",
    more: Sequence[Artist] = (),
    gap: float = 0.5,
    curves_end: bool = True,
) -> tuple[StyledFigure, float, float]:
    """A figure of runs: its head says what was trained on what and how to read the curves.

    `curves_end` says whether curves end where they diverge; the rest is as in `headed_figure`.
    """
    title, notes = _caption(results, note, curves_end=curves_end)
    handles = [*_legend(results), *more]
    return headed_figure(title, notes, handles, width=width, height=height, gap=gap)


def headed_figure(
    title: str,
    notes: Sequence[str],
    handles: Sequence[Artist],
    *,
    width: float,
    height: float,
    gap: float = 0.5,
) -> tuple[StyledFigure, float, float]:
    """A figure with a head, and the top and bottom of the part that is left for panels.

    The head holds a title, notes, the legend, and then a gap; it hides no curve. Sizes are in
    inches; the height of the head is added to `height`.
    """
    title_lines = _wrapped(title, int(12 * width))
    note_lines = _wrapped("; ".join(notes), int(16 * width))
    columns = _columns([str(handle.get_label()) for handle in handles], width)
    by_rows = [handle for k in range(columns) for handle in handles[k::columns]]
    below_margin = 0.1
    below_title = below_margin + 0.22 * len(title_lines)
    below_notes = below_title + 0.17 * len(note_lines)
    head = below_notes + 0.2 * -(-len(handles) // columns) + gap
    figure = StyledFigure(width, height + head)

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
    return figure, y(head), 0.5 / (height + head)


def _caption(results: Sequence[RunResult], note: str, *, curves_end: bool) -> tuple[str, list[str]]:
    """The title, and notes on how to read the curves."""
    descriptions = [result.description for result in results]
    networks = _each_once([description.network for description in descriptions], "networks")
    problems = _each_once([f"{d.data}, {count(d.rows, 'row')}" for d in descriptions], "problems")
    rates = {lane.lr for result in results for lane in result.series.lanes}
    rate = f", learning rate {min(rates):g}" if len(rates) == 1 else ""
    if tells_rates_by_color(results):
        rate = f", batches of {results[0].series.batch_size:,}"
    losses = _each_once([description.loss_name for description in descriptions], "losses")
    notes = [f"loss: {losses}"]
    seeds = [result.seeds for result in results]
    if max(seeds) > 1:
        # Fitted functions at several learning rates are drawn without bands.
        banded = has_bands(results) and (curves_end or len(rates) == 1)
        band = f", band {BAND[0]}th to {BAND[1]}th percentile" if banded else ""
        notes.append(f"median of {span(seeds)} seeds{band}")
    if note:
        notes.append(note)
    if curves_end and any(lane.status == "diverged" for result in results for lane in result.lanes):
        notes.append("×: diverges")
    for status, words in (("interrupted", "interrupted"), ("running", "still running")):
        names = [result.series.name for result in results if result.status == status]
        if names:
            notes.append(f"{words}: {', '.join(names)}")
    return f"{networks} on {problems}{rate}", notes


def _each_once(texts: Sequence[str], noun: str, shown: int = 3) -> str:
    """Each distinct text if these are few, otherwise how many there are."""
    found = list(dict.fromkeys(texts))
    return " / ".join(found) if len(found) <= shown else f"{len(found)} {noun}"


def _legend(results: Sequence[RunResult]) -> list[Artist]:
    """One entry per run and, if there are several, one per learning rate."""
    if tells_rates_by_color(results):
        return [
            Line2D([], [], color=look.color, label=f"lr {lr:g}")
            for (_, lr), look in looks_of(results).items()
        ]
    color_of = run_colors([result.series for result in results])
    styles = styles_of(results)
    # If each run has only one learning rate, its entry says which.
    one_each = len(styles) > 1 and all(len(result.series.lrs) == 1 for result in results)
    handles: list[Artist] = [
        Line2D(
            [],
            [],
            color=color_of[result.series.name],
            label=_run_label(result, with_rate=one_each),
        )
        for result in results
    ]
    if len(styles) > 1 and not one_each:
        handles += [
            Line2D([], [], color="0.3", linestyle=style, label=f"lr {lr:g}")
            for lr, style in styles.items()
        ]
    return handles


def _run_label(result: RunResult, *, with_rate: bool) -> str:
    series = result.series
    rate = f", lr {series.lrs[0]:g}" if with_rate else ""
    return f"{literal(excerpt(series.name))} (B = {series.batch_size:,}{rate})"


def _columns(texts: Sequence[str], width: float) -> int:
    """How many entries of a legend fit side by side into a width in inches."""
    for columns in range(len(texts), 1, -1):
        longest = [max(map(len, texts[k::columns])) for k in range(columns)]
        if sum(LINE_INCHES + LETTER_INCHES * letters for letters in longest) <= width:
            return columns
    return 1


def _wrapped(text: str, width: int) -> list[str]:
    """The lines of a caption, cut off where names from a file make it too long."""
    return textwrap.wrap(text, width, max_lines=MAX_LINES, placeholder=" …")


def literal(text: str) -> str:
    """Text for matplotlib, to which a dollar would begin a formula."""
    return text.replace("$", r"\$")
