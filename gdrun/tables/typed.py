"""Columns that have types, as in Parquet files and data frames: numbers, texts, dates.

Numbers are taken as they are. What a text says, a number among others, is read as in a CSV file.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdrun.config.parts.data import TableData
from gdrun.errors import DataError, excerpt
from gdrun.tables.checks import named_in, refuse_unknown
from gdrun.tables.columns import CHUNK_CELLS, Column
from gdrun.tables.selection import Table, new_column, select, wanted_of

# Values of a column in some rows: numbers, NaN where there is none; or texts, None where there is
# none. Dates are texts, too.
Piece = NDArray[np.float64] | Sequence[str | None]


@dataclass(frozen=True)
class TypedTable:
    """A table whose columns have types.

    Attributes:
        names: of its columns, in order.
        unusable: what some of them hold that is neither numbers nor text nor dates.
        rows: how many there are.
    """

    names: Sequence[str]
    unusable: Mapping[str, str]
    rows: int

    def wanted(self, config: TableData) -> list[str]:
        """The columns whose values are needed.

        Raises:
            DataError: one that a config names doesn't exist, or can't be used; or there are no
                rows.
        """
        refuse_unknown(config, self.names)
        self.refuse_unusable(config, [n for n in named_in(config) if n not in config.exclude])
        wanted = wanted_of(config, self.names)
        return [name for name in self.names if name in wanted and name not in self.unusable]

    def refuse_unusable(self, config: TableData, names: Sequence[str]) -> None:
        """Refuse a table without rows, or whose columns of some names can't be used.

        Raises:
            DataError: it is one.
        """
        repeated = [name for name, times in Counter(self.names).items() if times > 1]
        if repeated:
            raise DataError(f"{config.label}: has two columns {excerpt(repeated[0])!r}")
        for name in names:
            if name in self.unusable:
                raise DataError(
                    f"{config.label}: column {excerpt(name)!r} holds {self.unusable[name]}, "
                    "expected numbers or text"
                )
        if not self.rows:
            raise DataError(f"{config.label}: has no rows")

    def select(
        self, config: TableData, pieces: Iterable[Mapping[str, Piece]], *, classify: bool
    ) -> Table:
        """The targets and features that a config asks for.

        Args:
            config: which columns it names.
            pieces: the values of the `wanted` columns, some rows at a time.
            classify: whether the target may be texts.

        Raises:
            DataError: there is nothing to learn from, a value isn't a number, or too many are
                missing.
        """
        kept = self.wanted(config)
        columns = {name: new_column(config, name, classify=classify) for name in kept}
        fill(columns, pieces)
        wanted = wanted_of(config, self.names)
        for name in self.unusable:
            if name in wanted:
                columns[name] = Column(name, unusable=self.unusable[name])
        in_order = [columns[name] for name in self.names if name in columns]
        return select(config, in_order, (), (), classify=classify)


def fill(columns: Mapping[str, Column], pieces: Iterable[Mapping[str, Piece]]) -> None:
    """Add rows to columns, by their names, some rows at a time."""
    row = 0
    for piece in pieces:
        rows = range(row, row + max(map(len, piece.values()), default=0))
        for name, column in columns.items():
            _add(column, rows, piece[name])
        row = rows.stop


def _add(column: Column, rows: range, piece: Piece) -> None:
    """Add some rows to a column."""
    if isinstance(piece, np.ndarray):
        column.add_numbers(rows, piece)
        return
    for start in range(0, len(piece), CHUNK_CELLS):
        cells = ["" if cell is None else cell for cell in piece[start : start + CHUNK_CELLS]]
        column.add(rows[start : start + CHUNK_CELLS], cells, ".")


def as_numbers(values: Any) -> NDArray[np.float64]:
    """Numbers, or what stands for them, in 64 bits; None is NaN."""
    return np.asarray(values).astype(np.float64)
