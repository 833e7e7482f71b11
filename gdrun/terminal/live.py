"""Records → what a person watches: a live table on a terminal, calm lines elsewhere.

A view is told of every segment and decides itself what to show, at most `REFRESHES` times a second:
training never waits for it, and no thread redraws while training is timed.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gdrun.results.colors import kind_of, run_colors
from gdrun.results.events import Segment, Series
from gdrun.results.progress import RunProgress, sparkline
from gdrun.results.run import Description
from gdrun.text import clock, count, duration, number, short

REFRESHES = 10  # a second, at most
LINE_SECONDS = 1.0  # between two lines of a run, at least


class View(Protocol):
    """What shows the progress of a command."""

    def __enter__(self) -> "View":
        """Begin to show."""

    def __exit__(self, *_: object) -> None:
        """Leave the screen clean."""

    def say(self, activity: str) -> None:
        """Show what is being done where it isn't training."""

    def begin(self, description: Description, note: str, tracks: Sequence[RunProgress]) -> None:
        """Show what is about to be trained on what."""

    def update(self, series: Series, segment: Segment) -> None:
        """Show how far a run is."""

    def show(self, track: RunProgress) -> None:
        """Show how far a run is that is trained elsewhere."""


class LiveView(View):
    """A table with a row a run, redrawn in place; what stays is its last state."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._tracks: dict[str, RunProgress] = {}
        self._head = Text()
        self._activity = ""
        self._drawn = 0.0

    def __enter__(self) -> "LiveView":
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._activity = ""
        self._draw()
        self._live.__exit__(None, None, None)

    def say(self, activity: str) -> None:
        self._activity = activity
        self._draw()

    def begin(self, description: Description, note: str, tracks: Sequence[RunProgress]) -> None:
        self._tracks = {track.series.name: track for track in tracks}
        self._head = headline(description, note)
        self._activity = ""
        self._draw()

    def update(self, series: Series, segment: Segment) -> None:
        self._tracks[series.name].advance(segment)
        self._refresh()

    def show(self, track: RunProgress) -> None:
        self._tracks[track.series.name] = track
        self._refresh()

    def _refresh(self) -> None:
        if time.monotonic() - self._drawn >= 1 / REFRESHES:
            self._draw()

    def _draw(self) -> None:
        self._live.update(self.render(), refresh=True)
        self._drawn = time.monotonic()

    def render(self) -> RenderableType:
        parts: list[RenderableType] = []
        if self._tracks:
            # Two lines of head, one of titles, one of activity and the one the cursor rests on.
            room = max(1, self._console.height - 5)
            tracks = list(self._tracks.values())
            current = sum(track.state in ("done", "diverged") for track in tracks)
            first = max(0, min(current, len(tracks) - room))
            shown = tracks[first : first + room]
            colors = run_colors([track.series for track in tracks])
            parts = [self._head, progress_table(shown, self._console.width, colors)]
        if self._activity:
            parts.append(Text(f"{self._activity} …", style="dim"))
        return Group(*parts)


class PlainView(View):
    """Lines for a log file: at most one a second a run, and always the first and the last."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tracks: dict[str, RunProgress] = {}
        self._printed: dict[str, tuple[float, int]] = {}  # when, and after which update

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, *_: object) -> None:
        for name, (_when, updates) in self._printed.items():
            if self._tracks[name].updates > updates:
                self._print(self._tracks[name])

    def say(self, activity: str) -> None:
        return

    def begin(self, description: Description, note: str, tracks: Sequence[RunProgress]) -> None:
        self._tracks = {track.series.name: track for track in tracks}
        self._console.print(headline(description, note), soft_wrap=True)

    def update(self, series: Series, segment: Segment) -> None:
        track = self._tracks[series.name]
        track.advance(segment)
        self._follow(track, is_last=segment.ends_epoch and track.state in ("done", "diverged"))

    def show(self, track: RunProgress) -> None:
        self._tracks[track.series.name] = track
        self._follow(track, is_last=track.state in ("done", "diverged"))

    def _follow(self, track: RunProgress, *, is_last: bool) -> None:
        when, _updates = self._printed.get(track.series.name, (-math.inf, 0))
        if is_last or time.monotonic() - when >= LINE_SECONDS:
            self._print(track)

    def _print(self, track: RunProgress) -> None:
        self._printed[track.series.name] = (time.monotonic(), track.updates)
        self._console.print(progress_line(track), soft_wrap=True)


def make_view(console: Console) -> View:
    """The view that suits where the console writes to."""
    on_screen = console.file.isatty() and not console.is_dumb_terminal
    return LiveView(console) if on_screen and not console.quiet else PlainView(console)


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
    text.append(f"{description.loss_name} · {note} · {description.device}", style="dim")
    return text


def progress_line(track: RunProgress) -> Text:
    """One line of a log."""
    parts = [
        f"{track.series.name:<9}",
        f"epoch {track.epoch:>{len(str(track.epochs))}}/{track.epochs}",
        f"train loss {number(track.loss)}",
        f"best {number(track.best)}",
        f"{short(track.rate)} updates/s",
        f"{duration(track.seconds)}",
    ]
    return Text("  ".join(parts) + (f"  {track.state}" if track.state == "diverged" else ""))


def progress_table(
    tracks: Sequence[RunProgress], width: int, colors: Mapping[str, str] | None = None
) -> Table:
    """A row a run, with as many columns as the terminal has room for.

    `colors` are those of all runs by name, where these are not all.
    """
    colors = colors or run_colors([track.series for track in tracks])
    names = max(len(track.series.name) for track in tracks)
    epochs = max(2 * len(str(track.epochs)) + 1 for track in tracks)
    with_curve, with_times = width >= 72, width >= 60
    room = width - epochs - 23 - max(9, names) - 24 * with_times
    bar_width = max(3, min(30, room // 2 if with_curve else room))
    curve_width = max(8, min(40, room - bar_width - 1))
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim")
    table.add_column(kind_of(track.series for track in tracks), no_wrap=True)
    table.add_column("", no_wrap=True)
    for title in ("epoch", "train loss", "best"):
        table.add_column(title, justify="right", no_wrap=True)
    if with_curve:
        title = "log curve" if curve_width > 8 else "curve"
        table.add_column(title, no_wrap=True, width=curve_width)
    if with_times:
        for title in ("upd/s", "time", "left"):
            table.add_column(title, justify="right", no_wrap=True)
    for track in tracks:
        color = colors[track.series.name]
        cells = [*_state_cells(track, bar_width, color)]
        if with_curve:
            cells.append(Text(sparkline(track.curve, curve_width), style=color))
        if with_times:
            cells += _time_cells(track)
        table.add_row(*cells)
    return table


def _state_cells(track: RunProgress, bar_width: int, color: str) -> Iterator[Text]:
    filled = round(bar_width * track.updates / track.total)
    yield Text(track.series.name, style=f"bold {color}")
    yield Text("━" * filled, style=color) + Text("━" * (bar_width - filled), style="grey37")
    yield Text(f"{track.epoch}/{track.epochs}")
    if track.state == "diverged":
        yield Text("diverged", style="red")
    else:
        yield Text(number(track.loss))
    yield Text(number(track.best if track.best < math.inf else None))


def _time_cells(track: RunProgress) -> list[Text]:
    if track.state == "waiting":
        return [Text(""), Text("waiting", style="dim"), Text("")]
    left = track.remaining if track.state == "" else None
    return [
        Text(short(track.rate)),
        Text(duration(track.seconds)),
        Text("" if left is None else clock(math.ceil(left))),
    ]
