"""The answer of a sweep in plain words: what to train with and why, and what to mind.

A pair of batch size and learning rate is recommended by what was asked of it. Where rows are held
out, that is the lowest validation loss: of the pairs that the seeds can't tell from the best one,
by a sign test, the one that trains in the least time. Otherwise it is the least time to the target.
"""

import math
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gdrun.answer import FEWEST_SEEDS, Answer, Cell
from gdrun.labels import count, number, seconds
from gdrun.results import TARGET_FACTOR, or_inf
from gdrun.rundir import CONFIG

if TYPE_CHECKING:
    from gdrun.criticalbatch import CriticalBatch

WIDEN_BY = 3  # learning rates beyond the edge
LEAST_RATIO = 1.2  # of two of them, that three digits tell apart
FEW_EPOCHS = 2  # to the target, which whole epochs then measure coarsely
USED_ROWS = 0.9  # of all, in an epoch that drops its incomplete last batch
SIGNIFICANCE = 0.05
TELLING_SEEDS = 5  # of fewer, even all together are no evidence by a sign test
NAMED = 6  # batch sizes that a sentence lists


def recommended(answer: Answer) -> Cell | None:
    """The pair to train with; None where nothing speaks for any."""
    if answer.target is None or _is_partial(answer):  # then other settings, or more, are to come
        return None
    best = answer.best_validated
    if best is None:
        return answer.fastest("seconds") or answer.fastest("updates") or answer.best
    alike = [cell for cell in answer.cells if cell == best or _is_alike(cell, best)]
    return min(alike, key=lambda cell: (_whole_time(answer, cell), cell.val_loss))


def _is_alike(cell: Cell, best: Cell) -> bool:
    """Whether the seeds can't tell a pair's validation loss from the lowest.

    Its median must lie within the spread of the best pair's seeds, up to their 80th percentile. And
    a sign test, one-sided at 5 %, over the seeds that both pairs share, from which both start, must
    not tell it from the best: its loss may be the higher one with not too many of them.
    """
    losses = sorted(or_inf(trial.val_loss) for trial in best.trials)
    spread = losses[math.ceil(0.8 * len(losses)) - 1]
    if math.isinf(spread) or cell.val_loss > spread:
        return False
    own = {trial.seed: or_inf(trial.val_loss) for trial in cell.trials}
    other = {trial.seed: or_inf(trial.val_loss) for trial in best.trials}
    pairs = [(own[seed], other[seed]) for seed in own.keys() & other.keys()]
    worse = sum(a > b for a, b in pairs)
    differing = sum(a != b for a, b in pairs)
    if len(pairs) < TELLING_SEEDS:
        return False
    chance = sum(math.comb(differing, k) for k in range(worse, differing + 1)) / 2**differing
    return bool(chance > SIGNIFICANCE)


def advice(answer: Answer) -> str:
    """One paragraph: the fastest in updates, samples and time, and how far larger batches pay."""
    best = answer.best
    if best is None and _is_lost(answer):
        return "The loss is infinite before training: scale the data, or set data.standardize."
    if best is None:
        return "Every training diverged: all learning rates are too large."
    if answer.target is None:
        return (
            "No pair came more than 10 % below the untrained loss: train for more epochs, or with "
            "larger learning rates."
        )
    if _is_partial(answer):
        return "Trainings were interrupted: what the tables show so far recommends nothing yet."
    own = math.isclose(answer.target, TARGET_FACTOR * best.train_loss, rel_tol=1e-6)
    why = f", {TARGET_FACTOR:g} times the lowest ({_pair(best)})" if own else ""
    reached = sum(math.isfinite(cell.to_target("updates")) for cell in answer.cells)
    sentences = [
        f"The target, a train loss of {number(answer.target)}{why}, was reached by {reached} of "
        f"{count(len(answer.cells), 'pair')} of batch size and learning rate."
    ]
    sentences += _fastest(answer)
    sentences += _critical(answer)
    sentences += _recommendation(answer)
    return " ".join(sentences)


def command(answer: Answer, directory: Path) -> str | None:
    """The command line that trains the recommended pair."""
    cell = recommended(answer)
    if cell is None:
        return None
    config = shlex.quote(str(directory / cell.run / CONFIG))
    return f"gdrun {cell.method} --config {config} --lr {_exact(cell.lr)} --seeds 1"


