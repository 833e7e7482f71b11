"""The columns of a table as the numbers that the network sees.

Shapes: N rows, D features, of which each category of a column is one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdrun.data.preprocessing.record import InputColumn
from gdrun.errors import DataError, excerpt
from gdrun.tables.columns import NO_CATEGORY
from gdrun.tables.selection import Categories, Numbers, Table
from gdrun.text import count, listed

UNKNOWN = -2  # the code of a category that no row has; NO_CATEGORY is -1


@dataclass(frozen=True)
class Encoded:
    """The columns of a table as numbers.

    Attributes:
        x: (N, D) in 64 bits.
        inputs: what each feature was made of, and how.
        notes: what was assumed.
    """

    x: Tensor
    inputs: tuple[InputColumn, ...]
    notes: tuple[str, ...]


def encode(
    table: Table,
    train: NDArray[np.int64],
    held_out: NDArray[np.int64],
    *,
    keep_constant: bool = False,
) -> Encoded:
    """Fill what is missing, and write categories as zeros and ones, by the training rows.

    A number that is missing becomes the mean of the column. A category becomes a column that is 1
    in its rows and 0 in the others, called COLUMN=CATEGORY; where there is none, or one that no
    training row has, all of these are 0.

    Args:
        table: the columns.
        train: the numbers of the training rows.
        held_out: those of the validation rows.
        keep_constant: whether columns that never vary are kept, too.

    Raises:
        DataError: a column has no numbers in the training rows, or none is left to learn from.
    """
    notes = _Notes()
    inputs: list[InputColumn] = []
    found: list[NDArray[np.float64]] = []
    for column in table.features:
        learned = _learn(column, train)
        own = list(encoded(column, learned))
        notes.add(column, learned, held_out)
        is_chosen = table.are_chosen and not keep_constant
        if is_chosen and all(np.ptp(values[train]) == 0 for values in own):
            notes.constant.append(excerpt(column.name))
            continue
        inputs.append(learned)
        found += own
    if not found:
        raise DataError(
            f"data: every column is the same in the {count(len(train), 'training row')}",
            *(["a smaller data.val_fraction leaves more of them"] if len(held_out) else []),
        )
    x = torch.from_numpy(np.stack(found, axis=1))
    return Encoded(x, tuple(inputs), tuple(notes.in_words()))


def encoded(
    column: Numbers | Categories, learned: InputColumn, *, fill: bool = True
) -> Iterator[NDArray[np.float64]]:
    """The features of a column, (N,) each, by what was learned of the training rows.

    What is missing is filled, or else NaN.
    """
    if isinstance(column, Numbers):
        missing = np.isnan(column.values)
        if fill and learned.fill is not None and missing.any():
            yield np.where(missing, learned.fill, column.values)
        else:
            yield column.values
        return
    codes = {label: code for code, label in enumerate(column.labels)}
    for category in learned.categories or ():
        values = (column.codes == codes.get(category, UNKNOWN)).astype(np.float64)
        if not fill:
            values[column.codes == NO_CATEGORY] = np.nan
        yield values


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

    def add(
        self, column: Numbers | Categories, learned: InputColumn, held_out: NDArray[np.int64]
    ) -> None:
        """Note what is missing in a column, or is of a category of validation rows alone."""
        if isinstance(column, Numbers):
            if missing := int(np.isnan(column.values).sum()):
                self.filled.append(f"{excerpt(column.name)} ({missing:,})")
        elif unseen := count_unseen(column, learned, held_out):
            self.unseen.append(f"{excerpt(column.name)} ({unseen:,})")

    def in_words(self) -> Iterator[str]:
        if self.filled:
            yield f"missing cells filled with the mean of their column: {listed(self.filled)}"
        if self.unseen:
            yield f"validation rows of a category that no training row has: {listed(self.unseen)}"
        if self.constant:
            names = listed(self.constant)
            yield f"columns left out (the same in all training rows): {names}"


def count_unseen(column: Categories, learned: InputColumn, rows: NDArray[np.int64]) -> int:
    """How many of some rows are of a category that no training row has."""
    known = set(learned.categories or ())
    seen = [code for code, label in enumerate(column.labels) if label in known]
    codes = column.codes[rows]
    return int((~np.isin(codes, seen) & (codes != NO_CATEGORY)).sum())


def _learn(column: Numbers | Categories, train: NDArray[np.int64]) -> InputColumn:
    """The mean of the training rows, or their categories in the order of their names.

    Raises:
        DataError: a column of numbers has none in the training rows.
    """
    if isinstance(column, Categories):
        seen = np.unique(column.codes[train])
        labels = (column.labels[code] for code in seen[seen != NO_CATEGORY].tolist())
        return InputColumn(column.name, categories=tuple(sorted(labels)))
    values = column.values[train]
    known = values[~np.isnan(values)]
    if not len(known):
        raise DataError(
            f"column {excerpt(column.name)!r} has no number in the "
            f"{count(len(train), 'training row')}",
            "leave it out: data.exclude",
        )
    with np.errstate(over="ignore"):  # numbers that are too large are refused later, by column
        mean = float(known.mean())
    return InputColumn(column.name, fill=mean if np.isfinite(mean) else None)
