"""A log that is looked over says what one says that is read as a whole."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.logs.overview import read_overview
from gdrun.results.rows.history import History, Recorder, kept_per_lane
from tests.logs.log_files import Logs, logs, parsed

RUNS = {
    "lanes": st.sampled_from([1, 2, 3, 20]),
    "epochs": st.integers(0, 400),
    "seed": st.integers(0, 9999),
    "eval_every": st.sampled_from([1, 1, 7, 1000]),
    "falling": st.sampled_from([0.0, 0.02]),
    "block_bytes": st.sampled_from([100, 5000, 2**17]),
}


def whole(made: Logs) -> tuple[History, ...]:
    recorder = Recorder(made.series, 1)
    recorder.read(parsed(made.series, made.epochs))
    return recorder.histories


def looked_over(made: Logs, block_bytes: int, width: int) -> tuple[History, ...]:
    """With a stretch of about so many epochs."""
    stretches = kept_per_lane(len(made.series.lanes), 1) // 4
    rows = parsed(made.series, made.epochs, block_bytes)
    return read_overview(made.series, rows, width * stretches, 1)


@given(width=st.integers(1, 90), **RUNS)
@settings(max_examples=100)
def test_an_overview_knows_how_far_lanes_are_and_has_the_extremes_of_each_stretch(
    lanes: int, epochs: int, seed: int, eval_every: int, falling: float, block_bytes: int,
    width: int,
) -> None:  # fmt: skip
    made = logs(lanes, epochs, seed, eval_every, falling)
    every = whole(made)
    over = looked_over(made, block_bytes, width)
    common = max((history.epochs["epoch"] for history in over), key=len)
    assert len(common) <= 2 * -(-(epochs + 1) // width) + 2
    for history, known in zip(over, every, strict=True):
        assert repr(history.latest) == repr(known.latest)
        rows = set(zip(*(map(str, column) for column in known.epochs.values()), strict=True))
        kept = list(zip(*(map(str, column) for column in history.epochs.values()), strict=True))
        assert set(kept) <= rows
        assert len(set(kept)) == len(kept)
        # Lanes share their epochs as long as both are there.
        assert history.epochs["epoch"] == common[: len(history.epochs["epoch"])]
        assert list(common) == sorted(common)
        assert common[0] == 0
        for k, low in enumerate(history.dropped.lows):
            upto = known.epochs["train_loss"][: int(history.epochs["epoch"][k]) + 1]
            assert low == min(filter(math.isfinite, upto), default=math.inf)
    if lanes == 1:
        losses = dict(zip(every[0].epochs["epoch"], every[0].epochs["train_loss"], strict=True))
        kept_losses = set(over[0].epochs["train_loss"])
        for start in range(1, epochs + 1, width):
            inside = [losses[k] for k in range(start, min(start + width, epochs + 1))]
            finite = list(filter(math.isfinite, inside))
            if finite:
                assert {min(finite), max(finite)} <= kept_losses


@given(target=st.floats(0.0, 1.5), **RUNS)
@settings(max_examples=100)
def test_a_target_was_reached_where_an_overview_says_if_not_when(
    lanes: int, epochs: int, seed: int, eval_every: int, falling: float, block_bytes: int,
    target: float,
) -> None:  # fmt: skip
    made = logs(lanes, epochs, seed, eval_every, falling)
    for history, known in zip(looked_over(made, block_bytes, 20), whole(made), strict=True):
        losses = list(enumerate(known.epochs["train_loss"]))
        first = next((epoch for epoch, loss in losses if loss <= target), None)
        crossing = history.crossing(target)
        assert (crossing is None) == (first is None)
        if crossing and crossing.between:
            assert crossing.between[0] < (first or 0) <= crossing.between[1]
        elif crossing:
            assert history.epochs["epoch"][crossing.row] == first
