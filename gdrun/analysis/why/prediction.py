"""The critical batch size of a sweep, as the noise of gradients predicts it, beside the measured.

By the model of McCandlish et al. 2018 (sec. 2.3 and app. D), an update of B rows makes a progress
of ds = 1 / (1 + 𝓑/B), with 𝓑 the noise scale there, and batches of any size need E = ∫ 𝓑 ds samples
at least and S = ∫ ds updates. So the critical batch size E / S is the mean of 𝓑 over the progress.
The model rests on batches whose rows are drawn independently, each at its best learning rate.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell
from gdrun.analysis.why.band import Band, in_percent, two_digits
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import Sentence
from gdrun.analysis.why.stability import FAR
from gdrun.results.rows.probe_columns import CURVED_SCALE, SIMPLE_SCALE
from gdrun.text import count, rounded

if TYPE_CHECKING:
    from gdrun.analysis.critical_batch import CriticalBatch

AGREE = 2.0  # a factor by which both may differ and still be said to agree


def on_the_way(run: ProbedRun, updates: float) -> Band | None:
    """The noise scale of each seed, averaged over the progress by some updates; their band."""
    found = []
    for history in run.histories:
        if SIMPLE_SCALE not in history.probes:
            continue
        both = zip(history.probes["updates"], history.probes[SIMPLE_SCALE], strict=True)
        points = [(at, scale) for at, scale in both if math.isfinite(scale)]
        mean = _mean_over_progress(points, updates, run.batch_size)
        found += [mean] if mean is not None else []
    return Band.of(found)


def _mean_over_progress(
    points: Sequence[tuple[float, float]], end: float, batch_size: int
) -> float | None:
    """∫ 𝓑 ds / ∫ ds up to an update, with 𝓑 a broken line through points (update, noise scale).

    From a to b in w updates, ∫ ds = w B ln((b + B) / (a + B)) / (b − a), and as 𝓑 ds = B (1 − ds),
    ∫ 𝓑 ds = B (w − ∫ ds).
    """
    if not points or points[0][0] > 0:
        return None
    progress = samples = 0.0
    for (at, scale), (later, then) in pairwise(points):
        width = min(later, end) - at
        if width > 0:
            until = scale + (then - scale) * width / (later - at)
            change = (until - scale) / (scale + batch_size)
            share = math.log1p(change) / change if change else 1.0
            own = width * share / (1 + scale / batch_size)
            progress += own
            samples += batch_size * (width - own)
    return samples / progress if progress else points[0][1]


def prediction(sweep: SweepResult, runs: Sequence[ProbedRun]) -> Iterator[Sentence]:
    """What the noise predicts, what was measured, and what it means if they disagree.

    Args:
        sweep: of one optimizer.
        runs: for each batch size the run at its best rate.
    """
    reaching = {cell.run: cell for cell in sweep.best_of_batch if cell.reaches_target}
    found = [
        (run, band)
        for run in runs
        if run.name in reaching
        and (band := on_the_way(run, reaching[run.name].to_target("updates")))
    ]
    if not found:
        return
    predicted = _joined([band for _, band in found])
    of_part = f" with {sweep.optimizer}" if sweep.optimizer else ""
    words = (
        f"From the noise on the way to the target{of_part}, a critical batch size of "
        f"{_between(predicted)} is predicted"
    )
    if sweep.sound_fit is None:
        yield Sentence("why", "predicted-only", f"{words}; none was measured.")
        return
    low, high, measured = _measured(sweep.sound_fit)
    if predicted.low <= AGREE * high and low <= AGREE * predicted.high:
        yield Sentence(
            "why",
            "prediction-agrees",
            f"{words}; {measured}. They agree: it is the noise of gradients that larger batches "
            "take away, and beyond that size there is little of it left.",
        )
    elif low > predicted.high:
        reason = _why_larger(found)
        yield Sentence("why", "measured-larger", f"{words}; {measured}, which is larger. {reason}")
    else:
        reason = _why_smaller(found, reaching, predicted)
        yield Sentence(
            "why", "measured-smaller", f"{words}; {measured}, which is smaller. {reason}"
        )


def _measured(fit: "CriticalBatch") -> tuple[float, float, str]:
    """Between which sizes the measured one is, and that in words."""
    sizes = f"by {count(len(fit.batches), 'batch size')}"
    size = rounded(fit.batch_crit)
    if math.isinf(fit.batch_crit):
        return max(fit.batches), math.inf, f"measured is that it is above {max(fit.batches):,}"
    if fit.sign == "≤":
        return 0.0, fit.batch_crit, f"measured is that it is at most {size}, {sizes}"
    if fit.sign == "≥":
        return fit.batch_crit, math.inf, f"measured is that it is at least {size}, {sizes}"
    low, high = fit.interval or (fit.batch_crit / AGREE, fit.batch_crit * AGREE)
    span = f" (95 %: {rounded(low)} to {rounded(high)})" if fit.interval else ""
    return low, high, f"measured is {size}{span}, {sizes}"


def _why_larger(found: Sequence[tuple[ProbedRun, Band]]) -> str:
    """What may make larger batches pay further than the noise says."""
    largest = max((run for run, _ in found), key=lambda run: run.batch_size)
    weighted = largest.over(CURVED_SCALE, largest.epochs)
    simple = largest.over(SIMPLE_SCALE, largest.epochs)
    if weighted and simple and weighted.low > simple.high:
        return (
            f"Weighted by the curvature the noise scale is {weighted.words(two_digits)}: much of "
            "the noise lies where the loss is sharp, and there larger batches pay further."
        )
    return (
        "Small batches were held back by more than their noise, perhaps by too few learning rates "
        "to choose from."
    )


def _why_smaller(
    found: Sequence[tuple[ProbedRun, Band]], cells: dict[str, Cell], predicted: Band
) -> str:
    """What may keep large batches from paying as far as the noise says."""
    largest = max((run for run, _ in found), key=lambda run: run.batch_size)
    ratio = largest.ratio(largest.epochs)
    rate = f"batches of {largest.batch_size:,} were best at lr {cells[largest.name].lr:g}"
    if ratio and ratio.middle >= FAR:
        return (
            f"Large batches meet another limit before: {rate}, where the sharpness is "
            f"{ratio.words(in_percent)} of what that rate tolerates, so that no larger one pays."
        )
    weighted = largest.over(CURVED_SCALE, largest.epochs)
    if weighted and weighted.high < predicted.low:
        return (
            f"Weighted by the curvature the noise scale is {weighted.words(two_digits)}: much of "
            "the noise lies where the loss is flat, and larger batches don't gain by its absence."
        )
    return (
        "The model takes rows to be drawn independently; rows that are reshuffled make up for "
        "each other's noise within an epoch, which helps small batches."
    )


def _joined(bands: Sequence[Band]) -> Band:
    """From the lowest to the highest of some, about the median of their middles."""
    middles = sorted(band.middle for band in bands)
    low, high = min(band.low for band in bands), max(band.high for band in bands)
    return Band(middles[len(middles) // 2], low, high, max(band.seeds for band in bands))


def _between(band: Band) -> str:
    """Always both ends: it is of several batch sizes, whose ways differ."""
    low, high = two_digits(band.low), two_digits(band.high)
    return f"about {low}" if low == high else f"{low} to {high}"
