"""The list of runs on a terminal; a narrow one loses columns, never digits."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from gdrun.storage.filters import Value
from gdrun.storage.listing import BROKEN, Entry
from gdrun.terminal.fitting import columns_that_fit
from gdrun.text import accuracy, duration, number, visible

STATUS_STYLES = {
    "done": "green",
    "running": "bold cyan",
    "interrupted": "yellow",
    "diverged": "red",
    "failed": "bold red",
    BROKEN: "bold red",
}
GAP = "  "
# A narrow terminal drops these columns, the first one first.
EXPENDABLE = (
    "seeds",
    "seconds",
    "updates",
    "started",
    "command",
    "lr",
    "batch_size",
    "val_accuracy",
    "val_loss",
)
MAX_VALUES = 3  # shown of a key with several values; of more, only the first and the last


def _text(values: Sequence[Value]) -> str:
    return visible(str(values[0])) if values else ""


def _minute(values: Sequence[Value]) -> str:
    return _text(values)[: len("2026-01-01 12:00")]


def _loss(values: Sequence[Value]) -> str:
    return number(float(values[0])) if values else "–"


def _accuracy(values: Sequence[Value]) -> str:
    return accuracy(float(values[0])) if values else "–"


def _count(values: Sequence[Value]) -> str:
    return f"{values[0]:,}" if values else "–"


def _seconds(values: Sequence[Value]) -> str:
    return duration(float(values[0])) if values else "–"


def _batch_sizes(values: Sequence[Value]) -> str:
    return _several([f"{size:,}" for size in values])


def _rates(values: Sequence[Value]) -> str:
    return _several([f"{lr:g}" for lr in values])


def _several(texts: Sequence[str]) -> str:
    return ", ".join(texts) if len(texts) <= MAX_VALUES else f"{texts[0]} … {texts[-1]}"


@dataclass(frozen=True)
class _Column:
    title: str
    show: Callable[[Sequence[Value]], str]
    align_right: bool = True


COLUMNS = {
    "name": _Column("name", _text, align_right=False),
    "command": _Column("command", _text, align_right=False),
    "status": _Column("status", _text, align_right=False),
    "started": _Column("started", _minute, align_right=False),
    "batch_size": _Column("batch", _batch_sizes),
    "lr": _Column("lr", _rates),
    "seeds": _Column("seeds", _count),
    "train_loss": _Column("train loss", _loss),
    "val_loss": _Column("val. loss", _loss),
    "val_accuracy": _Column("val. acc.", _accuracy),
    "updates": _Column("updates", _count),
    "seconds": _Column("time", _seconds),
}


def table_lines(entries: Sequence[Entry], width: int | None) -> Iterator[Text]:
    """A header, and one line per entry; without a width, all columns.

    Lines of text, since a table of Rich takes long to lay out a thousand runs.
    """
    cells = {
        key: [column.title, *(column.show(entry.facts.get(key, ())) for entry in entries)]
        for key, column in COLUMNS.items()
    }
    for key in ("val_loss", "val_accuracy"):
        if all(not entry.facts.get(key) for entry in entries):
            del cells[key]
    widths = {key: max(map(cell_len, column)) for key, column in cells.items()}

    def fit(keys: Sequence[str]) -> bool:
        needed = sum(widths[key] for key in keys) + len(GAP) * (len(keys) - 1)
        return width is None or needed <= width

    keys = columns_that_fit(widths, EXPENDABLE, fit)
    for row in range(len(entries) + 1):
        line = Text(no_wrap=True, overflow="ellipsis", style="" if row else "bold")
        for column, key in enumerate(keys):
            cell = cells[key][row]
            padding = " " * (widths[key] - cell_len(cell))
            before, after = (padding, "") if COLUMNS[key].align_right else ("", padding)
            line.append((GAP if column else "") + before)
            line.append(cell, _style(key, cell) if row else "")
            line.append(after)
        line.rstrip()
        yield line


def _style(key: str, cell: str) -> str:
    if key == "status":
        return STATUS_STYLES.get(cell, "")
    return {"name": "bold", "started": "dim"}.get(key, "")
