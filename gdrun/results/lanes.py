"""Lanes of the same learning rate differ in their seed: how they are grouped and summed up.

A group is shown by its median and by the band between its 20th and 80th percentile. What is missing
or diverged counts as infinite.
"""

import math
from collections.abc import Iterable, Sequence
from statistics import median

from gdrun.results.events import Lane
from gdrun.results.run import LaneResult, or_inf

BAND = (20, 80)  # percentiles
MIN_BAND_SEEDS = 3  # fewer seeds have no band, and a fit to them no interval


def lanes_by_rate(lanes: Iterable[Lane | LaneResult]) -> dict[float, list[int]]:
    """The positions of lanes by learning rate, in the order in which the rates first occur."""
    positions: dict[float, list[int]] = {}
    for position, lane in enumerate(lanes):
        positions.setdefault(lane.lr, []).append(position)
    return positions


def medians(lanes: Iterable[LaneResult], loss: str) -> dict[float, float]:
    """The median over seeds of a loss, by learning rate."""
    lanes = list(lanes)
    return {
        lr: median(or_inf(getattr(lanes[position], loss)) for position in positions)
        for lr, positions in lanes_by_rate(lanes).items()
    }


def best_rate(lanes: Sequence[LaneResult]) -> float:
    """The learning rate with the lowest median final train loss; of several the first."""
    finals = medians(lanes, "train_loss")
    return min(finals, key=lambda lr: finals[lr])


def lane_at_best_rate(lanes: Sequence[LaneResult]) -> int:
    """The position of the lane that stands for a run: so runs of the same seeds start alike.

    It is the first seed at the best learning rate, or the first one there that didn't diverge.
    """
    kept = lanes_by_rate(lanes)[best_rate(lanes)]
    return next((k for k in kept if lanes[k].diverged_at is None), kept[0])


def metric_medians(lanes: Iterable[LaneResult], metric: str) -> dict[float, float]:
    """The median over seeds of a metric, by learning rate; one that is missing is below all."""
    lanes = list(lanes)
    return {
        lr: median(or_below(lanes[position].metrics.get(metric)) for position in positions)
        for lr, positions in lanes_by_rate(lanes).items()
    }


def or_below(value: float | None) -> float:
    """The number, or minus infinity if it is missing."""
    return -math.inf if value is None else value


def band_positions(seeds: int) -> tuple[int, int]:
    """The positions of the 20th and the 80th percentile among so many sorted values.

    They are observed values, not interpolated ones: between a finite and an infinite value there is
    nothing.
    """
    low, high = (math.ceil(seeds * percent / 100) - 1 for percent in BAND)
    return low, high
