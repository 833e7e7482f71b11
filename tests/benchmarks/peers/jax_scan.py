"""JAX: all epochs as one jitted `lax.scan` over batches, and lanes by `vmap`.

The whole training is one program, compiled for each job once in a process, before the clock starts;
calling `train` again with the same job times it alone. A training too short to hide what a
program's first call takes, half a millisecond, is repeated for the clock. `unroll` is that of
`lax.scan`: 4 is up to 1.6 times as fast on one row and slower to compile; 1 is JAX's default.
"""

from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tests.benchmarks.peers.job import Job, Trained
from tests.benchmarks.peers.measure import main, seconds, trained
from tests.benchmarks.peers.problem import Weights, load

SHORT = 0.25  # seconds


def loss(weights: Weights, x: Any, y: Any) -> Any:
    hidden = jax.nn.relu(x @ weights.w1 + weights.b1)
    return jnp.mean((hidden @ weights.w2 + weights.b2 - y) ** 2)


def descend(weights: Weights, x: Any, y: Any, lr: Any, epochs: int, unroll: int) -> Any:
    """The last weights, and the loss of every update; x is (updates an epoch, B, D)."""

    def update(weights: Weights, batch: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(weights, *batch)
        return jax.tree.map(lambda w, g: w - lr * g, weights, gradients), value

    def epoch(weights: Weights, _: None) -> Any:
        return lax.scan(update, weights, (x, y), unroll=unroll)

    return lax.scan(epoch, weights, length=epochs)


@cache
def compiled(job: Job, unroll: int) -> tuple[Any, Any, float]:
    """The program, its arguments, and the seconds that compilation took."""
    problem = load(job)
    batches = (job.updates_per_epoch, job.batch_size, -1)
    x = jnp.asarray(problem.x[: job.used_rows].reshape(batches))
    y = jnp.asarray(problem.y[: job.used_rows].reshape(batches))
    training = partial(descend, epochs=job.epochs, unroll=unroll)
    start = Weights(*map(jnp.asarray, problem.starts[0]))
    if job.lanes > 1:
        training = jax.vmap(training, in_axes=(0, None, None, None))
        start = Weights(*(jnp.asarray(np.stack(w)) for w in zip(*problem.starts, strict=True)))
    arguments = (start, x, y, jnp.float32(job.lr))
    programs: list[Any] = []
    spent = seconds(lambda: programs.append(jax.jit(training).lower(*arguments).compile()))
    return programs[0], arguments, spent


def train(job: Job, unroll: int = 1) -> Trained:
    program, arguments, compile_seconds = compiled(job, unroll)
    answers: list[Any] = []

    def run() -> None:
        answers.append(jax.block_until_ready(program(*arguments)))

    spent = seconds(run)
    if spent < SHORT:
        spent = seconds(run)
    last, _ = jax.tree.map(np.asarray, answers[-1])
    lanes = [Weights(*lane) for lane in zip(*last, strict=True)] if job.lanes > 1 else [last]
    return trained(job, load(job), lanes, spent, compile_seconds)


if __name__ == "__main__":
    main(train)
