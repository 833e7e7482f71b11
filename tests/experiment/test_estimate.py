"""How long training takes, before it begins."""

import json
import re
from pathlib import Path

import pytest

from gdrun.experiment.estimate import estimate_seconds, timed
from gdrun.experiment.execute import execute, take_up
from gdrun.experiment.plan import prepare
from tests.command_line import Invoke
from tests.experiment.sweeps import FLAGS, GRID_FLAGS, SHUFFLED, run_sweep, sweep_config


def test_nothing_left_takes_no_time(tmp_path: Path) -> None:
    config = sweep_config()
    assert estimate_seconds(prepare("sweep", config)) > 0
    run_sweep(config, tmp_path)
    taken_up = take_up(prepare("sweep", config), tmp_path)
    assert estimate_seconds(taken_up) == 0
    assert estimate_seconds(taken_up, jobs=2) == 0
    assert estimate_seconds(take_up(prepare("sweep", sweep_config(epochs=9)), tmp_path)) > 0


def test_several_processes_share_what_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {4: 5.0, 16: 2.0, 24: 1.0}
    monkeypatch.setattr(
        "gdrun.experiment.estimate._seconds_an_update",
        lambda _experiment, member, _state: seconds[member.plan.batch_size],
    )
    experiment = prepare("sweep", sweep_config(epochs=1))
    assert [estimate_seconds(experiment, n) for n in (1, 2, 3, 9)] == [30 + 4 + 1, 30, 30, 30]


def test_the_pace_of_one_training_is_measured_once(tmp_path: Path) -> None:
    experiment = timed(prepare("sweep", sweep_config()))
    assert set(experiment.pace) == {4, 16, 24}
    assert all(0 < pace < 10 for pace in experiment.pace.values())
    for _ in execute(experiment, tmp_path):
        pass
    again = timed(take_up(prepare("sweep", sweep_config(epochs=5)), tmp_path))
    assert again.pace == experiment.pace


def test_a_dry_run_says_what_there_is_to_do_and_writes_nothing(invoke: Invoke) -> None:
    args = ("sweep", *FLAGS, *GRID_FLAGS, *SHUFFLED, "--name", "a", "-j", "2")
    outcome = invoke(*args, "--dry-run")
    assert outcome.code == 0
    assert re.search(
        r"3 runs of 4 lanes \(2 learning rates × 2 seeds\), "
        r"27 updates, 2 at a time: about \d",
        outcome.out,
    )
    assert "batch-16: batch size 16, 4 lanes, 2 updates an epoch, 6 in all" in outcome.out
    found = json.loads(invoke(*args, "--dry-run", "--json").out)
    assert found["estimated_seconds"] >= 0
    assert [(r["name"], r["lanes"], r["updates"]) for r in found["runs"]] == [
        ("batch-4", 4, 18), ("batch-16", 4, 6), ("batch-24", 4, 3),
    ]  # fmt: skip
    assert not Path("outputs").exists()


def test_a_run_that_ended_early_is_not_what_is_left(invoke: Invoke) -> None:
    """All its lanes diverged: the updates that it didn't take are none to be taken."""
    args = ("sweep", *FLAGS, "--lr", "1e30,1e31", "--batch-size", "4,full", "--name", "a")
    assert invoke(*args).code == 3
    outcome = invoke("sweep", "--resume", "outputs/a", "--dry-run", "-j", "2")
    assert "nothing is left to train" in outcome.out
    found = json.loads(invoke("sweep", "--resume", "outputs/a", "--dry-run", "--json").out)
    assert found["estimated_seconds"] == 0
