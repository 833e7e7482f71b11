"""A sweep: its files and events are those of its runs; one that fails leaves the others."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gdrun.config.parts.groups import SweepConfig
from gdrun.config.read import dump_config, load_config
from gdrun.config.schema import RunConfig
from gdrun.config.timing import Timing
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.events import Segment
from gdrun.results.progress import RunProgress
from gdrun.results.run import RunResult
from gdrun.training.backend import Backend
from gdrun.training.loop import train
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState
from tests.command_line import Invoke
from tests.experiment.sweeps import (
    FLAGS,
    GRID_FLAGS,
    SHUFFLED,
    run_sweep,
    statuses,
    sweep_config,
    sweep_rows,
    tables,
)
from tests.run_files import logs, manifest
from tests.training_runs import small_config


def test_a_member_is_what_its_own_command_and_config_give(invoke: Invoke) -> None:
    args = ("sweep", *FLAGS, *SHUFFLED, *GRID_FLAGS, "--set", "momentum=0.5", "--name", "a")
    assert invoke(*args).code == 0
    for method, size in (("minibatch", 4), ("minibatch", 16), ("full", 24)):
        own, alone = Path(f"outputs/a/batch-{size}"), Path(f"outputs/{size}")
        assert invoke(method, "--config", own / "config.yaml", "--name", alone.name).code == 0
        for name in ("steps.csv", "config.yaml"):
            assert (own / name).read_bytes() == (alone / name).read_bytes()
        bare = [re.sub(rb"(\n([^,]+,){7})[^,]+", rb"\1", (p / "epochs.csv").read_bytes())
                for p in (own, alone)]  # fmt: skip
        assert bare[0] == bare[1]
        assert load_config(str(own / "config.yaml")).sweep == SweepConfig()  # no grid of its own
        assert b"minibatch,4,0.1,1,3,18,72,," in bare[0] or size != 4


def test_a_lane_is_the_same_training_alone(tmp_path: Path) -> None:
    run_sweep(sweep_config(), tmp_path / "a")
    alone = small_config(lr=0.3, seed=1, batch_size=16, data={"rows": 24})
    for _ in execute(plan_experiment("minibatch", alone), _made(tmp_path / "b")):
        pass
    for name, rows in logs(tmp_path / "b").items():
        own = [row for row in logs(tmp_path / "a" / "batch-16")[name] if row[2:4] == ["0.3", "1"]]
        assert own == rows[1:]


def _made(place: Path) -> Path:
    place.mkdir()
    return place


def test_a_member_that_fails_leaves_the_others_and_is_named(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(
        problem: Problem, plan: Plan, state: TrainState, backend: Backend, timing: Timing
    ) -> Iterator[Segment]:
        for segment in train(problem, plan, state, backend, timing):
            if plan.batch_size == 16 and segment.epoch == 2:
                raise RuntimeError("the device is on fire")
            yield segment

    args = ("sweep", *FLAGS, *GRID_FLAGS, *SHUFFLED)
    with monkeypatch.context() as patch:
        patch.setattr("gdrun.experiment.train_run.train", broken)
        outcome = invoke(*args, "--name", "a", "--json")
    assert outcome.code == 1
    assert "batch-16: unexpected RuntimeError: the device is on fire" in outcome.err
    assert "to resume: gdrun sweep --resume outputs/a" in outcome.err
    place = Path("outputs/a")
    assert statuses(place) == {
        "": "failed", "batch-4": "done", "batch-16": "failed", "batch-24": "done",
    }  # fmt: skip
    (failure,) = manifest(place)["failures"]
    assert failure["name"] == "batch-16"
    assert json.loads(outcome.out)["failures"] == [failure]
    assert {row["batch_size"] for row in sweep_rows(place)} == {"4", "24"}
    for told in (outcome, invoke("show", place, "--json")):
        answer = json.loads(told.out)["answer"]
        assert "Batch 16 was not trained to the end" in answer["advice"]
        assert answer["command"] is None
    assert invoke("sweep", "--resume", place).code == 0
    invoke(*args, "--name", "b")
    assert tables(place) == tables(Path("outputs/b"))
    assert manifest(place)["failures"] == []
    assert set(statuses(place).values()) == {"done"}


def test_events_come_from_every_run(tmp_path: Path) -> None:
    events = run_sweep(sweep_config(), tmp_path)
    assert [e.series.name for e in events if isinstance(e, RunResult)] == [
        "batch-4", "batch-16", "batch-24",
    ]  # fmt: skip
    assert {e.series.name for e in events if isinstance(e, RunProgress)} == {
        "batch-4", "batch-16", "batch-24",
    }  # fmt: skip


def test_the_config_of_a_sweep_is_written_beside_its_answer(
    swept: tuple[Path, RunConfig, list[Any]],
) -> None:
    place, config, _ = swept
    assert (place / "config.yaml").read_text().endswith(dump_config(config))
    assert load_config(str(place / "config.yaml")) == config
