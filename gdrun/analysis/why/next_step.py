"""What to try next, as a command, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gdrun.analysis.advice import command as recommended_command
from gdrun.analysis.next_command import Value, next_command
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.why.band import Band, two_digits
from gdrun.analysis.why.noise import is_stuck
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import Sentence
from gdrun.analysis.why.stability import standing
from gdrun.results.rows.probe_columns import SIMPLE_SCALE

SAFE = 0.5  # of the stability limit, which a rate is chosen to be at
RATES, BELOW = 6, 5.0  # of a sweep up to the rate that is safe: how many, and how far below begin
MOST_TIMES = 50.0  # as large may a rate be
UNKNOWN = 10.0  # by what a rate that diverged is divided, where nothing says how sharp the loss was


@dataclass(frozen=True)
class NextStep:
    """What to try next.

    Attributes:
        reason: why.
        command: what to type.
    """

    reason: Sentence
    command: str


def after_sweep(sweep: SweepResult, directory: Path | None) -> NextStep | None:
    """Training with the pair that the sweep recommends."""
    found = recommended_command(sweep, directory)
    if found is None:
        return None
    return NextStep(
        _why("train-recommended", "Train with the pair that the sweep recommends"), found
    )


def after_run(run: ProbedRun, directory: Path | None) -> NextStep:
    """What to change of one run."""
    about, method = run.result.description, run.series.method

    def retrain(condition: str, text: str, **options: Value) -> NextStep:
        own = {"lr": run.lr, **options} if len(run.series.lrs) > 1 else options
        return NextStep(_why(condition, text), next_command(about, method, directory, own))

    match standing(run):
        case "diverged":
            text = "Train with a rate that is stable at first"
            return retrain("smaller-rate", text, lr=_rounded(_stable_at_first(run)))
        case "edge" | "above":
            text = "Compare with half the rate, which tolerates a loss that is twice as sharp"
            return retrain("half-the-rate", text, lr=_rounded(run.lr / 2))
        case "far" if run.is_full and (ratio := run.ratio(run.late)):
            text = "Train with a rate about half as large as is stable"
            return retrain("larger-rate", text, lr=_rounded(_safe(run, ratio)))
    if is_stuck(run):
        text = "Let the rate fall, so that the noise does"
        return retrain("falling-rate", text, schedule="cosine")
    return _sweep(run, directory)


def after_group(runs: Sequence[ProbedRun], directory: Path | None) -> NextStep:
    """A sweep, whose rates reach up to what is stable, where the largest batch has room."""
    largest = max(runs, key=lambda run: run.batch_size)
    return _sweep(largest, directory)


def _safe(run: ProbedRun, ratio: Band) -> float:
    """A rate at half of what is stable; no more than some times as large as the one that was."""
    return run.lr * min(MOST_TIMES, SAFE / ratio.high)


def _stable_at_first(run: ProbedRun) -> float:
    """A rate at half of the limit before training; less for small batches, by their noise.

    These are best at 1 / (1 + noise scale / B) of the best rate of full batches (McCandlish et al.
    2018, eq. 2.6).
    """
    ratio, scale = run.ratio([0]), run.at(SIMPLE_SCALE, 0)
    if ratio is None or ratio.high <= 0:
        return run.lr / UNKNOWN
    noise = 0.0 if run.is_full or scale is None else scale.high / run.batch_size
    return min(run.lr / 2, run.lr * SAFE / ratio.high / (1 + noise))


def _sweep(run: ProbedRun, directory: Path | None) -> NextStep:
    """A sweep around a run, which is not probed: that may take far longer than its trainings."""
    about, ratio = run.result.description, run.ratio(run.late)
    unprobed: dict[str, Value] = {"probes": "none"}
    if standing(run) == "far" and run.is_full and ratio:
        low, top = run.lr / BELOW, _safe(run, ratio)
        rates = [_rounded(low * (top / low) ** (k / (RATES - 1))) for k in range(RATES)]
        text = (
            "Each batch size has a best rate of its own: sweep both, from smaller rates for small "
            f"batches up to {two_digits(top)}, half of what full batches tolerate"
        )
        options: dict[str, Value] = {"lr": list(dict.fromkeys(rates)), **unprobed}
        return NextStep(
            _why("sweep-upwards", text), next_command(about, "sweep", directory, options)
        )
    text = "Each batch size has a best rate of its own: sweep both"
    return NextStep(_why("sweep", text), next_command(about, "sweep", directory, unprobed))


def probing_command(command: str, directory: Path | None, about_run: ProbedRun) -> str:
    """What trains the same with probes."""
    return next_command(about_run.result.description, command, directory, {"probes": "all"})


def _why(condition: str, text: str) -> Sentence:
    return Sentence("next", condition, f"{text}:")


def _rounded(lr: float) -> float:
    return float(f"{lr:.2g}")
