"""The fit of the critical batch size, and its interval."""

import math
from collections.abc import Sequence
from itertools import product
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gdrun.analysis import critical_batch
from gdrun.analysis.critical_batch import CriticalBatch, fit_critical_batch

Array = NDArray[np.float64]
BATCHES = (1, 2, 4, 8, 16, 32)


def noisy(rng: np.random.Generator, updates_min: float, crit: float, seeds: int = 16) -> Array:
    """Updates that scatter around the curve at the best of three learning rates."""
    curve = updates_min * (1 + crit / np.array(BATCHES))
    scatter = np.exp(0.3 * rng.normal(size=(len(BATCHES), 3, seeds)))
    return np.asarray(curve[:, None, None] * np.array([2.0, 1.0, 1.5])[:, None] * scatter)


def fitted(batches: tuple[int, ...], reached: object) -> CriticalBatch:
    found = fit_critical_batch(batches, np.asarray(reached, dtype=np.float64))
    assert found is not None
    return found


def fitted_terms(batches: tuple[int, ...], updates: Sequence[float]) -> tuple[float, float]:
    """The a and b of K = a + b / B, fitted to one seed at one rate."""
    found = fitted(batches, [[[k]] for k in updates])
    return found.updates_min, found.samples_min


@given(updates_min=st.floats(1, 1e6), crit=st.floats(0.01, 1e4))
def test_exact_curves_are_given_back(updates_min: float, crit: float) -> None:
    updates = [updates_min * (1 + crit / batch) for batch in BATCHES]
    a, b = fitted_terms(BATCHES, updates)
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
    assert fitted_terms((1, 2, 4), (100, 40, 10))[0] == 0
    assert fitted_terms((1, 2, 4), (10, 11, 12))[1] == 0


@given(st.lists(st.floats(0.1, 1000), min_size=6, max_size=6))
@settings(max_examples=50)
def test_no_other_curve_has_smaller_relative_errors(updates: list[float]) -> None:
    def errors(a: float, b: float) -> float:
        pairs = zip(BATCHES, updates, strict=True)
        return sum(((k - a - b / batch) / k) ** 2 for batch, k in pairs)

    a, b = fitted_terms(BATCHES, updates)
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
        a, b = fitted_terms(BATCHES, best)
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
    found = fitted(BATCHES[:3], table)
    low, high = found.interval or (math.nan, math.nan)
    assert 0 <= low <= high
    # Three or more of five draws are of the other two seeds: binomial, within four deviations.
    share = sum(math.comb(5, k) * 0.4**k * 0.6 ** (5 - k) for k in (3, 4, 5))
    assert abs(found.left_out - 1000 * share) < 4 * math.sqrt(1000 * share * (1 - share))
    assert fitted(BATCHES, noisy(np.random.default_rng(2), 40, 6)).left_out == 0


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
    # Those that raise the curve are those that it still passes below.
    for n, batch in enumerate(BATCHES):
        short = trained[n] - fit.updates(batch)
        if abs(short) > 1e-6 * max(updates):
            assert (batch in fit.active_censored) == (n in missed and short > 0)


def test_the_interval_heeds_what_was_trained() -> None:
    table = noisy(np.random.default_rng(6), 1e-3, 4e5)  # in proportion, all the way
    table[-1] = math.inf
    low, high = fitted(BATCHES, table).interval or (0, 0)
    bounded = fit_critical_batch(BATCHES, table, [0, 0, 0, 0, 0, 40])
    assert bounded
    assert bounded.interval
    assert math.isinf(high)
    assert bounded.interval[0] < min(32, low)


@given(
    updates=st.lists(st.lists(st.floats(1, 1e4), min_size=5, max_size=5), min_size=6, max_size=6),
    missed=st.sets(st.integers(0, 5), max_size=3),
    trained=st.floats(1, 1e4),
)
@settings(deadline=None, max_examples=60)
def test_no_interval_excludes_its_own_estimate(
    updates: list[list[float]], missed: set[int], trained: float
) -> None:
    """Of few seeds that scatter widely, the percentiles of medians may; a bound has one end."""
    table = np.array(updates)[:, None, :]
    table[list(missed)] = math.inf
    found = fit_critical_batch(BATCHES, table, [trained] * 6)
    assert found
    assert found.interval
    low, high = found.interval
    assert low <= found.batch_crit <= high
    assert (low == 0) >= (found.sign == "≤")
    assert math.isinf(high) >= (found.sign == "≥")


def test_percentiles_that_exclude_the_estimate_are_extended_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = [[[100 * (1 + 10 / batch)] * 3] for batch in BATCHES]
    for ends, extended in (((20.0, 30.0), (10, 30)), ((2.0, 5.0), (2, 10))):
        monkeypatch.setattr(critical_batch, "_interval", lambda *_, ends=ends: (ends, 0))
        assert fitted(BATCHES, table).interval == pytest.approx(extended)


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
    assert bounded.active_censored == (32,)
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
