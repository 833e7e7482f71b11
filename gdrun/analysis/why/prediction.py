"""The critical batch size of a sweep, as the noise of gradients predicts it, beside the measured.

By the model of McCandlish et al. 2018 (sec. 2.3 and app. D) it is the noise scale, averaged over
the updates that lead to the target. It rests on batches whose rows are drawn independently, and
whose learning rate is as large as is best for each.
"""

import math
from collections.abc import Iterator, Sequence

from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell
from gdrun.analysis.why.band import Band, in_percent, two_digits
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import Sentence
from gdrun.analysis.why.stability import FAR
from gdrun.results.rows.probe_columns import NOISE_SCALE, SIMPLE_SCALE
from gdrun.text import count, rounded

AGREE = 2.0  # a factor by which both may differ and still be said to agree


def on_the_way(run: ProbedRun, column: str, updates: float) -> Band | None:
    """A column averaged over the updates up to some, of each seed; the band of these means.

    Between two probes it is taken to change in a straight line.
    """
    found = []
    for history in run.histories:
        if column not in history.probes:
            continue
        points = [
            (at, value)
            for at, value in zip(history.probes["updates"], history.probes[column], strict=True)
            if math.isfinite(value)
        ]
        mean = _mean_until(points, updates)
        found += [mean] if mean is not None else []
    return Band.of(found)


def _mean_until(points: Sequence[tuple[float, float]], end: float) -> float | None:
    """The mean of a broken line from its first point to a place, by trapezoids."""
    if not points or points[0][0] > 0:
        return None
    area, (at, value) = 0.0, points[0]
    for later, then in points[1:]:
        if at >= end:
            break
        stop = min(later, end)
        reached = value + (then - value) * (stop - at) / (later - at)
        area += (value + reached) / 2 * (stop - at)
        at, value = later, then
    width = min(end, points[-1][0])
    return area / width if width > 0 else points[0][1]


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
        and (band := on_the_way(run, SIMPLE_SCALE, reaching[run.name].to_target("updates")))
    ]
    if not found:
        return
    predicted = _joined([band for _, band in found])
    fit = sweep.sound_fit
    words = (
        f"From the noise on the way to the target, a critical batch size of "
        f"{_between(predicted)} is predicted"
    )
    if fit is None or math.isinf(fit.batch_crit) or fit.sign != "=":
        bound = "none was measured" if fit is None else f"measured is only that it is {fit.sign} "
        bound += "" if fit is None else rounded(fit.batch_crit)
        yield Sentence("why", "predicted-only", f"{words}; {bound}.")
        return
    low, high = fit.interval or (fit.batch_crit / AGREE, fit.batch_crit * AGREE)
    span = f" (95 %: {rounded(low)} to {rounded(high)})" if fit.interval else ""
    measured = (
        f"measured is {rounded(fit.batch_crit)}{span}, by {count(len(fit.batches), 'batch size')}"
    )
    if predicted.low <= AGREE * high and low <= AGREE * predicted.high:
        yield Sentence(
            "why",
            "prediction-agrees",
            f"{words}; {measured}. They agree: it is the noise of gradients that larger batches "
            "take away, and beyond that size there is little of it left.",
        )
        return
    if low > predicted.high:
        reason = _why_larger(found)
        yield Sentence("why", "measured-larger", f"{words}; {measured}, which is larger. {reason}")
        return
    reason = _why_smaller(found, reaching, predicted)
    yield Sentence("why", "measured-smaller", f"{words}; {measured}, which is smaller. {reason}")


def _why_larger(found: Sequence[tuple[ProbedRun, Band]]) -> str:
    """What may make larger batches pay further than the noise says."""
    largest = max((run for run, _ in found), key=lambda run: run.batch_size)
    weighted = largest.over(NOISE_SCALE, largest.epochs)
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
            f"{ratio.words(in_percent)} of what that rate bears, so that no larger one pays."
        )
    weighted = largest.over(NOISE_SCALE, largest.epochs)
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
