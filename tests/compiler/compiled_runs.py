"""Training by compiled programs, and its comparison with updates one by one."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from gdrun.compiler import program_cache
from gdrun.compiler.executor import COMPILED
from gdrun.compiler.spec import spec_for
from gdrun.config.read import configure
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.plan.runs import ExperimentPlan
from gdrun.results.events import Lane, Segment
from gdrun.training.backend import Backend
from gdrun.training.loop import train
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState, initial_state
from tests.segments import ends_of_lane

# Slow enough for differences in last digits to stay there.
THREE = (Lane(0.01, 0), Lane(0.005, 1), Lane(0.002, 7))
# More than a vector of any processor.
MANY = tuple(Lane(0.01 / (1 + k), k) for k in range(17))


def program_of(problem: Problem, plan: Plan) -> Backend:
    """Execute updates by their program, built if it isn't there."""
    spec = spec_for(problem, plan)
    if program_cache.find(spec) is None:
        assert program_cache.build([spec], lambda: False) == {}
    return COMPILED


def descend_compiled(problem: Problem, plan: Plan) -> tuple[list[Segment], TrainState]:
    """Train from the start to the end, many updates at a time."""
    state = initial_state(problem, plan)
    return list(train(problem, plan, state, program_of(problem, plan))), state


def told(segments: Sequence[Segment]) -> tuple[list[Any], list[Any]]:
    """Every loss of every update, and all of every epoch's end, however it was cut in segments."""
    steps: list[Any] = []
    ends: list[Any] = []
    for s in segments:
        numbers, losses = s.logged(1)
        steps += zip(s.epochs_of(numbers), numbers, *losses, strict=True)
        if s.ends:
            lanes = range(len(s.ends.active))
            none = [None] * len(s.ends.epochs)
            by_lane = [ends_of_lane(s.ends, lane) or none for lane in lanes]
            columns = (s.ends.epochs, s.ends.updates, s.ends.samples)
            ends += zip(*columns, zip(*by_lane, strict=True), strict=True)
    return steps, ends


def assert_alike(found: Sequence[Segment], expected: Sequence[Segment]) -> None:
    """The losses are equal to 1e-4 relative, or to 1e-6; all else is equal."""
    (steps, ends), (steps_one_by_one, ends_one_by_one) = told(found), told(expected)
    assert [row[:2] for row in steps] == [row[:2] for row in steps_one_by_one]
    torch.testing.assert_close(
        torch.tensor([row[2:] for row in steps]),
        torch.tensor([row[2:] for row in steps_one_by_one]),
        rtol=1e-4,
        atol=1e-6,
        equal_nan=True,
    )
    assert [end[:3] for end in ends] == [end[:3] for end in ends_one_by_one]
    for (*_, mine), (*_, others) in zip(ends, ends_one_by_one, strict=True):
        for one, other in zip(mine, others, strict=True):
            assert (one is None) == (other is None)
            for name in ("batch_loss", "train_loss", "val_loss"):
                a, b = getattr(one, name, None), getattr(other, name, None)
                assert a == b or a == pytest.approx(b, rel=1e-4, abs=1e-6, nan_ok=True)


PROGRAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("sgd", {}),
    "one batch": ("full", {}),
    "ragged": (
        "minibatch",
        {"sampling": "reshuffle", "drop_last": False, "seeds": 3, "momentum": 0.9, "lr": 0.02},
    ),
    "many lanes": (
        "minibatch",
        {"seeds": 70, "sampling": "replacement", "hidden_size": [4, 3], "lr": 0.05, "epochs": 40},
    ),
    "chunks": (
        "minibatch",
        {
            "batch_size": 40,
            "chunk_rows": 16,
            "drop_last": False,
            "sampling": "reshuffle",
            "nesterov": True,
            "momentum": 0.5,
            "weight_decay": 0.01,
        },
    ),
    "wide": (
        "minibatch",
        {
            "batch_size": 90,
            "hidden_size": [50, 50],
            "activation": "tanh",
            "loss": "huber",
            "epochs": 5,
        },
    ),
    "one parameter": (
        "sgd",
        {"hidden_size": [], "loss": "half_mse", "data": {"source": "mean_estimation"}, "epochs": 9},
    ),
}


def experiment_of(name: str) -> ExperimentPlan:
    command, settings_ = PROGRAMS[name]
    return plan_experiment(command, configure(None, settings_))
