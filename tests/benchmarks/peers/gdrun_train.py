"""gdrun from Python: `gdrun.train`, with every update logged, lanes together.

The time that it takes to build a program, where there is none yet, is that of compilation. As a
process: a second argument names the engine.
"""

import math
import sys
from functools import partial
from typing import Any

from gdrun import train as gdrun_train
from gdrun.config.read import configure
from gdrun.config.schema import Method
from gdrun.experiment.prepare import prepare_command
from tests.benchmarks.peers.job import Job, Trained
from tests.benchmarks.peers.measure import main, seconds
from tests.benchmarks.peers.problem import data_files


def train(job: Job, engine: str = "eager") -> Trained:
    x, y = data_files(job)
    data: dict[str, Any] = {"source": "npy", "x": x, "y": y, "standardize": False}
    if job.features == 1:
        data = {"source": "quadratic", "rows": job.rows}
    method: Method = "full" if job.batch_size == job.rows else "minibatch"
    settings: dict[str, Any] = {
        "batch_size": job.batch_size,
        "data": data,
        "hidden_size": job.hidden,
        "lr": job.lr,
        "seeds": job.lanes,
        "epochs": job.epochs,
        "eval_every": job.epochs,
        "sampling": "sequential",
        "drop_last": True,
        "device": "cpu",
        "engine": engine,
    }
    config = configure(None, settings)
    compile_seconds = seconds(lambda: prepare_command(method, config))
    result = gdrun_train(method, **settings)
    epochs = result.epochs
    return Trained(
        first_losses=[
            float(loss)
            for epoch, loss in zip(epochs["epoch"], epochs["train_loss"], strict=True)
            if epoch == 0
        ],
        last_losses=[lane.train_loss or math.nan for lane in result.lanes],
        updates=job.updates,
        seconds=result.lanes[0].seconds,
        compile_seconds=compile_seconds,
    )


if __name__ == "__main__":
    main(partial(train, engine=sys.argv[2]) if len(sys.argv) > 2 else train)
