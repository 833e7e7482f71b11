"""A saved run is trained again: at the ends of epochs it is what it was."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import gdrun
from gdrun.compiler import program_cache
from gdrun.errors import DataError
from gdrun.experiment.replay.fits import fit_of
from gdrun.experiment.replay.moments import Moment, largest_difference, moments, prepare_replay
from gdrun.results.rows.log_rows import as_logged
from gdrun.results.run import RunResult
from gdrun.storage.reader import read_results
from gdrun.storage.saved_run import SavedRun, open_any

CASES: dict[str, dict[str, Any]] = {
    "one": {},
    "lanes": {"lr": [0.05, 0.2], "seeds": 3, "momentum": 0.5},
    "seldom evaluated": {"eval_every": 3},
    "validation": {"data": {"rows": 20, "val_fraction": 0.3}, "sampling": "replacement"},
    "standardised": {"data": {"rows": 20, "standardize": True}},
}


def saved_run(place: Path, **settings: Any) -> SavedRun:
    options = {"data": {"rows": 20}, "batch_size": 3, "epochs": 8, **settings}
    gdrun.train("minibatch", output_dir=place, name="a", plot={"enabled": False}, **options)
    saved = open_any(place / "a")
    assert isinstance(saved, SavedRun)
    return saved


def replayed(saved: SavedRun, epochs: Sequence[int]) -> tuple[list[Moment], RunResult]:
    (result,) = read_results(saved)
    return [*moments(prepare_replay(saved), epochs, result.series.lanes)], result


def logged_losses(result: RunResult, lane: int, epoch: int) -> list[float]:
    table = result.histories[lane].epochs
    return [
        loss
        for number, loss in zip(table["epoch"], table["train_loss"], strict=True)
        if number == epoch
    ]


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize("case", CASES)
def test_losses_are_those_of_the_log_and_the_last_fit_is_that_of_the_checkpoint(
    engine: str, case: str, tmp_path: Path
) -> None:
    saved = saved_run(tmp_path, engine=engine, **CASES[case])
    epochs = [0, 1, 3, 6, 8]
    found, result = replayed(saved, epochs)
    assert [moment.epoch for moment in found] == epochs
    assert prepare_replay(saved).engine == engine
    compared = 0
    for moment in found:
        for lane, now in enumerate(moment.train_loss):
            for then in logged_losses(result, lane, moment.epoch):
                if then == then:  # evaluated
                    assert now is not None
                    assert as_logged(now) == then
                    compared += 1
    assert compared >= 3 * len(result.lanes)
    assert found[-1].fit == fit_of(saved)
    assert found[0].fit.curves != found[1].fit.curves
    losses = {moment.epoch: moment.train_loss for moment in found}
    assert largest_difference(losses, result) < 1e-8


def test_a_difference_to_the_log_is_found(tmp_path: Path) -> None:
    found, result = replayed(saved_run(tmp_path, lr=[0.1, 0.2]), [0, 4])
    losses = {moment.epoch: [*moment.train_loss] for moment in found}
    last = losses[4][1]
    assert last is not None
    losses[4][1] = 1.5 * last
    assert largest_difference(losses, result) == pytest.approx(0.5, rel=1e-6)


def test_lanes_are_those_that_are_asked_for(tmp_path: Path) -> None:
    saved = saved_run(tmp_path, lr=[0.05, 0.2], seeds=2)
    replay = prepare_replay(saved)
    lanes = replay.run.plan.lanes
    (whole,) = moments(replay, [5], lanes)
    (some,) = moments(replay, [5], [lanes[3], lanes[1]])
    assert some.fit.curves == [whole.fit.curves[3], whole.fit.curves[1]]
    assert some.train_loss == [whole.train_loss[3], whole.train_loss[1]]


def test_a_run_that_diverged_ends_where_it_did(tmp_path: Path) -> None:
    found, result = replayed(saved_run(tmp_path, lr=[1e4, 1e30], epochs=40), range(41))
    assert [moment.epoch for moment in found] == list(range(result.histories[0].latest.epoch + 1))
    assert len(found) < 41


@pytest.mark.usefixtures("cache")
def test_without_its_program_a_run_is_trained_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = saved_run(tmp_path, engine="compiled")
    monkeypatch.setattr(program_cache, "obstacle", lambda: "there is no compiler")
    replay = prepare_replay(saved)
    assert replay.engine == "eager"
    assert replay.notes == (f"{saved.path}: trained again with engine eager: there is no compiler",)
    (result,) = read_results(saved)
    (last,) = moments(replay, [8], result.series.lanes)
    then = result.histories[0].latest.train_loss
    assert last.train_loss[0] == pytest.approx(then, rel=1e-3)


def test_data_that_is_not_what_it_was_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("x,y\n1,2\n2,3\n3,5\n4,4\n")
    saved = saved_run(tmp_path, data={"source": "csv", "path": str(table), "target": "y"})
    prepare_replay(saved)
    table.write_text("x,y\n1,2\n2,3\n3,5\n4,9\n")
    with pytest.raises(DataError, match="the data is not what the run was begun with"):
        prepare_replay(saved)


def test_lanes_that_the_config_does_not_give_are_refused(tmp_path: Path) -> None:
    saved = saved_run(tmp_path)
    other = saved_run(tmp_path / "other", lr=0.3)
    (result,) = read_results(other)
    with pytest.raises(DataError, match="its config gives other lanes"):
        next(moments(prepare_replay(saved), [0], result.series.lanes))
