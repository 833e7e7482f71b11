"""How far larger batches save updates: the fit of updates to a target against batch size.

    K(B) = K_min · (1 + B_crit / B)

Up to the critical batch size B_crit a batch twice as large needs about half the updates; far beyond
it, larger batches save nothing (McCandlish et al. 2018, "An Empirical Model of Large-Batch
Training", sec. 2; Shallue et al. 2019, "Measuring the Effects of Data Parallelism on Neural Network
Training", JMLR 20, which measures it as is done here: with the best learning rate for each batch).

Shapes: B batch sizes, L learning rates, S seeds, Q resamples.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

RESAMPLES = 1000
FEWEST_BATCHES = 3  # two would fit any curve of two parameters
FEWEST_SEEDS = 3  # of fewer, resamples say nothing about the spread
INTERVAL = (2.5, 97.5)  # percentiles
# A term of the curve that is a smaller share of it is no more than rounding, and taken for none.
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class CriticalBatch:
    """The curve K(B) = K_min · (1 + B_crit / B), fitted to updates to target.

    Attributes:
        updates_min: K_min, what is left to do with the largest batches; 0 where they save updates
            in proportion as far as was measured.
        batch_crit: B_crit: infinite then, and 0 where larger batches save nothing.
        interval: of B_crit, 95 % of the bootstrap; None with fewer than three seeds.
        batches: the batch sizes that it was fitted to, ascending.
        pressed: those of the others that lift the curve, which still passes below the updates that
            they were trained without coming to the target.
        samples_min: K_min · B_crit, the samples that the smallest batches need.
    """

    updates_min: float
    batch_crit: float
    interval: tuple[float, float] | None
    batches: tuple[int, ...]
    samples_min: float
    pressed: tuple[int, ...] = ()

    @property
    def sign(self) -> Literal["≤", "=", "≥"]:
        """How B_crit compares with what is said of it, by those that take still more updates.

        Larger batches that do save less than the curve says, smaller ones leave more to be saved.
        """
        if self.pressed and min(self.pressed) > max(self.batches):
            return "≤"
        return "≥" if self.pressed and max(self.pressed) < min(self.batches) else "="

    def updates(self, batch: float) -> float:
        """K(B), the updates that batches of a size need."""
        return self.updates_min + self.samples_min / batch


def fit_updates(batches: Sequence[float], updates: Sequence[float]) -> tuple[float, float]:
    """The (a, b) ≥ 0 with K = a + b / B that have the least squares of relative errors.

    They minimise Σ ((K_i − a − b / B_i) / K_i)²: a = K_min and b = K_min · B_crit. Where the best
    of all would be negative, it is 0, and the other fitted alone.

    Args:
        batches: B_i > 0, at least two different ones.
        updates: K_i > 0.

    Raises:
        ValueError: they are others than that, or not as many.
    """
    sizes, needed = _sizes(batches), np.asarray(updates, dtype=np.float64)
    if sizes.shape != needed.shape or not (np.isfinite(needed) & (needed > 0)).all():
        raise ValueError("each batch size needs its number of updates, finite and above 0")
    if len(set(sizes.tolist())) < 2:
        raise ValueError("a fit needs at least two batch sizes")
    a, b = _fit(sizes, needed)
    return float(a), float(b)


def fit_critical_batch(
    batches: Sequence[int], reached: ArrayLike, trained: Sequence[float] | None = None
) -> CriticalBatch | None:
    """Fit the curve to the updates that each batch size needs at its best learning rate.

    That is the rate with the fewest updates in the median over seeds. Batch sizes whose median
    is at the target before training are left out. Those whose median never comes to it need at
    least as many updates as they were `trained`: they count where the curve would lie below that.
    None where fewer than three come to the target by training.

    The interval is that of the percentile bootstrap (Efron & Tibshirani 1993, ch. 13). Seeds are
    what is resampled, the same for all batch sizes and rates, since they share their starts; in
    every resample the best rates are chosen anew. It is the same whenever it is computed, in
    whatever order batch sizes and seeds come.

    Args:
        batches: B different batch sizes.
        reached: (B, L, S) updates to target, infinite where it was not reached.
        trained: (B,) updates that each batch size was trained; 0, or None for all: not known.

    Raises:
        ValueError: the shapes don't fit, a batch size is repeated, or something is negative or NaN.
    """
    sizes, table = _sizes(batches), np.asarray(reached, dtype=np.float64)
    if len(set(sizes.tolist())) < len(sizes):
        raise ValueError("a batch size is repeated")
    if table.ndim != 3 or len(table) != len(sizes) or not table.size:
        raise ValueError(f"expected updates of shape ({len(sizes)}, lrs, seeds)")
    if not (table >= 0).all():
        raise ValueError("updates to target can't be negative or NaN")
    floors = np.zeros(len(sizes)) if trained is None else np.asarray(trained, dtype=np.float64)
    if floors.shape != sizes.shape or not (np.isfinite(floors) & (floors >= 0)).all():
        raise ValueError(f"expected {len(sizes)} numbers of trained updates, finite and not < 0")
    # In an order of their own, so that the resamples don't depend on that in which they come.
    order = np.argsort(sizes)
    sizes, table, floors = sizes[order], table[order], floors[order]
    table = table[:, :, np.lexsort(table.reshape(-1, table.shape[2]))]
    best = _best_medians(table, np.arange(table.shape[2])[None])
    (usable,) = _tells(best)
    if usable.sum() < FEWEST_BATCHES:
        return None
    fitted = _fit_above(sizes, best, floors)
    a, b = (float(value[0]) for value in fitted[:2])
    return CriticalBatch(
        updates_min=a,
        batch_crit=float(_ratio(np.array(a), np.array(b))),
        interval=_interval(sizes, table, floors),
        batches=tuple(int(size) for size in sizes[usable]),
        pressed=tuple(int(size) for size in sizes[fitted[2][0]]),
        samples_min=b,
    )


def _interval(sizes: Array, table: Array, floors: Array) -> tuple[float, float] | None:
    """The bootstrap interval of B_crit, of the resamples in which enough batch sizes remain."""
    seeds = table.shape[2]
    if seeds < FEWEST_SEEDS:
        return None
    drawn = np.random.default_rng(0).integers(seeds, size=(RESAMPLES, seeds))
    best = _best_medians(table, drawn)
    best = best[_tells(best).sum(axis=1) >= FEWEST_BATCHES]
    if not len(best):
        return None
    # Observed values: between a finite and an infinite one lies nothing.
    a, b, _ = _fit_above(sizes, best, floors)
    low, high = np.percentile(_ratio(a, b), INTERVAL, method="inverted_cdf")
    return float(low), float(high)


def _sizes(batches: Sequence[float]) -> Array:
    sizes = np.asarray(batches, dtype=np.float64)
    if sizes.ndim != 1 or not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ValueError("batch sizes must be finite and above 0")
    return sizes


def _best_medians(table: Array, drawn: NDArray[np.int64]) -> Array:
    """The fewest median updates of each batch size, (Q, B), with the seeds drawn, (Q, S)."""
    # One batch size after the other, lest all resamples of a large table lie in memory.
    return np.stack([np.median(rates[:, drawn], axis=2).min(axis=0) for rates in table], axis=1)


def _tells(updates: Array) -> NDArray[np.bool_]:
    """Which medians tell anything: not those never reached, nor those reached before training."""
    return np.isfinite(updates) & (updates > 0)


def _fit(sizes: Array, updates: Array) -> tuple[Array, Array]:
    """The a and b, (…), that fit updates, (…, B); those of them that tell nothing are left out.

    With u = 1 / K and v = 1 / (B K), it is 1 that a·u + b·v is to be. Since u, v ≥ 0, at most one
    of the best a and b is negative, and then the best on the edge is where that one is 0.
    """
    u = np.divide(1.0, updates, out=np.zeros_like(updates), where=_tells(updates))
    v = u / sizes
    u1, v1 = u.sum(axis=-1), v.sum(axis=-1)
    uu, uv, vv = (u * u).sum(axis=-1), (u * v).sum(axis=-1), (v * v).sum(axis=-1)
    determinant = uu * vv - uv * uv
    a, b = (vv * u1 - uv * v1) / determinant, (uu * v1 - uv * u1) / determinant
    # Compared with the mean of what the two add to the K, which is about 1 in all.
    counted = _tells(updates).sum(axis=-1)
    no_a, no_b = a * u1 < ROUNDING * counted, b * v1 < ROUNDING * counted
    a, b = np.where(no_b, u1 / uu, a), np.where(no_a, v1 / vv, b)
    return np.where(no_a, 0.0, a), np.where(no_b, 0.0, b)


def _fit_above(
    sizes: Array, updates: Array, floors: Array
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """The a and b, (…), and which of the updates not known, (…, B), lift the curve.

    Those are at least the floors: below one a curve has the error that it would have if the floor
    were what is known, above it none. What they sum up to is convex and of squares piece by piece;
    that a piece is the right one shows where its best curve is below the same floors.
    """
    unknown = np.isinf(updates) & (floors > 0)
    a, b = _fit(sizes, updates)
    held = np.zeros_like(unknown)
    for _ in range(2 * len(sizes)):
        below = unknown & (a[..., None] + b[..., None] / sizes < floors * (1 - ROUNDING))
        if (below == held).all():
            break
        held = below
        a, b = _fit(sizes, np.where(held, floors, updates))
    return a, b, held


def _ratio(a: Array, b: Array) -> Array:
    """B_crit = b / a."""
    return np.divide(b, a, out=np.full_like(b, math.inf), where=a > 0)
