"""A DataFrame of pandas or polars as a table; neither is imported here.

What is asked of a frame: `columns`, and of pandas `iloc` and each column's `dtype.kind`, of polars
`to_series` and each column's `dtype.is_numeric()`.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np

from gdrun.config.parts.data import TableData
from gdrun.errors import DataError, excerpt
from gdrun.tables.checks import MAX_NAMES
from gdrun.tables.selection import Table
from gdrun.tables.typed import Piece, TypedTable, as_numbers
from gdrun.text import listed

SCALARS = (str, bool, int, float, Decimal, np.generic)
DATES = (date, datetime, time, timedelta)
NESTED = "lists or other objects"


def is_frame(value: Any) -> bool:
    """Whether it is a DataFrame of pandas or polars."""
    return (hasattr(value, "iloc") or hasattr(value, "to_series")) and hasattr(value, "columns")


def frame_table(config: TableData, frame: Any, classify: bool) -> Table:
    """The targets and features of a DataFrame, by the rules of CSV files.

    Args:
        config: which columns it names.
        frame: of pandas or polars.
        classify: whether the target may be texts.

    Raises:
        DataError: no target is named, or a column doesn't exist, or can't be used.
    """
    names, found = read_frame(frame)
    if "target" not in config.model_fields_set and not set(config.targets) <= set(names):
        last = repr(excerpt(names[-1])) if names else "NAME"
        raise DataError(
            "which column of the DataFrame is to be predicted isn't said",
            f"name it: target={last}",
            f"its columns: {listed([excerpt(name) for name in names], MAX_NAMES)}",
        )
    table, by_name = table_of(names, found, len(frame))
    return table.select(config, [by_name], classify=classify)


def read_frame(frame: Any) -> tuple[list[str], list[Piece | str]]:
    """The names of the columns of a DataFrame; and their values, or what can't be used of them."""
    names = [str(name) for name in frame.columns]
    series = [
        frame.iloc[:, k] if hasattr(frame, "iloc") else frame.to_series(k)
        for k in range(len(names))
    ]
    return names, [_piece(each) for each in series]


def table_of(
    names: Sequence[str], found: Sequence[Piece | str], rows: int
) -> tuple[TypedTable, dict[str, Piece]]:
    """The table of columns that were read, and the values of those that can be used."""
    pairs = list(zip(names, found, strict=True))
    unusable = {name: piece for name, piece in pairs if isinstance(piece, str)}
    by_name = {name: piece for name, piece in pairs if not isinstance(piece, str)}
    return TypedTable(names, unusable, rows), by_name


def _piece(series: Any) -> Piece | str:
    """The values of a column; or what it holds that can't be used."""
    dtype = series.dtype
    if hasattr(dtype, "is_numeric"):  # of polars
        is_number = dtype.is_numeric() or str(dtype) == "Boolean"
        return as_numbers(series.to_numpy()) if is_number else _texts(series.to_list())
    if dtype.kind in "biuf":
        return np.asarray(series.to_numpy(dtype=np.float64, na_value=np.nan))
    if dtype.kind == "c":
        return "complex numbers"
    return _texts(series.tolist())


def _texts(values: Sequence[Any]) -> Piece | str:
    """Values as cells of text; dates are texts, too."""
    cells: list[str | None] = []
    for value in values:
        if _is_missing(value):
            cells.append(None)
        elif isinstance(value, SCALARS + DATES):
            cells.append(str(value))
        else:
            return NESTED
    return cells


def _is_missing(value: Any) -> bool:
    """Whether it is None, NaN, NaT or NA."""
    return value is None or str(value) in ("nan", "NaT", "<NA>")
