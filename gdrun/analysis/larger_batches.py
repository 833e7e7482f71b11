"""How far larger batches pay off, in words: the fit of updates against batch size."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gdrun.analysis.sweep_result import SweepResult
from gdrun.text import batches, count, rounded

if TYPE_CHECKING:
    from gdrun.analysis.critical_batch import CriticalBatch

SAME_SAMPLES = 1.25  # samples to target that differ by a smaller factor are about the same
SIGNS = {"≤": "at most ", "=": "", "≥": "at least "}


def larger_batches(sweep: SweepResult) -> Iterable[str]:
    """Sentences about the critical batch size, beyond which larger batches are wasted."""
    if any(cell.to_target("updates") == 0 for cell in sweep.best_of_batch):
        yield "The target is reached before any training: a lower --target tells more."
        return
    if sweep.critical is None:
        yield (
            "Too few batch sizes reached the target to estimate beyond which size larger batches "
            "are wasted."
        )
        return
    fit = sweep.sound_fit
    if fit is None:
        yield (
            "When small batches reach the target is known too coarsely to measure the updates that "
            "larger ones save."
        )
    elif fit.batch_crit == 0:
        yield "Larger batches saved no updates: all beyond the smallest one were wasted."
    elif math.isinf(fit.batch_crit):
        yield _unbounded(sweep, fit)
    else:
        yield from _bounded(sweep, fit)


def _unbounded(sweep: SweepResult, fit: "CriticalBatch") -> str:
    """Larger batches saved updates as far as they were tried."""
    largest = max(fit.batches)
    saved = f"larger batches saved updates {_proportion(sweep, fit)}"
    if largest >= sweep.rows:
        sentence = f"Up to all {largest:,} rows, {saved}"
    else:
        sentence = f"Up to batch {largest:,}, {saved}, and even larger ones may pay off"
    if fit.interval and 0 < fit.interval[0] < math.inf:
        least = rounded(fit.interval[0])
        sentence += f": the critical batch size is {least} or more (95 %{_left_out(fit)})"
    return f"{sentence}."


def _proportion(sweep: SweepResult, fit: "CriticalBatch") -> str:
    """How updates fell with the batch size where the fit says that they fell in proportion."""
    samples = [
        cell.batch_size * cell.to_target("updates")
        for cell in sweep.best_of_batch
        if cell.batch_size in fit.batches
    ]
    if samples[-1] < samples[0] / SAME_SAMPLES:
        return "more than in proportion to their size"
    if max(samples) <= SAME_SAMPLES * min(samples):
        return "in proportion to their size"
    return "about in proportion to their size"


def _bounded(sweep: SweepResult, fit: "CriticalBatch") -> Iterable[str]:
    """The critical batch size, and what it means."""
    size = f"{SIGNS[fit.sign]}about {rounded(fit.batch_crit)}{interval_in_words(fit)}"
    yield f"The critical batch size is {size}{_censored(sweep, fit)}."
    if fit.batch_crit > max(fit.batches):
        largest = f"batch {max(fit.batches):,}, the largest one that reached the target"
        yield f"This estimate lies beyond {largest}."
    elif fit.batch_crit < min(fit.batches):
        yield f"This estimate lies below batch {min(fit.batches):,}, the smallest one tried."
    yield (
        f"By the fit, no batch size reaches the target in fewer than {_whole(fit.updates_min)} "
        f"or {fit.samples_min:,.0f} samples; the critical one needs twice as many of both, "
        "and beyond it larger batches are mostly wasted."
    )


def _whole(updates: float) -> str:
    return count(round(updates), "update")


def interval_in_words(fit: "CriticalBatch") -> str:
    """The interval of the critical batch size in brackets; empty if there is none."""
    if not fit.interval:
        return ""
    low, high = fit.interval
    words = f"{rounded(low)} to {rounded(high)}"
    if fit.sign == "≤":
        words = f"at most {rounded(high)}"
    elif fit.sign == "≥":
        words = f"at least {rounded(low)}"
    return f" (95 %: {words}{_left_out(fit)})"


def _left_out(fit: "CriticalBatch") -> str:
    """How many resamples the interval doesn't cover; empty if it covers all."""
    from gdrun.analysis.critical_batch import RESAMPLES

    if not fit.left_out:
        return ""
    are = "is" if fit.left_out == 1 else "are"
    return f"; {fit.left_out:,} of {RESAMPLES:,} resamples couldn't be fitted and {are} left out"


def _censored(sweep: SweepResult, fit: "CriticalBatch") -> str:
    """Which batch sizes never reached the target, and yet bear on the critical one."""
    sizes = fit.active_censored
    if not sizes:
        return ""
    if len(sizes) > 1:
        return f", since {batches(sizes)} need more updates than they had"
    (cell,) = (cell for cell in sweep.best_of_batch if cell.batch_size in sizes)
    return f", since {batches(sizes)} needs more than the {cell.updates_trained:,} updates it had"
