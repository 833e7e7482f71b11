"""What to mind in the answer of a sweep: a grid too small, seeds too few, targets too high."""

import math
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

from gdrun.analysis.recommend import TELLING_SEEDS, recommended
from gdrun.analysis.sweep_result import FEW_EPOCHS, FEWEST_SEEDS, SweepResult, hasty
from gdrun.results.file_names import CONFIG
from gdrun.text import batches, count, exact, percent

WIDEN_BY = 3  # learning rates beyond the edge
LEAST_RATIO = 1.2  # of two of them, that three digits tell apart
USED_ROWS = 0.9  # of all, in an epoch that drops its incomplete last batch


def cautions(answer: SweepResult, directory: Path) -> Iterable[str]:
    """What one has to mind: too small a grid, too few seeds, seconds that can't be compared.

    A command that helps stands on a line of its own.
    """
    if answer.is_partial:
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
        yield f"not reached by {batches(missed)} at any learning rate; more epochs:\n  {resume}"
    for cell in answer.best_of_batch:
        used = max(
            (t.samples / max(1, t.epochs) for t in cell.trials if t.status == "done"), default=None
        )
        if used is not None and used < USED_ROWS * answer.rows:
            share = percent(1 - used / answer.rows)
            yield (
                f"{batches([cell.batch_size])} left {share} of the rows out of every epoch: "
                "--set drop_last=false uses them"
            )
    too_soon = hasty(answer)
    if too_soon:
        yield (
            f"{batches(too_soon)} came to the target within {FEW_EPOCHS} epochs, and whole epochs "
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
    if answer.has_validation and FEWEST_SEEDS <= answer.seeds < TELLING_SEEDS:
        yield (
            f"{answer.seeds} seeds can't tell pairs apart, which takes {TELLING_SEEDS}: the lowest "
            "median is recommended, though others may be as good and faster; --seeds 8 tells more"
        )
    if answer.jobs > 1:
        yield (
            f"{answer.jobs} runs were trained at a time: the seconds in the logs are not "
            "comparable; those above are of one training alone, timed beforehand"
        )


def _edges(answer: SweepResult, directory: Path) -> Iterable[str]:
    """Whether better learning rates may lie beyond the grid, and the command that tries them."""
    lrs = answer.lrs
    if answer.is_lost:
        return
    if len(lrs) < 2:
        yield "one learning rate alone was tried: each batch size has its own best; try several"
        return
    config = shlex.quote(str(directory / CONFIG))
    if answer.best is None:
        lower = _beyond(lrs[1], lrs[0])
        tried = ",".join(map(exact, reversed(lower)))
        yield f"try smaller learning rates:\n  gdrun sweep --config {config} --lr {tried}"
        return
    alive = [cell for cell in answer.best_of_batch if math.isfinite(cell.train_loss)]
    dead = [cell.batch_size for cell in answer.best_of_batch if cell not in alive]
    found = [f"even the lowest tried diverges for {batches(dead)}"] if dead else []
    wanted = {lrs[0]} if dead else set()  # the edges beyond which to try
    # Chosen for their validation loss, at other rates than those that come to the target first.
    chosen = {
        answer.best_validated: "of the lowest validation loss",
        recommended(answer): "of the recommended pair",
    }
    for name, edge in (("lowest", lrs[0]), ("highest", lrs[-1])):
        sizes = [cell.batch_size for cell in alive if cell.lr == edge]
        if sizes:
            found.append(f"the {name} tried is best for {batches(sizes)}")
        for cell, role in chosen.items():
            if cell and cell.lr == edge and cell.batch_size not in sizes:
                found.append(f"the {name} tried is that {role}, batch {cell.batch_size:,}")
                sizes.append(cell.batch_size)
        wanted |= {edge} if sizes else set()
    if not wanted:
        return
    lower = _beyond(lrs[1], lrs[0]) if lrs[0] in wanted else []
    higher = _beyond(lrs[-2], lrs[-1]) if lrs[-1] in wanted else []
    which = " and ".join(found)
    wider = ",".join(map(exact, [*reversed(lower), *lrs, *higher]))
    yield f"learning rate: {which}; widen the grid:\n  gdrun sweep --config {config} --lr {wider}"


def _beyond(inner: float, edge: float) -> list[float]:
    """The next learning rates beyond the edge, at the ratio of the last two or a larger one."""
    step = math.log(edge) - math.log(inner)
    step = math.copysign(max(abs(step), math.log(LEAST_RATIO)), step)
    logs = [math.log(edge) + k * step for k in range(1, WIDEN_BY + 1)]
    found = [float(f"{math.exp(log):.3g}") for log in logs if log < math.log(sys.float_info.max)]
    return [lr for lr in found if 0 < lr < math.inf]
