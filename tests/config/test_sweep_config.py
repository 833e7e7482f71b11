"""The grid of a sweep in configs, settings and flags."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gdrun.config.methods import sweep_configs, swept_optimizers
from gdrun.config.parts.groups import SweepConfig
from gdrun.config.read import configure, dump_config, load_config
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from tests.command_line import Invoke
from tests.training_runs import small_config


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lr=0", "sweep.lr (--set sweep.lr=0): must be greater than 0, got 0"),
        ("lr=x", "sweep.lr (--set sweep.lr=x): must be a number, got 'x'"),
        ("lr=log:1:2", "must be a range such as log:0.001:1:7 or lin:0.1:0.5:5"),
        ("lr=[0.1, 0.2, 0.1]", "must be a list without repeats, got 0.1 twice"),
        ("lr=log:0.1:1:1", "must be a range of 2 to 1,000 numbers, got 1 of them"),
        ("lr=lin:0.1:1:999999", "must be a range of 2 to 1,000 numbers, got 999,999 of them"),
        ("lr=[]", "must hold at least one value, got an empty list"),
        ("lr=[0.1, -1]", "sweep.lr[1] (--set sweep.lr=[0.1, -1]): must be greater than 0, got -1"),
        ("batch_size=0", "sweep.batch_size (--set sweep.batch_size=0): must be a whole number of"),
        ("batch_size=[4, 1.5]", "must be a whole number of at least 1, or full, got 1.5"),
        ("batch_size=all", "must be a whole number of at least 1, or full, got 'all'"),
        ("batch_size=[4, 4]", "must be a list without repeats, got 4 twice"),
        ("lr=", "sweep.lr (--set sweep.lr=): must be a number, got nothing"),
        ("batch_size= ", "must be a whole number of at least 1, or full, got nothing"),
        ("target=", "sweep.target (--set sweep.target=): must be a number, got nothing"),
        ("target=0", "sweep.target (--set sweep.target=0): must be greater than 0, got 0"),
        ("target=low", "sweep.target (--set sweep.target=low): must be a number, got 'low'"),
        ("batch_sizes=4", "did you mean sweep.batch_size?"),
        ("lrs=4", "sweep.lrs (--set sweep.lrs=4): unknown key"),
    ],
)
def test_mistakes_in_a_grid_are_reported_with_their_key(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [f"sweep.{setting}"])
    assert message in str(caught.value)
    assert "sweep" in caught.value.problems[0]


@pytest.mark.parametrize(
    "sweep",
    [
        {},
        {"lr": "auto", "batch_size": "auto", "target": "auto"},
        {"lr": 0.3, "batch_size": "full", "target": 0.02},
        {"lr": [0.3, 0.1], "batch_size": [4, "full", 1]},
        {"lr": "log:0.01:1:5", "batch_size": "log:1:64:4"},
        {"batch_size": "lin:4:16:4"},
    ],
    ids=str,
)
def test_a_grid_is_read_back_as_it_was_written(sweep: dict[str, Any], invoke: Invoke) -> None:
    config = small_config(sweep=sweep, data={"rows": 64})
    assert invoke("init", "a.yaml").code == 0
    from gdrun.config.read import dump_config

    Path("b.yaml").write_text(dump_config(config))
    assert load_config("b.yaml") == config


def test_a_range_of_batch_sizes_holds_whole_numbers_each_once() -> None:
    config = small_config(sweep={"batch_size": "log:1:8:10"})
    assert config.sweep.batch_size == (1, 2, 3, 4, 5, 6, 8)


@pytest.mark.parametrize("flag", ["lr", "batch-size", "target", "epochs", "seeds", "device"])
def test_a_flag_without_a_value_is_refused_and_not_taken_for_the_default(
    flag: str, invoke: Invoke
) -> None:
    """It is that of a shell variable that isn't set."""
    for nothing in ("", " "):
        outcome = invoke("sweep", f"--{flag}", nothing, "--dry-run")
        assert outcome.code == 2
        assert re.search(rf"\(--{flag} ''\): must be .*, got nothing\n", outcome.err)


