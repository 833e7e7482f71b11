"""Results → what a command prints on stdout: the table of results, the dry run, JSON."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from gdrun import labels
from gdrun.records import Status
from gdrun.results import TARGET_FACTOR, Comparison, Row, RunResult


def result_table(comparison: Comparison) -> Table:
    """The runs side by side: medians over seeds, and what it took to come to the target."""
    rows = comparison.rows
    several_lrs = len({row.lr for row in rows}) > 1
    validated = any(row.val_loss is not None for row in rows)
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("method", no_wrap=True)
    titles = ["batch", *(["lr"] if several_lrs else []), "train\nloss", "best\nloss"]
    titles += [*(["val.\nloss"] if validated else []), "updates", "training\ntime"]
    titles += ["updates\nto target", "time\nto target"]
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for row in rows:
        name = Text(row.method, style=f"bold {labels.METHOD_COLORS[row.method]}")
        table.add_row(name, *_cells(row, several_lrs=several_lrs, validated=validated))
    return table


def _cells(row: Row, *, several_lrs: bool, validated: bool) -> list[str]:
    failed = "diverged" if row.diverged else "–"
    return [
        f"{row.batch_size:,}",
        *([f"{row.lr:g}"] if several_lrs else []),
        labels.number(row.train_loss, missing=failed),
        labels.number(row.best_train_loss),
        *([labels.number(row.val_loss)] if validated else []),
        f"{row.updates:,}",
        labels.seconds(row.seconds),
        "not reached" if row.updates_to_target is None else f"{row.updates_to_target:,.0f}",
        labels.seconds(row.seconds_to_target),
    ]


def result_notes(comparison: Comparison) -> Iterable[str]:
    """What one has to know to read the table."""
    if comparison.target is not None:
        percent = round(100 * (TARGET_FACTOR - 1))
        best = min(row.train_loss for row in comparison.rows if row.train_loss is not None)
        yield (
            f"target: train loss ≤ {labels.number(comparison.target)}, "
            f"within {percent} % of the best final loss {labels.number(best)}"
        )
    seeds = max(row.seeds for row in comparison.rows)
    if seeds > 1:
        yield f"losses, and what it took to come to the target, are medians of {seeds} seeds"
    for row in comparison.rows:
        if row.diverged:
            lanes = f"{row.diverged} of {row.seeds} seeds" if row.seeds > 1 else "the training"
            yield f"{row.method} at lr {row.lr:g}: {lanes} diverged; try a smaller learning rate"


def written(directory: Path, results: Sequence[RunResult], drawn: Sequence[Path]) -> Iterable[str]:
    """The paths of what was written: a line for each directory."""
    yield f"written to {directory}"
    files: dict[Path, list[str]] = {directory: []}
    for result in results:
        if result.directory:
            files.setdefault(result.directory, []).extend(["epochs.csv", "steps.csv"])
    for path in drawn:
        files[path.parent].append(path.name)
    places = {place: "" if place == directory else f"{place.name}/" for place in files}
    width = max(len(place) for place in places.values())
    for place, names in files.items():
        if names:
            yield f"  {places[place]:<{width}}  {'  '.join(names)}"


def results_as_json(
    directory: Path,
    status: Status,
    comparison: Comparison,
    results: Sequence[RunResult],
    drawn: Sequence[Path],
) -> Mapping[str, Any]:
    """The outcome of a command for programs; `schema` grows when a key changes its meaning."""
    return {
        "schema": 1,
        "status": status,
        "directory": str(directory),
        "comparison": asdict(comparison),
        "runs": [
            {
                "method": result.series.method,
                "batch_size": result.series.batch_size,
                "status": result.status,
                "directory": str(result.directory),
                "lanes": [asdict(lane) for lane in result.lanes],
            }
            for result in results
        ],
        "pictures": [str(path) for path in drawn],
    }
