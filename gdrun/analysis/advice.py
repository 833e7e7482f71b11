"""The advice of a sweep in plain words: which pair to train with, and why."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from gdrun.analysis.larger_batches import larger_batches
from gdrun.analysis.next_command import Value, next_command
from gdrun.analysis.recommend import recommended, training_time
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell
from gdrun.results.compare import TARGET_FACTOR, target_near
from gdrun.results.run import INFINITE_AT_START, or_inf
from gdrun.text import accuracy, batches, count, duration, listed, number, percent

NOTABLE_EXCESS = 1.02  # times the lowest validation loss, from which on it is spoken of
SEVERAL_TIMES = 3  # from which on that isn't said in per cent
MANY = 12  # numbers in a sentence
OUTLIER_FACTOR = 2  # times its median loss: seeds that end above are counted as failing


def advice(sweep: SweepResult) -> str:
    """One paragraph: the fastest pairs, how far larger batches pay off, and what to train with."""
    best = sweep.best
    if best is None and sweep.is_lost:
        return f"{INFINITE_AT_START.capitalize()}."
    if best is None:
        return "Every training diverged: all learning rates are too large."
    if sweep.target is None:
        return (
            "No pair ended more than 10 % below the untrained loss: train for more epochs, or with "
            "larger learning rates."
        )
    if sweep.is_partial:
        return f"{_unfinished(sweep)}: the results so far are not enough for a recommendation."
    reached = sum(cell.reaches_target for cell in sweep.cells)
    sentences = [
        f"The target, {_target(sweep.target, best)}, was reached by {reached} of {_tried(sweep)}.",
        *_fastest(sweep),
        *_larger_batches(sweep),
        *_by_theory(sweep),
        *_by_accuracy(sweep),
        *(_by_validation(sweep) if sweep.best_validated else _by_target(sweep)),
    ]
    return " ".join(sentences)


def command(sweep: SweepResult, directory: Path | None) -> str | None:
    """What trains the recommended pair, as it is typed; a call in Python without a directory."""
    cell = recommended(sweep)
    if cell is None:
        return None
    options: dict[str, Value] = {"lr": cell.lr, "seeds": 1}
    if directory is None:  # no config of the run has these
        own = {"optimizer": cell.optimizer} if cell.optimizer.isidentifier() else {}
        size = {"batch_size": cell.batch_size} if cell.method == "minibatch" else {}
        options = {**own, **size, **options}
    place = directory and directory / cell.run
    return next_command(sweep.description, cell.method, place, options)


def _tried(sweep: SweepResult) -> str:
    """How many pairs were tried, or how many of each of several optimizers."""
    if len(sweep.parts) == 1:
        return f"{count(len(sweep.cells), 'pair')} of batch size and learning rate"
    return f"{len(sweep.cells):,} combinations of optimizer, batch size and learning rate"


def _larger_batches(sweep: SweepResult) -> Iterable[str]:
    """How far larger batches pay off, for each of several optimizers."""
    if len(sweep.parts) == 1:
        yield from larger_batches(sweep)
        return
    for part in sweep.parts:
        first, *_ = larger_batches(part)
        yield f"With {part.optimizer}, {first[:1].lower()}{first[1:]}"
    if any(part.sound_fit for part in sweep.parts):
        yield "Beyond the critical batch size larger batches are mostly wasted."


def _unfinished(sweep: SweepResult) -> str:
    """Which trainings are missing, so that pairs can't be compared."""
    trials = [trial for cell in sweep.cells for trial in cell.trials]
    if any(trial.status in ("interrupted", "running") for trial in trials):
        return "Trainings were interrupted"
    failed = {trial.batch_size for trial in trials if trial.status == "failed"}
    sizes = sorted({*sweep.missing, *failed})
    were = "was" if len(sizes) == 1 else "were"
    return f"{batches(sizes).capitalize()} {were} not trained to the end"


def _target(target: float, best: Cell) -> str:
    """The target and, unless it was given, how it was derived from the lowest train loss."""
    words = f"a train loss of {number(target)}"
    if math.isclose(target, target_near(best.train_loss), rel_tol=1e-6):
        times = f"{TARGET_FACTOR:g} times" if target >= 0 else "a tenth above"
        return f"{words} ({times} the lowest, that of {best.pair})"
    return words


def _fastest(sweep: SweepResult) -> Iterable[str]:
    """The pairs that reach the target with the least of each cost."""
    updates, samples = sweep.fastest("updates"), sweep.fastest("samples")
    time = sweep.fastest("seconds")
    found = []
    if updates:
        least = f"{updates.to_target('updates'):,.0f} ({updates.pair}{_tied(sweep, 'updates')})"
        found.append(f"Fewest updates: {least}")
    if samples:
        least = f"{samples.to_target('samples'):,.0f} ({samples.pair}{_tied(sweep, 'samples')})"
        found.append(f"fewest samples: {least}")
    if time:
        seconds = duration(sweep.seconds_alone(time))
        found.append(f"least time: {seconds} for one training alone ({time.pair})")
    if found:
        yield "; ".join(found) + "."


def _tied(sweep: SweepResult, cost: Literal["updates", "samples"]) -> str:
    """Which other batch sizes may need as few, as far as the evaluations of the loss tell."""
    ties = [cell.pair for cell in sweep.ties(cost)]
    return f"; perhaps as few: {listed(ties)}" if ties else ""


