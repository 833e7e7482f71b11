"""The progress of runs as text: a headline, a line for a log, a table and a chart for a screen."""

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gdrun.results.colors import kind_of, run_colors
from gdrun.results.description import PLAIN, Description
from gdrun.results.progress import RunProgress
from gdrun.terminal.chart import Curve, chart
from gdrun.text import clock, count, duration, number, short

BLOCKS = "▁▂▃▄▅▆▇█"


def headline(description: Description, note: str) -> Text:
    """What is trained on what, in two lines."""
    held_out = f" + {description.val_rows:,} for validation" if description.val_rows else ""
    network = f"{description.network} ({count(description.parameters, 'parameter')})"
    rows = count(description.rows, "row")
    # Cut at the edge of the screen, so that it is two lines however narrow that is.
    text = Text(
        f"{network} on {description.data}, {rows}{held_out}\n",
        "",
        no_wrap=True,
        overflow="ellipsis",
    )
    how = [] if description.optimizer == PLAIN else [description.optimizer]
    parts = [description.loss_name, *how, note, description.device]
    text.append(" · ".join(parts), style="dim")
    return text


def progress_line(progress: RunProgress) -> Text:
    """One line of a log."""
    parts = [
        f"{progress.series.name:<9}",
        f"epoch {progress.epoch:>{len(str(progress.epochs))}}/{progress.epochs}",
        f"train loss {number(progress.loss)}",
        f"best {number(progress.best)}",
        f"{short(progress.updates_per_second)} updates/s",
        f"{duration(progress.seconds)}",
    ]
    return Text("  ".join(parts) + (f"  {progress.state}" if progress.state == "diverged" else ""))


def progress_table(
    runs: Sequence[RunProgress], width: int, colors: Mapping[str, str] | None = None
) -> Table:
    """One row per run, with as many columns as the terminal has room for.

    `colors` are those of all runs by name, where these are not all.
    """
    colors = colors or run_colors([progress.series for progress in runs])
    names = max(len(progress.series.name) for progress in runs)
    epochs = max(2 * len(str(progress.epochs)) + 1 for progress in runs)
    with_curve, with_times = width >= 72, width >= 60
    room = width - epochs - 23 - max(9, names) - 24 * with_times
    bar_width = max(3, min(30, room // 2 if with_curve else room))
    curve_width = max(8, min(40, room - bar_width - 1))
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(kind_of(progress.series for progress in runs), no_wrap=True)
    table.add_column("", no_wrap=True)
    for title in ("epoch", "train loss", "best"):
        table.add_column(title, justify="right", no_wrap=True)
    if with_curve:
        title = "log curve" if curve_width > 8 else "curve"
        table.add_column(title, no_wrap=True, width=curve_width)
    if with_times:
        for title in ("upd/s", "time", "left"):
            table.add_column(title, justify="right", no_wrap=True)
    for progress in runs:
        color = colors[progress.series.name]
        cells = [*_state_cells(progress, bar_width, color)]
        if with_curve:
            cells.append(Text(sparkline(progress.curve, curve_width), style=color))
        if with_times:
            cells += _time_cells(progress)
        table.add_row(*cells)
    return table


def _state_cells(progress: RunProgress, bar_width: int, color: str) -> Iterator[Text]:
    filled = round(bar_width * progress.updates / progress.total)
    yield Text(progress.series.name, style=f"bold {color}")
    yield Text("━" * filled, style=color) + Text("━" * (bar_width - filled), style="grey37")
    yield Text(f"{progress.epoch}/{progress.epochs}")
    if progress.state == "diverged":
        yield Text("diverged", style="red")
    else:
        yield Text(number(progress.loss))
    yield Text(number(progress.best if progress.best < math.inf else None))


def _time_cells(progress: RunProgress) -> list[Text]:
    if progress.state == "waiting":
        return [Text(""), Text("waiting", style="dim"), Text("")]
    left = progress.remaining if progress.state == "training" else None
    waits_for = "measures" if progress.is_probing and left is None else ""
    return [
        Text(short(progress.updates_per_second)),
        Text(duration(progress.seconds)),
        Text(waits_for, style="dim") if left is None else Text(clock(math.ceil(left))),
    ]


def loss_chart(
    runs: Sequence[RunProgress], colors: Mapping[str, str], console: Console, lines: int
) -> Iterator[Text]:
    """The train losses of runs so far, each in its colour; validation losses are dashed.

    Nothing is drawn before a second loss is known. The curves have so many lines of the screen.
    """
    curves = []
    for progress in runs:
        name, color = progress.series.name, colors[progress.series.name]
        epochs = progress.curve_epochs
        # A chart takes a loss that isn't known for a divergence.
        known = [k for k, loss in enumerate(progress.val_curve) if loss < math.inf]
        if known:
            x, y = [epochs[k] for k in known], [progress.val_curve[k] for k in known]
            curves.append(Curve(name, color, x, y, dashed=True))
        now = progress.loss
        is_behind = bool(epochs) and epochs[-1] < progress.epoch and now < math.inf
        if is_behind:
            curves.append(Curve(name, color, [*epochs, progress.epoch], [*progress.curve, now]))
        else:
            curves.append(Curve(name, color, epochs, progress.curve))
    if all(len(curve.x) < 2 for curve in curves):
        return
    has_validation = any(curve.dashed for curve in curves)
    yield Text("")
    yield from chart(
        curves,
        "train loss, validation loss dashed" if has_validation else "train loss",
        console.width,
        height=lines,
        x_range=(0, max(progress.epochs for progress in runs)),
        show_x=lambda epoch: f"epoch {epoch:,.0f}",
        legend=False,
        encoding=console.encoding,
        colored=console.color_system is not None,
    )


def sparkline(values: Sequence[float], width: int) -> str:
    """A curve of positive numbers on a log scale: at most `width` characters, one per value."""
    finite = [math.log(value) for value in values if 0 < value < math.inf]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    count = min(width, len(finite))
    picked = [finite[(k * (len(finite) - 1)) // max(1, count - 1)] for k in range(count)]
    levels = len(BLOCKS) - 1
    scale = levels / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in picked)
