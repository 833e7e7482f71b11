"""Closed forms of mean estimation, measured with the engine; the fit of the critical batch size.

The mean of n numbers under ℓ_i(θ) = ½(θ − x_i)²: with e = θ − mean and c the numbers' variance, an
update is e ← (1 − lr) e + lr · (mean of the batch − mean), and loss − loss* = ½e². All random
numbers are seeded, so that what passes once passes always; tolerances are four standard errors, by
how much the lanes scatter.
"""

import math
from itertools import product
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gdrun.analysis.critical_batch import CriticalBatch, fit_critical_batch, fit_updates
from gdrun.config.schema import MeanEstimationData, RunConfig
from gdrun.data.sources import load_data
from gdrun.results.events import Lane
from gdrun.training.loop import train
from gdrun.training.models import Problem, build_problem
from gdrun.training.state import initial_state
from tests.conftest import descend, make_plan, train_losses

Array = NDArray[np.float64]


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
        [evaluation.train_loss for evaluation in segment.evaluations if evaluation]
        for segment in train(problem, plan, initial_state(problem, plan))
        if segment.ends_epoch
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


# ------------------------------------------------------------------------------- mean estimation


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


# --------------------------------------------------------------------------- updates to a target

BATCHES = (1, 2, 4, 8, 16, 32)
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


# --------------------------------------------------------------------------- critical batch sizes


def noisy(rng: np.random.Generator, updates_min: float, crit: float, seeds: int = 16) -> Array:
    """Updates that scatter around the curve at the best of three learning rates."""
    curve = updates_min * (1 + crit / np.array(BATCHES))
    scatter = np.exp(0.3 * rng.normal(size=(len(BATCHES), 3, seeds)))
    return np.asarray(curve[:, None, None] * np.array([2.0, 1.0, 1.5])[:, None] * scatter)


def fitted(batches: tuple[int, ...], reached: object) -> CriticalBatch:
    found = fit_critical_batch(batches, np.asarray(reached, dtype=np.float64))
    assert found is not None
    return found


@given(updates_min=st.floats(1, 1e6), crit=st.floats(0.01, 1e4))
def test_exact_curves_are_given_back(updates_min: float, crit: float) -> None:
    updates = [updates_min * (1 + crit / batch) for batch in BATCHES]
    a, b = fit_updates(BATCHES, updates)
    assert (a, b) == pytest.approx((updates_min, updates_min * crit), rel=1e-6)
    found = fitted(BATCHES, [[[k, k, k]] for k in updates])
    assert (found.updates_min, found.batch_crit) == pytest.approx((updates_min, crit), rel=1e-6)
    assert found.interval == pytest.approx((crit, crit), rel=1e-6)
    assert [found.updates(batch) for batch in BATCHES] == pytest.approx(updates, rel=1e-6)


def test_perfect_scaling_and_none() -> None:
    perfect = fitted(BATCHES, [[[640 / batch] * 3] for batch in BATCHES])
    assert (perfect.updates_min, perfect.batch_crit) == (0, math.inf)
    assert perfect.interval == (math.inf, math.inf)
    assert perfect.updates(64) == pytest.approx(10)
    flat = fitted(BATCHES, [[[7] * 3] for _ in BATCHES])
    assert flat.updates_min == pytest.approx(7)
    assert (flat.batch_crit, flat.interval) == (0, (0, 0))
    assert flat.updates(1) == pytest.approx(7)
    # Beyond the two: what falls faster than in proportion, or rises.
    assert fit_updates((1, 2, 4), (100, 40, 10))[0] == 0
    assert fit_updates((1, 2, 4), (10, 11, 12))[1] == 0


@given(st.lists(st.floats(0.1, 1000), min_size=6, max_size=6))
@settings(max_examples=50)
def test_no_other_curve_has_smaller_relative_errors(updates: list[float]) -> None:
    def errors(a: float, b: float) -> float:
        pairs = zip(BATCHES, updates, strict=True)
        return sum(((k - a - b / batch) / k) ** 2 for batch, k in pairs)

    a, b = fit_updates(BATCHES, updates)
    assert min(a, b) >= 0
    # A convex function: what is least among its neighbours is least of all.
    step = 1e-3 * min(updates)
    for da, db in product((-step, 0.0, step), repeat=2):
        assert errors(a, b) <= errors(max(0.0, a + da), max(0.0, b + db)) + 1e-7


def test_the_interval_holds_the_truth_most_of_the_time() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(20):
        low, high = fitted(BATCHES, noisy(rng, 40, 6)).interval or (math.nan, math.nan)
        assert 0 < low < high < 20
        hits += low <= 6 <= high
    assert hits >= 16


def test_the_interval_is_that_of_resamples_with_the_best_rate_chosen_anew() -> None:
    rng = np.random.default_rng(8)
    table = noisy(rng, 40, 6, seeds=9)
    table[:, 0] /= 2  # as good as the second: which is best differs between resamples
    found = []
    for _ in range(1000):
        drawn = rng.integers(9, size=9)
        best = [
            min(median(rate[seed] for seed in drawn) for rate in rates) for rates in table.tolist()
        ]
        a, b = fit_updates(BATCHES, best)
        found.append(b / a)
    low, high = np.percentile(found, (2.5, 97.5))
    assert fitted(BATCHES, table).interval == pytest.approx((low, high), rel=0.05)