def cautions(answer: Answer, directory: Path) -> Iterable[str]:
    """What one has to mind: too small a grid, too few seeds, seconds that can't be compared.

    A command that helps stands on a line of its own.
    """
    if _is_partial(answer):
        return
    yield from _edges(answer, directory)
    missed = [
        cell.batch_size
        for cell in answer.best_of_batch
        if answer.target is not None
        and math.isinf(cell.to_target("updates"))
        and math.isfinite(cell.train_loss)
    ]
    if missed:
        epochs = 2 * max(trial.epochs for cell in answer.cells for trial in cell.trials)
        run = shlex.quote(str(directory))
        # The same target: that which is worked out moves with the best loss.
        same = f"--epochs {max(1, epochs)} --target {answer.target:.6g}"
        resume = f"gdrun sweep --resume {run} {same}"
        yield f"not reached by {_batches(missed)} at any learning rate; more epochs:\n  {resume}"
    for cell in answer.best_of_batch:
        used = max(
            (t.samples / max(1, t.epochs) for t in cell.trials if t.status == "done"), default=None
        )
        if used is not None and used < USED_ROWS * answer.rows:
            share = _percent(1 - used / answer.rows)
            yield (
                f"{_batches([cell.batch_size])} left {share} of the rows out of every epoch: "
                "--set drop_last=false uses them"
            )
    hasty = _hasty(answer)
    if hasty:
        yield (
            f"{_batches(hasty)} came to the target within {FEW_EPOCHS} epochs, and whole epochs "
            "are what is counted: a lower --target tells more"
        )
    if answer.has_validation:
        yield (
            f"the validation loss is that of {count(answer.description.val_rows, 'row')} of one "
            f"split, and the lowest that of {count(len(answer.cells), 'pair')}: on other rows "
            "expect somewhat more, and see data.seed"
        )
    if answer.seeds < FEWEST_SEEDS:
        yield (
            f"{count(answer.seeds, 'seed')}: too few for bands and intervals, and differences may "
            "be chance; --seeds 8 tells more"
        )
    if answer.jobs > 1:
        yield (
            f"{answer.jobs} runs were trained at a time: the seconds in the logs are not "
            "comparable; those above are of one training alone, timed beforehand"
        )


def _fastest(answer: Answer) -> Iterable[str]:
    updates, samples = answer.fastest("updates"), answer.fastest("samples")
    time = answer.fastest("seconds")
    found = []
    if updates:
        found.append(f"Fewest updates: {updates.to_target('updates'):,.0f} ({_pair(updates)})")
    if samples:
        found.append(f"fewest samples: {samples.to_target('samples'):,.0f} ({_pair(samples)})")
    if time:
        least = seconds(answer.seconds_alone(time))
        found.append(f"least time: {least} for one training alone ({_pair(time)})")
    if found:
        yield "; ".join(found) + "."


def _critical(answer: Answer) -> Iterable[str]:
    """The batch size beyond which more is wasted."""
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
        yield (
            f"Up to {largest:,} rows{', all there are' * whole}, larger batches saved updates in "
            f"proportion{'' if whole else ', and larger ones may pay still'}."
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
        f"The critical batch size is about {rounded(fit.batch_crit)}{interval}{guess}: by the fit, "
        f"no batch takes fewer than {fit.updates_min:,.0f} updates or {fit.samples_min:,.0f} "
        "samples, and there it takes twice both; beyond it, more rows an update are mostly wasted."
    )


def _recommendation(answer: Answer) -> Iterable[str]:
    cell, best = recommended(answer), answer.best_validated
    if cell is None:
        return
    if best is None:
        ends = f"final train loss of {number(cell.train_loss)}"
        if math.isinf(cell.to_target("updates")):
            yield f"The lowest {ends} is that of {_pair(cell)}:"
        else:
            yield f"So train with {_pair(cell)}, which comes to it first, and ends with a {ends}:"
        return
    fast = answer.fastest("seconds") or answer.fastest("updates")
    if fast and fast != cell and fast.val_loss > 1.02 * best.val_loss:
        excess = "diverges there"
        if math.isfinite(fast.val_loss):
            excess = f"is {number(fast.val_loss)} there, not {number(best.val_loss)}"
            if best.val_loss:
                more = _percent(fast.val_loss / best.val_loss - 1)
                excess = f"is {number(fast.val_loss)} there, {more} above the lowest"
        yield f"But low train loss isn't what counts: the validation loss {excess}."
    if cell == best:
        yield (
            f"Train with {_pair(cell)}, which has the lowest validation loss, "
            f"{number(best.val_loss)}:"
        )
        return
    sooner = "in fewer updates"
    if cell.batch_size in answer.pace and best.batch_size in answer.pace:
        own, other = (seconds(_whole_time(answer, each)) for each in (cell, best))
        sooner = f"in {own} instead of {other}"
    yield (
        f"The lowest, {number(best.val_loss)}, is that of {_pair(best)}; the seeds can't tell "
        f"it from {number(cell.val_loss)} of {_pair(cell)}, which trains for as many epochs "
        f"{sooner}. So train with that:"
    )


