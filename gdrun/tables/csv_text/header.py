"""Where the rows of a CSV file begin and what its columns are called, judged by its first lines."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from gdrun.errors import excerpt
from gdrun.tables.cells import Decimal, is_missing, is_number
from gdrun.tables.csv_text.dialect import rows_in, width_of
from gdrun.tables.csv_text.rows import Dialect, Row
from gdrun.text import count

MAX_TITLES = 100  # rows above a header, or below a table
MAX_SHOWN = 3  # names in a note
QUOTES = "\"'"  # that may be written around a name


@dataclass(frozen=True)
class Header:
    """The beginning of a table.

    Attributes:
        names: of the columns; a column without one has "".
        notes: what was assumed.
        rows_above: how many rows of the text come before the first row of values.
        width: how many cells a row has, apart from empty ones at its end.
    """

    names: tuple[str, ...]
    notes: tuple[str, ...]
    rows_above: int
    width: int


def find_header(
    lines: Sequence[str],
    rows: Sequence[Row],
    dialect: Dialect,
    decimal: Decimal,
    has_header: bool | None,
    wanted: Collection[str],
) -> Header:
    """Find the header.

    The first row is one if it is all words, if a word stands above numbers in it, or if it holds a
    name that is wanted; else the columns are called c1, c2 and so on.

    Args:
        lines: the first lines of the text.
        rows: those in them.
        dialect: how they are written.
        decimal: how numbers are.
        has_header: what the user says; None looks.
        wanted: names of columns that the user expects.
    """
    width = _without_trailing(rows)
    skipped = _titles(rows, width, wanted)
    below = [list(cells) for _, cells in rows[skipped:]]
    for cells in below:
        fit_width(cells, width)
    notes = [f"{count(skipped, 'line')} above the table skipped"] if skipped else []
    first = below[0] if below else []
    names = _commented_names(lines, dialect, width, first, decimal)
    if names is not None and has_header is None:
        return Header(*_named(names, width, notes), rows_above=skipped, width=width)
    if has_header is None:
        has_header = _is_header(first, below[1:], decimal, wanted)
    if not has_header:
        notes.append(f"there is no header: the columns are called c1 to c{width}")
        names = [f"c{k}" for k in range(1, width + 1)]
        return Header(tuple(names), tuple(notes), rows_above=skipped, width=width)
    if len(first) == width - 1:  # as R writes the names of rows
        first = ["", *first]
    width = max(width, len(first))
    return Header(*_named(first, width, notes), rows_above=skipped + 1, width=width)


def _named(
    names: Sequence[str], width: int, notes: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of so many columns, all different, and the notes with one on those that weren't."""
    repeated = [name for name, times in Counter(filter(None, names)).items() if times > 1]
    shown = ", ".join(repr(excerpt(name)) for name in repeated[:MAX_SHOWN])
    more = [f"several columns are called {shown}: the second is NAME.1 here, and so on"]
    found = (*all_different(names), *[""] * (width - len(names)))
    return found, (*notes, *(more if repeated else []))


def _without_trailing(rows: Sequence[Row]) -> int:
    """How many cells rows have, but for an empty one at the end of each."""
    width = width_of(rows)
    ends = [cells[-1] for _, cells in rows[1:] if len(cells) == width]
    header = rows[0][1] if rows else []
    is_trailing = width > 1 and ends and not any(ends) and len(header) < width
    return width - 1 if is_trailing else width


def fit_width(cells: list[str], width: int) -> bool:
    """Cut or add empty cells at the end of a row; whether it has so many then.

    Only a row whose last cell is empty is filled up: its writer left out more of the same.
    """
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    if len(cells) < width and not cells[-1].strip():
        cells += [""] * (width - len(cells))
    return len(cells) == width


def _commented_names(
    lines: Sequence[str],
    dialect: Dialect,
    width: int,
    first: Sequence[str],
    decimal: Decimal,
) -> list[str] | None:
    """The names in the last comment above rows of data, if it holds as many."""
    if not dialect.comment or not _is_data(first, decimal):
        return None
    is_row = [not line.lstrip().startswith(dialect.comment) for line in lines]
    above = lines[is_row.index(True) - 1].lstrip() if not is_row[0] and any(is_row) else ""
    plain = replace(dialect, comment=None)
    for text in (above, above.lstrip(dialect.comment)):
        for _, cells in rows_in([text], plain):
            if len(cells) == width and not _is_data(cells, decimal):
                return cells
    return None


def _titles(rows: Sequence[Row], width: int, wanted: Collection[str]) -> int:
    """How many rows come before the table: titles, which have fewer cells than a header."""
    for k, (_, cells) in enumerate(rows[: MAX_TITLES + 1]):
        if any(name in cells for name in wanted):
            return k
        missing = width - len(cells)
        below = rows[k + 1][1] if k + 1 < len(rows) else []
        # One cell is missing where R writes the names of rows, and then the next row is data.
        if missing < 1 or (missing == 1 and len(below) >= width and _has_number(below)):
            return k
    return 0


def _is_data(cells: Sequence[str], decimal: Decimal) -> bool:
    """Whether there are numbers in a row, and no words."""
    filled = [cell for cell in cells if not is_missing(cell)]
    return bool(filled) and all(is_number(cell, decimal) for cell in filled)


def is_words(cells: Sequence[str]) -> bool:
    """Whether a row is a title or a remark: its first cell is filled, and none is a number."""
    return bool(cells[0].strip()) and not _has_number(cells)


def _has_number(cells: Sequence[str]) -> bool:
    return any(is_number(cell, ".") or is_number(cell, ",") for cell in cells)


def _is_header(
    first: Sequence[str],
    below: Sequence[Sequence[str]],
    decimal: Decimal,
    wanted: Collection[str],
) -> bool:
    """Whether the first row names the columns."""
    called = {f"c{k}" for k in range(1, len(first) + 2)}
    names = {name for cell in all_different(first) for name in (cell, cell.strip(QUOTES))}
    if not names.isdisjoint(wanted) and not set(wanted) <= called:
        return True
    filled = [k for k, cell in enumerate(first) if not is_missing(cell)]
    words = [k for k in filled if not is_number(first[k], decimal)]
    if len(words) == len(filled):
        return bool(words)
    shift = max(map(len, below), default=len(first)) - len(first)

    def is_numeric(column: int) -> bool:
        cells = [row[column + shift] for row in below if 0 <= column + shift < len(row)]
        filled = [cell for cell in cells if not is_missing(cell)]
        return 2 * sum(is_number(cell, decimal) for cell in filled) > len(filled)

    return any(map(is_numeric, words))


def all_different(names: Sequence[str]) -> list[str]:
    """Names of which no two are the same, but empty ones."""
    given, taken, times = set(names), set[str](), Counter[str]()
    found = []
    for name in names:
        new = name
        while name and (new in taken or (new != name and new in given)):
            times[name] += 1
            new = f"{name}.{times[name]}"
        taken.add(new)
        found.append(new)
    return found
