"""Closed forms of mean estimation, measured by training.

The mean of n numbers under ℓ_i(θ) = ½(θ − x_i)²: with e = θ − mean and c the numbers' variance, an
update is e ← (1 − lr) e + lr · (mean of the batch − mean), and loss − loss* = ½e². All random
numbers are seeded, so that what passes once passes always; tolerances are four standard errors, by
how much the lanes scatter.
"""

import math
from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from gdrun.analysis.critical_batch import fit_critical_batch
from gdrun.config.parts.data import MeanEstimationData
from gdrun.config.schema import RunConfig
from gdrun.data.sources import load_data
from gdrun.results.events import Lane
from gdrun.training.loop import train
from gdrun.training.problem import Problem, build_problem
from gdrun.training.state import initial_state
from tests.problems import descend, make_plan, train_losses

Array = NDArray[np.float64]
BATCHES = (1, 2, 4, 8, 16, 32)


def numbers_problem(rows: int, mean: float = 1.0, variance: float = 1.0) -> Problem:
    data = MeanEstimationData(rows=rows, mean=mean, variance=variance)
    config = RunConfig(hidden_size=(), loss="half_mse", device="cpu", data=data)
    return build_problem(config, load_data(data))


def losses_above_best(
    problem: Problem,
    batch: int,
    lrs: tuple[float, ...],
    seeds: int,
    epochs: int,
    sampling: str = "replacement",
    variance: float = 1.0,
) -> Array:
    """Train loss − loss* at the ends of epochs 0 … epochs: (lrs, seeds, epochs + 1)."""
    lanes = tuple(Lane(lr, seed) for lr, seed in product(lrs, range(seeds)))
    plan = make_plan(batch, epochs=epochs, lanes=lanes, sampling=sampling)
    found = [
        [losses[0] for losses in segment.ends.train_loss]
        for segment in train(problem, plan, initial_state(problem, plan))
        if segment.ends
    ]
    losses = np.array(found, dtype=np.float64).T - variance / 2
    return losses.reshape(len(lrs), seeds, epochs + 1)


def mean_and_error(of_lanes: Array) -> tuple[float, float]:
    """The mean over lanes and its standard error."""
    return of_lanes.mean(), of_lanes.std(ddof=1) / math.sqrt(len(of_lanes))


def plateau(lr: float, batch: int, variance: float = 1.0) -> float:
    """E[loss − loss*] that i.i.d. draws settle at: E e² = (1 − lr)² E e² + lr² c / B."""
    return lr * variance / (2 * batch * (2 - lr))


def plateau_of_reshuffling(lr: float, rows: int) -> float:
    """The same at batch 1 at the ends of epochs that visit each of n rows once, for c = 1.

    After an epoch e has moved to (1 − lr)^n e + lr Σ_k a_k z_π(k), with a_k = (1 − lr)^(n − 1 − k)
    and z = x − mean, whose covariance under a random permutation is that of draws from an urn.
    """
    a = (1 - lr) ** np.arange(rows - 1, -1, -1.0)
    scatter = rows / (rows - 1) * ((a**2).sum() - a.sum() ** 2 / rows)
    return float(lr**2 / 2 * scatter / (1 - (1 - lr) ** (2 * rows)))


@pytest.mark.parametrize(
    ("lr", "batch", "expected"), [(0.01, 1, 0.0025126), (0.08, 8, 0.0026042), (0.8, 80, 0.0041667)]
)
def test_noise_settles_at_its_plateau(lr: float, batch: int, expected: float) -> None:
    assert plateau(lr, batch) == pytest.approx(expected, rel=1e-4)
    losses = losses_above_best(numbers_problem(rows=80), batch, (lr,), seeds=2500, epochs=30)[0]
    # Of the start (1 − lr)^(2k) is left, at most 1e-7 after ten epochs.
    measured, error = mean_and_error(losses[:, 10:].mean(axis=1))
    assert abs(measured - expected) < 4 * error
    assert error < 0.01 * expected
    if lr > 0.05:  # where 2 − lr is not as good as 2
        assert abs(measured - lr / (4 * batch)) > 4 * error


def test_reshuffling_settles_lower_and_falls_faster_with_lr() -> None:
    rows, lrs = 32, (1 / 32, 1 / 128)
    problem = numbers_problem(rows)
    kept = slice(40, None)  # of the start, 5e-9 is left
    measured = {}
    for sampling in ("replacement", "reshuffle"):
        losses = losses_above_best(problem, 1, lrs, 1500, epochs=75, sampling=sampling)
        for lr, lanes in zip(lrs, losses[:, :, kept].mean(axis=2), strict=True):
            expected = (
                plateau(lr, 1) if sampling == "replacement" else plateau_of_reshuffling(lr, rows)
            )
            measured[sampling, lr], error = mean_and_error(lanes)
            assert abs(measured[sampling, lr] - expected) < 4 * error
            assert error < 0.02 * expected
    for lr in lrs:
        assert measured["reshuffle", lr] < measured["replacement", lr] / 5
    # At a quarter of lr: O(lr) with replacement, and without O(lr²) or smaller.
    assert measured["replacement", lrs[0]] / measured["replacement", lrs[1]] == pytest.approx(
        4, rel=0.05
    )
    assert measured["reshuffle", lrs[0]] / measured["reshuffle", lrs[1]] > 16


