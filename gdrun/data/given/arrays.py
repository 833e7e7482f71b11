"""Arrays of rows: checked, in words that say what came, and made a data set.

Shapes: N training rows, V validation rows, D features, T targets.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from gdrun.config.parts.data import Data
from gdrun.data.classes import refuse_several
from gdrun.data.dataset import Dataset
from gdrun.data.in_memory import Target, dataset_of, split
from gdrun.data.preprocessing.record import as_they_are
from gdrun.errors import DataError, excerpt

Array = NDArray[Any]

NUMBERS, TEXTS = "biuf", "US"  # kinds of types


@dataclass(frozen=True)
class Arrays:
    """Rows as they came.

    Attributes:
        x, y: (N, D) or (N,), and (N, T) or (N,).
        x_val, y_val: likewise of V rows; None without validation rows of their own.
        label: what messages call them; empty if they have no name but x and y.
        names: what messages call each of the arrays, where that is something else.
        features, targets: the names of the columns of x and of y, where they have some.
    """

    x: Array
    y: Array
    x_val: Array | None = None
    y_val: Array | None = None
    label: str = ""
    names: tuple[str, str, str, str] = ("x", "y", "x_val", "y_val")
    features: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()


def load_arrays(config: Data, arrays: Arrays, classify: bool, title: str) -> Dataset:
    """Check arrays, split them if they have no validation rows of their own, and scale them.

    Args:
        config: how to split and scale them.
        arrays: the rows.
        classify: whether y is of classes, and not a quantity.
        title: what the data is, in a few words.

    Raises:
        DataError: they are not finite numbers of fitting shapes, or can't be used.
    """
    parts = _parts(arrays, classify)
    for part in parts:
        _refuse_shape(part)
    for own, their in (parts[:2], parts[2:]):
        if own.rows != their.rows:
            raise DataError(
                f"{own.place} has {own.rows:,} rows, and {their.name} has {their.rows:,}",
                "both need one row for each sample",
            )
    for one, other in ((parts[0], parts[2]), (parts[1], parts[3])):
        if other.rows and one.columns != other.columns:
            raise DataError(
                f"{other.place} has {other.columns:,} columns, and {one.name} has {one.columns:,}"
            )
    train, held_out = parts[0].rows, parts[2].rows
    if held_out and config.val_fraction:
        raise DataError(
            f"data.val_fraction: is {config.val_fraction:g}, and the data has "
            f"{held_out:,} validation rows of its own, {parts[2].name}",
            "set data.val_fraction to 0, or leave these rows away",
        )
    features = arrays.features or column_names("x", parts[0].columns)
    targets = arrays.targets or column_names("y", parts[1].columns)
    if classify:
        refuse_several(targets)
    x = torch.from_numpy(np.concatenate([_numbers(part, features) for part in parts[::2]]))
    values, labels = _values(parts[1], parts[3], targets)
    target = Target(targets, torch.from_numpy(values), classify, labels)
    rows = split(train, config.val_fraction, config.seed)
    if held_out:
        rows = torch.arange(train), torch.arange(train, train + held_out)
    return dataset_of(config, x, target, rows, as_they_are(features), title)


def column_names(array: str, columns: int) -> tuple[str, ...]:
    """What the columns of an array are called: by its name, and their numbers if there are some."""
    return (array,) if columns == 1 else tuple(f"{array}{k}" for k in range(columns))


@dataclass(frozen=True)
class _Part:
    """One of the arrays, and what messages call it."""

    name: str
    place: str
    values: Array
    is_target: bool
    may_be_texts: bool
    may_be_empty: bool

    @property
    def rows(self) -> int:
        return len(self.values) if self.values.ndim else 0

    @property
    def columns(self) -> int:
        return self.values.shape[1] if self.values.ndim == 2 else 1

    @property
    def are_texts(self) -> bool:
        return self.values.dtype.kind in TEXTS


def _parts(arrays: Arrays, classify: bool) -> tuple[_Part, _Part, _Part, _Part]:
    """The four arrays; those that didn't come are empty."""

    def parts() -> Iterator[_Part]:
        given = (arrays.x, arrays.y, arrays.x_val, arrays.y_val)
        for k, (name, values) in enumerate(zip(arrays.names, given, strict=True)):
            place = f"{arrays.label}: {name}" if arrays.label else name
            if values is None:
                shape = (0, *given[k - 2].shape[1:])  # type: ignore[union-attr]
                values = np.empty(shape, given[k - 2].dtype)  # type: ignore[union-attr]
            yield _Part(name, place, values, bool(k % 2), bool(k % 2) and classify, k > 1)

    x, y, x_val, y_val = parts()
    return x, y, x_val, y_val


