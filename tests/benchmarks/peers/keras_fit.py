"""Keras, whatever its back end: a `Sequential` model, `compile` and `fit`.

What differs: it can't drop an incomplete last batch, so that it gets the rows of whole ones.
"""

import keras

from tests.benchmarks.peers.job import Job
from tests.benchmarks.peers.measure import Run, timed
from tests.benchmarks.peers.problem import Problem, Weights


def train_one(job: Job, problem: Problem, start: Weights) -> Run:
    x, y, size = problem.x[: job.used_rows], problem.y[: job.used_rows], job.batch_size
    model = keras.Sequential(
        [
            keras.Input((job.features,)),
            keras.layers.Dense(job.hidden, activation="relu"),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer=keras.optimizers.SGD(learning_rate=job.lr), loss="mse")

    def warm_up() -> None:
        model.fit(x[:size], y[:size], batch_size=size, shuffle=False, verbose=0)
        model.set_weights(start)

    spent = timed(
        job,
        warm_up,
        lambda: model.fit(x, y, batch_size=size, epochs=job.epochs, shuffle=False, verbose=0),
    )
    return Run(Weights(*model.get_weights()), *spent)
