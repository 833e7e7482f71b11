"""From a config to what is trained; what can't be trained is refused."""

from typing import Any

import pytest
import torch

from gdrun.config.read import configure
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.events import Lane
from gdrun.training.models.perceptron import Perceptron
from gdrun.training.optimizers.sgd import SGD
from gdrun.training.state import Plan
from tests.training_runs import small_config


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size: 101 is larger than the 100 training rows"):
        plan_experiment("minibatch", small_config(batch_size=101))
    held_out = small_config(batch_size=81, data={"val_fraction": 0.2})
    with pytest.raises(ConfigError, match="larger than the 80 training rows"):
        plan_experiment("compare", held_out)
    assert plan_experiment("sgd", small_config(batch_size=101)).runs


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_gpu_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device: {device} is not there.*no CUDA device"):
        plan_experiment("sgd", small_config(device=device))


def test_every_key_reaches_the_engine() -> None:
    config = RunConfig(
        lr=(0.1, 0.3),
        batch_size=7,
        epochs=9,
        seed=4,
        seeds=2,
        sampling="replacement",
        drop_last=True,
        momentum=0.8,
        nesterov=True,
        weight_decay=0.01,
        eval_every=3,
        hidden_size=(3, 2),
        activation="tanh",
        loss="huber",
    )
    experiment = plan_experiment("minibatch", config)
    assert experiment.runs[0].plan == Plan(
        lanes=(Lane(0.1, 4), Lane(0.1, 5), Lane(0.3, 4), Lane(0.3, 5)),
        batch_size=7,
        epochs=9,
        sampling="replacement",
        drop_last=True,
        optimizer=SGD(momentum=0.8, nesterov=True, weight_decay=0.01),
        eval_every=3,
    )
    assert experiment.problem.model == Perceptron((1, 3, 2, 1), "tanh")
    assert experiment.problem.loss.name == "huber"


@pytest.mark.parametrize("sampling", ["reshuffle", "replacement"])
def test_a_full_batch_is_every_row_in_order(sampling: str) -> None:
    (member,) = plan_experiment("full", small_config(sampling=sampling)).runs
    assert (member.plan.batch_size, member.plan.sampling) == (100, "sequential")


@pytest.mark.parametrize(
    ("settings", "noted"),
    [
        ({"optimizer": "adam"}, True),
        ({"optimizer": "rmsprop", "momentum": 0.9}, True),
        ({"optimizer": "adam", "lr": 0.2}, False),
        ({"optimizer": "sgd"}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("command", ["full", "compare", "sweep"])
def test_a_learning_rate_that_nobody_chose_for_an_optimizer_is_noted(
    command: str, settings: dict[str, Any], noted: bool
) -> None:
    for base in (None, {"epochs": 3}):
        notes = plan_experiment(command, configure(base, settings)).notes
        assert any("lr: 0.2, the default, is large for" in note for note in notes) == noted
    grid = configure(None, {**settings, "sweep": {"lr": [0.001, 0.01]}})
    assert not any(note.startswith("lr:") for note in plan_experiment("sweep", grid).notes)
