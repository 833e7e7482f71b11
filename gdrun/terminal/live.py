"""What a person watches while runs are trained: table and chart on a terminal, lines elsewhere.

A view renders the progress that it is shown and decides itself when, at most `REFRESHES` times a
second: training never waits for it, and no thread redraws while training is timed.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from gdrun.results.colors import run_colors
from gdrun.results.description import Description
from gdrun.results.events import COMPLETE
from gdrun.results.progress import RunProgress
from gdrun.terminal.progress_table import (
    headline,
    loss_chart,
    progress_line,
    progress_table,
)
from gdrun.text import visible

REFRESHES = 10  # a second, at most
DRAWING_SHARE = 0.04  # of the time, at most
MIN_CHART_LINES = 5  # of the curves
CHART_FRAME = 3  # lines below them: the axis, its numbers and an empty line
LINE_SECONDS = 1.0  # between two lines of a run, at least
READING_SECONDS = 1.0  # after which it is said what is read
CALM_SECONDS = 5.0  # between two lines on how much of something long is done


class View(Protocol):
    """What shows the progress of a command."""

    def __enter__(self) -> "View":
        """Begin to show."""

    def __exit__(self, *_: object) -> None:
        """Leave the screen clean."""

    def say(self, activity: str) -> None:
        """Show what is being done where it isn't training."""

    def begin(
        self,
        description: Description,
        note: str,
        runs: Sequence[RunProgress],
        remarks: Sequence[Text] = (),
    ) -> None:
        """Show what is about to be trained on what, and remarks on it."""

    def show(self, progress: RunProgress) -> None:
        """Show how far a run is."""


class LiveView:
    """A table with one row per run, redrawn in place, and below it the losses as they fall.

    The last state of the table stays on the screen.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._runs: dict[str, RunProgress] = {}
        self._activity = ""
        self._has_ended = False
        self._above = 0  # lines of what was printed first, which the chart leaves on the screen
        self._next = 0.0  # when it may be drawn again

    def __enter__(self) -> "LiveView":
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._activity, self._has_ended = "", True
        self._draw()
        self._live.__exit__(None, None, None)

    def say(self, activity: str) -> None:
        """Show an activity below the table."""
        self._activity = activity
        self._draw()

    def begin(
        self,
        description: Description,
        note: str,
        runs: Sequence[RunProgress],
        remarks: Sequence[Text] = (),
    ) -> None:
        """Print what is trained on what, and show the table with nothing trained yet."""
        self._activity = ""
        self._console.print(headline(description, note))
        for remark in remarks:
            self._console.print(remark, soft_wrap=True)
        width = self._console.width
        self._above = 2 + sum(-(-remark.cell_len // width) for remark in remarks)
        self._runs = {progress.series.name: progress for progress in runs}
        self._draw()

    def show(self, progress: RunProgress) -> None:
        """Show a run's progress when the table is drawn again."""
        self._runs[progress.series.name] = progress
        if time.monotonic() >= self._next:
            self._draw()

    def _draw(self) -> None:
        began = time.monotonic()
        self._live.update(self.render(), refresh=True)
        ended = time.monotonic()
        self._next = ended + max(1 / REFRESHES, (ended - began) / DRAWING_SHARE)

    def render(self) -> RenderableType:
        """The table as it is now, with the runs around the current one if not all have room."""
        parts: list[RenderableType] = []
        if self._runs:
            # One line of titles, one of activity and the one the cursor rests on.
            room = max(1, self._console.height - 3)
            runs = list(self._runs.values())
            current = sum(progress.state in COMPLETE for progress in runs)
            first = max(0, min(current, len(runs) - room))
            shown = runs[first : first + room]
            colors = run_colors([progress.series for progress in runs])
            parts = [progress_table(shown, self._console.width, colors)]
            lines = room - len(shown) - CHART_FRAME - self._above
            if lines >= MIN_CHART_LINES and not self._has_ended:
                parts += loss_chart(runs, colors, self._console, lines)
        if self._activity:
            parts.append(Text(f"{self._activity} …", style="dim"))
        return Group(*parts)


