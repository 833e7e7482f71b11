"""Results of runs on classes of two features, made up from known probabilities."""

import math
from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gdrun.results.description import Description
from gdrun.results.events import Lane, Series
from gdrun.results.fits import Regions
from gdrun.results.rows.history import empty_history
from gdrun.results.run import LaneResult, RunResult

Logits = Callable[[Any, Any], Any]  # at points (x, y) those of each class, (…, K)
GRID = 41


def linear(*weights: tuple[float, float, float]) -> Logits:
    """A linear classifier: of each class the logit is a·x + b·y + c."""

    def logits(x: Any, y: Any) -> Any:
        return np.stack([a * x + b * y + c for a, b, c in weights], axis=-1)

    return logits


def nearest(classes: int, sharpness: float = 6.0, turn: float = 0.0) -> Logits:
    """The classes are wedges around the origin, each likeliest in its own direction."""
    angles = [2 * math.pi * k / classes + turn for k in range(classes)]
    return linear(*((sharpness * math.cos(a), sharpness * math.sin(a), 0.0) for a in angles))


def probabilities(logits: Logits, x: Any, y: Any) -> Any:
    """The softmax of logits."""
    raised = np.exp((found := logits(x, y)) - found.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def regions_of(
    lanes: Sequence[Logits],
    classes: Sequence[str],
    *,
    rows: int = 120,
    val_rows: int = 0,
    reach: tuple[float, float] = (1.0, 1.0),
) -> Regions:
    """What lanes have learned of random rows, whose classes are those of the first lane, or not."""
    drawn = np.random.default_rng(1)
    places = drawn.uniform(-1, 1, (rows + val_rows, 2))
    odds = lanes[0](*places.T) + drawn.gumbel(size=(len(places), len(classes)))
    x = [(float(a), float(b)) for a, b in places * reach]
    labels = [int(label) for label in odds.argmax(axis=-1)]
    grid = np.linspace(-1.1, 1.1, GRID)
    across, up = np.meshgrid(grid, grid)
    planes = [probabilities(logits, across, up) for logits in lanes]
    return Regions(
        x[:rows], labels[:rows], x[rows:], labels[rows:], tuple(classes),
        [float(v) for v in grid * reach[0]], [float(v) for v in grid * reach[1]],
        [array("f", plane.ravel()) for plane in planes],
    )  # fmt: skip


def run_of(
    regions: Regions,
    method: str = "minibatch",
    size: int = 16,
    *,
    name: str = "",
    lrs: Sequence[float] = (0.1,),
    losses: Sequence[float] = (),
    diverged: Sequence[int] = (),
    features: tuple[str, str] = ("x1", "x2"),
) -> RunResult:
    """A run that has learned them; its lanes are the seeds of each learning rate in turn."""
    count = len(regions.probabilities)
    lanes = tuple(Lane(lr, seed) for lr in lrs for seed in range(count // len(lrs)))
    series = Series(method, size, lanes, name)
    about = Description(
        "2 → 16 → K tanh network", 100, "wedges", len(regions.x), len(regions.x_val), features,
        "kind", "cross_entropy", standardized=False, device="cpu",
    )  # fmt: skip
    ended = (5, 50, 500, 0.1)  # epochs, updates, samples, seconds
    ends = [
        LaneResult(lane.lr, lane.seed, "done", None, *ended, loss, loss, None)
        for lane, loss in zip(lanes, losses or [0.1] * count, strict=True)
    ]
    for k in diverged:
        ends[k] = replace(ends[k], status="diverged", diverged_at=3, train_loss=None)
    histories = tuple(empty_history(series, lane) for lane in lanes)
    return RunResult(series, "done", about, histories, tuple(ends), regions, None)


def without(regions: Regions, lane: int) -> Regions:
    """The same with a lane whose weights are not finite."""
    planes = list(regions.probabilities)
    planes[lane] = array("f", [math.nan] * len(planes[lane]))
    return replace(regions, probabilities=planes)
