"""Where learning rates stand against the sharpness that the optimizer tolerates.

In full batches, a sharpness above the limit makes the updates along its direction grow. A training
may nevertheless go on there for long: at the edge of stability (Cohen et al. 2021, "Gradient
descent on neural networks typically occurs at the edge of stability").
"""

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from gdrun.analysis.why.band import Band, in_percent, two_digits
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import Sentence, by_kind, named
from gdrun.text import exact

EDGE = 0.1  # by what share sharpness and limit differ at most, at the edge of stability
FEWEST_AT_EDGE = 2  # late probes that show it
CHANGE = 0.02  # of the sharpness, by which share it changes at least
FAR, ABOVE = 0.5, 1.1  # shares of the limit: below the one is far, above the other is above
WITHOUT_CURVATURE = ("l1", "huber")  # losses that are straight far out, where sharpness says little
MANY_TIMES = 100  # beyond which a factor isn't said

Standing = Literal["unknown", "diverged", "far", "close", "edge", "above"]


def standing(run: ProbedRun) -> Standing:
    """Where the learning rate of a run stands late in training; what holds for all of its band."""
    if run.has_diverged:
        return "diverged"
    late = run.ratio(run.late)
    if run.result.description.loss in WITHOUT_CURVATURE:
        return "unknown"
    if late is None or late.low <= 0:  # no direction along which the loss curves up
        return "unknown"
    if _is_at_edge(run):
        return "edge"
    if late.low > ABOVE:
        return "above"
    return "far" if late.high < FAR else "close"


def _is_at_edge(run: ProbedRun) -> bool:
    """Whether late in a training by full batches the sharpness is at its limit again and again.

    A schedule moves the limit away; and a sharpness that never changes, as that of a linear model,
    is there by chance.
    """
    ratios = [ratio.middle for epoch in run.late if (ratio := run.ratio([epoch]))]
    near = sum(abs(ratio - 1) <= EDGE for ratio in ratios)
    enough = near >= max(FEWEST_AT_EDGE, len(ratios) / 2)
    values = [
        found.middle for epoch in run.epochs if (found := run.at(run.sharpness_column, epoch))
    ]
    changes = min(values, default=0) * (1 + CHANGE) < max(values, default=0)
    return run.is_full and not run.series.schedule and enough and changes


def stability(runs: Sequence[ProbedRun]) -> Iterator[Sentence]:
    """What there is to say of the learning rates of some runs."""
    kinds = by_kind((run, standing(run)) for run in runs)
    for run in kinds.get("diverged", []):
        yield from _diverged(run)
    for run in kinds.get("above", []):
        yield Sentence(
            "rate",
            "above-limit",
            f"{_rate(run)}: the {run.sharpness_name} late in training, {_sharpness(run)}, is above "
            f"the {_limit(run)} that this rate tolerates{_in_full(run)}. Updates along that "
            "direction overshoot by more each time: a smaller rate is the cure.",
        )
    for run in kinds.get("edge", []):
        yield _edge(run)
    yield from _close(kinds.get("close", []))
    yield from _far(kinds.get("far", []))


def _diverged(run: ProbedRun) -> Iterator[Sentence]:
    """Why a run diverged, as far as its sharpness before training says."""
    before = run.ratio([0])
    if before is None or run.result.description.loss in WITHOUT_CURVATURE:
        return
    start = run.at(run.sharpness_column, 0)
    assert start
    so_sharp = f"before training the sharpness was {start.words(two_digits)}"
    limit = two_digits(run.limit_at(0))
    if before.middle > 1:  # of this very run, whatever other seeds would be
        yield Sentence(
            "rate",
            "diverged-above-limit",
            f"{_rate(run)} diverged, as expected: {so_sharp}, and this rate tolerates no more than "
            f"{limit}.",
        )
    else:
        why = (
            "the loss became sharper, or is no parabola as far as the steps went"
            if run.is_full
            else f"noise makes batches of {run.batch_size:,} diverge at smaller rates than all rows"
        )
        yield Sentence(
            "rate",
            "diverged-below-limit",
            f"{_rate(run)} diverged, though {so_sharp}, below the {limit} that this rate tolerates "
            f"in full batches: {why}.",
        )


