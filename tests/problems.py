"""Small problems, and training on them from the start to the end."""

import torch

from gdrun.config.schema import Loss
from gdrun.config.timing import DEFAULT, Timing
from gdrun.data.dataset import Dataset
from gdrun.results.events import Lane, Segment
from gdrun.training.loop import train
from gdrun.training.losses.regression import Regression
from gdrun.training.models.perceptron import Perceptron
from gdrun.training.optimizers.adagrad import Adagrad
from gdrun.training.optimizers.adam import Adam, AdamW
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.optimizers.rmsprop import RMSprop
from gdrun.training.optimizers.sgd import SGD
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState, initial_state
from tests.segments import ends_of_lane

OPTIONS = ("momentum", "nesterov", "weight_decay")  # of SGD
# One of each kind, and with each number of buffers.
OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": SGD(momentum=0.9),
    "adam": Adam(weight_decay=0.01),
    "amsgrad": Adam(amsgrad=True),
    "adamw": AdamW(),
    "rmsprop": RMSprop(),
    "centered": RMSprop(centered=True, momentum=0.5),
    "adagrad": Adagrad(lr_decay=0.1, initial_accumulator_value=0.1),
}


def make_problem(
    rows: int = 12,
    features: int = 1,
    hidden: tuple[int, ...] = (5,),
    loss: Loss = "mse",
    activation: str = "relu",
) -> Problem:
    """A small problem with random rows."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(rows, features, generator=generator)
    y = torch.randn(rows, 1, generator=generator)
    data = Dataset(
        x=x,
        y=y,
        x_val=x[:0],
        y_val=y[:0],
        features=tuple(f"x{k}" for k in range(features)),
        target="y",
        x_scaling=None,
        y_scaling=None,
        title="random",
    )
    return Problem(data, Perceptron((features, *hidden, 1), activation), Regression(loss))


def perceptron_of(problem: Problem) -> Perceptron:
    """Its network."""
    assert isinstance(problem.model, Perceptron)
    return problem.model


def sgd_of(plan: Plan) -> SGD:
    """Its optimizer."""
    assert isinstance(plan.optimizer, SGD)
    return plan.optimizer


def make_plan(batch_size: int, epochs: int = 3, lr: float = 0.05, **more: object) -> Plan:
    """A plan with one lane and SGD, unless `lanes` and `optimizer` say otherwise."""
    settings: dict[str, object] = {"lanes": (Lane(lr, 0),), **more}
    options = {name: settings.pop(name) for name in OPTIONS if name in settings}
    settings.setdefault("optimizer", SGD(**options))  # type: ignore[arg-type]
    return Plan(batch_size=batch_size, epochs=epochs, **settings)  # type: ignore[arg-type]


def descend(
    problem: Problem, plan: Plan, timing: Timing = DEFAULT
) -> tuple[list[Segment], TrainState]:
    """Train from the start to the end."""
    state = initial_state(problem, plan)
    return list(train(problem, plan, state, timing=timing)), state


def step_losses(segments: list[Segment], lane: int = 0) -> list[float]:
    """The losses that a lane's updates saw."""
    return [loss for segment in segments if segment.losses for loss in segment.losses[lane]]


def train_losses(segments: list[Segment], lane: int = 0) -> list[float]:
    """The losses of a lane over all rows, at the ends of epochs."""
    ends = [ends_of_lane(segment.ends, lane) for segment in segments if segment.ends]
    return [train for epochs in ends for _, train, _ in epochs if train is not None]
