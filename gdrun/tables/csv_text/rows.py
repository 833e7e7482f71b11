"""The rows of a CSV file, read one by one and within bounds, as its size may exceed memory."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TextIO

from gdrun.errors import DataError
from gdrun.tables.csv_text.text_file import USE_NPY

MAX_ROW_LENGTH = 4_000_000  # characters of a row

Row = tuple[int, list[str]]  # the number of its last line, and its cells


@dataclass(frozen=True)
class Dialect:
    """How rows are written.

    Attributes:
        delimiter: between cells.
        quote: around a cell that holds delimiters or line ends.
        escape: before a quote inside such a cell; None if it is doubled there.
        comment: what a line begins with that is no row; None if all lines are.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None
    comment: str | None = None


def rows_of(path: object, file: TextIO, dialect: Dialect) -> Iterator[Row]:
    """The rows of a text, without blank ones and comments.

    Raises:
        DataError: the text is none, or isn't valid CSV, or a row is too long.
    """
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        while line := file.readline(MAX_ROW_LENGTH + 1):
            if not size and dialect.comment and line.lstrip().startswith(dialect.comment):
                yield "\n"  # counted, and blank
                continue
            if "\0" in line:
                raise DataError(
                    f"{path}, line {reader.line_num + 1}: is not text: it holds zero bytes",
                    "name its encoding in data.encoding, such as utf-16; or save it as UTF-8",
                )
            size += len(line)
            if size > MAX_ROW_LENGTH:
                raise DataError(
                    f"{path}, line {reader.line_num + 1}: the row is longer than "
                    f"{MAX_ROW_LENGTH:,} characters",
                    "is a closing quote missing? If there are that many columns: " + USE_NPY,
                )
            yield line

    reader = csv.reader(
        lines(),
        delimiter=dialect.delimiter,
        quotechar=dialect.quote,
        escapechar=dialect.escape,
        doublequote=dialect.escape is None,
        skipinitialspace=True,
        strict=True,
    )
    try:
        for cells in reader:
            size = 0
            if cells and (cells[0].strip() or any(map(str.strip, cells))):
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: is not valid CSV: {error}",
            "is a closing quote missing, here or above?",
        ) from None
