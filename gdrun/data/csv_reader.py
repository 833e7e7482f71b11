"""A CSV file as its rows, within bounds: neither a file nor a row of any size fits into memory."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from gdrun.errors import DataError

LARGEST = 200_000_000  # bytes of a file
LONGEST_ROW = 4_000_000  # characters
USE_NPY = (
    "convert it once to two .npy files and use data: {source: npy, x: X.npy, y: y.npy}, "
    "which is read in pieces"
)


def refuse_unreadable(path: Path) -> None:
    """Refuse a path before anything of it is read.

    Raises:
        DataError: it is no file, or a file too large to be read row by row.
        OSError: there is none.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"data.path: {path} is no regular file")
    size = path.stat().st_size
    if size > LARGEST:
        raise DataError(
            f"{path}: has {size / 1e6:,.0f} MB; CSV files are read up to {LARGEST / 1e6:,.0f} MB",
            USE_NPY,
        )


def rows_of(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """The rows of a file, from the header on, without blank ones: line number, stripped cells.

    Raises:
        DataError: it isn't valid CSV, or a row is too long to be one.
        UnicodeDecodeError: it is no text.
    """
    first = next(
        (line for line in iter(lambda: file.readline(LONGEST_ROW), "") if line.strip()), ""
    )
    file.seek(0)
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        while line := file.readline(LONGEST_ROW + 1):
            size += len(line)
            if size > LONGEST_ROW:
                raise DataError(
                    f"{path}, line {reader.line_num + 1}: the row is longer than "
                    f"{LONGEST_ROW:,} characters",
                    "is a closing quote missing? If there are that many columns: " + USE_NPY,
                )
            yield line

    reader = csv.reader(lines(), delimiter=max(",;\t", key=first.count), strict=True)
    try:
        for cells in reader:
            size = 0
            stripped = [cell.strip() for cell in cells]
            if any(stripped):
                yield reader.line_num, stripped
    except csv.Error as error:
        raise DataError(
            f"{path}, line {reader.line_num}: is not valid CSV: {error}",
            "is a closing quote missing, here or above?",
        ) from None