def sound_fit(answer: Answer) -> "CriticalBatch | None":
    """The fit of updates against batch size, unless whole epochs measure them too coarsely."""
    fit = answer.critical
    if fit is None:
        return None
    from gdrun.criticalbatch import FEWEST_BATCHES  # numpy, which has been loaded to fit

    return fit if len(set(fit.batches) - set(_hasty(answer))) >= FEWEST_BATCHES else None


def _hasty(answer: Answer) -> list[int]:
    """Batch sizes that come to the target so soon that whole epochs measure it coarsely."""
    return [
        cell.batch_size
        for cell in answer.best_of_batch
        if 0 < cell.to_target("samples") <= FEW_EPOCHS * answer.rows
        and cell.batch_size < answer.rows
    ]


def _edges(answer: Answer, directory: Path) -> Iterable[str]:
    """Whether better learning rates may lie beyond the grid, and the command that tries them."""
    lrs = answer.lrs
    if _is_lost(answer):
        return
    if len(lrs) < 2:
        yield "one learning rate alone was tried: each batch size has its own best; try several"
        return
    config = shlex.quote(str(directory / CONFIG))
    if answer.best is None:
        lower = _beyond(lrs[1], lrs[0])
        tried = ",".join(map(_exact, reversed(lower)))
        yield f"try smaller learning rates:\n  gdrun sweep --config {config} --lr {tried}"
        return
    alive = [cell for cell in answer.best_of_batch if math.isfinite(cell.train_loss)]
    dead = [cell.batch_size for cell in answer.best_of_batch if cell not in alive]
    at_low = [cell.batch_size for cell in alive if cell.lr == lrs[0]]
    at_high = [cell.batch_size for cell in alive if cell.lr == lrs[-1]]
    if not (dead or at_low or at_high):
        return
    lower = _beyond(lrs[1], lrs[0]) if at_low or dead else []
    higher = _beyond(lrs[-2], lrs[-1]) if at_high else []
    which = " and ".join(
        f"{what} for {_batches(sizes)}"
        for what, sizes in (
            ("even the lowest tried diverges", dead),
            ("the lowest tried is best", at_low),
            ("the highest tried is best", at_high),
        )
        if sizes
    )
    wider = ",".join(map(_exact, [*reversed(lower), *lrs, *higher]))
    yield f"learning rate: {which}; widen the grid:\n  gdrun sweep --config {config} --lr {wider}"


def _beyond(inner: float, edge: float) -> list[float]:
    """The next learning rates beyond the edge, at the ratio of the last two or a larger one."""
    step = math.log(edge) - math.log(inner)
    step = math.copysign(max(abs(step), math.log(LEAST_RATIO)), step)
    logs = [math.log(edge) + k * step for k in range(1, WIDEN_BY + 1)]
    found = [float(f"{math.exp(log):.3g}") for log in logs if log < math.log(sys.float_info.max)]
    return [lr for lr in found if 0 < lr < math.inf]


def _is_partial(answer: Answer) -> bool:
    """Whether trainings were interrupted, and pairs can't be compared."""
    return any(t.status in ("interrupted", "running") for c in answer.cells for t in c.trials)


def _is_lost(answer: Answer) -> bool:
    """Whether no training could begin, for the untrained loss is no number."""
    trials = [trial for cell in answer.cells for trial in cell.trials]
    return all(trial.status == "diverged" and not trial.updates for trial in trials)


def _exact(lr: float) -> str:
    """A learning rate as a command line has to have it."""
    short = f"{lr:g}"
    return short if float(short) == lr else repr(lr)


def _whole_time(answer: Answer, cell: Cell) -> float:
    """Seconds of the whole training alone or, where nothing was timed, its updates."""
    return cell.spent * answer.pace.get(cell.batch_size, 1.0)


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _pair(cell: Cell) -> str:
    return f"batch {cell.batch_size:,}, lr {cell.lr:g}"


def rounded(size: float) -> str:
    """A fitted batch size with the two digits that it deserves."""
    return "∞" if math.isinf(size) else f"{float(f'{size:.2g}'):,g}"


def _batches(sizes: Sequence[int]) -> str:
    """Batch sizes in a sentence."""
    listed = [f"{size:,}" for size in sizes[:NAMED]]
    if len(sizes) > NAMED:
        listed[-1] = f"{len(sizes) - NAMED + 1} more"
    together = " and ".join([*([", ".join(listed[:-1])] if listed[1:] else []), listed[-1]])
    return f"batch{'es' if len(sizes) > 1 else ''} {together}"