def test_flags_win_over_the_grid_of_a_file(invoke: Invoke) -> None:
    Path("a.yaml").write_text("sweep:\n  lr: [0.1, 0.2]\n  batch_size: [4, 8]\n  target: 0.5\n")
    args = ("sweep", "-c", "a.yaml", "--dry-run", "--json")
    assert json.loads(invoke(*args).out)["config"]["sweep"] == {
        "lr": [0.1, 0.2],
        "batch_size": [4, 8],
        "target": 0.5,
    }
    found = json.loads(invoke(*args, "--lr", "log:0.1:10:3", "--batch-size", "full").out)["config"]
    assert found["sweep"] == {"lr": [0.1, 1.0, 10.0], "batch_size": "full", "target": 0.5}
    assert (found["lr"], found["batch_size"]) == (0.2, 16)
    found = json.loads(invoke(*args, "--lr", "auto", "--target", "auto").out)["config"]
    assert found["sweep"] == {"lr": "auto", "batch_size": [4, 8], "target": "auto"}


def test_a_sweep_logs_few_updates_of_an_epoch_unless_all_are_asked_for() -> None:
    config = RunConfig.model_validate({"data": {"rows": 1000}})
    every = {own.batch_size: own.log_every for _, _, own in sweep_configs(config, 1000)}
    assert every == {1: 125, 4: 32, 16: 8, 64: 2, 256: 1, "full": 1}
    longer = config.model_copy(update={"epochs": 10_000})  # what is resumed may be extended
    assert [own.log_every for _, _, own in sweep_configs(longer, 1000)] == list(every.values())
    asked = config.model_copy(update={"log_every": 3})
    assert {own.log_every for _, _, own in sweep_configs(asked, 1000)} == {3}


@pytest.mark.parametrize(
    ("optimizers", "rules"),
    [
        (["sgd", "adam"], ["sgd", "adam"]),
        ("Adam", ["adam"]),
        (["sgd", {"momentum": 0.9}], ["sgd", "sgd momentum 0.9"]),
        (["adamw", {"name": "adamw", "weight_decay": 0.1}], ["adamw", "adamw weight-decay 0.1"]),
        ([{"name": "rmsprop", "momentum": 0.5}, "adagrad"], ["rmsprop momentum 0.5", "adagrad"]),
    ],
)
def test_several_optimizers_are_read_dumped_and_read_back(
    optimizers: Any, rules: list[str], tmp_path: Path
) -> None:
    config = configure({}, {"sweep": {"optimizer": optimizers}})
    assert [own.rule for own in swept_optimizers(config)] == rules
    path = tmp_path / "c.yaml"
    path.write_text(dump_config(config))
    assert load_config(str(path)) == config
    assert all(own.sweep == SweepConfig() for _, _, own in sweep_configs(config, 9))


def test_optimizers_take_what_they_have_from_the_config() -> None:
    config = configure(
        {"momentum": 0.9, "weight_decay": 0.1}, {"sweep": {"optimizer": ["sgd", "adam", "adamw"]}}
    )
    assert [(own.momentum, own.weight_decay) for own in swept_optimizers(config)] == [
        (0.9, 0.1),
        (0.0, 0.1),
        (0.0, 0.1),
    ]
    config = configure({}, {"sweep": {"optimizer": ["sgd", "adamw"]}})
    assert [own.weight_decay for own in swept_optimizers(config)] == [0.0, 0.01]
    config = configure({"optimizer": "adamw"}, {"sweep": {"optimizer": ["sgd", "adamw"]}})
    assert [own.weight_decay for own in swept_optimizers(config)] == [0.0, 0.01]
    config = configure({"lr": 0.01}, {"sweep": {"lr": [1, 2], "optimizer": ["sgd", "adam"]}})
    assert [own.lr for own in swept_optimizers(config)] == [(1.0, 2.0), (1.0, 2.0)]


@pytest.mark.parametrize(
    ("optimizers", "problem"),
    [
        (["sgd", "sgd"], "sweep.optimizer (argument sweep): must be a list without repeats"),
        (["sgd", {"momentum": 0}], "sweep.optimizer: sgd is there twice"),
        (["sgd", "lion"], "sweep.optimizer[1] (argument sweep): must be one of sgd, adam"),
        (
            [{"name": "adam", "momentum": 1}],
            "sweep.optimizer[0].momentum (argument sweep): unknown",
        ),
        ([{"name": "adam", "lr": 0}], "sweep.optimizer[0].lr.0 (argument sweep): must be greater"),
        (7, "sweep.optimizer (argument sweep): must be a list of names such as adam"),
        ([], "sweep.optimizer (argument sweep): must hold at least one value"),
    ],
)
def test_mistakes_in_several_optimizers_are_named(optimizers: Any, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        swept_optimizers(configure({}, {"sweep": {"optimizer": optimizers}}))
    (found,) = caught.value.problems
    assert found.startswith(problem)
