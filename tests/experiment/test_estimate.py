"""How long training takes, before it begins."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from gdrun.compiler import program_cache
from gdrun.config.read import configure
from gdrun.experiment.estimate import estimate_seconds, measure_updates
from gdrun.experiment.execute import execute
from gdrun.experiment.plan import plan_experiment
from gdrun.experiment.resume import resume_experiment
from tests.command_line import Invoke
from tests.experiment.sweeps import FLAGS, GRID_FLAGS, SHUFFLED, run_sweep, sweep_config


def test_nothing_left_takes_no_time(tmp_path: Path) -> None:
    config = sweep_config()
    assert estimate_seconds(plan_experiment("sweep", config)) > 0
    run_sweep(config, tmp_path)
    taken_up = resume_experiment(plan_experiment("sweep", config), tmp_path)
    assert estimate_seconds(taken_up) == 0
    assert estimate_seconds(taken_up, jobs=2) == 0
    assert (
        estimate_seconds(
            resume_experiment(plan_experiment("sweep", sweep_config(epochs=9)), tmp_path)
        )
        > 0
    )


def test_several_processes_share_what_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {4: 5.0, 16: 2.0, 24: 1.0}
    monkeypatch.setattr(
        "gdrun.experiment.estimate._seconds_per_update",
        lambda run, _state: seconds[run.plan.batch_size],
    )
    experiment = plan_experiment("sweep", sweep_config(epochs=1))
    assert [estimate_seconds(experiment, n) for n in (1, 2, 3, 9)] == [30 + 4 + 1, 30, 30, 30]


def test_the_pace_of_one_training_is_measured_once(tmp_path: Path) -> None:
    experiment = plan_experiment("sweep", sweep_config())
    measured = measure_updates(experiment)
    assert set(measured) == {4, 16, 24}
    assert all(0 < seconds < 10 for seconds in measured.values())
    for _ in execute(replace(experiment, seconds_per_update=measured), tmp_path):
        pass
    longer = plan_experiment("sweep", sweep_config(epochs=5))
    assert measure_updates(resume_experiment(longer, tmp_path)) == measured


def test_a_dry_run_says_what_there_is_to_do_and_writes_nothing(invoke: Invoke) -> None:
    args = ("sweep", *FLAGS, *GRID_FLAGS, *SHUFFLED, "--name", "a", "-j", "2")
    outcome = invoke(*args, "--dry-run")
    assert outcome.code == 0
    assert re.search(
        r"3 runs of 4 lanes \(2 learning rates × 2 seeds\), "
        r"27 updates, 2 at a time: about \d",
        outcome.out,
    )
    assert "batch-16: batch size 16, 4 lanes, 2 updates per epoch, 6 in all" in outcome.out
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


def test_nothing_is_built_to_find_out_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure(None, {"engine": "compiled"})
    experiment = plan_experiment("compare", config).with_engine("compiled")
    monkeypatch.setattr(program_cache, "build", lambda *_: pytest.fail("it was built"))
    assert estimate_seconds(experiment) > 0