def _by_theory(sweep: SweepResult) -> Iterable[str]:
    """How what was found compares with what is known, where theory is exact."""
    theory = sweep.theory
    cells = [cell for cell in sweep.best_of_batch if cell.batch_size < sweep.rows]
    if theory is None or not cells:
        return
    best = [theory.best_rate(cell.batch_size) for cell in cells]
    nearest = [min(sweep.lrs, key=lambda lr: abs(math.log(lr / rate))) for rate in best]
    agree = sum(cell.lr == lr for cell, lr in zip(cells, nearest, strict=True))
    rates = listed([f"{c.lr:.3g} ({lr:.3g})" for c, lr in zip(cells, best, strict=True)], MANY)
    yield (
        f"Theory is exact here (d = {theory.rows} orthogonal rows, B of them drawn at random): the "
        f"best learning rate is {theory.formula}. The best of those tried, theory in brackets: "
        f"{rates}; they are the nearest to it for {agree} of {count(len(cells), 'batch size')}."
    )
    if not sweep.untrained or not sweep.target or sweep.target >= sweep.untrained:
        return
    share = sweep.target / sweep.untrained
    updates = [
        f"{cell.to_target('updates'):,.0f} ({theory.updates(cell.batch_size, share):,.3g})"
        for cell in cells
        if cell.reaches_target
    ]
    if updates:
        yield f"Updates to the target, likewise: {listed(updates, MANY)}."
    yield (
        "They fall as 1/ln(1 + B/(d − 1)), and none is the fewest: for small batches as with a "
        f"critical batch size of 2(d − 1) = {theory.critical_batch:,.0f}."
    )


def _by_accuracy(sweep: SweepResult) -> Iterable[str]:
    """The second opinion where classes are learned: the accuracy of what is recommended."""
    cell, best = recommended(sweep), sweep.most_accurate
    if cell is None or best is None or best.accuracy is None:
        return
    kind = "validation" if sweep.has_validation else "train"
    if cell == best or cell.accuracy == best.accuracy:
        yield f"The highest {kind} accuracy, {_accuracy(cell)}, is that of {cell.pair}."
        return
    yield (
        f"The {kind} accuracy of {cell.pair} is {_accuracy(cell)}; the highest, {_accuracy(best)}, "
        f"is that of {best.pair}."
    )


def _accuracy(cell: Cell) -> str:
    return accuracy(cell.accuracy, missing="not known")


def _by_target(sweep: SweepResult) -> Iterable[str]:
    """The recommendation without validation rows: the pair that reaches the target first."""
    cell = recommended(sweep)
    if cell is None:
        return
    loss = number(cell.train_loss)
    if not cell.reaches_target:
        yield f"The pair with the lowest final train loss, {loss}, is {cell.pair}:"
        return
    missed = [or_inf(trial.train_loss) for trial in cell.trials if trial.updates_to_target is None]
    failing = _failing(cell, missed, "never reaches the target", " and ends with")
    fast = sweep.fastest("seconds") or sweep.fastest("updates")
    if fast and fast != cell:
        yield f"But {fast.pair} ends at {number(fast.train_loss)}, above the target."
        first = "which reaches it first of those that end below it, and ends"
    else:
        first = "which reaches the target first and ends"
    yield f"So train with {cell.pair}, {first} with a train loss of {loss}{failing}:"


def _by_validation(sweep: SweepResult) -> Iterable[str]:
    """The recommendation with validation rows: the lowest loss, or the fastest as good as that."""
    cell, best = recommended(sweep), sweep.best_validated
    if cell is None or best is None:
        return
    fast = sweep.fastest("seconds") or sweep.fastest("updates")
    notable = best.val_loss + (NOTABLE_EXCESS - 1) * abs(best.val_loss)
    if fast and fast != cell and fast.val_loss > notable:
        yield (
            "But a low train loss is not the goal: the validation loss of "
            f"{fast.pair} {_compared(fast.val_loss, best.val_loss)}."
        )
    losses = [or_inf(trial.val_loss) for trial in cell.trials]
    outliers = [loss for loss in losses if loss > OUTLIER_FACTOR * cell.val_loss > 0]
    failing = _failing(cell, outliers, f"ends with more than {OUTLIER_FACTOR} times that", ",")
    lowest = number(best.val_loss)
    if cell == best:
        yield f"Train with {cell.pair}, which has the lowest validation loss, {lowest}{failing}:"
        return
    saving = "in fewer updates"
    if cell.batch_size in sweep.pace and best.batch_size in sweep.pace:
        own, other = (duration(training_time(sweep, each)) for each in (cell, best))
        saving = f"in {own} instead of {other}"
    yield (
        f"The lowest validation loss, {lowest}, is that of {best.pair}, but the seeds can't tell "
        f"it apart from the {number(cell.val_loss)} of {cell.pair}, which trains the same number "
        f"of epochs {saving}."
    )
    yield f"So train with {cell.pair}{failing}:"


def _compared(loss: float, lowest: float) -> str:
    """How a validation loss compares with the lowest one."""
    if math.isinf(loss):
        return "is not finite"
    if lowest <= 0:
        return f"is {number(loss)}, not {number(lowest)}"
    if loss >= SEVERAL_TIMES * lowest:
        return f"is {number(loss)}, {number(loss / lowest)} times the lowest"
    return f"is {number(loss)}, {percent(loss / lowest - 1)} above the lowest"


def _failing(cell: Cell, losses: list[float], failure: str, and_ends_with: str) -> str:
    """With how many seeds a pair fails to do what its median does, ending with these losses.

    Empty if it never fails.
    """
    if not losses:
        return ""
    worst = max(losses)
    end = ", or diverges" if math.isinf(worst) else f"{and_ends_with} up to {number(worst)}"
    return f"; with {len(losses)} of {count(len(cell.trials), 'seed')} it {failure}{end}"
