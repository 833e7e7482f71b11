"""Results of runs with probes, made up from numbers."""

import math
from array import array
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from gdrun.results.description import Description
from gdrun.results.events import Lane, Series, Status
from gdrun.results.rows.history import History, empty_history
from gdrun.results.rows.probe_columns import probe_columns
from gdrun.results.run import LaneResult, RunResult

ROWS = 256
ABOUT = Description(
    "3 → 4 → 1 ReLU network", 21, "rows.csv", ROWS, 0, ("a", "b", "c"), "y", "mse",
    standardized=False, device="cpu",
)  # fmt: skip
EPOCHS = (0, 10, 20, 30, 40)
FALLING = (1.0, 0.6, 0.4, 0.3, 0.2)
FLAT = (1.0, 0.3, 0.2, 0.2, 0.2)
SPREAD = (0.9, 1.0, 1.1)  # of seeds, about what is given
Numbers = float | Sequence[float]


def probed(
    name: str = "minibatch",
    batch: int = 16,
    *,
    lr: float = 0.1,
    seeds: Sequence[float] = SPREAD,
    epochs: Sequence[int] = EPOCHS,
    ratio: Numbers | None = 0.2,
    scale: Numbers | None = 16.0,
    weighted: Numbers | None = None,
    loss: Sequence[float] = FALLING,
    val: Sequence[float] | None = None,
    status: Status = "done",
    schedule: str = "",
    scheduled: Sequence[float] = (),
    two_batch_factor: float = 1.0,
    adaptive: bool = False,
    weighted_error: float = 0.0,
) -> RunResult:
    """A run that was probed at some epochs.

    Args:
        name: of the run.
        batch: B.
        lr: of its lanes.
        seeds: by what the noise scales and sharpnesses of each seed are multiplied.
        epochs: that were probed, and evaluated.
        ratio: the sharpness over its limit, at each epoch; None without that probe.
        scale: the simple noise scale likewise; None without the probes of noise and gradient.
        weighted: the noise scale that is weighted by the curvature; as the simple one without.
        loss: the train losses.
        val: the validation losses, if there are any.
        status: of the lanes.
        schedule: in words.
        scheduled: the rates that it has at the epochs.
        two_batch_factor: how many times too large the noise is by two batches.
        adaptive: whether the optimizer is.
        weighted_error: of that noise scale, as a share.
    """
    columns = probe_columns(
        [
            *(("gradient", "noise") if scale is not None else ()),
            *(("sharpness",) if ratio is not None else ()),
        ],
        is_adaptive=adaptive,
    )
    lanes = tuple(Lane(lr, k) for k in range(len(seeds)))
    method = "full" if batch == ROWS else "sgd" if batch == 1 else "minibatch"
    further = ("scheduled_lr",) if scheduled else ()
    series = Series(method, batch, lanes, name, further, schedule, columns)
    about = replace(ABOUT, val_rows=64 if val else 0)
    per_epoch = -(-ROWS // batch)
    limit = 2 / lr
    histories, ends = [], []
    for lane, factor in zip(lanes, seeds, strict=True):
        history = empty_history(series, lane)
        for k, epoch in enumerate(epochs):
            noise = _at(scale, k) * factor
            curved = noise if weighted is None else _at(weighted, k) * factor
            norm = 1 / noise if noise else math.nan  # |G|², with tr Σ = 1
            values = {
                "gradient_norm": math.sqrt(norm),
                "batch_variance": (ROWS - batch) / (batch * (ROWS - 1)),
                "simple_noise_scale": noise,
                "row_variance": 1.0,
                "curved_noise_scale": curved,
                "curved_noise_scale_error": curved * weighted_error,
                "two_batch_squared_norm": norm * (1 + 0.02 * (-1) ** k),
                "two_batch_variance": two_batch_factor,
                "sharpness": _at(ratio, k) * factor * limit,
                "sharpness_error": 0.0,
                "preconditioned_sharpness": _at(ratio, k) * factor * limit,
                "preconditioned_error": 0.0,
                "stability_limit": limit,
            }
            for column in columns:
                history.probes[column].append(values[column])
            for table in (history.probes, history.epochs) if columns else (history.epochs,):
                table["epoch"].append(epoch)
                table["updates"].append(epoch * per_epoch)
            if scheduled:
                history.epochs["scheduled_lr"].append(scheduled[k])
            _add_losses(history, epoch, loss[k], val[k] if val else math.nan)
        histories.append(history)
        ends.append(_end(history, lane, status, per_epoch))
    return RunResult(series, status, about, tuple(histories), tuple(ends), None, Path(name))


def _at(values: Numbers | None, k: int) -> float:
    if values is None:
        return math.nan
    return values if isinstance(values, int | float) else values[k]


def _add_losses(history: History, epoch: int, loss: float, val: float) -> None:
    table = history.epochs
    table["samples"].append(epoch * ROWS)
    table["seconds"].append(epoch * 0.01)
    table["batch_loss"].append(loss if epoch else math.nan)
    table["train_loss"].append(loss)
    table["val_loss"].append(val)


def _end(history: History, lane: Lane, status: Status, per_epoch: int) -> LaneResult:
    losses, held_out = history.epochs["train_loss"], history.epochs["val_loss"]
    epochs = int(history.epochs["epoch"][-1])
    known = [loss for loss in held_out if not math.isnan(loss)]
    diverged = status == "diverged"
    return LaneResult(
        lane.lr, lane.seed, status, 3 if diverged else None, epochs, epochs * per_epoch,
        epochs * ROWS, epochs * 0.01, None if diverged else losses[-1], min(losses),
        None if diverged or not known else known[-1], min(known, default=None),
        int(history.epochs["epoch"][known.index(min(known))]) if known else None,
    )  # fmt: skip


def as_array(values: Sequence[float]) -> "array[float]":
    """Numbers as a history keeps them."""
    return array("d", values)
