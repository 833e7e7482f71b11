"""What limits the result of a sweep: a grid too small, too few seeds, a target reached too soon."""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gdrun.analysis.next_command import next_command
from gdrun.analysis.recommend import MIN_TEST_SEEDS, recommended
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell
from gdrun.results.lanes import MIN_BAND_SEEDS
from gdrun.text import batches, count, listed, percent

ADDED_RATES = 3  # learning rates that a wider grid has beyond the edge
MIN_RATIO = 1.2  # of two of these, so that three digits tell them apart
MIN_ROWS_USED = 0.9  # share of the rows in an epoch that drops its incomplete last batch


def cautions(sweep: SweepResult, directory: Path) -> Iterable[str]:
    """Notes on what the result doesn't show; a command that helps is on a second line."""
    if sweep.is_partial:
        return
    for part in sweep.parts:
        yield from _grid_too_narrow(part, directory)
    yield from _target_not_reached(sweep, directory)
    yield from _rows_dropped(sweep)
    if sweep.coarsely_measured:
        yield (
            f"{batches(sweep.coarsely_measured)} reached the target between two evaluations of the "
            "train loss that are far apart: --set eval_growth=0.05 evaluates it within epochs, "
            "and a lower --target is reached later"
        )
    yield from _too_few_data(sweep)
    if sweep.jobs > 1:
        yield (
            f"{sweep.jobs} runs were trained at a time: the seconds in the logs are not "
            "comparable; the times above are of one training alone, measured beforehand"
        )


def _grid_too_narrow(sweep: SweepResult, directory: Path) -> Iterable[str]:
    """Whether better learning rates may lie beyond the grid, and the command that tries them."""
    lrs = sweep.lrs
    if sweep.is_lost:
        return
    of = f"{sweep.optimizer}: " if sweep.optimizer else ""
    if len(lrs) < 2:
        yield (
            f"{of}only one learning rate was tried, but each batch size has its own best: try "
            "several"
        )
        return
    # One of several optimizers is tried again without the others.
    place = directory / sweep.cells[0].run if sweep.optimizer else directory
    sizes = {"batch_size": sweep.batch_sizes} if sweep.optimizer else {}

    def widen(rates: Sequence[float]) -> str:
        return next_command(sweep.description, "sweep", place, {"lr": rates, **sizes})

    lower, higher = _beyond(lrs[1], lrs[0])[::-1], _beyond(lrs[-2], lrs[-1])
    if sweep.best is None:
        yield f"{of}try smaller learning rates:\n  {widen(lower)}"
        return
    diverged = [cell.batch_size for cell in sweep.best_of_batch if math.isinf(cell.train_loss)]
    remarks = [f"even the lowest tried diverges for {batches(diverged)}"] if diverged else []
    at_lowest = _best_at(lrs[0], "lowest", sweep)
    at_highest = _best_at(lrs[-1], "highest", sweep)
    remarks += [*at_lowest, *at_highest]
    if not remarks:
        return
    wider = [*(lower if diverged or at_lowest else []), *lrs, *(higher if at_highest else [])]
    yield f"{of}learning rate: {'; '.join(remarks)}; widen the grid:\n  {widen(wider)}"


def _best_at(edge: float, name: str, sweep: SweepResult) -> list[str]:
    """For which batch sizes the best learning rate is at an edge of the grid."""
    sizes = [
        cell.batch_size
        for cell in sweep.best_of_batch
        if cell.lr == edge and math.isfinite(cell.train_loss)
    ]
    found = [f"the {name} tried is best for {batches(sizes)}"] if sizes else []
    # These are chosen by validation loss, perhaps at other rates than reach the target first.
    chosen: Mapping[Cell | None, str] = {
        sweep.best_validated: "of the lowest validation loss",
        recommended(sweep): "of the recommended pair",
    }
    for cell, role in chosen.items():
        if cell and cell.lr == edge and cell.batch_size not in sizes:
            found.append(f"the {name} tried is that {role}, batch {cell.batch_size:,}")
            sizes.append(cell.batch_size)
    return found


def _beyond(inner: float, edge: float) -> list[float]:
    """The next learning rates beyond an edge, at the ratio of the last two or a larger one."""
    step = math.log(edge) - math.log(inner)
    step = math.copysign(max(abs(step), math.log(MIN_RATIO)), step)
    logs = [math.log(edge) + k * step for k in range(1, ADDED_RATES + 1)]
    found = [float(f"{math.exp(log):.3g}") for log in logs if log < math.log(sys.float_info.max)]
    return [lr for lr in found if 0 < lr < math.inf]


def _target_not_reached(sweep: SweepResult, directory: Path) -> Iterable[str]:
    """Which batch sizes were trained too little, and the command that trains them for longer."""
    if sweep.target is None:
        return
    short = [
        f"{batches(sizes)}{f' of {part.optimizer}' if part.optimizer else ''}"
        for part in sweep.parts
        if (sizes := [cell.batch_size for cell in part.best_of_batch if cell.falls_short])
    ]
    if short:
        epochs = max(1, 2 * max(trial.epochs for cell in sweep.cells for trial in cell.trials))
        # With the same target: a derived one moves with the lowest loss.
        options = {"epochs": epochs, "target": float(f"{sweep.target:.6g}")}
        more = next_command(sweep.description, "sweep", directory, options, resume=True)
        seeds = " with at least half of the seeds" if sweep.seeds > 1 else ""
        yield (
            f"{listed(short)} did not reach the target at any learning rate{seeds}; train for more "
            f"epochs:\n  {more}"
        )


def _rows_dropped(sweep: SweepResult) -> Iterable[str]:
    """Which batch sizes leave out many rows, in the last batch that is incomplete."""
    for cell in sweep.parts[0].best_of_batch:
        done = [trial for trial in cell.trials if trial.status == "done"]
        rows_used = max((t.samples / max(1, t.epochs) for t in done), default=math.inf)
        if rows_used < MIN_ROWS_USED * sweep.rows:
            share = percent(1 - rows_used / sweep.rows)
            yield (
                f"{batches([cell.batch_size])} left {share} of the rows out of every epoch: "
                "drop_last: false uses them"
            )


def _too_few_data(sweep: SweepResult) -> Iterable[str]:
    """What can't be concluded from so few validation rows or seeds."""
    if sweep.has_validation:
        yield (
            f"the validation loss is measured on {count(sweep.description.val_rows, 'row')} of one "
            f"split, and the lowest was chosen from {count(len(sweep.cells), 'pair')}: expect a "
            "somewhat higher loss on other rows; data.seed makes another split"
        )
    elif sweep.description.features and not sweep.theory:
        yield (
            "no rows were held out, so that nothing tells how well it predicts others: "
            "--val-fraction 0.2 holds a fifth of them out"
        )
    if sweep.seeds < MIN_BAND_SEEDS:
        yield (
            f"{count(sweep.seeds, 'seed')}: too few for bands and intervals, and differences may "
            "be chance; --seeds 8 tells more"
        )
    elif sweep.has_validation and sweep.seeds < MIN_TEST_SEEDS:
        yield (
            f"{sweep.seeds} seeds can't tell pairs apart, which takes {MIN_TEST_SEEDS}: the pair "
            "with the lowest median is recommended, though others may be as good and faster; "
            "--seeds 8 tells more"
        )
