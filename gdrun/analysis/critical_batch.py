"""How far larger batches save updates: the fit of updates to a target against batch size.

    K(B) = K_min · (1 + B_crit / B)

Up to the critical batch size B_crit a batch twice as large needs about half the updates; far beyond
it, larger batches save nothing (McCandlish et al. 2018, "An Empirical Model of Large-Batch
Training", sec. 2; Shallue et al. 2019, "Measuring the Effects of Data Parallelism on Neural Network
Training", JMLR 20, which measures it as is done here: with the best learning rate for each batch).

A batch size that never reached the target is a right-censored observation: it needs more updates
than it was trained. It is active in the fit where the curve would otherwise pass below that.

Shapes: B batch sizes, L learning rates, S seeds, Q resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gdrun.results.lanes import MIN_BAND_SEEDS

Array = NDArray[np.float64]

RESAMPLES = 1000
MIN_BATCH_SIZES = 3  # a curve of two parameters fits any two
INTERVAL = (2.5, 97.5)  # percentiles
# A term of the curve that is a smaller share of it is a rounding error, and counts as 0.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class CriticalBatch:
    """The curve K(B) = K_min · (1 + B_crit / B), fitted to updates to target.

    Attributes:
        updates_min: K_min, the updates that even the largest batches need; 0 where updates fall in
            proportion to the batch size as far as was measured.
        batch_crit: B_crit; then infinite, and 0 where larger batches save nothing.
        interval: of B_crit, 95 % of the bootstrap, and the estimate; open where that is a bound, so
            from 0 if it is at most that, to infinity if it is at least that. None with fewer than
            three seeds.
        batches: the batch sizes that reached the target and were fitted, ascending.
        samples_min: K_min · B_crit, the samples that even the smallest batches need.
        active_censored: the batch sizes that never reached the target and yet raise the curve,
            since they were trained for more updates than it says.
        left_out: of the `RESAMPLES` of the bootstrap, those in which too few batch sizes reach the
            target to fit a curve.
    """

    updates_min: float
    batch_crit: float
    interval: tuple[float, float] | None
    batches: tuple[int, ...]
    samples_min: float
    active_censored: tuple[int, ...] = ()
    left_out: int = 0

    @property
    def sign(self) -> Literal["≤", "=", "≥"]:
        """Whether B_crit itself is at most, about or at least what the curve says.

        A censored batch size needs still more updates than the curve gives it. If all of these are
        larger than the fitted ones, large batches save less than the curve says; if all are
        smaller, they save more.
        """
        if not self.active_censored:
            return "="
        if min(self.active_censored) > max(self.batches):
            return "≤"
        return "≥" if max(self.active_censored) < min(self.batches) else "="

    def updates(self, batch: float) -> float:
        """K(B), the updates that batches of this size need."""
        return self.updates_min + self.samples_min / batch


def fit_critical_batch(
    batches: Sequence[int], reached: ArrayLike, trained: Sequence[float] | None = None
) -> CriticalBatch | None:
    """Fit the curve to the updates that each batch size needs at its best learning rate.

    That rate is the one with the fewest updates in the median over seeds. Batch sizes whose median
    is at the target before training are left out. Those whose median never reaches it are
    right-censored at the number of updates that they were trained. None where fewer than three
    batch sizes reach the target by training.

    The interval is that of the percentile bootstrap (Efron & Tibshirani 1993, ch. 13). It resamples
    the seeds, the same ones for all batch sizes and rates, which share their starts; each resample
    chooses the best rates anew. Medians of few seeds may leave the estimate outside it; it is then
    extended to the estimate, which covers no less. The result doesn't depend on the order of batch
    sizes and seeds.

    Args:
        batches: B different batch sizes.
        reached: (B, L, S) updates to target, infinite where it was not reached.
        trained: (B,) updates that each batch size was trained; 0, or None for all, if unknown.

    Raises:
        ValueError: the shapes don't fit, a batch size is repeated, or something is negative or NaN.
    """
    sizes, table, floors = _checked(batches, reached, trained)
    # An order of their own, so that the resamples don't depend on the given one.
    order = np.argsort(sizes)
    sizes, table, floors = sizes[order], table[order], floors[order]
    table = table[:, :, np.lexsort(table.reshape(-1, table.shape[2]))]
    best = _best_medians(table, np.arange(table.shape[2])[None])
    (usable,) = _informative(best)
    if usable.sum() < MIN_BATCH_SIZES:
        return None
    a, b, active = _fit_censored(sizes, best, floors)
    ends, left_out = _interval(sizes, table, floors)
    fit = CriticalBatch(
        updates_min=float(a[0]),
        batch_crit=float(_ratio(a, b)[0]),
        interval=None,
        batches=tuple(int(size) for size in sizes[usable]),
        samples_min=float(b[0]),
        active_censored=tuple(int(size) for size in sizes[active[0]]),
        left_out=left_out,
    )
    if ends is None:
        return fit
    low = 0.0 if fit.sign == "≤" else min(ends[0], fit.batch_crit)
    high = math.inf if fit.sign == "≥" else max(ends[1], fit.batch_crit)
    return replace(fit, interval=(low, high))


def _checked(
    batches: Sequence[int], reached: ArrayLike, trained: Sequence[float] | None
) -> tuple[Array, Array, Array]:
    """The arguments of `fit_critical_batch` as arrays: (B,), (B, L, S) and (B,)."""
    sizes, table = np.asarray(batches, dtype=np.float64), np.asarray(reached, dtype=np.float64)
    if sizes.ndim != 1 or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError("batch sizes must be finite and above 0")
    if len(set(sizes.tolist())) < len(sizes):
        raise ValueError("a batch size is repeated")
    if table.ndim != 3 or len(table) != len(sizes) or not table.size:
        raise ValueError(f"expected updates of shape ({len(sizes)}, lrs, seeds)")
    if not (table >= 0).all():
        raise ValueError("updates to target can't be negative or NaN")
    floors = np.zeros(len(sizes)) if trained is None else np.asarray(trained, dtype=np.float64)
    if floors.shape != sizes.shape or not (np.isfinite(floors) & (floors >= 0)).all():
        raise ValueError(f"expected {len(sizes)} numbers of trained updates, finite and not < 0")
    return sizes, table, floors


def _interval(sizes: Array, table: Array, floors: Array) -> tuple[tuple[float, float] | None, int]:
    """The bootstrap interval of B_crit, over the resamples with enough usable batch sizes.

    Beside it, how many resamples are left out.
    """
    seeds = table.shape[2]
    if seeds < MIN_BAND_SEEDS:
        return None, 0
    drawn = np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))
    best = _best_medians(table, drawn)
    best = best[_informative(best).sum(axis=1) >= MIN_BATCH_SIZES]
    left_out = RESAMPLES - len(best)
    if not len(best):
        return None, left_out
    a, b, _ = _fit_censored(sizes, best, floors)
    # Observed values: between a finite and an infinite one there is nothing.
    low, high = np.percentile(_ratio(a, b), INTERVAL, method="inverted_cdf")
    return (float(low), float(high)), left_out


def _best_medians(table: Array, drawn: NDArray[np.int64]) -> Array:
    """The median updates of each batch size at its best rate, (Q, B), for seeds drawn, (Q, S)."""
    # One batch size at a time: all resamples of a large table would take too much memory.
    return np.stack([np.median(rates[:, drawn], axis=2).min(axis=0) for rates in table], axis=1)


def _informative(updates: Array) -> NDArray[np.bool_]:
    """Which medians can be fitted: not those never reached, nor those reached before training."""
    return np.isfinite(updates) & (updates > 0)


def _fit(sizes: Array, updates: Array) -> tuple[Array, Array]:
    """The a, b ≥ 0, each (…), with the least Σ ((K − a − b / B) / K)² over the updates K, (…, B).

    With u = 1 / K and v = 1 / (B K), each error is 1 − a·u − b·v. Since u, v ≥ 0, at most one of
    the unconstrained a and b is negative; then it is 0, and the other is fitted alone. Updates that
    aren't informative are left out.
    """
    informative = _informative(updates)
    u = np.divide(1.0, updates, out=np.zeros_like(updates), where=informative)
    v = u / sizes
    u1, v1 = u.sum(axis=-1), v.sum(axis=-1)
    uu, uv, vv = (u * u).sum(axis=-1), (u * v).sum(axis=-1), (v * v).sum(axis=-1)
    determinant = uu * vv - uv * uv
    a, b = (vv * u1 - uv * v1) / determinant, (uu * v1 - uv * u1) / determinant
    # The share of each term in the curve, summed over the updates, is compared with their number.
    counted = informative.sum(axis=-1)
    no_a, no_b = a * u1 < ROUNDING * counted, b * v1 < ROUNDING * counted
    a, b = np.where(no_b, u1 / uu, a), np.where(no_a, v1 / vv, b)
    return np.where(no_a, 0.0, a), np.where(no_b, 0.0, b)


def _fit_censored(
    sizes: Array, updates: Array, floors: Array
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The a and b, (…), and which of the censored updates, (…, B), are active.

    Censored updates are at least their floors. Where the curve is below a floor, its error is that
    of an observation at the floor; elsewhere it is 0. The sum of squares is convex and piecewise
    quadratic: the active set is the right one once the curve fitted with it is below the same
    floors.
    """
    censored = np.isinf(updates) & (floors > 0)
    a, b = _fit(sizes, updates)
    active = np.zeros_like(censored)
    for _ in range(2 * len(sizes)):
        below = censored & (a[..., None] + b[..., None] / sizes < floors * (1 - ROUNDING))
        if (below == active).all():
            break
        active = below
        a, b = _fit(sizes, np.where(active, floors, updates))
    return a, b, active


def _ratio(a: Array, b: Array) -> Array:
    """B_crit = b / a."""
    return np.divide(b, a, out=np.full_like(b, math.inf), where=a > 0)
