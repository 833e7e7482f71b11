"""How a CSV file is written, judged by its first lines: delimiter, quotes, comments."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from io import StringIO
from typing import TextIO

from gdrun.config.values import DELIMITERS
from gdrun.errors import DataError
from gdrun.tables.cells import is_number
from gdrun.tables.csv_text.rows import MAX_ROW_LENGTH, Dialect, Row, rows_of

NAMES = {mark: name for name, mark in DELIMITERS.items()}
COMMENTS = ("#", "%")
_SEPARATOR = re.compile(r'"?sep=(?P<mark>[^\w"])"?')  # what Excel reads in a first line
# The time to judge a word rises with the square of its length.
_LONG_WORD = re.compile(r"([^\s,;|\"'\\]{100})[^\s,;|\"'\\]+")
SAMPLE_LINES, SAMPLE_CHARACTERS = 200, 100_000
MIN_SAMPLE_LINES = 5  # however long they are


def sample_of(file: TextIO) -> list[str]:
    """The first lines of a text that aren't blank."""
    lines: list[str] = []
    size = 0
    while line := file.readline(MAX_ROW_LENGTH):
        if not line.strip():
            continue
        lines.append(line)
        size += len(line)
        if len(lines) == SAMPLE_LINES or (
            size > SAMPLE_CHARACTERS and len(lines) >= MIN_SAMPLE_LINES
        ):
            break
    return lines


def find_dialect(
    lines: Sequence[str], delimiter: str | None = None, comment: str | None = None
) -> Dialect:
    """The dialect of some lines.

    The delimiter and the quotes are those that give the most consistent rows, of cells whose kind
    can be told (van den Burg, Nazábal & Sutton 2019, "Wrangling messy CSV files by detecting row
    and type patterns"). A line that begins with # or % is a comment if it isn't as long as the
    rows are.

    Args:
        lines: the first lines, none of them blank.
        delimiter: what the user says of it; None looks for it.
        comment: what the user says comments begin with; None looks for them, "" says that there
            are none.
    """
    marks = COMMENTS if comment is None else (comment,) if comment else ()
    body = [line for line in lines if not line.lstrip().startswith(marks)] or list(lines)
    said = _SEPARATOR.fullmatch(lines[0].strip())
    if said:
        return replace(_detected(lines[1:], [delimiter or said["mark"]]), comment=lines[0].strip())
    if delimiter:
        dialect = _detected(body, [delimiter])
    else:
        dialect = _detected(body, [mark for mark in NAMES if mark != " "])
        spaced = _detected(body, [" "])
        # Texts have spaces in them, and so many that they could be rows of words.
        if _numbers_share(body, spaced) > max(0.5, _numbers_share(body, dialect)):
            dialect = spaced
    if comment is None:
        comment = _comment_of(lines, width_of(list(rows_in(body, dialect))), dialect)
    return replace(dialect, comment=comment or None)


def _detected(lines: Sequence[str], delimiters: list[str]) -> Dialect:
    """The most consistent dialect with one of some delimiters."""
    from clevercsv import Detector

    text = _LONG_WORD.sub(r"\1", "".join(lines)[:SAMPLE_CHARACTERS]).replace("\0", "")
    found = Detector().detect(text, delimiters=delimiters)
    plain = Dialect(delimiters[0])
    if not found:
        return plain
    return Dialect(
        found.delimiter or plain.delimiter,  # of a single column, it has none
        found.quotechar or plain.quote,
        found.escapechar or None,
    )


def _numbers_share(lines: Sequence[str], dialect: Dialect) -> float:
    """Which share of the cells below the first line are numbers; 0 where there is one column."""
    cells = [cell for _, row in [*rows_in(lines, dialect)][1:] for cell in row if len(row) > 1]
    return sum(is_number(cell) or is_number(cell, ",") for cell in cells) / max(1, len(cells))


def rows_in(lines: Sequence[str], dialect: Dialect) -> Iterator[Row]:
    """The rows in some lines, without spaces around cells, up to the first that isn't valid."""
    try:
        for line, cells in rows_of("", StringIO("".join(lines), newline=""), dialect):
            yield line, [cell.strip() for cell in cells]
    except DataError:
        return  # of a cell that goes on after the last line; reading the file will tell


def width_of(rows: Sequence[Row]) -> int:
    """How many cells most rows have; the first one may be a header of another length."""
    counts = Counter(len(cells) for _, cells in (rows[1:] or rows))
    return max(counts, key=lambda width: (counts[width], width), default=0)


def _comment_of(lines: Sequence[str], width: int, dialect: Dialect) -> str | None:
    """What comments begin with, among rows of some width; None if there are none."""
    for mark in COMMENTS:
        marked = [line.lstrip().startswith(mark) for line in lines]
        leading = marked.index(False) if False in marked else len(lines)
        later = [line for line, is_marked in zip(lines, marked, strict=True) if is_marked][leading:]
        are_rows = all(len(cells) == width for _, cells in rows_in(later, dialect))
        if any(marked) and not all(marked) and not (later and are_rows):
            return mark
    return None
