"""Optimizers side by side in a sweep: each is as in a sweep of it alone, with the target of all."""

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import gdrun
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Trial
from gdrun.experiment.plan.make import plan_experiment
from tests.command_line import Invoke
from tests.experiment.sweeps import FLAGS, nth, run_sweep, sweep_config, sweep_rows, tables

MOMENTUM = {"name": "sgd", "momentum": 0.5, "lr": [0.05, 0.1]}
THREE: list[Any] = ["sgd", MOMENTUM, {"name": "adam", "lr": [0.003, 0.01, 0.03]}]
GRID: dict[str, Any] = {"lr": [0.1, 0.3], "batch_size": [4, "full"]}
NAMES = ["sgd", "sgd momentum 0.5", "adam"]


def swept(place: Path, **sweep: Any) -> SweepResult:
    config = sweep_config(sweep={**GRID, **sweep}, plot={"enabled": False})
    return next(e for e in run_sweep(config, place) if isinstance(e, SweepResult))


def bare(trial: Trial) -> Trial:
    """A training without what the clock says and how its optimizer is called."""
    return replace(trial, seconds=0.0, seconds_to_target=None, optimizer="")


def test_each_is_as_in_a_sweep_of_it_alone(tmp_path: Path) -> None:
    answer = swept(tmp_path / "all", optimizer=THREE)
    assert [part.optimizer for part in answer.parts] == NAMES
    assert [part.lrs for part in answer.parts] == [[0.1, 0.3], [0.05, 0.1], [0.003, 0.01, 0.03]]
    for k, (part, optimizer) in enumerate(zip(answer.parts, THREE, strict=True)):
        alone = swept(tmp_path / str(k), optimizer=optimizer, target=answer.target)
        assert len(alone.parts) == 1
        assert [list(map(bare, cell.trials)) for cell in part.cells] == [
            list(map(bare, cell.trials)) for cell in alone.cells
        ]
        assert (part.critical, part.best and part.best.lr) == (
            alone.critical,
            alone.best and alone.best.lr,
        )
    assert answer.best == min(
        (part.best for part in answer.parts if part.best), key=lambda cell: cell.train_loss
    )
    names = {path.parent.name for path in (tmp_path / "all").glob("*/run.json")}
    labels = ("sgd", "sgd-momentum-0.5", "adam")
    assert names == {f"batch-{size}-{label}" for size in (4, 24) for label in labels}


def test_the_table_names_them_where_there_are_several(tmp_path: Path) -> None:
    swept(tmp_path / "all", optimizer=THREE)
    rows = sweep_rows(tmp_path / "all")
    assert list(dict.fromkeys(row["optimizer"] for row in rows)) == NAMES
    swept(tmp_path / "one", optimizer=["adam"])
    assert "optimizer" not in sweep_rows(tmp_path / "one")[0]


def test_what_is_saved_says_the_same(tmp_path: Path) -> None:
    answer = swept(tmp_path / "all", optimizer=THREE)
    loaded = gdrun.load(tmp_path / "all")
    assert loaded.answer
    assert loaded.answer.summary() == answer.summary()
    assert [part.optimizer for part in loaded.answer.parts] == NAMES
    assert list(dict.fromkeys(loaded.trials["optimizer"])) == NAMES
    header, *_ = (tmp_path / "all" / "sweep.csv").read_text().splitlines()
    assert list(loaded.trials) == header.split(",")
    assert list(answer.summary()["fits"]) == NAMES


@pytest.mark.parametrize("stop", [1, 9, 30])
def test_it_is_resumed_to_the_same_tables(stop: int, tmp_path: Path) -> None:
    config = sweep_config(sweep={**GRID, "optimizer": THREE}, plot={"enabled": False})
    run_sweep(config, tmp_path / "whole")
    run_sweep(config, tmp_path / "stopped", stop_when=nth(stop))
    run_sweep(config, tmp_path / "stopped")
    assert tables(tmp_path / "stopped") == tables(tmp_path / "whole")


def test_an_optimizer_without_rates_has_those_of_its_kind() -> None:
    config = sweep_config(lr=[0.1], sweep={"batch_size": 4, "optimizer": ["sgd", "adam"]})
    plans = plan_experiment("sweep", config).runs
    assert [run.series.lrs for run in plans] == [
        [0.00316, 0.01, 0.0316, 0.1, 0.316, 1.0, 3.16],
        [0.0001, 0.000316, 0.001, 0.00316, 0.01, 0.0316, 0.1],
    ]


def test_the_command_line_puts_them_side_by_side_and_the_advice_can_be_followed(
    invoke: Invoke,
) -> None:
    args = ("sweep", *FLAGS, "--batch-size", "4,full", "--optimizer", "sgd,adam", "--name", "a")
    outcome = invoke(*args, "--dry-run")
    assert "4 runs of 14 lanes (7 learning rates × 2 seeds)" in outcome.out
    assert "sgd: lr 0.00632, 0.02, 0.0632, 0.2, 0.632, 2, 6.32" in outcome.out
    assert "adam: lr 0.0001, 0.000316, 0.001, 0.00316, 0.01, 0.0316, 0.1" in outcome.out
    answer = json.loads(invoke(*args, "--json").out)["answer"]
    assert {"sgd", "adam"} == {cell["optimizer"] for cell in answer["best_of_batch"]}
    assert f"{answer['best']['optimizer']}, batch" in answer["advice"]
    assert invoke(*shlex.split(answer["command"])[1:], "--dry-run").code == 0
    shown = json.loads(invoke("show", "a", "--json").out)
    assert shown["answer"]["advice"] == answer["advice"]
    outcome = invoke("show", "a")
    assert "sgd: final train loss" in outcome.out
    assert "adam: final train loss" in outcome.out
    assert json.loads(invoke("list", "--where", "optimizer=adam", "--json").out)["runs"]


def test_python_takes_several() -> None:
    answer = gdrun.sweep(
        "shuffled",
        batch_size=[8, "full"],
        optimizer=["sgd", {"name": "adam", "lr": 0.01}],
        epochs=3,
    )
    assert [part.optimizer for part in answer.parts] == ["sgd", "adam"]
    assert answer.parts[1].lrs == [0.01]


def test_what_is_missing_of_one_optimizer_makes_the_sweep_partial(tmp_path: Path) -> None:
    config = sweep_config(sweep={**GRID, "optimizer": THREE}, plot={"enabled": False})
    events = run_sweep(config, tmp_path / "a", stop_when=nth(12))
    found = [event for event in events if isinstance(event, SweepResult)]
    assert found
    assert found[0].is_partial