def test_what_was_not_reached_is_left_out() -> None:
    table = noisy(np.random.default_rng(1), 40, 6)
    without = fitted(BATCHES[1:], table[1:])
    table[0] = math.inf
    assert fitted(BATCHES, table) == without
    assert without.batches == BATCHES[1:]
    # A rate that half of the seeds don't come to the target with has no median; another does.
    table[1, 1, :8] = math.inf
    assert fitted(BATCHES, table).updates(2) > without.updates(2)
    table[3:] = math.inf
    assert fit_critical_batch(BATCHES, table) is None
    assert fit_critical_batch(BATCHES[:2], noisy(np.random.default_rng(1), 40, 6)[:2]) is None


def test_resamples_that_reach_too_little_are_left_out() -> None:
    table = noisy(np.random.default_rng(2), 40, 6, seeds=5)[:3]
    table[0, :, :2] = math.inf  # in three of five seeds, the first batch size comes to the target
    low, high = fitted(BATCHES[:3], table).interval or (math.nan, math.nan)
    assert 0 <= low <= high


@given(
    st.lists(st.floats(0.1, 1000), min_size=6, max_size=6),
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=6, max_size=6),
    st.sets(st.integers(0, 5), max_size=3),
)
@settings(max_examples=50)
def test_no_curve_that_passes_below_what_was_trained_has_smaller_errors(
    updates: list[float], shares: list[float], missed: set[int]
) -> None:
    """Errors count of sizes that came to the target, and of others where the curve is below."""
    trained = [k * share for k, share in zip(updates, shares, strict=True)]
    table = np.array([[[math.inf if n in missed else k]] for n, k in enumerate(updates)])
    fit = fit_critical_batch(BATCHES, table, trained)
    assert fit
    a, b = fit.updates_min, fit.samples_min

    def errors(a: float, b: float) -> float:
        total = 0.0
        for n, (batch, k, least) in enumerate(zip(BATCHES, updates, trained, strict=True)):
            curve = a + b / batch
            if n not in missed:
                total += ((k - curve) / k) ** 2
            elif curve < least:
                total += ((least - curve) / least) ** 2
        return total

    assert min(a, b) >= 0
    step = 1e-3 * min(updates)
    for da, db in product((-step, 0.0, step), repeat=2):
        assert errors(a, b) <= errors(max(0.0, a + da), max(0.0, b + db)) + 1e-7
    # Those that lift the curve are those that it still passes below.
    for n, batch in enumerate(BATCHES):
        short = trained[n] - fit.updates(batch)
        if abs(short) > 1e-6 * max(updates):
            assert (batch in fit.pressed) == (n in missed and short > 0)


def test_the_interval_heeds_what_was_trained() -> None:
    table = noisy(np.random.default_rng(6), 1e-3, 4e5)  # in proportion, all the way
    table[-1] = math.inf
    low, high = fitted(BATCHES, table).interval or (0, 0)
    bounded = fit_critical_batch(BATCHES, table, [0, 0, 0, 0, 0, 40])
    assert bounded
    assert bounded.interval
    assert math.isinf(high)
    assert bounded.interval[0] < min(32, low)


def test_order_changes_nothing() -> None:
    rng = np.random.default_rng(4)
    table = noisy(rng, 40, 6)
    found = fitted(BATCHES, table)
    assert fitted(BATCHES, table) == found
    assert fitted(BATCHES, table[:, :, rng.permutation(16)]) == found
    order = rng.permutation(len(BATCHES))
    assert fitted(tuple(BATCHES[k] for k in order), table[order]) == found
    swapped = fitted(BATCHES, table[:, ::-1])
    assert (swapped.updates_min, swapped.batch_crit) == (found.updates_min, found.batch_crit)
    table[-1], trained = math.inf, np.array([0, 9, 9, 9, 9, 900])
    bounded = fit_critical_batch(BATCHES, table, trained.tolist())
    assert bounded
    assert bounded.pressed == (32,)
    shuffled = tuple(BATCHES[k] for k in order)
    assert fit_critical_batch(shuffled, table[order], trained[order].tolist()) == bounded


@pytest.mark.parametrize("seeds", [1, 2])
def test_few_seeds_have_no_interval(seeds: int) -> None:
    assert fitted(BATCHES, noisy(np.random.default_rng(5), 40, 6, seeds)).interval is None


def test_what_can_not_be_fitted_is_refused() -> None:
    table = np.ones((3, 1, 4))
    for batches, reached in (
        ((1, 2, 2), table),
        ((0, 1, 2), table),
        ((1, 2), table),
        ((1, 2, 4), table[0]),
        ((1, 2, 4), -table),
        ((1, 2, 4), table * math.nan),
    ):
        with pytest.raises(ValueError, match=r"batch size|expected updates|negative or NaN"):
            fit_critical_batch(batches, reached)
    for trained in ([1.0], [1.0, 2.0, -3.0], [1.0, 2.0, math.nan], [1.0, 2.0, math.inf]):
        with pytest.raises(ValueError, match="3 numbers of trained updates"):
            fit_critical_batch((1, 2, 4), table, trained)
    for updates in ([1.0, math.inf], [1.0, 0.0], [1.0]):
        with pytest.raises(ValueError, match="each batch size needs"):
            fit_updates([1, 2], updates)
    with pytest.raises(ValueError, match="at least two"):
        fit_updates([2, 2], [1.0, 1.0])