def _edge(run: ProbedRun) -> Sentence:
    early = run.over(run.sharpness_column, run.early)
    risen = ""
    if early and early.high < run.limit_at(run.epochs[-1]) * (1 - EDGE):
        risen = f" It rose there from {early.words(two_digits)} early in training."
    still = ""
    if min(run.late_falls(), default=0) > 0:
        still = " The loss still falls"
        still += ", but not from each evaluation to the next." if run.has_rises else "."
    return Sentence(
        "rate",
        "edge-of-stability",
        f"{_rate(run)} is at the edge of stability: late in training the {run.sharpness_name}, "
        f"{_sharpness(run)}, stays at the {_limit(run)} that this rate tolerates.{risen}{still} It "
        "is this rate that keeps the sharpness down: a smaller one lets it rise further.",
    )


def _close(runs: Sequence[ProbedRun]) -> Iterator[Sentence]:
    """Of rates that are near the limit, or may be."""
    for run in runs:
        if not run.is_full:
            continue
        ratio = run.ratio(run.late)
        assert ratio
        yield Sentence(
            "rate",
            "close-to-limit",
            f"{_rate(run)}: the {run.sharpness_name} late in training, {_sharpness(run)}, is "
            f"{ratio.words(in_percent)} of the {_limit(run)} that this rate tolerates"
            + (", so that a much larger one would diverge." if ratio.middle > FAR else "."),
        )
    if others := [run for run in runs if not run.is_full]:
        yield Sentence(
            "rate",
            "close-to-limit-of-full-batches",
            f"{named(others)}: the sharpness late in training is {_shares(others)} of what the "
            "rate tolerates in full batches; small batches tolerate less, by their noise.",
        )


def _far(runs: Sequence[ProbedRun]) -> Iterator[Sentence]:
    """Of rates far below the limit, those of full batches have all of that room."""
    for run in runs:
        if not run.is_full:
            continue
        ratio = run.ratio(run.late)
        assert ratio
        share = ratio.words(in_percent)
        yield Sentence(
            "rate",
            "far-below-limit",
            f"{_rate(run)}: the {run.sharpness_name} late in training, {_sharpness(run)}, is "
            f"{share if share.startswith('less') else f'only {share}'} of the {_limit(run)} that "
            f"this rate tolerates: at that sharpness, a rate {_times(ratio)} times as large would "
            "be stable, too.",
        )
    if others := [run for run in runs if not run.is_full]:
        yield Sentence(
            "rate",
            "far-below-limit-of-full-batches",
            f"{named(others)}: the sharpness late in training is {_shares(others)} of what the "
            "rate tolerates in full batches; small batches tolerate less, by their noise.",
        )


def _shares(runs: Sequence[ProbedRun]) -> str:
    """What share of its limit the sharpness of each of some runs is, late in training."""
    ratios = [ratio for run in runs if (ratio := run.ratio(run.late))]
    low, high = (in_percent(end(r.middle for r in ratios)) for end in (min, max))
    return ratios[0].words(in_percent) if low == high or len(runs) == 1 else f"{low} to {high}"


def _times(ratio: Band) -> str:
    """How many times as large a rate may be, rounded down to what is sure."""
    times = 1 / ratio.high
    if times > MANY_TIMES:
        return f"more than {MANY_TIMES}"
    unit = 10.0 ** math.floor(math.log10(times))
    return f"up to about {two_digits(math.floor(times / unit) * unit)}"


def _rate(run: ProbedRun) -> str:
    of_schedule = ", the highest of its schedule," if run.series.schedule else ""
    return f"{run.label} at lr {exact(run.lr)}{of_schedule}"


def _in_full(run: ProbedRun) -> str:
    return "" if run.is_full else " in full batches"


def _sharpness(run: ProbedRun) -> str:
    found = run.over(run.sharpness_column, run.late)
    assert found
    return found.words(two_digits)


def _limit(run: ProbedRun) -> str:
    return two_digits(run.limit_at(run.epochs[-1]))
