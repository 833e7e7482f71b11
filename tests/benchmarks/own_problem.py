"""What other problems than the article's cost: classes, Adam, and networks of one's own.

Run by hand: `python -m tests.benchmarks.own_problem` with the `bench` extra; see README.md beside
this file. A ratio is of two things measured in turn, as median and range over the rounds; below 1,
the first is the faster. All visit the same rows in the same order.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import torch
import torch.nn.functional as F
from jax import lax
from torch import nn

from gdrun.config.presets import preset_directory
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.events import Lane
from gdrun.training.eager import EAGER
from gdrun.training.loop import train
from gdrun.training.losses.classification import CrossEntropy
from gdrun.training.models.perceptron import Perceptron
from gdrun.training.optimizers.adam import Adam
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, initial_state
from tests.benchmarks.bench import asked_for, seconds
from tests.benchmarks.compiled import SGD, Pair, posed, program_seconds, report
from tests.training_runs import small_config

BATCH, EPOCHS, LR = 32, 200, 0.03
ADAM_LR, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-8
NETWORK = """\
from torch import nn


def build(features, outputs):
    return nn.Sequential(nn.Linear(features, 64), nn.ReLU(), nn.Linear(64, outputs))
"""


class Weights(NamedTuple):
    """Those of a network with one hidden layer."""

    w1: Any
    b1: Any
    w2: Any
    b2: Any


def outputs(weights: Weights, x: Any) -> Any:
    return jax.nn.relu(x @ weights.w1 + weights.b1) @ weights.w2 + weights.b2


def cross_entropy(weights: Weights, x: Any, y: Any) -> Any:
    log_p = jax.nn.log_softmax(outputs(weights, x))
    return -jnp.take_along_axis(log_p, y, axis=1).mean()


def squares(weights: Weights, x: Any, y: Any) -> Any:
    return jnp.mean((outputs(weights, x) - y) ** 2)


def sgd(weights: Weights, state: Any, gradients: Any) -> Any:
    return jax.tree.map(lambda w, g: w - LR * g, weights, gradients), state


def adam(weights: Weights, state: Any, gradients: Any) -> Any:
    m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, m, gradients)
    v = jax.tree.map(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, v, gradients)
    step = ADAM_LR / (1 - BETAS[0] ** t)
    root = 1 / jnp.sqrt(1 - BETAS[1] ** t)
    moved = jax.tree.map(lambda w, m, v: w - step * m / (jnp.sqrt(v) * root + EPS), weights, m, v)
    return moved, (m, v, t)


def scanned(problem: Problem, plan: Plan, loss: Callable[..., Any], rule: Any) -> float:
    """Seconds of an update in JAX: all epochs as one program, compiled before the clock starts."""
    per_epoch = plan.updates_per_epoch(problem.data.rows)
    used = per_epoch * plan.batch_size
    x, y = (t[:][:used].numpy() for t in (problem.data.x, problem.data.y))
    batches = (per_epoch, plan.batch_size, -1)
    y = y.astype(np.int32) if loss is cross_entropy else y
    rows = jnp.asarray(x.reshape(batches)), jnp.asarray(y.reshape(batches))
    start = Weights(*(jnp.asarray(p[0].numpy()) for p in problem.model.init([0])))
    zeros = jax.tree.map(jnp.zeros_like, start)

    def training(weights: Weights, rows: Any) -> Any:
        def update(carry: Any, batch: Any) -> Any:
            weights, state = carry
            value, gradients = jax.value_and_grad(loss)(weights, *batch)
            return rule(weights, state, gradients), value

        def epoch(carry: Any, _: None) -> Any:
            return lax.scan(update, carry, rows)

        return lax.scan(epoch, (weights, (zeros, zeros, 0)), length=plan.epochs)

    program = jax.jit(training).lower(start, rows).compile()
    spent = seconds(lambda: jax.block_until_ready(program(start, rows)))
    return spent / (per_epoch * plan.epochs)


@cache
def digits(lanes: int = 1, epochs: int = EPOCHS) -> tuple[Problem, Plan]:
    """The preset's network on its data, rows in order, evaluated at the end alone."""
    path = preset_directory() / "digits.csv"
    data = {"source": "csv", "path": path, "target": "digit", "shape": [64]}
    config = small_config(loss="cross_entropy", hidden_size=64, data=data, device="cpu")
    problem = plan_experiment("minibatch", config).problem
    plan = Plan(
        tuple(Lane(LR, seed) for seed in range(lanes)),
        BATCH,
        epochs,
        "sequential",
        drop_last=True,
        eval_every=epochs,
    )
    assert problem.model == Perceptron((64, 64, 10), "relu")
    assert problem.loss == CrossEntropy(10)
    return problem, plan


@cache
def reference_with_adam() -> tuple[Problem, Plan]:
    problem, plan = posed(SGD)
    return problem, replace(plan, optimizer=Adam(), lanes=(Lane(ADAM_LR, 0),))


@cache
def own(lanes: int) -> tuple[Problem, Plan]:
    """The digits' network as a module of one's own."""
    path = Path("net_of_the_benchmark.py").absolute()
    path.write_text(NETWORK)
    csv = preset_directory() / "digits.csv"
    data = {"source": "csv", "path": csv, "target": "digit", "shape": [64]}
    config = small_config(loss="cross_entropy", model=f"{path}:build", data=data, device="cpu")
    problem = plan_experiment("minibatch", config).problem
    path.unlink()
    return problem, digits(lanes, epochs=5)[1]


def eager(lanes: int) -> float:
    """Seconds of an update of all lanes of the module of one's own, one by one."""
    problem, plan = own(lanes)
    state = initial_state(problem, plan)
    for _ in train(problem, plan, state, EAGER):
        pass
    return state.seconds / state.updates


def plain_loop() -> float:
    """Seconds of an update of the loop that anyone would write."""
    problem, plan = digits(epochs=5)
    x, y = problem.data.x[:], problem.data.y[:].flatten().long()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(network.parameters(), lr=LR)
    per_epoch = plan.updates_per_epoch(len(x))

    def run() -> None:
        for _ in range(plan.epochs):
            for k in range(per_epoch):
                rows = slice(k * BATCH, (k + 1) * BATCH)
                optimizer.zero_grad()
                loss = F.cross_entropy(network(x[rows]), y[rows])
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()

    return seconds(run) / (per_epoch * plan.epochs)


PAIRS: list[Pair] = [
    (
        "digits, 64 → 64 → 10, cross-entropy, batch 32: program / JAX",
        lambda: program_seconds(*digits()),
        lambda: scanned(*digits(), cross_entropy, sgd),
        0.5,
    ),
    (
        "Adam, article's problem, batch 1: program / JAX",
        lambda: program_seconds(*reference_with_adam()),
        lambda: scanned(*reference_with_adam(), squares, adam),
        0.5,
    ),
    ("a module of one's own, one lane, eager / plain loop", lambda: eager(1), plain_loop, 1.1),
    ("32 lanes of it, eager / 32 times one", lambda: eager(32), lambda: 32 * eager(1), 0.25),
]


def main() -> None:
    """Measure everything and print the table."""
    options, console = asked_for(__doc__, "pair", rounds=5)
    chosen = [pair for pair in PAIRS if options.only in pair[0]]
    for _, first, second, _ in chosen:  # compile everything
        first(), second()
    report("other problems", chosen, options.rounds, console)


if __name__ == "__main__":
    main()
