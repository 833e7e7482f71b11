"""The rows of a CSV file, read one by one and within bounds, as its size may exceed memory."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from gdrun.errors import DataError

MAX_BYTES = 200_000_000  # of a file
MAX_ROW_LENGTH = 4_000_000  # characters of a row
USE_NPY = (
    "convert it once to two .npy files and use data: {source: npy, x: X.npy, y: y.npy}, "
    "which are read block by block"
)


def refuse_large(path: Path) -> None:
    """Refuse a path that is no file or a file that is too large, before anything is read.

    Raises:
        DataError: it is.
        OSError: the file doesn't exist.
    """
    if path.exists() and not path.is_file():
        raise DataError(f"data.path: {path} is not a regular file")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise DataError(
            f"{path}: has {size / 1e6:,.0f} MB; CSV files are read up to {MAX_BYTES / 1e6:,.0f} MB",
            USE_NPY,
        )


def rows_of(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """The line number and the stripped cells of each row, the header first; without blank rows.

    Raises:
        DataError: the file isn't valid CSV, or a row is too long.
        UnicodeDecodeError: it isn't text.
    """
    first = next(
        (line for line in iter(lambda: file.readline(MAX_ROW_LENGTH), "") if line.strip()), ""
    )
    file.seek(0)
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        while line := file.readline(MAX_ROW_LENGTH + 1):
            size += len(line)
            if size > MAX_ROW_LENGTH:
                raise DataError(
                    f"{path}, line {reader.line_num + 1}: the row is longer than "
                    f"{MAX_ROW_LENGTH:,} characters",
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
