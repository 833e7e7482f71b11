"""Keras on JAX; a process has one back end, so that the other needs another one."""

import os

from tests.benchmarks.peers.job import Job, Trained
from tests.benchmarks.peers.measure import in_turn, main

# Read as Keras is imported.
os.environ["KERAS_BACKEND"] = "jax"

from tests.benchmarks.peers.keras_fit import train_one


def train(job: Job) -> Trained:
    return in_turn(job, train_one)


if __name__ == "__main__":
    main(train)
