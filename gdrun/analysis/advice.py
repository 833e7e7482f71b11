"""The answer of a sweep in plain words: what to train with and why."""

import math
import shlex
from collections.abc import Iterable
from pathlib import Path

from gdrun.analysis.payoff import payoff
from gdrun.analysis.recommend import recommended, whole_time
from gdrun.analysis.sweep_result import Cell, SweepResult
from gdrun.results.compare import TARGET_FACTOR
from gdrun.results.file_names import CONFIG
from gdrun.results.run import or_inf
from gdrun.text import batches, count, duration, exact, number, percent

FAR = 2  # times the median loss: a seed that ends above it has gone astray


def advice(answer: SweepResult) -> str:
    """One paragraph: the fastest in updates, samples and time, and how far larger batches pay."""
    best = answer.best
    if best is None and answer.is_lost:
        return "The loss is infinite before training: scale the data, or set data.standardize."
    if best is None:
        return "Every training diverged: all learning rates are too large."
    if answer.target is None:
        return (
            "No pair came more than 10 % below the untrained loss: train for more epochs, or with "
            "larger learning rates."
        )
    if answer.is_partial:
        return f"{_shortfall(answer)}: what the tables show so far recommends nothing yet."
    own = math.isclose(answer.target, TARGET_FACTOR * best.train_loss, rel_tol=1e-6)
    why = f", {TARGET_FACTOR:g} times the lowest ({best.pair})" if own else ""
    reached = sum(math.isfinite(cell.to_target("updates")) for cell in answer.cells)
    sentences = [
        f"The target, a train loss of {number(answer.target)}{why}, was reached by {reached} of "
        f"{count(len(answer.cells), 'pair')} of batch size and learning rate."
    ]
    sentences += _fastest(answer)
    sentences += payoff(answer)
    sentences += _recommendation(answer)
    return " ".join(sentences)


def command(answer: SweepResult, directory: Path) -> str | None:
    """The command line that trains the recommended pair."""
    cell = recommended(answer)
    if cell is None:
        return None
    config = shlex.quote(str(directory / cell.run / CONFIG))
    return f"gdrun {cell.method} --config {config} --lr {exact(cell.lr)} --seeds 1"


def _shortfall(answer: SweepResult) -> str:
    """What keeps pairs from being compared."""
    trials = [trial for cell in answer.cells for trial in cell.trials]
    if any(trial.status in ("interrupted", "running") for trial in trials):
        return "Trainings were interrupted"
    failed = {trial.batch_size for trial in trials if trial.status == "failed"}
    sizes = sorted({*answer.missing, *failed})
    were = "was" if len(sizes) == 1 else "were"
    return f"{batches(sizes).capitalize()} {were} not trained to the end"


def _fastest(answer: SweepResult) -> Iterable[str]:
    updates, samples = answer.fastest("updates"), answer.fastest("samples")
    time = answer.fastest("seconds")
    found = []
    if updates:
        found.append(f"Fewest updates: {updates.to_target('updates'):,.0f} ({updates.pair})")
    if samples:
        found.append(f"fewest samples: {samples.to_target('samples'):,.0f} ({samples.pair})")
    if time:
        least = duration(answer.seconds_alone(time))
        found.append(f"least time: {least} for one training alone ({time.pair})")
    if found:
        yield "; ".join(found) + "."


def _recommendation(answer: SweepResult) -> Iterable[str]:
    cell, best = recommended(answer), answer.best_validated
    if cell is None:
        return
    if best is None:
        ends = f"final train loss of {number(cell.train_loss)}"
        if math.isinf(cell.to_target("updates")):
            yield f"The lowest {ends} is that of {cell.pair}:"
        else:
            yield (
                f"So train with {cell.pair}, which comes to it first, and ends with a {ends}"
                f"{_doubt(cell)}:"
            )
        return
    fast = answer.fastest("seconds") or answer.fastest("updates")
    if fast and fast != cell and fast.val_loss > 1.02 * best.val_loss:
        excess = "diverges there"
        if math.isfinite(fast.val_loss):
            excess = f"is {number(fast.val_loss)} there, not {number(best.val_loss)}"
            if best.val_loss:
                more = percent(fast.val_loss / best.val_loss - 1)
                excess = f"is {number(fast.val_loss)} there, {more} above the lowest"
        yield f"But low train loss isn't what counts: the validation loss {excess}."
    if cell == best:
        yield (
            f"Train with {cell.pair}, which has the lowest validation loss, "
            f"{number(best.val_loss)}{_doubt(cell, validated=True)}:"
        )
        return
    sooner = "in fewer updates"
    if cell.batch_size in answer.pace and best.batch_size in answer.pace:
        own, other = (duration(whole_time(answer, each)) for each in (cell, best))
        sooner = f"in {own} instead of {other}"
    yield (
        f"The lowest, {number(best.val_loss)}, is that of {best.pair}; the seeds can't tell "
        f"it from {number(cell.val_loss)} of {cell.pair}, which trains for as many epochs "
        f"{sooner}. So train with that{_doubt(cell, validated=True)}:"
    )


def _doubt(cell: Cell, *, validated: bool = False) -> str:
    """That with some of the seeds a pair doesn't do what its median does, if that is so."""
    if validated:
        losses = [or_inf(trial.val_loss) for trial in cell.trials]
        astray = [loss for loss in losses if loss > FAR * cell.val_loss]
        fails = f"ends with more than {FAR} times that"
    else:
        astray = [or_inf(t.train_loss) for t in cell.trials if t.updates_to_target is None]
        fails = "never comes there"
    if not astray:
        return ""
    worst = max(astray)
    end = f"up to {number(worst)}"
    if math.isinf(worst):
        end = "or diverges"
    elif not validated:
        end = f"and ends with {end}"
    return f"; with {len(astray)} of {count(len(cell.trials), 'seed')} it {fails}, {end}"
