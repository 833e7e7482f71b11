"""The rows of a CSV file with further columns, written as the file is: delimiter, decimal mark."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from gdrun.errors import DataError
from gdrun.tables.csv_text.header import all_different
from gdrun.tables.csv_text.layout import Layout

FLUSH_ROWS = 10_000  # that are text at once


def csv_text(
    layout: Layout | None, names: Sequence[str], rows: Iterable[Sequence[str]]
) -> Iterator[str]:
    """Columns as CSV, some rows at a time, behind the cells of a file if there is one.

    Args:
        layout: of the file, which is read again; None writes the columns alone.
        names: of the columns; one that the file has already gets a number.
        rows: their cells, for each row of the file.

    Raises:
        DataError: the file was changed meanwhile.
    """
    text = StringIO()
    delimiter = layout.dialect.delimiter if layout else ","
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    before = [] if layout is None else ["" if n in layout.nameless else n for n in layout.names]
    writer.writerow(all_different([*before, *names]))
    for number, row in enumerate(_joined(layout, rows), 1):
        writer.writerow(row)
        if number % FLUSH_ROWS == 0:
            yield text.getvalue()
            text.seek(0)
            text.truncate()
    yield text.getvalue()


def _joined(layout: Layout | None, rows: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
    if layout is None:
        yield from rows
        return
    cells = (cells for _, cells in layout.rows())
    try:
        for own, row in zip(cells, rows, strict=True):
            yield [*own, *row]
    except ValueError:
        raise DataError(f"{layout.text.path}: was changed while it was read") from None
