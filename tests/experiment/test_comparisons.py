"""`gdrun compare` with several batch sizes and networks: each run is that of its command alone."""

import re
from pathlib import Path
from typing import Any

import pytest

from gdrun.api import compare, train
from gdrun.errors import ConfigError
from gdrun.loading import load
from gdrun.storage.saved_run import open_saved
from tests.command_line import NO_PICTURES, Invoke
from tests.run_files import logs

COMMON: dict[str, Any] = {"epochs": 3, "data": {"rows": 12}, "batch_size": 4}
NAMES = [
    ({"batch_sizes": [16, 1, "full"]}, ["batch-1", "batch-16", "batch-20"]),
    ({"batch_sizes": [20, "full"]}, ["batch-20"]),
    ({"hidden_sizes": [3, [4, 10]]}, [
        "full-hidden-3", "full-hidden-4x10", "sgd-hidden-3", "sgd-hidden-4x10",
        "minibatch-hidden-3", "minibatch-hidden-4x10",
    ]),
    ({"batch_sizes": [5], "hidden_sizes": [[], 20, 3]}, ["linear", "hidden-20", "hidden-3"]),
    ({"batch_sizes": [1, 5], "hidden_sizes": [20, 3]}, [
        "batch-1-hidden-20", "batch-1-hidden-3", "batch-5-hidden-20", "batch-5-hidden-3",
    ]),
    ({"hidden_sizes": [7]}, ["full", "sgd", "minibatch"]),
    ({}, ["full", "sgd", "minibatch"]),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "names"), NAMES)
def test_runs_are_named_after_what_differs(
    asked: dict[str, Any], names: list[str], tmp_path: Path
) -> None:
    common: dict[str, Any] = {"data": {"rows": 20}, "epochs": 1, "plot": {"enabled": False}}
    results = compare(**asked, **common, output_dir=tmp_path, name="g")
    assert [result.series.name for result in results] == names
    saved = [run.path.name for run in open_saved(tmp_path / "g").runs]
    assert sorted(saved) == sorted(names)
    if "hidden_sizes" not in asked:
        assert saved == names


def test_each_run_is_that_of_its_method_alone() -> None:
    results = compare(batch_sizes=[1, 5, "full"], hidden_sizes=[3, [4, 2]], **COMMON)
    assert len(results) == 6
    for result in results:
        size, network = result.series.batch_size, result.description.network
        hidden = 3 if "→ 3 →" in network else [4, 2]
        assert result.description.parameters == (10 if hidden == 3 else 21)
        method = {1: "sgd", 12: "full"}.get(size, "minibatch")
        alone = train(
            method,  # type: ignore[arg-type]
            **{**COMMON, "hidden_size": hidden, "batch_size": 5},
        )
        assert alone.epochs["train_loss"] == result.epochs["train_loss"]
        assert alone.steps["loss"] == result.steps["loss"]


def test_its_config_repeats_a_run_and_a_group(invoke: Invoke) -> None:
    sizes = ("--batch-size", "1,5", "--hidden-size", "3", "--hidden-size", "4,2")
    common = ("--epochs", "2", "--set", "data.rows=12", *NO_PICTURES)
    assert invoke("compare", *sizes, *common, "--name", "g").code == 0
    assert invoke("compare", "-c", "outputs/g/config.yaml", "--name", "h").code == 0
    run = "batch-5-hidden-4x2"
    config = f"outputs/g/{run}/config.yaml"
    assert invoke("minibatch", "-c", config, "--name", "alone").code == 0
    assert logs(Path("outputs/g")) == logs(Path("outputs/h"))
    own = logs(Path("outputs/g") / run)
    assert own == logs(Path("outputs/alone"))
    longer = invoke("compare", "--resume", "g", "--epochs", "4")
    assert longer.code == 0, longer.err
    assert invoke("compare", *sizes, *common, "--epochs", "4", "--name", "once").code == 0
    assert logs(Path("outputs/g")) == logs(Path("outputs/once"))
    assert load("g").lanes["run"] == load("once").lanes["run"]


def test_a_group_with_several_networks_is_shown(invoke: Invoke) -> None:
    sizes = ("--hidden-size", "3", "--hidden-size", "4,2")
    plan = invoke("compare", *sizes, "--epochs", "2", "--dry-run")
    networks = "1 → 3 → 1 ReLU network (10 parameters), 1 → 4 → 2 → 1 ReLU network (21 parameters)"
    assert networks in plan.out
    assert "minibatch-hidden-4x2: batch size 16" in plan.out
    trained = invoke("compare", *sizes, "--epochs", "2", "--name", "g", "--set", "plot.dpi=40")
    assert trained.code == 0
    assert Path("outputs/g/compare.png").exists()
    assert Path("outputs/g/fit.png").exists()
    assert networks in " ".join(invoke("show", "g").out.split())


def test_one_size_is_that_of_the_mini_batches(invoke: Invoke) -> None:
    Path("c.yaml").write_text("compare: {batch_size: [1, 2], hidden_size: [3, 4]}\n")
    given = ("compare", "-c", "c.yaml", "--dry-run")
    assert invoke(*given).out.count(": batch size") == 4
    assert "minibatch-hidden-3: batch size 8" in invoke(*given, "--batch-size", "8").out
    assert "batch-2: batch size 2" in invoke(*given, "--hidden-size", "7").out


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"batch_sizes": [1, 1]}, "without repeats"),
        ({"batch_sizes": []}, "at least one value"),
        ({"hidden_sizes": [3, [3]]}, "without repeats"),
        ({"hidden_sizes": [[0]]}, "greater than or equal to 1"),
        ({"batch_sizes": [13]}, "compare.batch_size: 13 is larger than the 12 training rows"),
        ({"batch_size": [1, 2]}, "batch_size (argument batch_size): must be a whole number"),
    ],
)
def test_mistakes_are_refused(asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(problem)):
        compare(**{**COMMON, **asked})
