"""What to try next, as a command, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gdrun.analysis.advice import command as recommended_command
from gdrun.analysis.next_command import Value, next_command
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.why.band import Band, two_digits
from gdrun.analysis.why.noise import is_stuck, kind_of
from gdrun.analysis.why.probed import ProbedRun
from gdrun.analysis.why.sentence import Sentence
from gdrun.analysis.why.stability import standing
from gdrun.results.rows.probe_columns import SIMPLE_SCALE

SAFE = 0.5  # of the stability limit, which a rate is chosen to be at
RATES = 5  # of a sweep from the rate that was trained to the one that is safe


@dataclass(frozen=True)
class NextStep:
    """What to try next.

    Attributes:
        reason: why.
        command: what to type.
    """

    reason: Sentence
    command: str


def after_sweep(sweep: SweepResult, directory: Path) -> NextStep | None:
    """Training with the pair that the sweep recommends."""
    found = recommended_command(sweep, directory)
    if found is None:
        return None
    return NextStep(
        _why("train-recommended", "Train with the pair that the sweep recommends"), found
    )


def after_run(run: ProbedRun, directory: Path) -> NextStep:
    """What to change of one run."""
    about, method = run.result.description, run.series.method

    def retrain(condition: str, text: str, **options: Value) -> NextStep:
        own = {"lr": run.lr, **options} if len(run.series.lrs) > 1 else options
        return NextStep(_why(condition, text), next_command(about, method, directory, own))

    match standing(run):
        case "diverged" if (ratio := run.ratio([0])) and ratio.high > 0:
            lr = _rounded(min(run.lr / 2, run.lr * SAFE / ratio.high))
            return retrain("smaller-rate", "Train with a rate that is stable at first", lr=lr)
        case "diverged":
            return retrain("smaller-rate", "Train with a smaller rate", lr=_rounded(run.lr / 10))
        case "edge" | "above":
            text = "To see what the edge does, train once below it"
            return retrain("below-edge", text, lr=_rounded(run.lr / 2))
        case "far" if run.is_full and (ratio := run.ratio(run.late)):
            text = "Train with a rate about half as large as is stable"
            return retrain("larger-rate", text, lr=_rounded(run.lr * SAFE / ratio.high))
    if is_stuck(run):
        return retrain(
            "falling-rate", "Let the rate fall, so that the noise does", schedule="cosine"
        )
    kind, scale = kind_of(run, run.early), run.over(SIMPLE_SCALE, run.early)
    size = _power_of_two(scale, run.rows) if scale else run.batch_size
    if kind in ("clean", "noisy") and size != run.batch_size:
        other = "smaller" if kind == "clean" else "larger"
        options: dict[str, Value] = {"batch_size": size}
        text = f"Try a {other} batch, of the size of the early noise scale"
        found = next_command(about, "minibatch", directory, options)
        return NextStep(_why(f"{other}-batch", text), found)
    return _sweep(run, directory)


def after_group(runs: Sequence[ProbedRun], directory: Path) -> NextStep:
    """A sweep, whose rates reach up to what is stable, where the largest batch has room."""
    largest = max(runs, key=lambda run: run.batch_size)
    return _sweep(largest, directory)


def _sweep(run: ProbedRun, directory: Path) -> NextStep:
    about, ratio = run.result.description, run.ratio(run.late)
    if standing(run) == "far" and run.is_full and ratio:
        top = run.lr * SAFE / ratio.high
        rates = [_rounded(run.lr * (top / run.lr) ** (k / (RATES - 1))) for k in range(RATES)]
        rates = list(dict.fromkeys(rates))
        text = (
            "Each batch size has a best rate of its own: sweep both, with rates from the one of "
            f"these runs up to half of what full batches bear, {two_digits(top)}"
        )
        found = next_command(about, "sweep", directory, {"lr": rates})
        return NextStep(_why("sweep-upwards", text), found)
    text = "Each batch size has a best rate of its own: sweep both"
    return NextStep(_why("sweep", text), next_command(about, "sweep", directory, {}))


def probing_command(command: str, result_directory: Path, about_run: ProbedRun) -> str:
    """What trains the same with probes."""
    return next_command(about_run.result.description, command, result_directory, {"probes": "all"})


def _why(condition: str, text: str) -> Sentence:
    return Sentence("next", condition, f"{text}:")


def _rounded(lr: float) -> float:
    return float(f"{lr:.2g}")


def _power_of_two(scale: Band, rows: int) -> int:
    """The power of two nearest to a noise scale, of which an epoch has two batches at least."""
    most = max(1, rows // 2)
    size = 1
    while size * 2**0.5 < scale.middle and 2 * size <= most:
        size *= 2
    return size
