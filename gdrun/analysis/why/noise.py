"""How the noise of gradients compares with the batch size, early and late in training.

A batch of B rows makes 1 / (1 + noise scale / B) of the progress of an update on all rows, each at
its best learning rate (McCandlish et al. 2018, "An empirical model of large-batch training", eq.
2.7): far below the noise scale larger batches pay in full, far above it they are wasted.
"""

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Literal

from gdrun.analysis.why.band import Band, in_percent, two_digits
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import MANY, Sentence, by_kind, named
from gdrun.results.rows.probe_columns import CURVED_SCALE, SIMPLE_SCALE
from gdrun.text import listed

FACTOR = 3.0  # between a batch and the noise scale, from which on one is much larger
STUCK = 0.005  # by what share the loss falls at most in the last third, where it is stuck

Kind = Literal["unknown", "noisy", "balanced", "clean"]


def kind_of(run: ProbedRun, epochs: Sequence[int]) -> Kind:
    """Whether a batch is much smaller than the noise scale at some epochs, or much larger.

    That holds for all of its band. Whether it is noisy is told by its own noise, since a batch that
    is nearly all rows, or whose rows come in order, has less of it or more.
    """
    scale, signal = run.over(SIMPLE_SCALE, epochs), run.signal(epochs)
    if scale is None:
        return "unknown"
    if run.batch_size > FACTOR * scale.high:
        return "clean"
    if signal and signal.high < 1 / (1 + FACTOR):
        return "noisy"
    is_alike = scale.low < FACTOR * run.batch_size and run.batch_size < FACTOR * scale.high
    return "balanced" if is_alike else "unknown"


def signal_share(run: ProbedRun, epochs: Sequence[int]) -> float:
    """The share of a batch's gradient that is that of all rows; NaN where that isn't known."""
    signal = run.signal(epochs)
    return signal.middle if signal else math.nan


def noise(runs: Sequence[ProbedRun]) -> Iterator[Sentence]:
    """What there is to say of the noise in the gradients of some runs."""
    runs = [run for run in runs if not run.has_diverged]
    kinds = by_kind((run, kind_of(run, run.early)) for run in runs)
    if clean := kinds.get("clean"):
        half = "a batch of that size"
        if all(_early(run).middle < 1 for run in clean):
            half = "a single row"
        yield Sentence(
            "noise",
            "early-clean",
            f"Early, {named(clean)} {'has' if len(clean) == 1 else 'have'} far more rows in a "
            f"batch than a gradient needs: the noise scale is {_scales(clean)}, and {half} "
            "already makes at least half the progress of all rows with an update.",
        )
    if balanced := kinds.get("balanced"):
        yield Sentence(
            "noise",
            "early-balanced",
            f"Early, {named(balanced)} {'has a batch' if len(balanced) == 1 else 'have batches'} "
            f"of the order of the noise scale, {_scales(balanced)}: neither rows nor updates are "
            "wasted.",
        )
    if noisy := kinds.get("noisy"):
        yield Sentence("noise", "early-noisy", _noisy(noisy, "Early"))
    yield from _change(runs)
    if late := [run for run in runs if kind_of(run, run.late) == "noisy"]:
        yield Sentence("noise", "late-noisy", _noisy(late, "Late"))
    yield from _stuck([run for run in runs if is_stuck(run)])


def _early(run: ProbedRun) -> Band:
    scale = run.over(SIMPLE_SCALE, run.early)
    assert scale
    return scale


def _scales(runs: Sequence[ProbedRun]) -> str:
    """The early noise scales of some runs; each with its run, unless they are all the same."""
    each = {run.label: _early(run).words(two_digits) for run in runs}
    if len({*each.values()}) == 1:
        return next(iter(each.values()))
    return listed([f"{scale} in {label}" for label, scale in each.items()], MANY)


def _scale(run: ProbedRun, epochs: Sequence[int]) -> str:
    scale = run.over(SIMPLE_SCALE, epochs)
    assert scale
    return scale.words(two_digits)


def _noisy(runs: Sequence[ProbedRun], when: Literal["Early", "Late"]) -> str:
    parts: list[str] = []
    for run in runs:
        epochs = run.early if when == "Early" else run.late
        share = in_percent(1 - signal_share(run, epochs))
        of_what = "" if parts else " of its squared length"
        scale = _scale(run, epochs)
        parts.append(f"{share}{of_what} in {run.label}, whose noise scale is {scale}")
    return f"{when}, most of a batch's gradient is noise: {'; '.join(parts)}."


def _change(runs: Sequence[ProbedRun]) -> Iterator[Sentence]:
    """How the noise scale changes from early to late."""
    grows: list[tuple[ProbedRun, str]] = []
    shrinks = []
    for run in runs:
        early, late = run.over(SIMPLE_SCALE, run.early), run.over(SIMPLE_SCALE, run.late)
        if early is None or late is None:
            continue
        both = f"from {early.words(two_digits)} to {late.words(two_digits)} in {run.label}"
        if late.low > FACTOR * early.high:
            grows.append((run, both))
        elif late.high * FACTOR < early.low and kind_of(run, run.late) != "noisy":
            shrinks.append(both)
    if grows:
        batches = any(not run.is_full for run, _ in grows)
        pays = ": late in training larger batches pay, or smaller rates" if batches else ""
        yield Sentence(
            "noise",
            "noise-grows",
            f"The noise scale grows, {listed([both for _, both in grows], MANY)}, as the gradient "
            f"shrinks more than its noise{pays}.",
        )
    if shrinks:
        yield Sentence(
            "noise",
            "noise-shrinks",
            f"The noise scale shrinks, {listed(shrinks, MANY)}: late in training smaller batches "
            "do as well.",
        )


def is_stuck(run: ProbedRun) -> bool:
    """Whether the loss of noisy batches no longer falls, in the last third of the training.

    Of a schedule that lowers the rate nothing is said.
    """
    falls = run.late_falls()
    if kind_of(run, run.late) != "noisy" or run.series.schedule or not falls:
        return False
    return median(falls) < STUCK


def _stuck(runs: Sequence[ProbedRun]) -> Iterator[Sentence]:
    if not runs:
        return
    losses, fall = ("loss", "falls") if len(runs) == 1 else ("losses", "fall")
    yield Sentence(
        "noise",
        "stuck-in-noise",
        f"In the last third of the training the train {losses} of {named(runs)} no longer {fall}: "
        "what an update gains, its noise takes back. A rate that falls, or a larger batch, lets "
        "that noise settle.",
    )


def curved(runs: Sequence[ProbedRun]) -> Iterator[Sentence]:
    """Where the noise scale that is weighted by the curvature says something else."""
    for run in runs:
        simple, weighted = run.over(SIMPLE_SCALE, run.early), run.over(CURVED_SCALE, run.early)
        if simple is None or weighted is None or run.has_diverged:
            continue
        if weighted.low > FACTOR * simple.high:
            yield Sentence("noise", "curved-larger", _curved(run, weighted, "larger"))
        elif weighted.high * FACTOR < simple.low:
            yield Sentence("noise", "curved-smaller", _curved(run, weighted, "smaller"))


def _curved(run: ProbedRun, weighted: Band, how: Literal["larger", "smaller"]) -> str:
    meaning = {
        "larger": "the noise lies where the loss is sharp, and larger batches pay further than the "
        "simple scale says",
        "smaller": "much of the noise lies where the loss is flat, and does no harm",
    }
    return (
        f"Weighted by the curvature, the early noise scale of {run.label} is {how}, "
        f"{weighted.words(two_digits)}: {meaning[how]}."
    )
