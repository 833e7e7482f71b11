"""Why one of several runs does better than the others, as far as the probes tell.

Better is what reaches the target, a train loss that is near the lowest of all; and of what does,
what ends with the lowest loss of validation rows, where there are some.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from gdrun.analysis.why.band import Band, in_percent, two_digits
from gdrun.analysis.why.noise import STUCK, kind_of, signal_share
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import MANY, Sentence, named
from gdrun.analysis.why.stability import standing
from gdrun.results.compare import Comparison
from gdrun.results.lanes import MIN_BAND_SEEDS
from gdrun.results.run import or_inf
from gdrun.text import count, listed, number

NOTABLE = 1.05  # times another loss, from which on a difference is spoken of
FAR_MORE = 3.0  # times as many updates, from which on their number is a reason
PATIENCE = 10  # epochs without a lower validation loss, that are usual
SHAKEN = 2.0  # times as far that noise moves the weights, likewise


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
    for run in runs:
        if run not in reaching:
            reason = _too_few_updates(run, lowest, target) or _too_noisy(run, lowest)
            yield reason or _unexplained(run, f"doesn't get down to {number(target)}")
    alike = [run for run in runs if _overlap(_end(run), _end(lowest))]
    for run in reaching:
        if run not in alike:
            reasons = [*filter(None, (_too_noisy(run, lowest), _overfits(run)))]
            higher = f"ends with a higher {_kind(run)} loss, {number(_end(run).middle)}"
            yield from reasons or [_unexplained(run, higher)]
    yield _best(runs, alike, lowest, updates, target)


def _best(
    runs: Sequence[ProbedRun],
    alike: Sequence[ProbedRun],
    lowest: ProbedRun,
    updates: dict[str, float | None],
    target: float,
) -> Sentence:
    """What reaches the target and ends lowest, as far as the seeds tell it from what is alike."""
    seeds = count(len(lowest.lanes), "seed")
    best = [run for run in alike if updates[run.name] is not None]
    if len(best) > 1:
        parts = [f"{run.label} in {updates[run.name]:,.0f} updates" for run in best]
        return Sentence(
            "why",
            "alike",
            f"The train loss {number(target)} is reached by {listed(parts, MANY)}; which of them "
            f"ends with the lower {_kind(lowest)} loss, {seeds} can't tell.",
        )
    ends = number(_end(lowest).middle)
    end = f"with the lowest {_kind(lowest)} loss, {ends}"
    others = [run for run in alike if run is not lowest]
    if lower := [run for run in runs if _end(run).high < _end(lowest).low]:
        end = f"with a {_kind(lowest)} loss of {ends}; that of {named(lower)} is lower all the same"
    elif others:
        end = f"with a {_kind(lowest)} loss, {ends}, that {seeds} can't tell from that of "
        end += named(others)
    elif _end(lowest).seeds < MIN_BAND_SEEDS:
        end += ", as far as so few seeds tell"
    return Sentence(
        "why",
        "best",
        f"{lowest.label} reaches the train loss {number(target)}, in {updates[lowest.name]:,.0f} "
        f"updates, and ends {end}.",
    )


def _unexplained(run: ProbedRun, what: str) -> Sentence:
    return Sentence("why", "unexplained", f"The probes don't show why {run.label} {what}.")


def _kind(run: ProbedRun) -> str:
    return "validation" if run.result.description.val_rows else "train"


def _end(run: ProbedRun) -> Band:
    """The loss at the end, of the validation rows where there are some."""
    held_out = bool(run.result.description.val_rows)
    return _band([lane.val_loss if held_out else lane.train_loss for lane in run.lanes])


def _band(losses: Sequence[float | None]) -> Band:
    known = [or_inf(loss) for loss in losses]
    found = Band.of(known)
    assert found
    if found.seeds >= MIN_BAND_SEEDS:
        return found
    # Losses of the same start differ less than by a factor; they may be negative.
    wider = (NOTABLE - 1) * abs(found.middle)
    return Band(found.middle, min(known) - wider, max(known) + wider, found.seeds)


def _overlap(one: Band, other: Band) -> bool:
    return one.low <= other.high and other.low <= one.high


def _too_few_updates(run: ProbedRun, other: ProbedRun, target: float) -> Sentence | None:
    """Of a larger batch at a stable rate, whose loss still falls."""
    own, more = _updates(run), _updates(other) / _updates(run)
    still_falls = median(run.late_falls() or [0.0]) > STUCK
    epochs = {lane.epochs for each in (run, other) for lane in each.lanes}
    is_stable = standing(run) in ("far", "close")
    if more < FAR_MORE or not still_falls or not is_stable or len(epochs) > 1:
        return None
    cleaner = ""
    shares = [signal_share(each, each.early) for each in (run, other)]
    if kind_of(run, run.early) == "clean" and run.lr == other.lr and math.isfinite(sum(shares)):
        mine, theirs = map(in_percent, shares)
        cleaner = (
            f" The gradients of {run.label} are cleaner, early {mine} signal and not {theirs}, but "
            "at the same rate an update gets little further by that."
        )
    return Sentence(
        "why",
        "too-few-updates",
        f"{run.label} doesn't get down to {number(target)} in {count(own, 'update')}, though its "
        f"loss still falls; {other.label} takes {two_digits(more)} times as many for the same "
        f"passes over the rows.{cleaner}",
    )


def _too_noisy(run: ProbedRun, other: ProbedRun) -> Sentence | None:
    """Of a smaller batch whose updates, late in training, move the weights about by far more."""
    own, others = run.deviation(run.late), other.deviation(other.late)
    train = [_band([lane.train_loss for lane in each.lanes]) for each in (run, other)]
    if run.batch_size >= other.batch_size or own is None or others is None:
        return None
    is_higher = train[0].low > train[1].high
    moved = run.lr * own.middle / (other.lr * others.middle) if others.middle else math.inf
    if kind_of(run, run.late) != "noisy" or not is_higher or moved < SHAKEN:
        return None
    that = f"that of {other.label} by {two_digits(others.middle)}"
    lowest = median(or_inf(lane.best_train_loss) for lane in run.lanes)
    before = f" (its lowest was {number(lowest)})" if 0 < NOTABLE * lowest < train[0].middle else ""
    return Sentence(
        "why",
        "too-noisy",
        f"{run.label} ends with a higher train loss, {number(train[0].middle)}{before}, in spite "
        f"of {count(_updates(run), 'update')}: late in training the gradient of a batch is off by "
        f"{two_digits(own.middle)}, and {that if others.middle else f'never in {other.label}'}, so "
        "that its noise moves the weights "
        + ("about." if math.isinf(moved) else f"{two_digits(moved)} times as far."),
    )


def _overfits(run: ProbedRun) -> Sentence | None:
    """Where the validation loss rises again while the train loss goes on falling."""
    final = median(or_inf(lane.val_loss) for lane in run.lanes)
    lowest = median(or_inf(lane.best_val_loss) for lane in run.lanes)
    if not math.isfinite(final) or not 0 < NOTABLE * lowest < final:
        return None
    then = median(_train_loss_at_best(run))
    now = median(or_inf(lane.train_loss) for lane in run.lanes)
    if not now < then:
        return None
    epoch = median(lane.best_val_epoch or 0 for lane in run.lanes)
    last = min(lane.epochs for lane in run.lanes)
    stopped = f", and --set patience={PATIENCE} stops there" if epoch + PATIENCE < last else ""
    return Sentence(
        "why",
        "overfits",
        f"The validation loss of {run.label} was lowest, {number(lowest)}, about epoch "
        f"{epoch:,.0f}, and ends at {number(final)}, while its train loss fell from {number(then)} "
        f"to {number(now)}: it memorised its rows{stopped}.",
    )


def _train_loss_at_best(run: ProbedRun) -> Iterator[float]:
    """The train loss of each seed at the epoch of its lowest validation loss."""
    for history, lane in zip(run.histories, run.lanes, strict=True):
        by_epoch = dict(zip(history.epochs["epoch"], history.epochs["train_loss"], strict=True))
        yield by_epoch.get(lane.best_val_epoch or 0, -math.inf)


def _updates(run: ProbedRun) -> int:
    return max(1, *(lane.updates for lane in run.lanes))
