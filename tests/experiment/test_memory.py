"""What doesn't fit into memory is refused before it is tried."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from gdrun.errors import ConfigError
from gdrun.experiment import memory
from gdrun.experiment.memory import memory_bytes, memory_errors, refuse_too_many_records
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.prepare import prepare_command
from gdrun.results.rows.history import KEPT_ROWS
from tests.training_runs import small_config


def test_short_memory_is_reported_as_such() -> None:
    with pytest.raises(MemoryError, match="can't allocate memory"), memory_errors():
        torch.empty(10**15)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"data": {"rows": 10**12}}, "data.rows: would take about 4.47e+04 GiB of memory"),
        ({"data": {"source": "mean_estimation", "rows": 10**12}}, "data.rows: would take about"),
        ({"data": {"source": "spiral", "rows": 10**12}}, "data.rows: would take about 8.94e+04"),
        ({"data": {"source": "moons", "rows": 10**12}}, "data.rows: would take about 8.94e+04"),
        ({"data": {"source": "circles", "rows": 10**12}}, "data.rows: would take about 8.94e+04"),
        ({"hidden_size": 10**9}, "hidden_size, lr and seeds: would take about"),
        ({"hidden_size": [10**6, 10**6]}, "hidden_size, lr and seeds: would take about"),
        ({"hidden_size": 10**15}, "GiB of memory, and there are"),
        ({"seeds": 100_000, "lr": [k / 1000 for k in range(1, 1000)]}, "fewer hidden units"),
        ({"seeds": 70_000, "lr": [0.1, 0.2], "hidden_size": []}, "140,000 lanes, more than"),
    ],
)
def test_more_than_fits_is_refused_before_it_is_tried(
    settings: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(expected)):
        plan_experiment("compare", small_config(**settings))


def test_what_goes_through_in_chunks_takes_no_more_than_a_chunk() -> None:
    million = {"rows": 2_000_000}
    wide = {"hidden_size": 4000, "chunk_rows": 100, "data": million, "sampling": "sequential"}
    assert plan_experiment("full", small_config(**wide)).runs
    with pytest.raises(ConfigError, match="hidden_size, lr and seeds"):
        plan_experiment(
            "full", small_config(**{**wide, "chunk_rows": 10**6, "hidden_size": 40_000})
        )


@pytest.mark.parametrize(
    ("settings", "keep_rows", "fits"),
    [
        ({"epochs": 10**6}, None, True),
        ({"epochs": 10**6, "seeds": 5000}, None, False),
        ({"epochs": 10**6, "seeds": 5000}, KEPT_ROWS, True),
        ({"epochs": 10**9}, None, False),
        ({"epochs": 10**9}, KEPT_ROWS, True),
        ({"epochs": 10**9, "log_every": 10**9, "eval_every": 10**9}, KEPT_ROWS, True),
        ({"epochs": 10, "seeds": 100_000}, KEPT_ROWS, True),
        ({"epochs": 10**6, "seeds": 100_000}, KEPT_ROWS, False),
    ],
)
def test_rows_that_are_kept_have_to_fit_too(
    settings: dict[str, Any], keep_rows: int | None, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "memory_bytes", lambda: 4 * 2**30)
    config = small_config(hidden_size=2, **settings)

    def prepare() -> None:
        prepare_command("full", config, keep_rows=keep_rows, preview=True, estimates=False)

    if fits:
        prepare()
    else:
        with pytest.raises(ConfigError, match="epochs, lr and seeds: would take about"):
            prepare()


def test_the_rows_of_all_runs_and_processes_count() -> None:
    config = small_config(epochs=1000, seeds=100)
    experiment = plan_experiment("compare", config)
    plans = [run.plan for run in experiment.runs]

    def needed(count: int, jobs: int) -> int:
        asked: list[int] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory, "_refuse", lambda size, *_: asked.append(size))
            refuse_too_many_records(
                experiment.problem, experiment.runs[0].config, plans[:count], KEPT_ROWS, jobs
            )
        return asked[0]

    assert needed(1, 1) < needed(2, 1) < needed(3, 1) < needed(3, 2) < needed(3, 3)


def test_memory_is_that_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = memory_bytes()
    assert machine
    assert machine > 2**28
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "LIMITS", (str(limit), str(tmp_path / "none")))
    for text, expected in (("max\n", machine), (f"{2**29}\n", 2**29)):
        limit.write_text(text)
        assert memory_bytes() == expected
    with pytest.raises(ConfigError, match=r"and there are 0\.5 GiB"):
        plan_experiment("full", small_config(hidden_size=10**8))


@pytest.mark.parametrize(
    ("optimizer", "copies"),
    [
        ("sgd", 6),
        ({"name": "sgd", "momentum": 0.9}, 6),
        ("adagrad", 6),
        ("adam", 8),
        ({"name": "adam", "amsgrad": True}, 10),
        ({"name": "rmsprop", "centered": True, "momentum": 0.5}, 10),
    ],
)
def test_the_buffers_of_an_optimizer_are_counted(optimizer: object, copies: int) -> None:
    few, many = (
        memory._number_bytes(plan.problem, plan.config) / 4
        for hidden in (999, 1000)
        for plan in [plan_experiment("sgd", small_config(optimizer=optimizer, hidden_size=hidden))]
    )
    activations = 4  # of a row
    assert many - few == 3 * copies + activations * 100
