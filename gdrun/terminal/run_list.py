"""The list of runs as lines of a terminal, which lose columns where it is narrow, never digits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from gdrun.storage.listing import BROKEN, Entry
from gdrun.storage.where import Value
from gdrun.text import duration, number, visible

STATUS_STYLES = {
    "done": "green",
    "running": "bold cyan",
    "interrupted": "yellow",
    "diverged": "red",
    "failed": "bold red",
    BROKEN: "bold red",
}
GAP = "  "
# Columns in the order in which a narrow terminal goes without them.
EXPENDABLE = ("seeds", "seconds", "updates", "started", "command", "lr", "batch_size", "val_loss")
SHOWN = 3  # values of a key; of more, the first and the last


@dataclass(frozen=True)
class _Column:
    title: str
    show: Callable[[Sequence[Value]], str]
    right: bool = True


COLUMNS = {
    "name": _Column("name", lambda values: visible(str(values[0])), right=False),
    "command": _Column("command", lambda values: _text(values), right=False),
    "status": _Column("status", lambda values: _text(values), right=False),
    "started": _Column("started", lambda values: _text(values)[:16], right=False),
    "batch_size": _Column("batch", lambda values: _span(values, lambda size: f"{size:,}")),
    "lr": _Column("lr", lambda values: _span(values, lambda lr: f"{lr:g}")),
    "seeds": _Column("seeds", lambda values: _count(values)),
    "train_loss": _Column("train loss", lambda values: _loss(values)),
    "val_loss": _Column("val. loss", lambda values: _loss(values)),
    "updates": _Column("updates", lambda values: _count(values)),
    "seconds": _Column("time", lambda values: _seconds(values)),
}


def table_lines(entries: Sequence[Entry], width: int | None) -> Iterator[Text]:
    """A header, and a line an entry; without a width, all columns."""
    cells = {
        key: [column.title, *(column.show(entry.facts.get(key, ())) for entry in entries)]
        for key, column in COLUMNS.items()
    }
    if all(not entry.facts.get("val_loss") for entry in entries):
        del cells["val_loss"]
    widths = {key: max(map(cell_len, column)) for key, column in cells.items()}
    for key in EXPENDABLE:
        if width is None or sum(widths.values()) + len(GAP) * (len(widths) - 1) <= width:
            break
        widths.pop(key, None)
    for row in range(len(entries) + 1):
        line = Text(no_wrap=True, overflow="ellipsis", style="" if row else "bold")
        for k, key in enumerate(widths):
            cell = cells[key][row]
            padding = " " * (widths[key] - cell_len(cell))
            right = COLUMNS[key].right
            line.append((GAP if k else "") + (padding if right else ""))
            line.append(cell, _style(key, cell) if row else "")
            line.append("" if right else padding)
        line.rstrip()
        yield line


def _style(key: str, cell: str) -> str:
    if key == "status":
        return STATUS_STYLES.get(cell, "")
    return "bold" if key == "name" else "dim" if key == "started" else ""


def _text(values: Sequence[Value]) -> str:
    return visible(str(values[0])) if values else ""


def _span(values: Sequence[Value], show: Callable[[Value], str]) -> str:
    """A few values, or the first and the last of them."""
    if len(values) <= SHOWN:
        return ", ".join(map(show, values))
    return f"{show(values[0])} … {show(values[-1])}"


def _loss(values: Sequence[Value]) -> str:
    return number(float(values[0])) if values else "–"


def _count(values: Sequence[Value]) -> str:
    return f"{values[0]:,}" if values else "–"


def _seconds(values: Sequence[Value]) -> str:
    return duration(float(values[0])) if values else "–"
