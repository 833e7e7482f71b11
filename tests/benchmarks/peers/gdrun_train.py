"""gdrun from Python: `gdrun.train`, with every update logged, lanes together.

`engine` is passed on to a gdrun that has more than one. As a process: a second argument names it.
"""

import math
import sys
from functools import partial
from typing import Any

from gdrun import train as gdrun_train
from gdrun.config import RunConfig
from tests.benchmarks.peers.job import Job, Trained
from tests.benchmarks.peers.measure import main
from tests.benchmarks.peers.problem import data_files


def train(job: Job, engine: str = "eager") -> Trained:
    x, y = data_files(job)
    data: dict[str, Any] = {"source": "npy", "x": x, "y": y, "standardize": False}
    if job.features == 1:
        data = {"source": "quadratic", "rows": job.rows}
    settings: dict[str, Any] = {"engine": engine} if "engine" in RunConfig.model_fields else {}
    if engine != "eager" and not settings:
        raise ValueError(f"engine {engine!r}: this gdrun has one engine only")
    result = gdrun_train(
        "full" if job.batch_size == job.rows else "minibatch",
        batch_size=job.batch_size,
        data=data,
        hidden_size=job.hidden,
        lr=job.lr,
        seeds=job.lanes,
        epochs=job.epochs,
        eval_every=job.epochs,
        sampling="sequential",
        drop_last=True,
        device="cpu",
        **settings,
    )
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
        compile_seconds=0.0,
    )


if __name__ == "__main__":
    main(partial(train, engine=sys.argv[2]) if len(sys.argv) > 2 else train)
