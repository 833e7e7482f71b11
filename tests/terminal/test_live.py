"""What a person watches: bounded in rate, width and height, and legible without a terminal."""

import io
import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gdrun.results.compare import Comparison, Row
from gdrun.results.events import Lane, Segment, Series
from gdrun.results.progress import CURVE_POINTS, RunProgress
from gdrun.results.run import Description
from gdrun.terminal.live import LiveView, PlainView, make_view
from gdrun.terminal.progress_table import progress_table, sparkline
from gdrun.terminal.tables import result_table
from gdrun.text import duration, number, short, visible
from tests.segments import epoch_end

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


def series(method: str = "sgd", lanes: int = 1) -> Series:
    return Series(method, 1, tuple(Lane(0.1, seed) for seed in range(lanes)))


def segment(epoch: int, loss: float | None = 0.5, lanes: int = 1) -> Segment:
    end = epoch_end(epoch, [(0.4, loss, None)] * lanes)
    return Segment(epoch, 10 * epoch, 10 * epoch, epoch / 10, [], (None,) * lanes, end)


def advanced(progress: RunProgress, segment: Segment) -> RunProgress:
    """The same progress, after a segment."""
    progress.advance(segment)
    return progress


def console(**more: object) -> Console:
    return Console(file=io.StringIO(), width=100, **more)  # type: ignore[arg-type]


def text(of: Console) -> str:
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()


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


def test_only_a_terminal_gets_the_live_view(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(make_view(Console(file=io.StringIO())), PlainView)

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(make_view(Console(file=Terminal())), LiveView)
    assert isinstance(make_view(Console(file=Terminal(), quiet=True)), PlainView)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_view(Console(file=Terminal())), PlainView)


@given(st.lists(st.floats(min_value=1e-30, max_value=1e30), max_size=60), st.integers(1, 40))
def test_sparkline_is_bounded(values: list[float], width: int) -> None:
    line = sparkline(values, width)
    assert len(line) == min(width, len(values))
    assert set(line) <= set("▁▂▃▄▅▆▇█")


def test_sparkline_is_logarithmic_and_keeps_both_ends() -> None:
    assert sparkline([10.0**-k for k in range(8)], 8) == "█▇▆▅▄▃▂▁"
    assert sparkline([float("nan"), 1.0, float("inf"), 1.0], 8) == "▁▁"
    long = sparkline([1.0] * 99 + [1e-3], 10)
    assert (long[0], long[-1]) == ("█", "▁")


def test_curve_is_bounded_however_long_the_run() -> None:
    track = RunProgress(series(), 100_000, 1)
    for epoch in range(20_000):
        track.advance(segment(epoch, 1.0 + epoch))
    assert len(track.curve) <= CURVE_POINTS
    assert track.curve[0] == 1.0
    assert track.curve == sorted(track.curve)


def test_what_is_left_counts_logs_and_all(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([100.0, 130.0])
    monkeypatch.setattr("gdrun.results.progress.time.monotonic", lambda: next(clock))
    track = RunProgress(series(), 100, 10)
    assert track.remaining is None
    track.advance(Segment(40, 400, 400, 0.1, [], (None,)))  # by an earlier process
    assert track.remaining is None
    track.advance(Segment(60, 600, 600, 0.2, [], (None,)))
    assert track.remaining == pytest.approx(60)


def test_track_shows_medians_of_the_lanes_left() -> None:
    track = RunProgress(series(lanes=3), 10, 10)
    end = epoch_end(1, [(None, loss, None) for loss in (0.1, 0.2, float("inf"))])
    track.advance(Segment(1, 10, 10, 0.1, [], (None, None, 7), end))
    assert track.loss == track.best == pytest.approx(0.15)
    assert (track.diverged, track.state) == (1, "training")
    track.advance(Segment(2, 20, 20, 0.2, [], (12, 13, 7)))
    assert track.state == "diverged"


def test_a_lane_that_diverged_counts_until_the_next_evaluation_or_if_none_is_left() -> None:
    track = RunProgress(series(lanes=2), 10, 10)
    assert math.isnan(track.loss)
    assert track.best == math.inf
    end = epoch_end(1, [(None, 1, None), (None, 3, None)])
    track.advance(Segment(1, 10, 10, 0.1, [], (None, None), end))
    assert (track.loss, track.best) == (2, 2)
    track.advance(Segment(2, 15, 15, 0.15, [], (12, None)))
    assert (track.loss, track.best) == (2, 2)
    unknown = (None, None, None)
    end = epoch_end(2, [unknown, unknown])
    track.advance(Segment(2, 20, 20, 0.2, [], (12, None), end))
    assert (track.loss, track.best) == (2, 2)
    end = epoch_end(3, [None, (None, 4, None)])
    track.advance(Segment(3, 30, 30, 0.3, [], (12, None), end))
    assert (track.loss, track.best) == (4, 3)
    end = epoch_end(4, [None, (None, math.inf, None)])
    track.advance(Segment(4, 40, 40, 0.4, [], (12, 38), end))
    assert (track.loss, track.best) == (math.inf, 2)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0051234, "0.00512"),
        (1.23e-7, "1.23e-07"),
        (0.0, "0"),
        (12.3456, "12.3"),
        (18_912.0, "18,900"),
        (1e9, "1.00e+09"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_numbers(value: float | None, expected: str) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0.0, "0 ms"), (0.0191, "19.1 ms"), (1.254, "1.25 s"), (61, "1:01"), (12_000, "3:20:00")],
)
def test_durations(value: float, expected: str) -> None:
    assert duration(value) == expected


@given(st.floats(0, 9e11))
def test_rates_are_short(value: float) -> None:
    assert len(short(value)) <= 5
    assert re.fullmatch(r"[\d.e+]+[kMG]?", short(value))


@pytest.mark.parametrize("width", [34, 40, 60, 80, 120])
def test_results_lose_columns_not_digits(width: int) -> None:
    row = Row(
        "minibatch", "minibatch", 16, 0.05, 8, 1, 0.0123, 0.0112, 0.0345, 123_456, 71.5, 1200, 0.25
    )
    comparison = Comparison(0.0135, (row, replace(row, lr=0.1, train_loss=None)))
    out = Console(file=io.StringIO(), width=width)
    out.print(result_table(comparison, out))
    assert "…" not in text(out)
    assert "0.0123" in text(out)
    assert "diverged" in text(out)
    assert ("123,456" in text(out)) == (width >= 60)
    assert max(map(len, text(out).splitlines())) <= width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Größe in m² – 價格 [bold]", "Größe in m² – 價格 [bold]"),
        ("a\x1b[31mb\x07\x00", r"a\x1b[31mb\x07\x00"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("a\x7f\x9b\u2028", r"a\x7f\x9b\u2028"),
        ("\u202egnp.exe\u200b\ufeff", r"\u202egnp.exe\u200b\ufeff"),
        ("\ud800\udcff", r"\ud800\udcff"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_steers_a_screen_is_shown_as_text(text: str, expected: str) -> None:
    assert visible(text) == expected
