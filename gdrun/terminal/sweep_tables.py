"""The answer of a sweep on a terminal: the grid of losses, a line a batch size, and a paragraph."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from gdrun.analysis.advice import advice, command
from gdrun.analysis.cautions import cautions
from gdrun.analysis.sweep_result import Cell, Cost, SweepResult
from gdrun.results.colors import run_colors
from gdrun.results.events import Series
from gdrun.terminal.tables import OneLine, fits, fitting_table
from gdrun.text import duration, number, visible

MOST_LINES = 40  # of the grid; the picture shows it, too
# Columns in the order in which a narrow terminal goes without them.
EXPENDABLE = ("diverged", "val_loss", "samples", "train_loss", "seconds")


def sweep_report(
    answer: SweepResult, directory: Path, console: Console
) -> Iterable[RenderableType]:
    """What to print of a sweep that was trained in a directory, with `crop=False`."""
    grid = grid_table(answer)
    if fits(grid, console) and len(answer.lrs) <= MOST_LINES:
        yield ""
        yield Text(_grid_title(answer), style="bold")
        yield grid
    yield ""
    yield batch_table(answer, console)
    yield from (Text(note, style="dim") for note in _notes(answer))
    yield ""
    yield Text(visible(advice(answer)))
    line = command(answer, directory)
    if line:
        yield _command(line)
    for caution in cautions(answer, directory):
        text, _, helps = caution.partition("\n")
        yield Text(f"note: {visible(text)}", style="yellow")
        if helps:
            yield _command(helps.strip())
    yield ""


def sweep_result_as_json(answer: SweepResult, directory: Path) -> Mapping[str, Any]:
    """The answer for programs, with what it says in words."""
    return {
        **answer.summary(),
        "advice": advice(answer),
        "command": command(answer, directory),
        "cautions": list(cautions(answer, directory)),
    }


def grid_table(answer: SweepResult) -> Table:
    """The final loss of each pair: a column a batch size, a line a learning rate, high ones on top.

    It is the validation loss where there is one.
    """
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
    table.add_column("lr \\ batch", no_wrap=True)
    for size in answer.batch_sizes:
        table.add_column(f"{size:,} ", justify="right", no_wrap=True)
    best = answer.best_validated or answer.best
    cells = {(cell.batch_size, cell.lr): cell for cell in answer.cells}
    for lr in reversed(answer.lrs):
        found = [cells.get((size, lr)) for size in answer.batch_sizes]
        table.add_row(f"{lr:g}", *(_loss(answer, cell, best) for cell in found))
    return table


def batch_table(answer: SweepResult, console: Console) -> Table:
    """A line a batch size, each at the learning rate that comes to the target first.

    Columns are left out, rather than numbers cut, where the console is too narrow.
    """
    cells = answer.best_of_batch
    columns = {
        "lr": ("best\nlr", [_rate(cell) for cell in cells]),
        "train_loss": ("train\nloss", [_number(cell.train_loss) for cell in cells]),
        "val_loss": ("val.\nloss", [_number(cell.val_loss) for cell in cells]),
        "updates": ("updates\nto target", [_cost(cell, "updates") for cell in cells]),
        "samples": ("samples\nto target", [_cost(cell, "samples") for cell in cells]),
        "seconds": ("time to\ntarget", [_seconds(answer, cell) for cell in cells]),
        "diverged": ("seeds\nnot there", [f"{c.missed} of {len(c.trials)}" for c in cells]),
    }
    if not answer.has_validation:
        del columns["val_loss"]
    if not answer.pace:
        del columns["seconds"]
    if answer.target is None:
        columns = {key: columns[key] for key in columns if key.endswith(("lr", "loss"))}
    sizes = [f"{size:,}{' (full)' * (size == answer.rows)}" for size in answer.batch_sizes]
    colors = run_colors([Series(c.method, c.batch_size, (), c.run) for c in cells])
    names = [
        Text(size, style=f"bold {colors[cell.run]}")
        for size, cell in zip(sizes, cells, strict=True)
    ]
    return fitting_table("batch", names, columns, EXPENDABLE, console)


def _command(line: str) -> OneLine:
    return OneLine(Text(f"  {visible(line)}", style="bold"))


def _notes(answer: SweepResult) -> Iterable[str]:
    """What one has to know to read the tables."""
    if answer.target is not None:
        yield (
            f"target: train loss ≤ {number(answer.target)}, at the best learning rate for "
            "each batch size"
        )
    if answer.seeds > 1:
        spread = ", in brackets the 20th to 80th percentile" if answer.seeds > 2 else ""
        yield f"numbers are medians of {answer.seeds} seeds{spread}"
    if answer.pace and answer.target is not None:
        yield "times are those of one training alone: updates to target × time of an update"


def _grid_title(answer: SweepResult) -> str:
    which = "validation" if answer.has_validation else "train"
    seeds = f", median of {answer.seeds} seeds" if answer.seeds > 1 else ""
    return f"final {which} loss{seeds} (*: the lowest)"


def _loss(answer: SweepResult, cell: Cell | None, best: Cell | None) -> Text:
    if cell is None:
        return Text("–", style="dim")
    loss = cell.val_loss if answer.has_validation else cell.train_loss
    if math.isinf(loss):
        return Text("diverged ", style="red")
    style = "bold" if cell == best else "red" if cell.diverged else ""
    return Text(number(loss) + ("*" if cell == best else " "), style=style)


def _rate(cell: Cell) -> str:
    return "–" if math.isinf(cell.train_loss) else f"{cell.lr:g}"


def _number(value: float) -> str:
    return "diverged" if math.isinf(value) else number(value)


def _cost(cell: Cell, cost: Cost) -> str:
    """What it takes to come to the target, with the band over seeds."""
    value, band = cell.to_target(cost), cell.band(cost)
    if math.isinf(value):
        return "not reached"
    if band is None or cost == "samples":
        return f"{value:,.0f}"
    low, high = (f"{end:,.0f}" if math.isfinite(end) else "∞" for end in band)
    return f"{value:,.0f} ({low}–{high})"


def _seconds(answer: SweepResult, cell: Cell) -> str:
    value = answer.seconds_alone(cell)
    return "–" if math.isinf(value) else duration(value)
