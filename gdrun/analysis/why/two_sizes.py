"""The noise by batches of two sizes beside that of single rows: a check of the one by the other."""

import math
from collections.abc import Iterator, Sequence

from gdrun.analysis.why.band import two_digits
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import Sentence
from gdrun.results.rows.probe_columns import (
    ROW_VARIANCE,
    SIMPLE_SCALE,
    TWO_BATCH_NORM,
    TWO_BATCH_VARIANCE,
)

FEWEST = 10  # estimates whose ratio of means has an error that can be told
STANDARD_ERRORS = 3.0
CLOSE = 0.1  # a share by which both may differ in any case


def two_sizes(runs: Sequence[ProbedRun]) -> Iterator[Sentence]:
    """Whether both agree, over all that was measured: ratios of means, never means of ratios."""
    rows = [row for run in runs for row in _measured(run)]
    if min(_effective([row[0] for row in rows]), _effective([row[1] for row in rows])) < FEWEST:
        return
    exact = _ratio([(norm, variance) for norm, variance, _, _ in rows])
    estimates = [(norm, variance) for _, _, norm, variance in rows]
    found, error = _ratio(estimates), _jackknife(estimates)
    if not (math.isfinite(exact) and math.isfinite(found) and found > 0):
        return
    words = (
        f"{two_digits(found)} by {len(rows):,} pairs of batches of two sizes, and "
        f"{two_digits(exact)} by the gradients of all rows, over all runs and epochs"
    )
    if abs(found - exact) <= max(STANDARD_ERRORS * error, CLOSE * exact):
        yield Sentence(
            "check", "two-batches-agree", f"The noise was measured twice: its scale is {words}."
        )
    else:
        yield Sentence(
            "check",
            "two-batches-differ",
            f"The noise scale is {words}: that is more than chance explains, so don't rely on it.",
        )


def _effective(values: Sequence[float]) -> float:
    """As how many equal ones some values count in their sum: (Σ v)² / Σ v² (Kish 1965)."""
    squares = math.fsum(value * value for value in values)
    return math.fsum(values) ** 2 / squares if squares else 0.0


def _measured(run: ProbedRun) -> Iterator[tuple[float, float, float, float]]:
    """|G|² and tr Σ by single rows, then by two sizes, of each seed and epoch."""
    for history in run.histories:
        columns = (ROW_VARIANCE, SIMPLE_SCALE, TWO_BATCH_NORM, TWO_BATCH_VARIANCE)
        if any(name not in history.probes for name in columns):
            continue
        for variance, scale, norm, other in zip(*(history.probes[c] for c in columns), strict=True):
            if math.isfinite(variance + scale + norm + other) and scale > 0:
                yield variance / scale, variance, norm, other


def _ratio(pairs: Sequence[tuple[float, float]]) -> float:
    """The mean of the second over that of the first."""
    norm, variance = (math.fsum(column) for column in zip(*pairs, strict=True))
    return variance / norm if norm else math.inf


def _jackknife(pairs: Sequence[tuple[float, float]]) -> float:
    """The standard error of that, by leaving out each in turn (Efron & Tibshirani 1993, ch. 11)."""
    left_out = [_ratio([*pairs[:k], *pairs[k + 1 :]]) for k in range(len(pairs))]
    mean = math.fsum(left_out) / len(left_out)
    squares = math.fsum((value - mean) ** 2 for value in left_out)
    return math.sqrt((len(pairs) - 1) / len(pairs) * squares)
