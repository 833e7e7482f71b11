"""How far larger batches pay, in words: what the fit of updates against batch size says."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from gdrun.answer import Answer
from gdrun.labels import batches

if TYPE_CHECKING:
    from gdrun.criticalbatch import CriticalBatch

LEVEL = 1.25  # times as many samples are about as many
SIGNS = {"≤": "at most ", "=": "", "≥": "at least "}
FEW_EPOCHS = 2  # to the target, which whole epochs then measure coarsely


def payoff(answer: Answer) -> Iterable[str]:
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


def _proportion(answer: Answer, fit: "CriticalBatch") -> str:
    """How updates went down with the batch size, where the fit says in proportion."""
    samples = [
        cell.batch_size * cell.to_target("updates")
        for cell in answer.best_of_batch
        if cell.batch_size in fit.batches
    ]
    if samples[-1] < samples[0] / LEVEL:
        return "more than in proportion"
    return "in proportion" if max(samples) <= LEVEL * min(samples) else "about in proportion"


def _pressing(answer: Answer, fit: "CriticalBatch") -> str:
    """Which batch sizes never came to the target, and yet say something of it."""
    if not fit.pressed:
        return ""
    if len(fit.pressed) > 1:
        return f", for {batches(fit.pressed)} take more updates than they were trained"
    (spent,) = (c.spent for c in answer.best_of_batch if c.batch_size in fit.pressed)
    return f", for {batches(fit.pressed)} takes more than the {spent:,} updates it was trained"


def sound_fit(answer: Answer) -> "CriticalBatch | None":
    """The fit of updates against batch size, unless whole epochs measure them too coarsely."""
    fit = answer.critical
    if fit is None:
        return None
    from gdrun.criticalbatch import FEWEST_BATCHES  # numpy, which has been loaded to fit

    return fit if len(set(fit.batches) - set(hasty(answer))) >= FEWEST_BATCHES else None


def hasty(answer: Answer) -> list[int]:
    """Batch sizes that come to the target so soon that whole epochs measure it coarsely."""
    return [
        cell.batch_size
        for cell in answer.best_of_batch
        if 0 < cell.to_target("samples") <= FEW_EPOCHS * answer.rows
        and cell.batch_size < answer.rows
    ]


def rounded(size: float) -> str:
    """A fitted batch size with the two digits that it deserves."""
    return "∞" if math.isinf(size) else f"{float(f'{size:.2g}'):,g}"