class PlainView:
    """Lines for a log file: at most one a second per run, and always the first and the last."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._runs: dict[str, RunProgress] = {}
        self._printed: dict[str, tuple[float, int]] = {}  # when, and after which update

    def __enter__(self) -> "PlainView":
        return self

    def __exit__(self, *_: object) -> None:
        for name, (_when, updates) in self._printed.items():
            if self._runs[name].updates > updates:
                self._print(self._runs[name])

    def say(self, activity: str) -> None:
        """Activities aren't worth a line."""

    def begin(
        self,
        description: Description,
        note: str,
        runs: Sequence[RunProgress],
        remarks: Sequence[Text] = (),
    ) -> None:
        """Print what is trained on what."""
        self._runs = {progress.series.name: progress for progress in runs}
        for line in (headline(description, note), *remarks):
            self._console.print(line, soft_wrap=True)

    def show(self, progress: RunProgress) -> None:
        """Print a line if it is the run's last one, or if the one before was a while ago."""
        self._runs[progress.series.name] = progress
        when, updates = self._printed.get(progress.series.name, (-math.inf, -1))
        is_news = progress.updates > updates
        if is_news and (progress.has_ended or time.monotonic() - when >= LINE_SECONDS):
            self._print(progress)

    def _print(self, progress: RunProgress) -> None:
        self._printed[progress.series.name] = (time.monotonic(), progress.updates)
        self._console.print(progress_line(progress), soft_wrap=True)


def make_view(console: Console) -> View:
    """The view that suits where the console writes to."""
    return LiveView(console) if _is_watched(console) else PlainView(console)


def _is_watched(console: Console) -> bool:
    """Whether somebody sees what is drawn over."""
    return console.file.isatty() and not console.is_dumb_terminal and not console.quiet


@contextmanager
def reading(console: Console) -> Iterator[Callable[[Path, float], None]]:
    """A function to call with a file that is read, and how much of it has been, again and again.

    Once that has taken a second, it is shown on a terminal, and gone when the file has been read.
    """
    began, shown = time.monotonic(), 0.0
    live: Live | None = None

    def show(path: Path, part: float) -> None:
        nonlocal live, shown
        now = time.monotonic()
        if live and part >= 1:
            live.stop()
            live = None
        elif part < 1 and now - began >= READING_SECONDS and now - shown >= 1 / REFRESHES:
            if live is None:
                live = Live(console=console, auto_refresh=False, transient=True)
                live.start()
            line = Text(visible(f"reading {path}: {part:.0%} …"), "dim", no_wrap=True)
            live.update(line, refresh=True)
            shown = now

    def ignore(path: Path, part: float) -> None:
        """Nobody looks."""

    try:
        yield show if _is_watched(console) else ignore
    finally:
        if live:
            live.stop()


@contextmanager
def stages(console: Console) -> Iterator[Callable[[str, float], None]]:
    """A function to call with what is being done, and how much of it is, again and again.

    A bar on a terminal, which is gone in the end; elsewhere calm lines.
    """
    show = _bar(console) if _is_watched(console) else _lines(console)
    with show as on_progress:
        yield on_progress


@contextmanager
def _bar(console: Console) -> Iterator[Callable[[str, float], None]]:
    what_column = TextColumn("{task.description}", markup=False)
    columns = (what_column, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, auto_refresh=False)
    task, drawn = bar.add_task("", total=1.0, visible=False), 0.0

    def show(what: str, part: float) -> None:
        nonlocal drawn
        what = visible(what)
        is_new = bar.tasks[0].description != what
        if is_new:
            bar.reset(task, description=what, visible=True)
        now = time.monotonic()
        if is_new or now - drawn >= 1 / REFRESHES:
            bar.update(task, completed=part, refresh=True)
            drawn = now

    with bar:
        yield show


@contextmanager
def _lines(console: Console) -> Iterator[Callable[[str, float], None]]:
    said, when = "", -math.inf

    def show(what: str, part: float) -> None:
        nonlocal said, when
        now = time.monotonic()
        if what != said or now - when >= CALM_SECONDS:
            line = f"{what} …" if what != said else f"{what}: {part:.0%}"
            console.print(Text(visible(line), "dim"), soft_wrap=True)
            said, when = what, now

    yield show
