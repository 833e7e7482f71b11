"""The sweep where theory is exact: what it says, what is found, and what both rest on."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.analysis.theory import OrthogonalRows, theory_of
from gdrun.config.read import load_config


def expected_factor(lr: float, batch_size: int, rows: int) -> float:
    """By what an update multiplies the expected loss, by a sum over how often a row is drawn."""
    drawn = range(batch_size + 1)
    chance = [
        math.comb(batch_size, n) * (1 / rows) ** n * (1 - 1 / rows) ** (batch_size - n)
        for n in drawn
    ]
    return sum(
        p * (1 - lr * rows * n / batch_size) ** 2 for n, p in zip(drawn, chance, strict=True)
    )


@pytest.mark.parametrize("rows", [2, 16, 64])
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_the_best_rate_is_where_the_expected_loss_falls_most(rows: int, batch_size: int) -> None:
    theory = OrthogonalRows(rows)
    best = theory.best_rate(batch_size)
    least = expected_factor(best, batch_size, rows)
    assert least == pytest.approx((rows - 1) / (rows + batch_size - 1))
    for other in (0.9 * best, 1.1 * best):
        assert expected_factor(other, batch_size, rows) > least
    assert theory.updates(batch_size, least**7) == pytest.approx(7)
    assert OrthogonalRows(rows, 2.0).best_rate(batch_size) == best / 2


@pytest.mark.parametrize("batch_size", [1, 4])
def test_the_mean_loss_of_many_seeds_falls_as_it_says(batch_size: int) -> None:
    """At a rate below the best one, where 2,000 seeds are enough for the mean."""
    settings: dict[str, Any] = {"data": {"rows": 16}, "lr": 0.02 * batch_size, "seeds": 2000}
    result = gdrun.train(
        "minibatch",
        "hadamard",
        batch_size=batch_size,
        epochs=1,
        plot={"enabled": False},
        **settings,
    )
    losses = np.array([list(h.epochs["train_loss"]) for h in result.histories])
    factor = expected_factor(settings["lr"], batch_size, 16)
    ratio = losses[:, 1].mean() / losses[:, 0].mean()
    assert ratio == pytest.approx(factor ** (16 // batch_size), rel=0.03)


def test_without_replacement_an_epoch_at_b_over_d_takes_the_loss_to_zero() -> None:
    for batch_size in (1, 8, 64):
        for sampling in ("reshuffle", "sequential"):
            result = gdrun.train(
                "minibatch" if batch_size < 64 else "full",
                "hadamard",
                batch_size=batch_size,
                sampling=sampling,
                lr=batch_size / 64,
                epochs=1,
                seeds=3,
            )
            assert all(0 <= (lane.train_loss or 0) < 1e-11 for lane in result.lanes)


def test_a_sweep_finds_the_best_rates_and_says_so() -> None:
    sweep = gdrun.sweep("hadamard", seeds=32, epochs=6, batch_size=[1, 4, 16])
    assert sweep.theory == OrthogonalRows(64)
    assert sweep.untrained is not None
    assert sweep.target is not None
    for cell in sweep.best_of_batch:
        best = sweep.theory.best_rate(cell.batch_size)
        assert abs(math.log(cell.lr / best)) < math.log(1.42)  # a step of the grid
        updates = sweep.theory.updates(cell.batch_size, sweep.target / sweep.untrained)
        assert cell.to_target("updates") == pytest.approx(updates, rel=0.15)
    assert "the best learning rate is B/(d + B − 1)." in sweep.advice
    assert "theory in brackets: 0.0159 (0.0156)," in sweep.advice
    assert "a critical batch size of 2(d − 1) = 126" in sweep.advice
    assert "Theory" not in replace(sweep, theory=None).advice


@pytest.mark.parametrize(
    "setting",
    [
        "data.standardize=true", "data.val_fraction=0.5", "hidden_size=4", "loss=l1",
        "sampling=reshuffle", "optimizer=adam", "momentum=0.5", "weight_decay=0.1",
        "schedule=cosine", "data.source=quadratic", "sweep.optimizer=[sgd]",
    ],
)  # fmt: skip
def test_nothing_is_said_of_what_theory_does_not_cover(setting: str) -> None:
    assert theory_of(load_config("hadamard")) == OrthogonalRows(64)
    assert theory_of(load_config("hadamard", ["loss=mse"])) == OrthogonalRows(64, 2.0)
    settings = [setting]
    if setting == "data.source=quadratic":
        settings = ["data={source: quadratic}"]
    assert theory_of(load_config("hadamard", settings)) is None