def _refuse_shape(part: _Part) -> None:
    """Refuse an array of another type or shape than rows have.

    Raises:
        DataError: it is one.
    """
    values = part.values
    what = f"{part.place} holds {_kind(values)} of shape {values.shape}"
    if values.dtype.kind in TEXTS and not part.may_be_texts:
        hint = "a loss of classes, cross_entropy or bce, takes texts" if part.is_target else ENCODE
        raise DataError(f"{what}, expected numbers", hint)
    if values.dtype.kind not in NUMBERS + TEXTS:
        raise DataError(f"{what}, expected real numbers", *_hints(values))
    if values.ndim not in (1, 2):
        columns = "targets" if part.is_target else "features"
        raise DataError(
            f"{what}, expected (rows, {columns}) or (rows,)",
            *([f"{part.name}.reshape(len({part.name}), -1) flattens it"] if values.ndim else []),
        )
    if not part.columns:
        raise DataError(f"{what}: it has no columns")
    if not part.rows and not part.may_be_empty:
        raise DataError(f"{what}: it has no rows")


ENCODE = "make numbers of them; a DataFrame's columns of text are encoded by categorical"


def _kind(values: Array) -> str:
    """What an array holds, in a word."""
    kinds = {"U": "texts", "S": "texts", "O": "objects", "c": "complex numbers", "V": "records"}
    return kinds.get(values.dtype.kind, str(values.dtype))


def _hints(values: Array) -> list[str]:
    """What to do about numbers of another type."""
    if values.dtype.kind == "O":
        return ["rows of different lengths, None and mixed types make objects of an array"]
    return ["real and imag are two columns"] if values.dtype.kind == "c" else []


def _numbers(part: _Part, names: tuple[str, ...]) -> NDArray[np.float64]:
    """The numbers of an array, (rows, columns) in 64 bits.

    Raises:
        DataError: one isn't finite.
    """
    numbers = part.values.reshape(part.rows, part.columns).astype(np.float64)
    # The sum is quick to compute, and finite only if all numbers are.
    with np.errstate(over="ignore", invalid="ignore"):
        total = numbers.sum()
    if not np.isfinite(total) and len(bad := np.argwhere(~np.isfinite(numbers))):
        row, column = bad[0].tolist()
        more = f"; {len(bad):,} numbers aren't finite" if len(bad) > 1 else ""
        raise DataError(
            f"{part.place}, row {row} (from 0), column {names[column]!r}: expected a finite "
            f"number, got {numbers[row, column]:g}{more}",
            "correct or remove these rows",
        )
    return numbers


def _values(
    y: _Part, y_val: _Part, names: tuple[str, ...]
) -> tuple[NDArray[np.float64], tuple[str, ...] | None]:
    """The targets of all rows, (N + V, T); and the sorted texts whose places they are, if any."""
    if not (y.are_texts or (y_val.are_texts and y_val.rows)):
        return np.concatenate([_numbers(y, names), _numbers(y_val, names)]), None
    if y_val.rows and y.are_texts != y_val.are_texts:
        raise DataError(
            f"{y.place} holds {_kind(y.values)}, and {y_val.name} {_kind(y_val.values)}"
        )
    texts = np.concatenate([y.values.reshape(-1), y_val.values.reshape(-1)]).astype(str)
    labels, places = np.unique(texts, return_inverse=True)
    if "" in labels[:1]:
        row = int(np.flatnonzero(texts == "")[0])
        raise DataError(f"{y.place}, row {row} (from 0): expected the name of a class, got nothing")
    return places.reshape(-1, 1).astype(np.float64), tuple(map(excerpt, labels.tolist()))
