"""Results → what a command prints on stdout: the table of results, the dry run, the files."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from gdrun.errors import first_of
from gdrun.results.colors import kind_of, run_colors
from gdrun.results.compare import (
    TARGET_FACTOR,
    BadEnd,
    Comparison,
    Row,
    bad_ends,
    lowest_below,
    target_of,
)
from gdrun.results.events import Series
from gdrun.results.progress import RunProgress
from gdrun.results.run import INFINITE_AT_START, RunResult
from gdrun.storage.run_dir import log_sizes
from gdrun.terminal.fitting import fitting_table
from gdrun.text import accuracy, count, duration, number, size, span

# A narrow terminal drops these columns, the first one first.
EXPENDABLE = (
    "best_val",
    "train_accuracy",
    "best",
    "seconds_to_target",
    "batch_size",
    "seconds",
    "updates",
    "val_accuracy",
    "val_loss",
    "updates_to_target",
)


def result_table(comparison: Comparison, console: Console) -> Table:
    """The runs side by side: medians over seeds, and what they needed to reach the target."""
    rows = comparison.rows
    columns = {
        "batch_size": ("batch", [f"{row.batch_size:,}" for row in rows]),
        "lr": ("lr", [f"{row.lr:g}" for row in rows]),
        "train_loss": ("train\nloss", [_train_loss(row) for row in rows]),
        "best": ("best\nloss", [number(row.best_train_loss) for row in rows]),
        "val_loss": ("val.\nloss", [number(row.val_loss) for row in rows]),
        "best_val": ("best val.\n(epoch)", [_best_val(row) for row in rows]),
        "train_accuracy": ("train\nacc.", _accuracies(rows, "train_accuracy")),
        "val_accuracy": ("val.\nacc.", _accuracies(rows, "val_accuracy")),
        "updates": ("updates", [f"{row.updates:,}" for row in rows]),
        "seconds": ("training\ntime", [duration(row.seconds) for row in rows]),
        "updates_to_target": ("updates\nto target", [_updates_to_target(row) for row in rows]),
        "seconds_to_target": ("time\nto target", [duration(row.seconds_to_target) for row in rows]),
    }
    if len({row.lr for row in rows}) == 1:
        del columns["lr"]
    if all(row.val_loss is None for row in rows):
        del columns["val_loss"]
    if all(row.best_val_loss is None for row in rows):
        del columns["best_val"]
    for name in ("train_accuracy", "val_accuracy"):
        if all(row.metrics.get(name) is None for row in rows):
            del columns[name]
    if comparison.target is None:
        del columns["updates_to_target"], columns["seconds_to_target"]
    runs = list(
        {row.name: Series(row.method, row.batch_size, (), row.name) for row in rows}.values()
    )
    colors = run_colors(runs)
    names = [Text(row.name, style=f"bold {colors[row.name]}") for row in rows]
    return fitting_table(kind_of(runs), names, columns, EXPENDABLE, console)


def _train_loss(row: Row) -> str:
    return number(row.train_loss, missing="diverged" if row.diverged else "–")


def _best_val(row: Row) -> str:
    """The lowest validation loss, and in which epoch it was."""
    if row.best_val_loss is None or row.best_val_epoch is None:
        return "–"
    return f"{number(row.best_val_loss)} ({row.best_val_epoch:,.0f})"


def _accuracies(rows: Sequence[Row], column: str) -> list[str]:
    return [accuracy(row.metrics.get(column)) for row in rows]


def _updates_to_target(row: Row) -> str:
    return "not reached" if row.updates_to_target is None else f"{row.updates_to_target:,.0f}"


def result_notes(
    comparison: Comparison, results: Sequence[RunResult], *, mixed: bool = False
) -> Iterable[str]:
    """How to read the table of results, and which runs diverged or end badly.

    Those of several problems are `mixed`, and have no target.
    """
    if comparison.target is not None:
        words = f"target: train loss ≤ {number(comparison.target)}"
        if comparison.target == target_of(results):
            percent = round(100 * (TARGET_FACTOR - 1))
            best = number(lowest_below(comparison.target))
            words += f", within {percent} % of the best final loss {best}"
        yield words
    elif len(comparison.rows) > 1 and not mixed:
        yield "no target: no run ended more than 10 % below the untrained loss"
    seeds = [row.seeds for row in comparison.rows]
    if max(seeds) > 1:
        costs = "" if comparison.target is None else ", and updates and time to target,"
        yield f"losses{costs} are medians of {span(seeds)} seeds"
    lanes = [len(result.lanes) for result in results]
    if max(lanes) > 1:
        yield f"times are those of all lanes of a run ({span(lanes)}), which are trained together"
    if any(lane.diverged_at == 0 for result in results for lane in result.lanes):
        yield INFINITE_AT_START
        return
    for row in comparison.rows:
        if row.diverged:
            which = f"{row.diverged} of {row.seeds} seeds" if row.seeds > 1 else "the training"
            yield f"{row.name} at lr {row.lr:g}: {which} diverged; try a smaller learning rate"
    yield from end_notes(results)


def end_notes(results: Sequence[RunResult]) -> list[str]:
    """Which runs end far above their best or their untrained loss, and what to try."""
    notes = [_end_note(end) for end in bad_ends(results)]
    return first_of(notes, len(notes), "run")


def _end_note(end: BadEnd) -> str:
    than, loss = ("untrained loss", end.untrained) if end.is_above_start else ("best", end.best)
    who = "" if end.seeds == 1 else f"{end.count} of {count(end.seeds, 'seed')}: "
    times = f"{number(end.final / loss)} times" if loss else "far above"
    smaller = float(f"{end.lr / 4:.2g}")
    return (
        f"{end.name} at lr {end.lr:g}: {who}the train loss ends at {number(end.final)}, {times} "
        f"its {than} {number(loss)}; try a smaller learning rate: --lr {smaller:g}"
    )


def plan_lines(directory: Path, planned: Sequence[RunProgress]) -> Iterable[str]:
    """What a dry run would train, one line per run, and where it would be written."""
    for run in planned:
        done = f", {run.updates:,} of them done" if run.updates else ""
        yield (
            f"{run.series.name}: batch size {run.series.batch_size:,}, "
            f"{count(len(run.series.lanes), 'lane')}, "
            f"{count(run.updates_per_epoch, 'update')} per epoch, {run.total:,} in all{done}"
        )
    yield f"would be written to {directory}"


def written(
    directory: Path,
    results: Sequence[RunResult],
    drawn: Sequence[Path],
    tables: Sequence[str] = (),
) -> Iterable[str]:
    """The files that were written, one line per directory, and what the logs take."""
    files: dict[Path, list[str]] = {directory: [*tables]}
    logs = 0
    for result in results:
        if result.directory:
            found = log_sizes(result.directory)
            files.setdefault(result.directory, []).extend(found)
            logs += sum(found.values())
    yield f"written to {directory}" + (f" ({size(logs)} of logs)" if logs else "")
    for path in drawn:
        files[path.parent].append(path.name)
    places = {place: "" if place == directory else f"{place.name}/" for place in files}
    width = max(len(place) for place in places.values())
    for place, names in files.items():
        indent = ["", f"{places[place]:<{width}}"] if width else [""]
        if names:
            yield "  ".join([*indent, *names])
