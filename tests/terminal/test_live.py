"""What a person watches: bounded in rate, width and height, and legible without a terminal."""

import io
import math
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from gdrun.results.description import Description
from gdrun.results.events import Lane, Segment, Series
from gdrun.results.progress import RunProgress
from gdrun.terminal.live import LiveView, PlainView, make_view, reading, stages
from gdrun.terminal.progress_table import progress_table
from tests.segments import advanced, epoch_end, segment, series
from tests.terminal.consoles import console, text

DESCRIPTION = Description(
    network="1 → 10 → 1 ReLU network",
    parameters=31,
    data="[red]houses[/red].csv",
    rows=100,
    val_rows=20,
    features=("x",),
    target="y",
    loss="mse",
    standardized=True,
    device="cpu",
)


class Clock:
    """Time that goes on only when told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("gdrun.terminal.live.time.monotonic", lambda: self.now)


def test_plain_lines_come_first_last_and_once_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, out = Clock(monkeypatch), console()
    with PlainView(out) as view:
        progress = RunProgress(series(), 1000, 10)
        view.begin(DESCRIPTION, "lr 0.1", [progress])
        for epoch in range(1001):
            clock.now += 0.01
            view.show(advanced(progress, segment(epoch)))
    lines = [line for line in text(out).splitlines() if line.startswith("sgd")]
    assert "epoch    0/1000" in lines[0]
    assert "epoch 1000/1000" in lines[-1]
    assert 10 <= len(lines) <= 12


def test_plain_view_ends_with_where_an_interrupted_run_stood(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, out = Clock(monkeypatch), console()
    with PlainView(out) as view:
        progress = RunProgress(series(), 1000, 10)
        view.begin(DESCRIPTION, "lr 0.1", [progress])
        for epoch in range(8):
            clock.now += 0.01
            view.show(advanced(progress, segment(epoch)))
    assert "epoch    7/1000" in text(out).splitlines()[-1]


def test_a_long_epoch_after_divergence_prints_no_more_than_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, out = Clock(monkeypatch), console()
    with PlainView(out) as view:
        progress = RunProgress(series(), 10, 1000)
        view.begin(DESCRIPTION, "lr 0.1", [progress])
        view.show(advanced(progress, segment(0)))
        for update in range(1, 101):
            clock.now += 0.1
            view.show(advanced(progress, Segment(1, update, update, 0.1, [], (1,))))
    lines = [line for line in text(out).splitlines() if line.startswith("sgd")]
    assert 10 <= len(lines) <= 12


def test_user_text_is_shown_as_text() -> None:
    out = console()
    PlainView(out).begin(DESCRIPTION, "lr 0.1", [])
    assert "[red]houses[/red].csv, 100 rows + 20 for validation" in text(out)
    assert "1 = predicting the mean" in text(out)


def test_live_view_refreshes_at_most_ten_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, out = Clock(monkeypatch), console(force_terminal=True, height=30)
    view = LiveView(out)
    drawn = 0
    refresh = view._live.update

    def count(*args: object, **more: object) -> None:
        nonlocal drawn
        drawn += 1
        refresh(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(view._live, "update", count)
    with view:
        progress = RunProgress(series(), 10_000, 10)
        view.begin(DESCRIPTION, "lr 0.1", [progress])
        drawn = 0
        for epoch in range(3000):  # three seconds
            clock.now += 0.001
            view.show(advanced(progress, segment(epoch)))
        assert 25 <= drawn <= 30


def test_of_several_rates_the_best_is_shown() -> None:
    lanes = tuple(Lane(lr, seed) for lr in (0.1, 0.2, 9.0) for seed in (0, 1))
    track = RunProgress(Series("sgd", 1, lanes), 10, 10)
    losses = (0.5, 0.7, 0.2, 0.4, math.inf, 9.0)
    end = epoch_end(1, [(0.4, loss, None) for loss in losses])
    track.advance(Segment(1, 10, 10, 0.1, [], (None,) * 6, end))
    assert track.loss == pytest.approx(0.3)
    assert track.best == pytest.approx(0.3)


@pytest.mark.parametrize("width", [20, 40, 59, 60, 71, 72, 80, 100, 140, 300])
def test_progress_fits_the_width(width: int) -> None:
    out = Console(file=io.StringIO(), width=width)
    tracks = [RunProgress(series(name), 100_000, 10) for name in ("full", "sgd", "minibatch")]
    for track in tracks[:2]:
        for epoch in range(0, 1000, 10):
            track.advance(segment(epoch, 1 / (1 + epoch)))
    out.print(progress_table(tracks, width))
    lines = text(out).splitlines()
    assert len(lines) == 4
    assert max(map(len, lines)) <= width
    if width >= 80:
        assert "…" not in text(out)
        assert "waiting" in lines[3]


@pytest.mark.parametrize("height", [5, 8, 24])
def test_live_view_stays_within_the_height(height: int) -> None:
    out = console(force_terminal=True, height=height)
    with LiveView(out) as view:
        tracks = [RunProgress(series(name), 10, 10) for name in ("full", "sgd", "minibatch")]
        view.begin(DESCRIPTION, "x", tracks)
        view.say("drawing")
        assert len(out.render_lines(view.render(), pad=False)) <= height


def fallen(height: int, width: int, *, val: bool = False, drawn: int = 60) -> Console:
    """What is on a screen once losses have fallen for some epochs."""
    out = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    view = LiveView(out)
    tracks = [RunProgress(series(name), 100, 10) for name in ("full", "sgd", "minibatch")]
    with view:
        view.begin(DESCRIPTION, "x", tracks, [Text("a remark")])
        for track, pace in zip(tracks, (1, 3, 5), strict=True):
            for epoch in range(drawn):
                loss = math.exp(-pace * epoch / 30)
                end = epoch_end(epoch, [(loss, loss, 2 * loss if val else None)])
                track.advance(Segment(epoch, 10 * epoch, 10 * epoch, epoch / 10, [], (None,), end))
        lines = out.render_lines(view.render(), pad=False)
    screen = Console(file=io.StringIO(), width=width)
    screen.print("\n".join("".join(part.text for part in line) for line in lines))
    return screen


def braille(line: str) -> int:
    return sum(0x2800 < ord(char) < 0x2900 for char in line)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (140, 40), (80, 18), (60, 60)])
def test_a_chart_of_the_losses_fills_the_screen(width: int, height: int) -> None:
    lines = text(fallen(height, width)).splitlines()
    # What was printed first stays on the screen, and the cursor's line is free.
    assert len(lines) + 3 + 1 in (height, height - 1)
    assert max(map(len, lines)) <= width
    curves = [line for line in lines if "│" in line or "┤" in line]
    assert len(curves) == len(lines) - 7  # the table's four, an empty one and two of the axis
    # Sixty of a hundred epochs: the curves reach over 59 % of the width.
    places = [k for line in curves for k, char in enumerate(line) if braille(char)]
    start = curves[0].index("│" if "│" in curves[0] else "┤") + 1
    assert (max(places) + 1 - start) / (width - start) == pytest.approx(0.59, abs=0.03)
    assert "epoch 0" in lines[-1]
    assert "epoch 100" in lines[-1]


def test_validation_losses_are_dashed() -> None:
    plain, dashed = (text(fallen(24, 80, val=val)) for val in (False, True))
    assert "validation loss dashed" in dashed
    assert "validation" not in plain
    # Curves of twice the loss are as long, but have gaps.
    assert 1.2 < braille(dashed) / braille(plain) < 1.9


@pytest.mark.parametrize(("height", "drawn"), [(11, 60), (24, 1), (24, 0)])
def test_there_is_no_chart_without_room_or_losses(height: int, drawn: int) -> None:
    assert braille(text(fallen(height, 80, drawn=drawn))) == 0


def test_the_chart_is_gone_at_the_end_and_the_table_stays() -> None:
    out = Console(file=io.StringIO(), width=80, height=24, force_terminal=True)
    track = RunProgress(series(), 100, 10)
    with LiveView(out) as view:
        view.begin(DESCRIPTION, "x", [track])
        for epoch in range(50):
            view.show(advanced(track, segment(epoch, 1 / (1 + epoch))))
    assert (
        braille("".join(part.text for line in out.render_lines(view.render()) for part in line))
        == 0
    )
    assert "49/100" in text(out)


def test_what_is_trained_comes_first_and_remarks_follow() -> None:
    for view_type in (LiveView, PlainView):
        out = console(force_terminal=view_type is LiveView, height=30)
        with view_type(out) as view:
            view.begin(DESCRIPTION, "lr 0.1", [RunProgress(series(), 10, 10)], [Text("engine: x")])
        written = text(out)
        assert written.index("ReLU network") < written.index("lr 0.1") < written.index("engine: x")


def test_drawing_takes_little_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, out = Clock(monkeypatch), console(force_terminal=True, height=30)
    view, drawn = LiveView(out), 0

    def slow(*_: object, **__: object) -> None:
        nonlocal drawn
        drawn += 1
        clock.now += 0.05

    with view:
        progress = RunProgress(series(), 10_000, 10)
        view.begin(DESCRIPTION, "lr 0.1", [progress])
        monkeypatch.setattr(view._live, "update", slow)
        for epoch in range(10_000):
            clock.now += 0.001
            view.show(advanced(progress, segment(epoch)))
        assert 5 <= drawn <= 10  # ten seconds


def interrupt(out: Console) -> None:
    with LiveView(out) as view:
        progress = RunProgress(series(), 10, 10)
        view.begin(DESCRIPTION, "x", [progress])
        view.show(advanced(progress, segment(1)))
        raise KeyboardInterrupt


def test_cursor_comes_back_after_an_interrupt() -> None:
    out = console(force_terminal=True, height=20)
    with pytest.raises(KeyboardInterrupt):
        interrupt(out)
    written = text(out)
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")


class Terminal(io.StringIO):
    """What a person sees."""

    def isatty(self) -> bool:
        return True


def test_only_a_terminal_gets_the_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(make_view(Console(file=io.StringIO())), PlainView)

    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(make_view(Console(file=Terminal())), LiveView)
    assert isinstance(make_view(Console(file=Terminal(), quiet=True)), PlainView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_view(Console(file=Terminal())), PlainView)


def read_slowly(clock: Clock, screen: io.StringIO, seconds: float, **options: Any) -> list[str]:
    """What is on the screen at each hundredth of a file that takes so long to read."""
    seen = []
    with reading(Console(file=screen, width=80, **options)) as show:
        for part in range(1, 101):
            clock.now += seconds / 100
            show(Path("long\x1b[2J/epochs.csv"), part / 100)
            seen.append(screen.getvalue())
    return [*seen, screen.getvalue()]


def test_what_is_read_is_said_after_a_second_where_somebody_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    clock = Clock(monkeypatch)
    seen = read_slowly(clock, Terminal(), 4)
    assert seen[23] == ""
    assert "epochs.csv: 25% …" in seen[24]
    assert "epochs.csv: 97% …" in seen[-3]
    assert seen[-1] == seen[-2]  # it is gone once the file is read, before anything is printed
    assert "\x1b[2J" not in seen[-1]
    assert "\x1b[2K" in seen[-1]
    drawn = seen[-1].count("epochs.csv")
    assert drawn <= 3 * 10 + 2
    assert read_slowly(clock, Terminal(), 0.9)[-1] == ""
    assert read_slowly(clock, io.StringIO(), 60)[-1] == ""
    assert read_slowly(clock, Terminal(), 60, quiet=True)[-1] == ""
    monkeypatch.setenv("TERM", "dumb")
    assert read_slowly(clock, Terminal(), 60)[-1] == ""


def test_what_fails_while_it_is_read_leaves_nothing_on_the_screen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    clock, out = Clock(monkeypatch), Console(file=Terminal(), width=80)

    def fail() -> None:
        with reading(out) as show:
            clock.now += 2
            show(Path("epochs.csv"), 0.5)
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        fail()
    assert isinstance(out.file, io.StringIO)
    assert out.file.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")


def passed_slowly(clock: Clock, screen: io.StringIO, **options: Any) -> str:
    """What is on the screen after a stage that takes 25 seconds, and one that takes none."""
    with stages(Console(file=screen, width=80, **options)) as show:
        for part in range(100):
            show("training [red]a\x1b[2J again", part / 100)
            clock.now += 0.25
        show("drawing 3 frames", 0.0)
    return screen.getvalue()


def test_stages_are_a_bar_on_a_terminal_and_calm_lines_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    clock = Clock(monkeypatch)
    shown = passed_slowly(clock, Terminal())
    assert "50%" in shown
    assert r"training [red]a\x1b[2J again" in shown
    assert "drawing 3 frames" in shown
    assert "\x1b[2J" not in shown
    assert shown.endswith("\x1b[2K")  # it is gone in the end
    lines = passed_slowly(clock, io.StringIO()).splitlines()
    assert lines[0] == r"training [red]a\x1b[2J again …"
    assert lines[-1] == "drawing 3 frames …"
    assert [re.sub(r".*: ", "", line) for line in lines[1:-1]] == ["20%", "40%", "60%", "80%"]
    assert passed_slowly(clock, Terminal(), quiet=True) == ""
