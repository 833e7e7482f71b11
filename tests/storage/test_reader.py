"""Saved runs are read back as they were trained."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gdrun.errors import DataError
from gdrun.loading import load
from gdrun.results.events import Status
from gdrun.results.run import RunResult
from gdrun.storage.run_dir import locked
from tests.run_files import edit, kill


def same_columns(own: dict[str, list[float | str]], other: dict[str, list[float | str]]) -> None:
    assert list(own) == list(other)
    for name in own:
        if name == "method":
            assert own[name] == other[name]
        else:  # seconds are logged to the microsecond, losses of updates to nine digits
            mine, theirs = (np.array(columns[name], dtype=float) for columns in (own, other))
            tolerance = {"seconds": 1e-6, "loss": 1e-8}.get(name, 0)
            np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["both", "one", "worst", "grid"])
def test_what_is_loaded_is_what_was_trained(
    name: str, trained: tuple[Path, dict[str, list[RunResult]]]
) -> None:
    place, results = trained
    saved = load(place / name)
    assert len(saved.results) == len(results[name])
    for own, other in zip(saved.results, results[name], strict=True):
        assert (own.series, own.status, own.lanes) == (other.series, other.status, other.lanes)
        assert own.description == other.description
        assert own.directory == other.directory
        same_columns(own.epochs, other.epochs)
        same_columns(own.steps, other.steps)


@pytest.mark.parametrize("name", ["both/full", "both/sgd", "both/minibatch", "one", "worst"])
def test_lanes_of_a_killed_run_are_worked_out_from_its_rows(name: str, outputs: Path) -> None:
    (before,) = load(outputs / name).results
    kill(outputs / name)
    saved = load(outputs / name)
    assert saved.status == "interrupted"
    (after,) = saved.results
    for lane, known in zip(after.lanes, before.lanes, strict=True):
        status: Status = "interrupted" if known.status == "done" else "diverged"
        assert replace(lane, seconds=0) == replace(known, seconds=0, status=status)
        assert lane.seconds == pytest.approx(known.seconds, abs=1e-6)


def test_a_run_at_work_is_running_and_its_half_line_is_left_out(outputs: Path) -> None:
    kill(outputs / "one")
    path = outputs / "one/epochs.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with locked(outputs / "one"):
        saved = load(outputs / "one")
    assert saved.status == "running"
    assert saved.epochs["epoch"] == [0, 1, 2]
    assert saved.results[0].lanes[0].epochs == 2
    assert load(outputs / "one").status == "interrupted"


def test_steps_are_read_when_they_are_asked_for(outputs: Path) -> None:
    (outputs / "one/steps.csv").unlink()
    saved = load(outputs / "one")
    assert saved.epochs["epoch"] == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"steps.csv: is missing"):
        _ = saved.steps


def test_runs_of_an_older_gdrun_load(outputs: Path) -> None:
    old = dict.fromkeys(("name", "config", "jobs", "seconds_an_update_alone", "data_fingerprint"))
    for name in ("both/full", "one", "grid/batch-2"):
        edit(outputs / name, **old)
    edit(outputs / "grid", **{key: None for key in old if key != "config"}, answer=None)
    assert [run.series.name for run in load(outputs / "both").results] == [
        "full",
        "sgd",
        "minibatch",
    ]
    assert load(outputs / "one").config["data"]["rows"] == 9
    old_sweep = load(outputs / "grid")
    assert old_sweep.trials["seed"] == [0, 1] * 4
    assert old_sweep.answer
    assert not old_sweep.answer.pace
    assert load(outputs / "one").answer is None


def test_a_group_has_the_runs_begun_so_far(outputs: Path) -> None:
    shutil.rmtree(outputs / "both/minibatch")
    shutil.rmtree(outputs / "grid/batch-2")
    (outputs / "grid/batch-2").symlink_to(outputs / "one")
    assert [run.series.name for run in load(outputs / "both").results] == ["full", "sgd"]
    assert [run.series.name for run in load(outputs / "grid").results] == ["batch-9"]
