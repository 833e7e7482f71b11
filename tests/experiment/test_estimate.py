"""How long training takes, before it begins."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest

from gdrun.cli.preview import jobs_notes
from gdrun.compiler import program_cache
from gdrun.compiler.spec import spec_for
from gdrun.config.read import configure
from gdrun.experiment.cost import formulas
from gdrun.experiment.cost.estimate import estimate, side_by_side
from gdrun.experiment.cost.formulas import compiled_seconds, eager_seconds, machine_pace
from gdrun.experiment.cost.measure import measure_updates
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.resume import resume_experiment
from tests.command_line import Invoke
from tests.experiment.sweeps import FLAGS, GRID_FLAGS, SHUFFLED, run_sweep, sweep_config
from tests.training_runs import small_config


def test_nothing_left_takes_no_time(tmp_path: Path) -> None:
    config = sweep_config()
    assert estimate(plan_experiment("sweep", config)).train > 0
    run_sweep(config, tmp_path)
    taken_up = resume_experiment(plan_experiment("sweep", config), tmp_path)
    assert estimate(taken_up).train == 0
    assert estimate(taken_up, jobs=2).train == 0
    longer = plan_experiment("sweep", sweep_config(epochs=9))
    assert estimate(resume_experiment(longer, tmp_path)).train > 0


@pytest.mark.parametrize(
    ("jobs", "processors", "expected"),
    [
        (1, 4, 2 + 30 + 4 + 1),
        (2, 4, 2 + 30),
        (3, 4, 2 + 30),
        (9, 4, 2 + 30),
        (3, 2, (2 + 30) * 1.5),
    ],
)
def test_several_processes_share_what_is_to_be_done(
    jobs: int, processors: int, expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: processors)
    assert side_by_side([30.0, 4.0, 1.0], jobs, worker=2.0) == expected


@pytest.mark.parametrize(
    ("seconds", "note"),
    [({4: 5.0, 16: 40.0, 24: 30.0}, False), ({4: 1e-3, 16: 1e-3, 24: 1e-3}, True)],
)
def test_jobs_that_do_not_pay_are_said(
    seconds: dict[int, float], note: bool, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "gdrun.experiment.cost.estimate.seconds_per_update",
        lambda run, _state: seconds[run.plan.batch_size],
    )
    args = ("sweep", *FLAGS, *GRID_FLAGS, "--name", "a", "--dry-run")
    assert ("-j 2 doesn't pay" in invoke(*args, "-j", "2").out) == note
    assert "doesn't pay" not in invoke(*args).out


def test_what_uses_all_threads_gains_nothing_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr("torch.get_num_threads", lambda: 2)
    monkeypatch.setattr("gdrun.experiment.cost.estimate.seconds_per_update", lambda *_: 1.0)
    experiment = plan_experiment("sweep", sweep_config())
    assert estimate(experiment, jobs=2).train < 0.9 * estimate(experiment, jobs=2).in_turn
    monkeypatch.setattr("gdrun.experiment.cost.estimate.SPLIT_WORK", 1)  # an update is shared
    assert estimate(experiment, jobs=2).train > estimate(experiment, jobs=2).in_turn


@pytest.mark.parametrize(
    ("settings", "more"),
    [({}, False), ({"plot": {"dpi": 600}}, True), ({"sweep": {"batch_size": [1, 2, 3, 4]}}, True)],
)
def test_drawing_is_counted(settings: dict[str, Any], more: bool) -> None:
    found, usual = (
        estimate(plan_experiment("sweep", sweep_config(**each))).draw for each in (settings, {})
    )
    assert (found > 1.05 * usual) == more
    none = sweep_config(**settings | {"plot": {"enabled": False}})
    assert estimate(plan_experiment("sweep", none)).draw == 0


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
    assert set(found["estimated_parts"]) == {"start", "prepare", "train", "draw"}
    assert found["estimated_seconds"] == pytest.approx(
        sum(found["estimated_parts"].values()), abs=0.01
    )
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
    assert found["estimated_parts"]["train"] == 0


def test_nothing_is_built_to_find_out_how_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure(None, {"engine": "compiled"})
    experiment = plan_experiment("compare", config).with_engine("compiled")
    monkeypatch.setattr(program_cache, "build", lambda *_: pytest.fail("it was built"))
    assert estimate(experiment).train > 0


@pytest.mark.parametrize("command", ["full", "sgd", "minibatch", "compare"])
def test_every_dry_run_says_how_long_the_command_takes(command: str, invoke: Invoke) -> None:
    args = (command, *FLAGS, "--dry-run")
    assert re.search(r"updates?: about \d", invoke(*args).out)
    found = json.loads(invoke(*args, "--json").out)
    assert min(found["estimated_parts"][part] for part in ("start", "train")) > 0
    assert found["estimated_seconds"] > found["estimated_parts"]["train"]


def test_only_a_sweep_is_measured_before_it_is_trained() -> None:
    plans = [plan_experiment(command, sweep_config()) for command in ("sweep", "compare")]
    assert [estimate(plan).prepare > 0 for plan in plans] == [True, False]


@pytest.mark.parametrize(("command", "epochs"), [("sgd", 10_000), ("full", 10_000)])
def test_a_program_that_is_not_built_is_not_taken_for_updates_one_by_one(
    command: str, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However slow those are just now: they aren't timed."""
    config = configure(None, {"engine": "compiled", "epochs": epochs})
    experiment = plan_experiment(command, config).with_engine("compiled")
    monkeypatch.setattr(program_cache, "is_built", lambda _: False)
    monkeypatch.setattr(
        "gdrun.experiment.cost.measure.train", lambda *_: pytest.fail("it was tried")
    )
    plan = experiment.runs[0]
    assert 0 < estimate(experiment).train < eager_seconds(plan.problem, plan.plan) / 5


