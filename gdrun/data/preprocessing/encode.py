"""The columns of a table as the numbers that the network sees.

Shapes: N rows, D features, of which each category of a column is one.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdrun.errors import DataError, excerpt
from gdrun.tables.columns import NO_CATEGORY
from gdrun.tables.selection import Categories, Numbers, Table
from gdrun.text import count, listed

Columns = Iterator[tuple[str, NDArray[np.float64]]]


def encode(
    table: Table,
    train: NDArray[np.int64],
    held_out: NDArray[np.int64],
    *,
    keep_constant: bool = False,
) -> tuple[Tensor, tuple[str, ...], tuple[str, ...]]:
    """Fill what is missing, and write categories as zeros and ones, by the training rows.

    A number that is missing becomes the mean of the column. A category becomes a column that is 1
    in its rows and 0 in the others, called COLUMN=CATEGORY; where there is none, or one that no
    training row has, all of these are 0.

    Args:
        table: the columns.
        train: the numbers of the training rows.
        held_out: those of the validation rows.
        keep_constant: whether columns that never vary are kept, too.

    Returns:
        x, (N, D) in 64 bits; the names of its columns; notes.

    Raises:
        DataError: a column has no numbers in the training rows, or none is left to learn from.
    """
    notes = _Notes()
    found: list[tuple[str, NDArray[np.float64]]] = []
    for column in table.features:
        if isinstance(column, Numbers):
            own = [(column.name, _filled(column, train, notes))]
        else:
            own = list(_indicators(column, train, held_out, notes))
        is_chosen = table.are_chosen and not keep_constant
        if is_chosen and all(np.ptp(values[train]) == 0 for _, values in own):
            notes.constant.append(excerpt(column.name))
            continue
        found += own
    if not found:
        raise DataError("data: every column is the same in all training rows")
    x = torch.from_numpy(np.stack([values for _, values in found], axis=1))
    return x, tuple(name for name, _ in found), tuple(notes.in_words())


def encode_targets(table: Table) -> tuple[Tensor, tuple[str, ...] | None]:
    """The targets, (N, T) in 64 bits; and the sorted texts whose positions they are, if any."""
    columns, labels = [], None
    for target in table.targets:
        if isinstance(target, Categories):
            labels, values = _sorted_labels(target)
            columns.append(values)
        else:
            columns.append(target.values)
    return torch.from_numpy(np.stack(columns, axis=1)), labels


def _sorted_labels(column: Categories) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The labels of a column in their order, and for each row the place of its own among them."""
    order = sorted(range(len(column.labels)), key=lambda code: column.labels[code])
    places = np.empty(len(order))
    places[order] = range(len(order))
    return tuple(column.labels[code] for code in order), places[column.codes]


class _Notes:
    """What was assumed of columns, by kind."""

    def __init__(self) -> None:
        self.filled: list[str] = []
        self.unseen: list[str] = []
        self.constant: list[str] = []

    def in_words(self) -> Iterator[str]:
        if self.filled:
            yield f"missing cells filled with the mean of their column: {listed(self.filled)}"
        if self.unseen:
            yield f"validation rows of a category that no training row has: {listed(self.unseen)}"
        if self.constant:
            names = listed(self.constant)
            yield f"columns left out (the same in all training rows): {names}"


def _filled(column: Numbers, train: NDArray[np.int64], notes: _Notes) -> NDArray[np.float64]:
    missing = np.isnan(column.values)
    if not missing.any():
        return column.values
    known = column.values[train][~missing[train]]
    if not len(known):
        raise DataError(
            f"column {excerpt(column.name)!r} has no number in the "
            f"{count(len(train), 'training row')}",
            "leave it out: data.exclude",
        )
    notes.filled.append(f"{excerpt(column.name)} ({missing.sum():,})")
    return np.where(missing, known.mean(), column.values)


def _indicators(
    column: Categories, train: NDArray[np.int64], held_out: NDArray[np.int64], notes: _Notes
) -> Columns:
    seen = np.unique(column.codes[train])
    others = column.codes[held_out]
    unseen = int((~np.isin(others, seen) & (others != NO_CATEGORY)).sum())
    if unseen:
        notes.unseen.append(f"{excerpt(column.name)} ({unseen:,})")
    for code in sorted(seen[seen != NO_CATEGORY].tolist(), key=lambda code: column.labels[code]):
        yield f"{column.name}={column.labels[code]}", (column.codes == code).astype(np.float64)
