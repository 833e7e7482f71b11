"""How a CSV file is written, what its columns are called, and its rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from gdrun.config.parts.data import CsvData
from gdrun.errors import DataError, first_of
from gdrun.tables.cells import Decimal, decimal_of, is_grouped
from gdrun.tables.columns import MAX_MISTAKES, Column, fill_columns
from gdrun.tables.csv_text.dialect import NAMES, find_dialect, rows_in, sample_of
from gdrun.tables.csv_text.header import MAX_TITLES, find_header, fit_width, is_words
from gdrun.tables.csv_text.rows import Dialect, Row, rows_of
from gdrun.tables.csv_text.text_file import USE_NPY, TextFile, find_text
from gdrun.text import count

MAX_COLUMNS = 100_000


@dataclass(frozen=True)
class Layout:
    """A CSV file whose first lines were looked at.

    Attributes:
        text: the file.
        dialect: how its rows are written.
        decimal: how its numbers are.
        names: of its columns, also of those without one of their own.
        nameless: those without one.
        rows_above: how many rows of the text come before the first row of values.
        width: how many cells a row has, apart from empty ones at its end.
        notes: what was assumed.
    """

    text: TextFile
    dialect: Dialect
    decimal: Decimal
    names: tuple[str, ...]
    nameless: frozenset[str]
    rows_above: int
    width: int
    notes: tuple[str, ...]

    def rows(self) -> Iterator[Row]:
        """The rows of the table.

        Raises:
            DataError: the file can't be read, or a row has another number of cells.
        """
        return self._table().rows()

    def fill(self, columns: Mapping[int, Column]) -> list[str]:
        """Read columns, given by their places, to the end of the file.

        Returns:
            A note on words below the table, if there are any.

        Raises:
            DataError: there is no row, or as for `rows`.
        """
        table = self._table()
        fill_columns(columns, table.rows(), self.decimal)
        if not table.length:
            raise DataError(f"{self.text.path}: has no rows below its header line")
        return [f"{count(len(table.below), 'line')} below the table skipped"] if table.below else []

    def _table(self) -> "_TableRows":
        return _TableRows(self)


def find_layout(config: CsvData, wanted: Sequence[str]) -> Layout:
    """Look at the first lines of a file, where names of `wanted` columns are expected.

    Raises:
        DataError: it can't be read, is empty, is too large, or 1,234 may be meant either way.
    """
    text = find_text(config.path, config.encoding)
    with text.open() as file:
        lines = sample_of(file)
    if not lines:
        raise DataError(f"{config.path}: is empty; expected a header line and rows")
    dialect = find_dialect(lines, config.delimiter, config.comment)
    first = list(rows_in(lines, dialect))
    decimal, notes = _decimal(config, first, dialect)
    header = find_header(lines, first, dialect, decimal, config.header, wanted)
    if len(header.names) > MAX_COLUMNS:
        raise DataError(
            f"{config.path}: has {len(header.names):,} columns; CSV files are read up to "
            f"{MAX_COLUMNS:,}",
            USE_NPY,
        )
    names = tuple(name or f"column {k} (no name)" for k, name in enumerate(header.names, 1))
    assumed = (text.note, *_dialect_notes(dialect), *notes, *header.notes)
    return Layout(
        text=text,
        dialect=dialect,
        decimal=decimal,
        names=names,
        nameless=frozenset(n for n, own in zip(names, header.names, strict=True) if not own),
        rows_above=header.rows_above,
        width=header.width,
        notes=tuple(note for note in assumed if note),
    )


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


class _TableRows:
    """The rows of a table, which are of one width, and the lines among and below them.

    Attributes:
        length: how many rows there were so far.
        below: lines of words since the last row, which are no mistake if they end the file.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._path: Path = layout.text.path
        self._odd = 0
        self._examples: list[str] = []
        self.length = 0
        self.below: list[Row] = []

    def rows(self) -> Iterator[Row]:
        """Those of the table, to the end of the file.

        Raises:
            DataError: some rows are of another width, or the file can't be read.
        """
        layout = self._layout
        with layout.text.open() as file:
            written = rows_of(self._path, file, layout.dialect)
            yield from self._of_table(islice(written, layout.rows_above, None))
        if self._odd:
            raise DataError(
                first_of(self._examples, self._odd, "line"),
                "correct or remove these lines; cells that hold the delimiter need quotes",
            )

    def _of_table(self, rows: Iterable[Row]) -> Iterator[Row]:
        for line, cells in rows:
            if fit_width(cells, self._layout.width):
                if self.below:
                    self._note(self.below)
                    self.below = []
                self.length += 1
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
                f"{self._path}, line {line}: has {cells_there}, expected {self._layout.width} as "
                "in the other lines"
            )
