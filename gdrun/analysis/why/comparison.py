"""Why one of several runs does better than the others, as far as the probes tell.

Better is what reaches the target, a train loss that is near the lowest of all; and of what does,
what ends with the lowest loss of validation rows, where there are some.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from gdrun.analysis.why.band import Band, in_percent, two_digits
from gdrun.analysis.why.noise import kind_of, signal_share
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import MANY, Sentence
from gdrun.analysis.why.stability import standing
from gdrun.results.compare import Comparison
from gdrun.results.lanes import MIN_BAND_SEEDS
from gdrun.results.rows.probe_columns import SIMPLE_SCALE
from gdrun.results.run import or_inf
from gdrun.text import count, listed, number

NOTABLE = 1.05  # times another loss, from which on a difference is spoken of


def why_better(runs: Sequence[ProbedRun], comparison: Comparison) -> Iterator[Sentence]:
    """Which run does best, and what keeps each of the others from it."""
    runs = [run for run in runs if math.isfinite(_end(run).middle)]
    target = comparison.target
    if len(runs) < 2 or target is None:
        return
    rows = {(row.name, row.lr): row for row in comparison.rows}
    updates = {run.name: rows[run.name, run.lr].updates_to_target for run in runs}
    reaching = [run for run in runs if updates[run.name] is not None]
    if not reaching:
        return
    lowest = min(reaching, key=lambda run: (_end(run).middle, run.batch_size))
    alike = [run for run in reaching if _overlap(_end(run), _end(lowest))]
    for run in runs:
        if run in reaching:
            continue
        reason = _too_few_updates(run, lowest, target) or _too_noisy(run, lowest)
        yield reason or _unexplained(run, f"doesn't get down to {number(target)}")
    for run in reaching:
        if run not in alike:
            yield _too_noisy(run, lowest) or _unexplained(run, f"ends with {_ends_with(run)}")
    yield _best(alike, lowest, updates, target)


def _best(
    alike: Sequence[ProbedRun],
    lowest: ProbedRun,
    updates: dict[str, float | None],
    target: float,
) -> Sentence:
    """What reaches the target and ends lowest, as far as the seeds tell it from others."""
    held_out = bool(lowest.result.description.val_rows)
    parts = [f"{run.label} in {updates[run.name]:,.0f} updates" for run in alike]
    kind = "validation" if held_out else "train"
    if len(alike) == 1:
        unsure = ", as far as so few seeds tell" if _end(lowest).seeds < MIN_BAND_SEEDS else ""
        return Sentence(
            "why",
            "best",
            f"{lowest.label} does both: it reaches the train loss {number(target)}, in "
            f"{updates[lowest.name]:,.0f} updates, and ends with the lowest {kind} loss, "
            f"{number(_end(lowest).middle)}{unsure}.",
        )
    return Sentence(
        "why",
        "alike",
        f"The train loss {number(target)} is reached by {listed(parts, MANY)}; how low their "
        f"{kind} losses end, {count(len(lowest.lanes), 'seed')} can't tell apart.",
    )


def _unexplained(run: ProbedRun, what: str) -> Sentence:
    text = f"Why {run.label} {what}, isn't told by what was measured."
    return Sentence("why", "unexplained", text)


def _end(run: ProbedRun) -> Band:
    """The loss at the end, of the validation rows where there are some."""
    held_out = bool(run.result.description.val_rows)
    losses = [or_inf(lane.val_loss if held_out else lane.train_loss) for lane in run.lanes]
    found = Band.of(losses)
    assert found
    if found.seeds >= MIN_BAND_SEEDS:
        return found
    # Losses of the same start differ less than by a factor.
    return Band(found.middle, min(losses) / NOTABLE, max(losses) * NOTABLE, found.seeds)


def _ends_with(run: ProbedRun) -> str:
    kind = "validation" if run.result.description.val_rows else "train"
    return f"a higher {kind} loss, {number(_end(run).middle)}"


def _overlap(one: Band, other: Band) -> bool:
    return one.low <= other.high and other.low <= one.high


def _too_few_updates(run: ProbedRun, other: ProbedRun, target: float) -> Sentence | None:
    """Of a larger batch whose gradients are cleaner than is any good, at a stable rate."""
    is_larger = run.batch_size > other.batch_size and kind_of(run, run.early) == "clean"
    if not is_larger or standing(run) not in ("far", "close"):
        return None
    mine, theirs = (in_percent(signal_share(each, each.early)) for each in (run, other))
    more = _updates(other) / _updates(run)
    return Sentence(
        "why",
        "too-few-updates",
        f"{run.label} doesn't get down to {number(target)} in {count(_updates(run), 'update')}; "
        f"{other.label} takes {two_digits(more)} times as many for the same passes over the rows. "
        f"Its gradients are cleaner, early {mine} signal and not {theirs}, but at the same rate an "
        "update gets little further by that.",
    )


def _too_noisy(run: ProbedRun, other: ProbedRun) -> Sentence | None:
    """Of a smaller batch whose late gradients are mostly noise, which shows in its losses."""
    if run.batch_size >= other.batch_size or kind_of(run, run.late) != "noisy":
        return None
    share = in_percent(1 - signal_share(run, run.late))
    return Sentence(
        "why",
        "too-noisy",
        f"{run.label} ends with {_ends_with(run)}, in spite of {count(_updates(run), 'update')}: "
        f"late in training {share} of its gradient is noise, which moves the weights about"
        f"{_consequence(run)}.",
    )


def _consequence(run: ProbedRun) -> str:
    """What shows that: a train loss above its best, a validation loss that rises again."""
    final = median(or_inf(lane.train_loss) for lane in run.lanes)
    lowest = median(or_inf(lane.best_train_loss) for lane in run.lanes)
    found = []
    if lowest > 0 and final > NOTABLE * lowest:
        found.append(f"its train loss ends at {number(final)}, and was {number(lowest)}")
    val = median(or_inf(lane.val_loss) for lane in run.lanes)
    best_val = median(or_inf(lane.best_val_loss) for lane in run.lanes)
    if math.isfinite(val) and best_val > 0 and val > NOTABLE * best_val:
        epoch = median(lane.best_val_epoch or 0 for lane in run.lanes)
        found.append(
            f"its validation loss ends at {number(val)}, and was {number(best_val)} about epoch "
            f"{epoch:,.0f}"
        )
    return f": {'; '.join(found)}" if found else ""


def _updates(run: ProbedRun) -> int:
    return max(1, *(lane.updates for lane in run.lanes))


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
    each = [
        f"{gain} times with batches of {size:,}" for gain, size in zip(gains, smaller, strict=True)
    ]
    yield Sentence(
        "why",
        "progress-per-pass",
        f"At the noise scale before training, {start.words(two_digits)}, a pass over the "
        f"{full.rows:,} rows makes {listed(each, MANY)} the progress of one full batch, each at "
        f"its best rate; at that of {full.label} late in training, {late.words(two_digits)}, it is "
        f"{listed(then, MANY)} times.",
    )


def _gain(rows: int, size: int, scale: Band) -> Band:
    """The progress of a pass by batches of some size over that of a full batch."""
    middle, low, high = (
        (rows + own) / (size + own) for own in (scale.middle, scale.high, scale.low)
    )
    return Band(middle, low, high, scale.seeds)
