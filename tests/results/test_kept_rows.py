"""A bounded number of rows is kept for all lanes together, and results don't depend on which."""

import math
from array import array
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.compare import compare_results, reach
from gdrun.results.events import Lane, Segment, Series
from gdrun.results.rows.history import KEPT_ROWS, MOST_PER_LANE, Recorder, kept_per_lane
from gdrun.results.run import RunResult, lane_result
from gdrun.storage.reader import HowToRead, read_result
from gdrun.storage.saved_run import SavedRun, open_saved
from tests.logs.log_files import Logs, logs, parsed
from tests.training_runs import small_config


def recorded(made: Logs, keep: int | None) -> Recorder:
    recorder = Recorder(made.series, 1, keep)
    for segment in made.segments:
        recorder.add(segment)
    return recorder


@pytest.mark.parametrize("block_bytes", [3000, 2**17])
@pytest.mark.parametrize(("lanes", "eval_every"), [(1, 1), (1, 3), (3, 1), (20, 2), (60, 1)])
def test_what_is_kept_in_the_end_does_not_depend_on_the_pieces_it_came_in(
    lanes: int, eval_every: int, block_bytes: int
) -> None:
    made = logs(lanes, 900, seed=block_bytes, eval_every=eval_every, falling=0.002)
    trained, read = recorded(made, 1), Recorder(made.series, 1, 1)
    epochs, steps = (parsed(made.series, each, block_bytes) for each in (made.epochs, made.steps))
    read.read(epochs, steps=steps)
    for recorder in (trained, read):
        recorder.settle()
    for one, other in zip(trained.histories, read.histories, strict=True):
        assert len(one.epochs["epoch"]) <= kept_per_lane(lanes, 1) // 2
        for name, column in one.epochs.items():
            assert column.tobytes() == other.epochs[name].tobytes()
        assert one.dropped.lows == other.dropped.lows
        assert one.steps["update"] == other.steps["update"]


@given(lanes=st.sampled_from([1, 3, 20]), seed=st.integers(0, 9999),
       eval_every=st.sampled_from([1, 3]), falling=st.sampled_from([0.0, 0.003]))  # fmt: skip
@settings(max_examples=10)
def test_results_of_lanes_are_those_of_all_their_rows(
    lanes: int, seed: int, eval_every: int, falling: float
) -> None:
    made = logs(lanes, 900, seed, eval_every, falling)
    pairs = zip(recorded(made, 1).histories, recorded(made, None).histories, strict=True)
    for history, whole in pairs:
        counts = {"updates": 1, "samples": 1, "seconds": 1.0}
        one, other = (
            lane_result(each, "done", None, **counts, stopped_at=None)  # type: ignore[arg-type]
            for each in (history, whole)
        )
        assert one == other
        losses = list(filter(math.isfinite, whole.epochs["train_loss"]))
        for target in (losses[0], min(losses), min(losses) / 2, sorted(losses)[len(losses) // 50]):
            every, crossing = whole.crossing(target), history.crossing(target)
            assert (every is None) == (crossing is None)
            if every is None or crossing is None:
                continue
            epoch = whole.epochs["epoch"][every.row]
            after, until = crossing.between or (epoch - 1, history.epochs["epoch"][crossing.row])
            assert after < epoch <= until


def test_rows_are_shared_out_among_the_lanes() -> None:
    assert kept_per_lane(1, KEPT_ROWS) == kept_per_lane(16, KEPT_ROWS) == MOST_PER_LANE
    assert kept_per_lane(1000, KEPT_ROWS) * 1000 <= KEPT_ROWS
    assert kept_per_lane(5000, KEPT_ROWS) >= 500
    assert kept_per_lane(1, 600) == 600


def test_many_lanes_keep_no_more_rows_each_than_they_may() -> None:
    """Though each has its lowest loss at an update of its own."""
    lanes, length = 700, 2100
    series = Series("sgd", 1, tuple(Lane(0.1, k) for k in range(lanes)))
    recorder, most = Recorder(series, 1, lanes), 0
    for first in range(0, length, 100):
        losses = [array("d", [1.0 + (first + k) % 13 for k in range(100)]) for _ in range(lanes)]
        for lane in range(first // 3, first // 3 + 34):
            if first <= 3 * lane < first + 100:
                losses[lane][3 * lane - first] = 0.5
        recorder.add(Segment(1, first + 100, 0, 0.0, losses, (None,) * lanes))
        most = max(most, *(len(history.steps["loss"]) for history in recorder.histories))
    assert most <= kept_per_lane(lanes, 1)


def swept(place: Path | None, keep: int | None) -> RunResult:
    """A run whose loss falls in steps, so that its target is first reached between kept rows."""
    config = small_config(epochs=2000, lr=0.01, seeds=2, data={"rows": 4}, plot={"enabled": False})
    *_, result = execute(plan_experiment("sgd", config), place, keep_rows=keep)
    assert isinstance(result, RunResult)
    return result


def test_targets_are_reached_when_they_were_however_few_rows_are_kept(tmp_path: Path) -> None:
    whole, few = swept(None, None), swept(tmp_path, 1)
    assert len(whole.histories[0].epochs["epoch"]) == 2001
    assert len(few.histories[0].epochs["epoch"]) <= 256
    saved = open_saved(tmp_path)
    assert isinstance(saved, SavedRun)
    reads = [HowToRead(), HowToRead(1), HowToRead(1, overview=True)]
    results = [few, *(read_result(saved, how) for how in reads)]
    losses = sorted(whole.histories[0].epochs["train_loss"])
    for target in losses[:: len(losses) // 40]:
        expected = [each and (each.updates, each.samples) for each in reach(whole, target)]
        for result in results:
            assert result
            assert [e and (e.updates, e.samples) for e in reach(result, target)] == expected
    row = compare_results([whole]).rows[0]
    for result in results:
        assert result
        own = compare_results([result]).rows[0]
        assert own.updates_to_target == row.updates_to_target
        assert own.best_train_loss == row.best_train_loss
