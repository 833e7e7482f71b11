"""A CSV file as the columns to train on; what can't be used is refused by line and column."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from gdrun.config.parts.data import CsvData
from gdrun.errors import DataError, first_of
from gdrun.tables.cells import Decimal, decimal_of, is_grouped
from gdrun.tables.checks import named_in, refuse_unknown, with_names
from gdrun.tables.columns import MAX_MISTAKES, Column, fill_columns
from gdrun.tables.dialect import NAMES, find_dialect, rows_in, sample_of
from gdrun.tables.header import MAX_TITLES, Header, find_header, fit_width, is_words
from gdrun.tables.rows import Dialect, Row, rows_of
from gdrun.tables.selection import Table, new_column, select, wanted_of
from gdrun.tables.text_file import USE_NPY, TextFile, find_text
from gdrun.text import count

MAX_COLUMNS = 100_000


def read_table(config: CsvData, *, classify: bool = False) -> Table:
    """Read the target and the features from a CSV file.

    Without `features`, these are all columns of numbers except the target, and those that
    `categorical` names; constant ones, those that are mostly empty and those without a name are
    left out. To `classify`, the target may be texts.

    Raises:
        DataError: the file can't be read or is too large, a column doesn't exist, a cell isn't a
            number, or too many are missing.
    """
    text = find_text(config.path, config.encoding)
    with text.open() as file:
        lines = sample_of(file)
    if not lines:
        raise DataError(f"{config.path}: is empty; expected a header line and rows")
    dialect = find_dialect(lines, config.delimiter, config.comment)
    first = list(rows_in(lines, dialect))
    decimal, notes = _decimal(config, first, dialect)
    header = find_header(lines, first, dialect, decimal, config.header, named_in(config))
    names = _names(config, header)
    config = with_names(config, names)
    refuse_unknown(config, names)
    columns = _columns(config, names, classify)
    below = _read_rows(text, dialect, header, columns, decimal)
    nameless = {name for name, given in zip(names, header.names, strict=True) if not given}
    assumed = [text.note, *_dialect_notes(dialect), *notes, *header.notes, *below]
    return select(config, list(columns.values()), nameless, assumed, classify=classify)


def _decimal(config: CsvData, rows: Sequence[Row], dialect: Dialect) -> tuple[Decimal, list[str]]:
    """The decimal mark of the first rows, and what was assumed."""
    cells = [cell for _, row in rows for cell in row]
    decimal = config.decimal or decimal_of(cells)
    if decimal is None:
        if dialect.delimiter != ",":
            example = next(cell for cell in cells if is_grouped(cell, "."))
            raise DataError(
                f"{config.path}: is {example} more than a thousand, or has it a decimal comma?",
                'set data.decimal to "." or to ","',
            )
        decimal = "."
    if config.decimal:
        return decimal, []
    notes = ["numbers are read with a decimal comma (data.decimal)"] if decimal == "," else []
    grouped = next((cell for cell in cells if is_grouped(cell, decimal)), None)
    if grouped:
        notes.append(f"numbers such as {grouped} are read as thousands (data.decimal)")
    return decimal, notes


def _dialect_notes(dialect: Dialect) -> Iterator[str]:
    if dialect.delimiter != ",":
        name = NAMES.get(dialect.delimiter, repr(dialect.delimiter))
        yield f"cells are separated by {name}{'' if name.endswith('s') else 's'}"
    if dialect.comment:
        yield f"lines that begin with {dialect.comment} are comments"


def _names(config: CsvData, header: Header) -> list[str]:
    """What the columns are called, also those without a name."""
    if len(header.names) > MAX_COLUMNS:
        raise DataError(
            f"{config.path}: has {len(header.names):,} columns; CSV files are read up to "
            f"{MAX_COLUMNS:,}",
            USE_NPY,
        )
    return [name or f"column {k} (no name)" for k, name in enumerate(header.names, 1)]


def _columns(config: CsvData, names: Sequence[str], classify: bool) -> Mapping[int, Column]:
    """The columns that are read, by their places."""
    wanted = wanted_of(config, names)
    return {
        k: new_column(config, name, classify=classify)
        for k, name in enumerate(names)
        if name in wanted
    }


def _read_rows(
    text: TextFile,
    dialect: Dialect,
    header: Header,
    columns: Mapping[int, Column],
    decimal: Decimal,
) -> list[str]:
    """Read the columns to the end of the file; a note on words below the table."""
    rows = _Rows(text.path, header.width)
    with text.open() as file:
        below = islice(rows_of(text.path, file, dialect), header.rows_above, None)
        fill_columns(columns, rows.of_table(below), decimal)
    rows.refuse_odd_ones()
    if not len(next(iter(columns.values())).values):
        raise DataError(f"{text.path}: has no rows below its header line")
    return [f"{count(len(rows.below), 'line')} below the table skipped"] if rows.below else []


class _Rows:
    """The rows of a table, which are of one width, and the lines among and below them.

    Attributes:
        below: lines of words since the last row, which are no mistake if they end the file.
    """

    def __init__(self, path: Path, width: int) -> None:
        self._path, self._width = path, width
        self._odd = 0
        self._examples: list[str] = []
        self.below: list[Row] = []

    def of_table(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Those of the table; the others are noted."""
        for line, cells in rows:
            if fit_width(cells, self._width):
                if self.below:
                    self._note(self.below)
                    self.below = []
                yield line, cells
            elif is_words(cells) and len(self.below) < MAX_TITLES:
                self.below.append((line, cells))
            else:
                self._note([(line, cells)])

    def _note(self, rows: Sequence[Row]) -> None:
        self._odd += len(rows)
        for line, cells in rows[: MAX_MISTAKES - len(self._examples)]:
            cells_there = count(len(cells), "cell")
            self._examples.append(
                f"{self._path}, line {line}: has {cells_there}, expected {self._width} as in the "
                "other lines"
            )

    def refuse_odd_ones(self) -> None:
        """Refuse a table with rows of another width.

        Raises:
            DataError: there are some.
        """
        if self._odd:
            raise DataError(
                first_of(self._examples, self._odd, "line"),
                "correct or remove these lines; cells that hold the delimiter need quotes",
            )
