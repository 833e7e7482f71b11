"""The result of a sweep on a terminal: the grid of losses, one row per batch size, the advice."""

import math
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from gdrun.analysis.advice import advice, command
from gdrun.analysis.cautions import cautions
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell, TargetCost
from gdrun.results.colors import run_colors
from gdrun.results.events import Series
from gdrun.results.lanes import BAND, MIN_BAND_SEEDS
from gdrun.terminal.fitting import OneLine, fits, fitting_table
from gdrun.text import accuracy, duration, number, visible

MAX_GRID_ROWS = 40  # a larger grid is shown by the picture alone
# A narrow terminal drops these columns, the first one first.
EXPENDABLE = ("missed", "accuracy", "val_loss", "samples", "train_loss", "seconds")


def sweep_report(sweep: SweepResult, directory: Path, console: Console) -> Iterable[RenderableType]:
    """What to print of a sweep, of which the runs are in a directory, with `crop=False`."""
    for part in sweep.parts:
        grid = grid_table(part, sweep.best_validated or sweep.best)
        if fits(grid, console) and len(part.lrs) <= MAX_GRID_ROWS:
            yield ""
            yield Text(_grid_title(part), style="bold")
            yield grid
    yield ""
    yield batch_table(sweep, console)
    yield from (Text(note, style="dim") for note in _notes(sweep))
    yield ""
    yield Text(visible(advice(sweep)))
    line = command(sweep, directory)
    if line:
        yield _command(line)
    for caution in cautions(sweep, directory):
        text, _, helpful_command = caution.partition("\n")
        yield Text(f"note: {visible(text)}", style="yellow")
        if helpful_command:
            yield _command(helpful_command.strip())
    yield ""


def grid_table(sweep: SweepResult, best: Cell | None) -> Table:
    """The final loss of each pair: one column per batch size, one row per learning rate.

    It is the validation loss where there is one. High learning rates are on top; `best` is marked.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("lr \\ batch", no_wrap=True)
    for size in sweep.batch_sizes:
        table.add_column(f"{size:,} ", justify="right", no_wrap=True)
    cells = {(cell.batch_size, cell.lr): cell for cell in sweep.cells}
    for lr in reversed(sweep.lrs):
        found = [cells.get((size, lr)) for size in sweep.batch_sizes]
        table.add_row(f"{lr:g}", *(_loss(sweep, cell, best) for cell in found))
    return table


def batch_table(sweep: SweepResult, console: Console) -> Table:
    """One row per batch size, each at the learning rate that reaches the target first."""
    cells = sweep.best_of_batch
    columns = {
        "lr": ("best\nlr", [_rate(cell) for cell in cells]),
        "train_loss": ("train\nloss", [_number(cell.train_loss) for cell in cells]),
        "val_loss": ("val.\nloss", [_number(cell.val_loss) for cell in cells]),
        "accuracy": (_accuracy_title(sweep), [accuracy(cell.accuracy) for cell in cells]),
        "updates": ("updates\nto target", [_cost(cell, "updates") for cell in cells]),
        "samples": ("samples\nto target", [_cost(cell, "samples") for cell in cells]),
        "seconds": ("time to\ntarget", [_seconds(sweep, cell) for cell in cells]),
        "missed": ("missed by\nseeds", [f"{c.missed} of {len(c.trials)}" for c in cells]),
    }
    if not sweep.has_validation:
        del columns["val_loss"]
    if sweep.most_accurate is None:
        del columns["accuracy"]
    if not sweep.pace:
        del columns["seconds"]
    if sweep.target is None:
        shown = ("lr", "train_loss", "val_loss", "accuracy")
        columns = {key: columns[key] for key in columns if key in shown}
    colors = run_colors([Series(c.method, c.batch_size, (), c.run) for c in cells])
    names = [
        Text(
            f"{cell.optimizer} {_size(cell.batch_size, sweep.rows)}".strip(),
            style=f"bold {colors[cell.run]}",
        )
        for cell in cells
    ]
    return fitting_table("batch", names, columns, EXPENDABLE, console)


def _accuracy_title(sweep: SweepResult) -> str:
    return f"{'val.' if sweep.has_validation else 'train'}\nacc."


def _command(line: str) -> OneLine:
    return OneLine(Text(f"  {visible(line)}", style="bold"))


def _size(batch_size: int, rows: int) -> str:
    return f"{batch_size:,} (full)" if batch_size == rows else f"{batch_size:,}"


def _notes(sweep: SweepResult) -> Iterable[str]:
    """How to read the tables."""
    if sweep.target is not None:
        yield (
            f"target: train loss ≤ {number(sweep.target)}; each batch size is shown at its "
            "best learning rate"
        )
    if sweep.seeds > 1:
        spread = ""
        if sweep.seeds >= MIN_BAND_SEEDS:
            spread = f", in brackets the {BAND[0]}th to {BAND[1]}th percentile"
        yield f"numbers are medians of {sweep.seeds} seeds{spread}"
    if sweep.pace and sweep.target is not None:
        yield "times are those of one training alone: updates to target × time per update"


def _grid_title(sweep: SweepResult) -> str:
    which = "validation" if sweep.has_validation else "train"
    seeds = f", median of {sweep.seeds} seeds" if sweep.seeds > 1 else ""
    of = f"{sweep.optimizer}: " if sweep.optimizer else ""
    return f"{of}final {which} loss{seeds} (*: the lowest)"


def _loss(sweep: SweepResult, cell: Cell | None, best: Cell | None) -> Text:
    if cell is None:
        return Text("–", style="dim")
    loss = cell.val_loss if sweep.has_validation else cell.train_loss
    if math.isinf(loss):
        return Text("diverged ", style="red")
    if cell == best:
        return Text(f"{number(loss)}*", style="bold")
    return Text(f"{number(loss)} ", style="red" if cell.diverged else "")


def _rate(cell: Cell) -> str:
    return "–" if math.isinf(cell.train_loss) else f"{cell.lr:g}"


def _number(value: float) -> str:
    return "diverged" if math.isinf(value) else number(value)


def _cost(cell: Cell, cost: TargetCost) -> str:
    """What it takes to reach the target, with the band over seeds."""
    value, band = cell.to_target(cost), cell.band(cost)
    if math.isinf(value):
        return "not reached"
    if band is None or cost == "samples":
        return f"{value:,.0f}"
    low, high = (f"{end:,.0f}" if math.isfinite(end) else "∞" for end in band)
    return f"{value:,.0f} ({low}–{high})"


def _seconds(sweep: SweepResult, cell: Cell) -> str:
    value = sweep.seconds_alone(cell)
    return "–" if math.isinf(value) else duration(value)
