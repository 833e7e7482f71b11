"""Results → the answer of a sweep, and its table.

A training has come to the target once its train loss over all rows is at or below it at the end of
an epoch; one that diverges afterwards has not come to stay. Plain Python, without torch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING

from gdrun.analysis.sweep_result import Cell, SweepResult, Trial
from gdrun.results.compare import compare_results, reach
from gdrun.results.run import RunResult

if TYPE_CHECKING:
    from gdrun.analysis.critical_batch import CriticalBatch


def analyze(
    results: Sequence[RunResult],
    target: float | None = None,
    pace: Mapping[int, float] | None = None,
    jobs: int = 1,
    planned: Sequence[int] = (),
) -> SweepResult | None:
    """What the runs of a sweep came to; None if there are none.

    Args:
        results: of the runs.
        target: the train loss to come to; without one it is 1.1 times the median final train loss
            of the best pair.
        pace: as in `SweepResult`.
        jobs: as in `SweepResult`.
        planned: all batch sizes of the grid, of which some may have no result.
    """
    if not results:
        return None
    target = compare_results(results, target).target
    ordered = sorted(results, key=lambda result: result.series.batch_size)
    cells = [
        Cell(series.name, series.method, series.batch_size, lr, tuple(trials))
        for result in ordered
        for series in [result.series]
        for lr, trials in sorted(_trials(result, target).items())
    ]
    return SweepResult(
        target=target,
        description=results[0].description,
        cells=tuple(cells),
        critical=fit_of(cells) if target is not None else None,
        pace=pace or {},
        jobs=jobs,
        missing=tuple(sorted(set(planned) - {cell.batch_size for cell in cells})),
    )


def fit_of(cells: Sequence[Cell]) -> "CriticalBatch | None":
    """The fit of updates to target against batch size; None of too few batch sizes."""
    from gdrun.analysis.critical_batch import fit_critical_batch

    by_size: dict[int, list[Cell]] = {}
    for cell in cells:
        by_size.setdefault(cell.batch_size, []).append(cell)
    reached = _filled([[cell.costs("updates") for cell in own] for own in by_size.values()])
    # Where all rates diverge, nothing was trained that could have come to the target.
    trained = [
        max((cell.spent for cell in own if math.isfinite(cell.train_loss)), default=0)
        for own in by_size.values()
    ]
    return fit_critical_batch(list(by_size), reached, trained)


def _filled(table: Sequence[Sequence[Sequence[float]]]) -> list[list[list[float]]]:
    """The same table with as many rates and seeds everywhere; what isn't there is infinite."""
    rates = max(map(len, table))
    seeds = max(len(costs) for rows in table for costs in rows)
    full = [[[*costs, *[math.inf] * (seeds - len(costs))] for costs in rows] for rows in table]
    return [rows + [[math.inf] * seeds] * (rates - len(rows)) for rows in full]


def to_csv(answer: SweepResult) -> str:
    """The text of `sweep.csv`: a row a training, batch size by batch size."""
    names = [column.name for column in fields(Trial)]
    lines = [",".join(names)]
    for cell in answer.cells:
        for trial in cell.trials:
            cells = asdict(trial)
            lines.append(",".join(_cell(cells[name]) for name in names))
    return "\n".join(lines) + "\n"


def is_table_of(answer: SweepResult, text: str) -> bool:
    """Whether a text is the table of an answer, but for seconds within a tenth or a second.

    Looking at a run that is complete takes a moment, which is counted.
    """

    def alike(name: str, old: str, new: str) -> bool:
        if old == new or not name.startswith("seconds"):
            return old == new
        try:
            return math.isclose(float(old), float(new), rel_tol=0.1, abs_tol=1.0)
        except ValueError:
            return False

    names, *rows = [line.split(",") for line in to_csv(answer).splitlines()]
    first, *found = [line.split(",") for line in text.splitlines()]
    return (
        names == first
        and [*map(len, rows)] == [*map(len, found)]
        and all(
            alike(*cells)
            for row, own in zip(rows, found, strict=True)
            for cells in zip(names, own, row, strict=True)
        )
    )


def _trials(result: RunResult, target: float | None) -> dict[float, list[Trial]]:
    """The trainings of a run, by learning rate."""
    trials: dict[float, list[Trial]] = {}
    for lane, history in zip(result.lanes, result.histories, strict=True):
        at = reach(history, target, lane.status)
        column = history.epochs
        trials.setdefault(lane.lr, []).append(
            Trial(
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
                updates_to_target=None if at is None else int(column["updates"][at]),
                samples_to_target=None if at is None else int(column["samples"][at]),
                seconds_to_target=None if at is None else column["seconds"][at],
            )
        )
    return trials


def _cell(value: object) -> str:
    """A value as the CSV files hold it."""
    return "" if value is None else f"{value:.9g}" if isinstance(value, float) else str(value)