def test_who_watches_waits(invoke: Invoke) -> None:
    found = json.loads(invoke("compare", *FLAGS, "--watch", "9", "--dry-run", "--json").out)
    assert found["estimated_parts"]["train"] == 9


@pytest.mark.parametrize(("engine", "is_built"), [("eager", False), ("compiled", True)])
def test_what_takes_long_is_not_tried(
    engine: Literal["eager", "compiled"], is_built: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one pass over all rows, for which a formula does."""
    experiment = plan_experiment("full", sweep_config()).with_engine(engine)
    monkeypatch.setattr(program_cache, "is_built", lambda _: is_built)
    monkeypatch.setattr("gdrun.experiment.cost.estimate.LONG_SECONDS", 1e-9)
    monkeypatch.setattr(
        "gdrun.experiment.cost.measure.train", lambda *_: pytest.fail("it was tried")
    )
    assert estimate(experiment).train > 0


@pytest.mark.parametrize(
    ("jobs", "runs", "cores", "expected"),
    [
        (1, 3, 1, []),
        (2, 3, 2, []),
        (3, 3, 4, []),
        (4, 3, 4, ["-j 4: there are 3 runs to train, so that -j 3 does the same"]),
        (2, 1, 1, ["-j 2: there is 1 run to train, so that -j 1 does the same"]),
        (2, 3, 1, ["-j 2: there is 1 core, which 2 processes share"]),
        (
            9,
            3,
            2,
            [
                "-j 9: there are 3 runs to train, so that -j 3 does the same",
                "-j 9: there are 2 cores, which 3 processes share",
            ],
        ),
    ],
)
def test_more_jobs_than_runs_or_cores_are_said(
    jobs: int, runs: int, cores: int, expected: list[str]
) -> None:
    assert [*jobs_notes(jobs, runs, cores)] == expected


def test_notes_on_jobs_come_before_a_training_and_in_its_dry_run(invoke: Invoke) -> None:
    args = ("sweep", *FLAGS, *GRID_FLAGS, "-j", "7")
    for more in ((), ("--dry-run",)):
        outcome = invoke(*args, *more)
        said = " ".join((outcome.out + outcome.err).split())
        assert "-j 7: there are 3 runs to train, so that -j 3 does the same" in said


def test_other_work_on_the_machine_does_not_slow_its_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = formulas._seconds_of_products()  # as the formulas have it
    times = iter([9 * usual, 2 * usual, 3 * usual])
    monkeypatch.setattr(formulas, "_seconds_of_products", lambda: next(times))
    assert machine_pace() == pytest.approx(2.0)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "adagrad"])
def test_an_optimizer_with_buffers_takes_longer(optimizer: str) -> None:
    plain, momentum, other = (
        (eager_seconds(run.problem, run.plan), compiled_seconds(run.problem, run.plan, spec))
        for settings in ({}, {"momentum": 0.9}, {"optimizer": optimizer})
        for run in plan_experiment("minibatch", small_config(**settings)).runs
        for spec in [spec_for(run.problem, run.plan)]
    )
    assert plain == momentum
    assert other[0] > plain[0]
    assert other[1] > plain[1]
