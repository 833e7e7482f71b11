"""How far larger batches pay, in words: what the fit of updates against batch size says."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gdrun.analysis.sweep_result import SweepResult, sound_fit
from gdrun.text import batches, rounded

if TYPE_CHECKING:
    from gdrun.analysis.critical_batch import CriticalBatch

LEVEL = 1.25  # times as many samples are about as many
SIGNS = {"≤": "at most ", "=": "", "≥": "at least "}


def payoff(answer: SweepResult) -> Iterable[str]:
    """A sentence: the batch size beyond which more rows an update are wasted."""
    fit = answer.critical
    if any(cell.to_target("updates") == 0 for cell in answer.best_of_batch):
        yield "That is so before training already: a lower --target tells more."
        return
    if fit is None:
        yield (
            "Too few batch sizes came to the target to say from which on larger ones are wasted."
        )
        return
    largest = max(fit.batches)
    if sound_fit(answer) is None:
        yield (
            "Small batches come to it so soon that whole epochs don't tell how much larger ones "
            "save."
        )
        return
    if fit.batch_crit == 0:
        yield "Larger batches saved no updates: all beyond the smallest were wasted."
        return
    if math.isinf(fit.batch_crit):
        whole = largest >= answer.rows
        least = ""
        if fit.interval and math.isfinite(fit.interval[0]):
            least = f": the critical batch size is {rounded(fit.interval[0])} or more (95 %)"
        yield (
            f"Up to {largest:,} rows{', all there are' * whole}, larger batches saved updates "
            f"{_proportion(answer, fit)}{', and larger ones may pay still' * (not whole)}{least}."
        )
        return
    interval = ""
    if fit.interval:
        low, high = map(rounded, fit.interval)
        interval = f" (95 %: {low} to {high})"
    guess = ""
    if fit.batch_crit > largest:
        guess = f", beyond the {largest:,} rows of the largest batch that came to the target"
    yield (
        f"The critical batch size is {SIGNS[fit.sign]}about "
        f"{rounded(fit.batch_crit)}{interval}{guess}{_pressing(answer, fit)}: by the fit, no batch "
        f"takes fewer than {fit.updates_min:,.0f} updates or {fit.samples_min:,.0f} samples, and "
        "there it takes twice both; beyond it, more rows an update are mostly wasted."
    )


def _proportion(answer: SweepResult, fit: "CriticalBatch") -> str:
    """How updates went down with the batch size, where the fit says in proportion."""
    samples = [
        cell.batch_size * cell.to_target("updates")
        for cell in answer.best_of_batch
        if cell.batch_size in fit.batches
    ]
    if samples[-1] < samples[0] / LEVEL:
        return "more than in proportion"
    return "in proportion" if max(samples) <= LEVEL * min(samples) else "about in proportion"


def _pressing(answer: SweepResult, fit: "CriticalBatch") -> str:
    """Which batch sizes never came to the target, and yet say something of it."""
    if not fit.pressed:
        return ""
    if len(fit.pressed) > 1:
        return f", for {batches(fit.pressed)} take more updates than they were trained"
    (spent,) = (c.spent for c in answer.best_of_batch if c.batch_size in fit.pressed)
    return f", for {batches(fit.pressed)} takes more than the {spent:,} updates it was trained"
