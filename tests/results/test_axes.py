"""Curves of losses that grow: cut at a ceiling, and infinite only where training diverged."""

import math
from typing import Any

import pytest

from gdrun.api import train
from gdrun.results.axes import CEILING_FACTOR, ceiling_of, median_curve
from gdrun.results.run import RunResult

# Of which the distance to the mean grows by a factor of lr − 1 with each update, above 2.
MEAN: dict[str, Any] = {
    "data": {"source": "mean_estimation"},
    "hidden_size": [],
    "loss": "half_mse",
}


def trained(lr: float, epochs: int) -> RunResult:
    return train("full", lr=[0.1, lr], epochs=epochs, **MEAN)


def test_what_grows_and_stays_finite_is_cut_and_no_divergence() -> None:
    result = trained(2.2, 60)
    ceiling = ceiling_of([result])
    assert ceiling == pytest.approx(CEILING_FACTOR * result.histories[0].epochs["train_loss"][0])
    assert result.histories[1].epochs["train_loss"][-1] > 1000 * ceiling
    _, losses = median_curve(result, 2.2, "epoch", ceiling)
    assert max(losses) == losses[-1] == ceiling
    _, falling = median_curve(result, 0.1, "epoch", ceiling)
    assert falling == list(result.histories[0].epochs["train_loss"])


def test_what_diverged_is_infinite_from_there_on() -> None:
    result = trained(1e6, 60)
    assert result.lanes[1].status == "diverged"
    _, losses = median_curve(result, 1e6, "epoch", ceiling_of([result]))
    assert losses[-1] == math.inf
    assert losses == sorted(losses)
