"""The columns of a table while it is read: numbers or categories, and the mistakes in them.

Only what a cell stands for is kept, eight or four bytes, however it is written.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gdrun.errors import excerpt
from gdrun.tables.cells import Decimal, is_date, is_missing, number
from gdrun.tables.csv_text.rows import Row

MAX_MISTAKES = 5  # of a kind that are listed, and so many of a column kept; the rest are counted
MAX_WORDS = 1000  # of a column that are counted
MIN_COUNTED = 10  # cells, below which nothing can be said of how often they are repeated
MAX_CATEGORIES = 1000  # of a column
CHUNK_CELLS = 10_000  # that are looked at together
NO_CATEGORY = -1


@dataclass
class Column:
    """A column: a number for each row, NaN where a cell holds none, and what else there is.

    Attributes:
        name: as in the header.
        values: the numbers.
        missing: how many cells say that there is no value.
        wrong: how many cells hold something that isn't a number.
        mistakes: the first of these: line and text.
        gaps: the first lines where a value is missing, each with its text.
        words: how often some of these texts are found, as the repeated ones are no mistakes.
        dates: how many of the mistakes look like dates.
        codes: of each row the place of its text in `labels`, `NO_CATEGORY` if it is missing; None
            if that isn't wanted, or there are too many labels.
        labels: the different texts, in the order of their first rows.
        unusable: what it holds that is neither numbers nor text; its values aren't kept then.
    """

    name: str
    values: "array[float]" = field(default_factory=lambda: array("d"))
    missing: int = 0
    wrong: int = 0
    mistakes: list[tuple[int, str]] = field(default_factory=list)
    gaps: list[tuple[int, str]] = field(default_factory=list)
    words: Counter[str] = field(default_factory=Counter)
    dates: int = 0
    codes: "array[int] | None" = None
    labels: dict[str, int] = field(default_factory=dict)
    unusable: str = ""

    @property
    def filled(self) -> int:
        """How many cells say something."""
        return len(self.values) - self.missing

    def is_numeric(self) -> bool:
        """Whether most filled cells are numbers, so that the others are mistakes and not labels."""
        return 2 * (self.filled - self.wrong) > self.filled

    def repeated_word(self) -> str | None:
        """A text that stands in several cells among the numbers; None if there is none."""
        for word, times in self.words.most_common(1):
            return word if times > 1 else None
        return None

    @property
    def repeats_itself(self) -> bool:
        """Whether its texts may be categories: most stand in several cells, as no names do."""
        counted = self.words.total()
        return counted >= 2 * len(self.words) or counted < MIN_COUNTED

    def has_dates(self) -> bool:
        """Whether what isn't a number looks like dates."""
        return bool(self.mistakes) and self.dates == len(self.mistakes)

    def is_constant(self) -> bool:
        """Whether all its numbers are the same."""
        numbers = self.numbers()
        numbers = numbers[~np.isnan(numbers)]
        return not len(numbers) or bool(numbers.min() == numbers.max())

    def numbers(self) -> NDArray[np.float64]:
        """The numbers, without a copy."""
        return np.frombuffer(self.values)

    def category_codes(self) -> NDArray[np.int32]:
        """The codes of a column whose categories are collected, without a copy."""
        assert self.codes is not None
        return np.frombuffer(self.codes, dtype=np.int32)

    def is_missing(self, *, as_category: bool) -> NDArray[np.bool_]:
        """For each row whether it has no category, or no number."""
        return self.category_codes() == NO_CATEGORY if as_category else np.isnan(self.numbers())

    def collect_categories(self) -> None:
        """Keep the categories of the cells that will be added."""
        self.codes = array("i")

    def add(self, lines: Sequence[int], cells: Sequence[str], decimal: Decimal) -> None:
        """Add the cells of some rows."""
        if self.codes is not None:
            self._add_codes([cell.strip() for cell in cells])
        numbers = _plain_numbers(cells) if decimal == "." else None
        if numbers is not None:
            self.values.extend(numbers)
            return
        for line, cell in zip(lines, map(str.strip, cells), strict=True):
            value = number(cell, decimal)
            self.values.append(value)
            if not math.isnan(value):
                continue
            if is_missing(cell):
                self.missing += 1
                if len(self.gaps) < MAX_MISTAKES:
                    self.gaps.append((line, cell))
                continue
            self.wrong += 1
            if len(self.words) < MAX_WORDS:
                self.words[excerpt(cell)] += 1
            if len(self.mistakes) < MAX_MISTAKES:
                self.mistakes.append((line, excerpt(cell)))
                self.dates += is_date(cell)

    def add_numbers(self, rows: range, numbers: NDArray[np.float64]) -> None:
        """Add the numbers of some rows; NaN where there is none."""
        if self.codes is not None:
            self._add_codes(["" if math.isnan(value) else as_text(value) for value in numbers])
        lacking, infinite = np.isnan(numbers), np.isinf(numbers)
        self.missing += int(lacking.sum())
        for row in np.flatnonzero(lacking)[: MAX_MISTAKES - len(self.gaps)].tolist():
            self.gaps.append((rows[row], ""))
        self.wrong += int(infinite.sum())
        for row in np.flatnonzero(infinite)[: MAX_MISTAKES - len(self.mistakes)].tolist():
            self.mistakes.append((rows[row], f"{numbers[row]:g}"))
        self.values.frombytes(np.where(infinite, math.nan, numbers).tobytes())

    def _add_codes(self, cells: Sequence[str]) -> None:
        assert self.codes is not None
        for cell in cells:
            if is_missing(cell):
                self.codes.append(NO_CATEGORY)
            else:
                self.codes.append(self.labels.setdefault(cell, len(self.labels)))
        if len(self.labels) > MAX_CATEGORIES:
            self.codes = None


def as_text(value: float) -> str:
    """A number as the name of a category: 3 and not 3.0."""
    return str(int(value)) if value.is_integer() else repr(float(value))


def fill_columns(columns: Mapping[int, Column], rows: Iterator[Row], decimal: Decimal) -> None:
    """Add rows to columns, given by their places in a row."""
    size = max(1, CHUNK_CELLS // max(1, len(columns)))
    lines: list[int] = []
    chunk: list[list[str]] = []

    def add() -> None:
        by_place = list(zip(*chunk, strict=True))
        for place, column in columns.items():
            column.add(lines, by_place[place], decimal)
        lines.clear()
        chunk.clear()

    for line, cells in rows:
        lines.append(line)
        chunk.append(cells)
        if len(chunk) == size:
            add()
    if chunk:
        add()


def _plain_numbers(cells: Sequence[str]) -> "array[float] | None":
    """The numbers of cells that all hold one, written plainly; None otherwise."""
    try:
        numbers = array("d", map(float, cells))
    except ValueError:
        return None
    # float would accept 1_000, inf and nan; the sum is finite only if all numbers are.
    if not math.isfinite(sum(numbers)) or "_" in "".join(cells):
        return None
    return numbers
