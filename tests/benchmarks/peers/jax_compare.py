"""What `gdrun compare` leaves, made with JAX: CSV files, and the same pictures by the same code.

The three methods of the article as jitted scans that evaluate the train loss after every epoch; run
as `python jax_compare.py OUTPUT_DIRECTORY`. Data and start are of JAX's own random numbers, so that
PyTorch isn't loaded.
"""

import csv
import sys
import time
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from gdrun.config.parts.groups import PlotConfig
from gdrun.plots.pictures import pictures
from gdrun.results.description import Description
from gdrun.results.events import Lane, Segment, Series
from gdrun.results.fits import Fit
from gdrun.results.rows.history import Recorder
from gdrun.results.run import RunResult, lane_result
from tests.segments import epoch_end

ROWS, HIDDEN, EPOCHS, LR = 100, 10, 100, 0.2
METHODS = {"full": ROWS, "sgd": 1, "minibatch": 16}
NETWORK = Description(
    "1 → 10 → 1 ReLU network", 31, "y = x² + noise", ROWS, 0, ("x",), "y", "mse", False, "cpu"
)


def outputs(w: Any, x: Any) -> Any:
    return jax.nn.relu(x @ w[0] + w[1]) @ w[2] + w[3]


def loss(w: Any, x: Any, y: Any) -> Any:
    return jnp.mean((outputs(w, x) - y) ** 2)


def descend(w: Any, x: Any, y: Any, batches: Any) -> Any:
    """Weights, train losses of all epochs, losses of all updates."""

    def update(w: Any, batch: Any) -> Any:
        value, g = jax.value_and_grad(loss)(w, *batch)
        return jax.tree.map(lambda a, b: a - LR * b, w, g), value

    def epoch(w: Any, _: None) -> Any:
        w, steps = lax.scan(update, w, batches)
        return w, (loss(w, x, y), steps)

    return lax.scan(epoch, w, length=EPOCHS)


def train(method: str, x: Any, y: Any, start: Any) -> RunResult:
    size = METHODS[method]
    used = ROWS // size * size
    batches = tuple(t[:used].reshape(used // size, size, 1) for t in (x, y))
    program = jax.jit(descend).lower(start, x, y, batches).compile()
    began = time.perf_counter()
    w, (ends, steps) = jax.block_until_ready(program(start, x, y, batches))
    seconds = time.perf_counter() - began
    series = Series(method, size, (Lane(LR, 0),))
    recorder = Recorder(series, 1)
    untrained = epoch_end(0, [(None, float(loss(start, x, y)), None)])
    recorder.add(Segment(0, 0, 0, 0.0, [], (None,), untrained))
    an_epoch = used // size
    for number, (end, row) in enumerate(zip(ends.tolist(), steps.tolist(), strict=True), 1):
        done, at = number * an_epoch, seconds * number / EPOCHS
        ended = epoch_end(
            number,
            [(sum(row) / an_epoch, end, None)],
            updates=done,
            samples=number * used,
            seconds=at,
        )
        losses = [array("d", row)]
        recorder.add(Segment(number, done, number * used, at, losses, (None,), ended))
    grid = jnp.linspace(-1, 1, 200)
    curve = outputs(w, grid[:, None])[:, 0]
    (history,) = recorder.histories
    done = EPOCHS * an_epoch
    ended_as = lane_result(
        history,
        "done",
        None,
        updates=done,
        samples=EPOCHS * used,
        seconds=seconds,
        stopped_at=None,
    )
    return RunResult(
        series,
        "done",
        NETWORK,
        (history,),
        (ended_as,),
        Fit(x[:, 0].tolist(), y[:, 0].tolist(), [], [], grid.tolist(), [curve.tolist()]),
        None,
    )


def main(directory: Path) -> None:
    x = jnp.linspace(-1, 1, ROWS)[:, None]
    keys = jax.random.split(jax.random.key(0), 5)
    y = x**2 + 0.2 * jax.random.uniform(keys[0], x.shape)
    shapes = ((1, HIDDEN), (HIDDEN,), (HIDDEN, 1), (1,))
    bounds = (1.0, 1.0, HIDDEN**-0.5, HIDDEN**-0.5)
    start = tuple(
        jax.random.uniform(key, shape, minval=-bound, maxval=bound)
        for key, shape, bound in zip(keys[1:], shapes, bounds, strict=True)
    )
    results = []
    for method in METHODS:
        result = train(method, x, y, start)
        own = directory / method
        own.mkdir()
        for name, columns in (("epochs", result.epochs), ("steps", result.steps)):
            with (own / f"{name}.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(columns)
                writer.writerows(zip(*columns.values(), strict=True))
        results.append(result)
    placed = [replace(result, directory=directory / result.series.method) for result in results]
    for picture in pictures(placed, directory, PlotConfig(), None):
        picture.save(PlotConfig().dpi)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
