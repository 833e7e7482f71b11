"""How much further a pass over the rows gets by smaller batches, by the noise of gradients."""

import math
from collections.abc import Iterator, Sequence

from gdrun.analysis.why.band import Band, two_digits
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import MANY, Sentence
from gdrun.results.rows.probe_columns import SIMPLE_SCALE
from gdrun.text import listed


def by_pass(runs: Sequence[ProbedRun]) -> Iterator[Sentence]:
    """How much further a pass over the rows gets by smaller batches, early and late in training.

    An update of B rows makes 1 / (1 + noise scale / B) of the progress of all rows, and there are
    N / B of them: together N / (B + noise scale), over that of full batches (McCandlish et al.
    2018, eq. 2.7 and 2.8).
    """
    full = next((run for run in runs if run.is_full), None)
    smaller = sorted({run.batch_size for run in runs if not run.is_full}, reverse=True)
    if full is None or not smaller:
        return
    start, late = full.at(SIMPLE_SCALE, 0), full.over(SIMPLE_SCALE, full.late)
    if start is None or late is None or math.isinf(start.high + late.high):
        return
    gains = [_gain(full.rows, size, start).words(two_digits) for size in smaller]
    then = [two_digits(_gain(full.rows, size, late).middle) for size in smaller]
    first, *more = (
        f"{gain} times as far with batches of {size:,}"
        for gain, size in zip(gains, smaller, strict=True)
    )
    each = [first, *(part.replace(" as far", "") for part in more)]
    yield Sentence(
        "why",
        "progress-per-pass",
        f"At the noise scale before training, {start.words(two_digits)}, a pass over the "
        f"{full.rows:,} rows gets {listed(each, MANY)} as with one full batch, each at its best "
        f"rate; at that of {full.label} late in training, {late.words(two_digits)}, "
        + (f"{listed(then, MANY)} times." if {*then} != {"1"} else "no further."),
    )


def _gain(rows: int, size: int, scale: Band) -> Band:
    """The progress of a pass by batches of some size over that of a full batch."""
    middle, low, high = (
        (rows + own) / (size + own) for own in (scale.middle, scale.high, scale.low)
    )
    return Band(middle, low, high, scale.seeds)
