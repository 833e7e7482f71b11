"""The progress of a run: its curve, its median over lanes, the time left."""

import math

import pytest

from gdrun.results.events import Segment
from gdrun.results.progress import CURVE_POINTS, RunProgress
from tests.segments import epoch_end, segment, series


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