def test_the_start_is_forgotten_as_the_noise_comes_in() -> None:
    lr, batch, rows, mean, variance = 0.05, 4, 20, 2.0, 3.0
    losses = losses_above_best(
        numbers_problem(rows, mean, variance), batch, (lr,), 3000, epochs=20, variance=variance
    )[0]
    for epoch in (0, 1, 2, 4, 8, 12, 20):
        left = (1 - lr) ** (2 * epoch * rows // batch)
        expected = left * mean**2 / 2 + (1 - left) * plateau(lr, batch, variance)
        measured, error = mean_and_error(losses[:, epoch])
        assert abs(measured - expected) < 4 * error + 1e-6
        assert error < 0.03 * expected


def test_full_batch_descent_is_a_geometric_series() -> None:
    mean, epochs, lrs = 1.5, 40, (0.1, 0.7, 1.0, 1.9)
    problem = numbers_problem(30, mean)
    lanes = tuple(Lane(lr, seed) for lr, seed in product(lrs, (0, 1)))
    plan = make_plan(30, epochs=epochs, lanes=lanes, sampling="sequential")
    segments, state = descend(problem, plan)
    for position, lane in enumerate(lanes):
        ratio = 1 - lane.lr
        theta = state.params[1][position].item()
        assert theta == pytest.approx(mean - mean * ratio**epochs, rel=1e-5)
        expected = [0.5 + mean**2 / 2 * ratio ** (2 * k) for k in range(epochs + 1)]
        assert train_losses(segments, position) == pytest.approx(expected, rel=1e-5)
    for one, other in zip(range(0, 8, 2), range(1, 8, 2), strict=True):  # nothing is drawn
        assert train_losses(segments, one) == train_losses(segments, other)


def test_full_batch_descent_diverges_above_two() -> None:
    lanes = tuple(Lane(lr, 0) for lr in (1.9, 1.99, 2.05, 2.1))
    plan = make_plan(4, epochs=1500, lanes=lanes, sampling="sequential")
    segments, state = descend(numbers_problem(4), plan)
    assert [at is None for at in state.diverged_at] == [True, True, False, False]
    assert train_losses(segments, 1)[-1] == pytest.approx(0.5, rel=1e-6)


LRS = (0.02, 0.05, 0.1)


ROWS, TARGET, CAP = 32, 1e-4, 640


def reach_measured(problem: Problem, batch: int, seeds: int) -> Array:
    """Updates until the first end of an epoch at the target, (lrs, seeds), with the engine."""
    an_epoch = ROWS // batch
    losses = losses_above_best(problem, batch, LRS, seeds, epochs=CAP // an_epoch)
    there = losses <= TARGET
    return np.where(there.any(axis=2), there.argmax(axis=2) * an_epoch, np.inf)


def reach_simulated(x: Array, batch: int, seeds: int) -> Array:
    """The same without gdrun: θ ← θ − lr (θ − mean of the rows drawn)."""
    rng = np.random.default_rng(batch)
    lrs = np.array(LRS)[:, None]
    theta = np.zeros((len(LRS), seeds))
    reached = np.full(theta.shape, np.inf)
    for update in range(1, CAP + 1):
        theta -= lrs * (theta - x[rng.integers(ROWS, size=(seeds, batch))].mean(axis=1))
        if update % (ROWS // batch) == 0:
            there = (theta - x.mean()) ** 2 / 2 <= TARGET
            reached[there] = np.minimum(reached[there], update)
    return reached


def test_updates_to_target_and_their_fit_are_those_of_a_simulation() -> None:
    problem, few, many = numbers_problem(ROWS), 500, 2000
    x = problem.data.y[:].double().numpy().ravel()
    measured = np.array([reach_measured(problem, batch, few) for batch in BATCHES])
    simulated = np.array([reach_simulated(x, batch, many) for batch in BATCHES])
    # The median of few lies between these quantiles of many, by four standard errors of ranks.
    spread = 4 * math.sqrt(0.25 / few + 0.25 / many)
    low, high = np.quantile(simulated, (0.5 - spread, 0.5 + spread), axis=2, method="inverted_cdf")
    medians = np.median(measured, axis=2)
    assert np.isfinite(medians).all()
    assert (low <= medians).all()
    assert (medians <= high).all()
    assert np.median(high / low) < 1.25  # which is tight
    found, expected = (fit_critical_batch(BATCHES, reached) for reached in (measured, simulated))
    assert found is not None
    assert expected is not None
    assert found.interval is not None
    assert found.updates_min == pytest.approx(expected.updates_min, rel=0.1)
    assert found.batch_crit == pytest.approx(expected.batch_crit, rel=0.2)
    assert found.interval[0] <= expected.batch_crit <= found.interval[1]
    # Larger batches save updates, at first nearly in proportion, at last hardly any; the best rate
    # grows with the batch.
    best = medians.min(axis=1)
    assert best[0] / best[1] > 1.4
    assert best[-2] / best[-1] < 1.15
    assert medians.argmin(axis=1)[0] < medians.argmin(axis=1)[-1]
