"""The results of runs → the result of a sweep, and its table.

A training has reached the target once its train loss, evaluated at the ends of epochs and within
them, is at or below it. One that diverges afterwards has not reached it. Plain Python, without
torch.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.theory import OrthogonalRows, theory_of
from gdrun.analysis.trials import Cell, Trial
from gdrun.config.methods import swept_optimizers
from gdrun.config.schema import RunConfig
from gdrun.results.compare import reach, target_of
from gdrun.results.lanes import lanes_by_rate
from gdrun.results.run import Reached, RunResult, finite

if TYPE_CHECKING:
    from gdrun.analysis.critical_batch import CriticalBatch


def analyze_sweep(
    config: RunConfig,
    results: Sequence[RunResult],
    pace: Mapping[int, float] | None,
    jobs: int,
    planned: Sequence[int],
) -> SweepResult | None:
    """The result of a sweep by its config; None if none of its runs has one.

    Args:
        config: of the sweep, which has the target and the optimizers.
        results: as of `analyze`.
        pace: as of `analyze`.
        jobs: as of `analyze`.
        planned: as of `analyze`.

    Raises:
        DataError, OutputError: as `analyze`.
    """
    optimizers = [own.rule for own in swept_optimizers(config)]
    target, theory = config.sweep.target, theory_of(config)
    return analyze(results, target, pace, jobs, planned, optimizers, theory)


def analyze(
    results: Sequence[RunResult],
    target: float | None = None,
    pace: Mapping[int, float] | None = None,
    jobs: int = 1,
    planned: Sequence[int] = (),
    optimizers: Sequence[str] = (),
    theory: OrthogonalRows | None = None,
) -> SweepResult | None:
    """The result of a sweep; None if none of its runs has one.

    Args:
        results: of its runs, one or several per batch size and optimizer.
        target: the train loss to reach; without one it is 1.1 times the median final train loss of
            the best pair.
        pace: as in `SweepResult`.
        jobs: as in `SweepResult`.
        planned: the batch sizes of all runs, of which some may have no result.
        optimizers: those that are put side by side, as results describe theirs.
        theory: as in `SweepResult`.

    Raises:
        DataError, OutputError: a row that was dropped from memory can't be read.
    """
    if not results:
        return None
    target = target_of(results) if target is None else target
    several = len(optimizers) > 1
    by_size = sorted(results, key=lambda result: result.series.batch_size)
    grids = {
        name: sorted(
            (
                cell
                for result in by_size
                if not several or result.description.optimizer == name
                for cell in _cells(result, target, name)
            ),
            key=lambda cell: (cell.batch_size, cell.lr),
        )
        for name in (optimizers if several else [""])
    }
    missing = Counter(planned) - Counter(result.series.batch_size for result in results)
    fits = {
        name: fit_of(own) if own and target is not None else None for name, own in grids.items()
    }
    return SweepResult(
        target=target,
        description=results[0].description,
        cells=tuple(cell for own in grids.values() for cell in own),
        critical=fits.get(""),
        pace=pace or {},
        jobs=jobs,
        missing=tuple(sorted(missing)),
        fits=fits if several else {},
        untrained=finite(median(h.epochs["train_loss"][0] for r in results for h in r.histories)),
        theory=theory,
    )


def fit_of(cells: Sequence[Cell]) -> "CriticalBatch | None":
    """The fit of updates to target against batch size; None with too few batch sizes."""
    from gdrun.analysis.critical_batch import fit_critical_batch

    by_size: dict[int, list[Cell]] = {}
    for cell in cells:
        by_size.setdefault(cell.batch_size, []).append(cell)
    reached = _padded([[cell.costs("updates") for cell in own] for own in by_size.values()])
    # A batch size that diverges at every rate says nothing about the updates it would need.
    trained = [
        max((cell.updates_trained for cell in own if math.isfinite(cell.train_loss)), default=0)
        for own in by_size.values()
    ]
    return fit_critical_batch(list(by_size), reached, trained)


def to_csv(sweep: SweepResult) -> str:
    """The text of `sweep.csv`: one row per training, batch size by batch size."""
    rows = [trial.as_row() for cell in sweep.cells for trial in cell.trials]
    names = [*dict.fromkeys(name for row in rows for name in row)]
    lines = [names, *([_csv_cell(row.get(name)) for name in names] for row in rows)]
    return "".join(",".join(line) + "\n" for line in lines)


def is_table_of(sweep: SweepResult, text: str) -> bool:
    """Whether a text is the `sweep.csv` of a result, but for small differences in seconds.

    Seconds may differ by a tenth or by one second: resuming a run that is complete takes a moment,
    which is counted.
    """
    names, *rows = [line.split(",") for line in to_csv(sweep).splitlines()]
    found_names, *found_rows = [line.split(",") for line in text.splitlines()]
    return (
        names == found_names
        and [len(row) for row in rows] == [len(row) for row in found_rows]
        and all(
            _is_same_cell(name, found, expected)
            for found_row, row in zip(found_rows, rows, strict=True)
            for name, found, expected in zip(names, found_row, row, strict=True)
        )
    )


def _cells(result: RunResult, target: float | None, optimizer: str) -> list[Cell]:
    """The cells of one run: one per learning rate, ascending."""
    series, reached = result.series, reach(result, target)
    return [
        Cell(
            series.name,
            series.method,
            series.batch_size,
            lr,
            tuple(_trial(result, k, target, reached[k], optimizer) for k in positions),
            optimizer,
        )
        for lr, positions in sorted(lanes_by_rate(result.lanes).items())
    ]


def _trial(
    result: RunResult,
    position: int,
    target: float | None,
    reached: Reached | None,
    optimizer: str,
) -> Trial:
    """The training of one lane."""
    lane = result.lanes[position]
    return Trial(
        method=result.series.method,
        batch_size=result.series.batch_size,
        lr=lane.lr,
        seed=lane.seed,
        status=lane.status,
        epochs=lane.epochs,
        updates=lane.updates,
        samples=lane.samples,
        seconds=lane.seconds,
        train_loss=lane.train_loss,
        best_train_loss=lane.best_train_loss,
        val_loss=lane.val_loss,
        target=target,
        updates_to_target=reached.updates if reached else None,
        samples_to_target=reached.samples if reached else None,
        seconds_to_target=reached.seconds if reached else None,
        updates_before_target=reached.before if reached else None,
        best_val_loss=lane.best_val_loss,
        best_val_epoch=lane.best_val_epoch,
        metrics=lane.metrics,
        optimizer=optimizer,
    )


def _padded(table: Sequence[Sequence[Sequence[float]]]) -> list[list[list[float]]]:
    """The table, (batch sizes, rates, seeds), with infinity where a rate or seed is missing."""
    rates = max(map(len, table))
    seeds = max(len(costs) for rows in table for costs in rows)
    full = [[[*costs, *[math.inf] * (seeds - len(costs))] for costs in rows] for rows in table]
    return [rows + [[math.inf] * seeds] * (rates - len(rows)) for rows in full]


def _csv_cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.9g}"
    return "" if value is None else str(value)


def _is_same_cell(name: str, found: str, expected: str) -> bool:
    if found == expected or not name.startswith("seconds"):
        return found == expected
    try:
        return math.isclose(float(found), float(expected), rel_tol=0.1, abs_tol=1.0)
    except ValueError:
        return False
