"""Rows that a trained network is to be given: read, and prepared as the training rows were.

Shapes: N rows, D features, T targets.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdrun.config.parts.data import CsvData, MemoryData, ParquetData, TableData, TableFile
from gdrun.data.preprocessing.encode import count_unseen, encoded
from gdrun.data.preprocessing.record import Preprocessing
from gdrun.data.rows import FileRows
from gdrun.errors import DataError, excerpt
from gdrun.tables.cells import is_number, number
from gdrun.tables.checks import refuse_lacking, refuse_new_mistakes
from gdrun.tables.columns import MAX_CATEGORIES, Column, as_text
from gdrun.tables.csv_text.layout import Layout, find_layout
from gdrun.tables.selection import Categories, Numbers, kept
from gdrun.tables.typed import TypedTable, fill
from gdrun.text import count, listed

ALL_ROWS = slice(None)
FEATURELESS = "the network has no features, and gives the same for any row"


@dataclass(frozen=True)
class NewRows:
    """Rows as the columns of the training rows were.

    Attributes:
        x: (N, D) in 64 bits and original units, NaN where nothing is known; or those of a file.
        y: (N, T), the numbers of classes, or quantities in original units; NaN where nothing is
            known. None if the data has no targets.
        layout: of the CSV file that they came from, if they did.
        notes: what was assumed, and what isn't known.
    """

    x: Tensor | FileRows
    y: Tensor | None = None
    layout: Layout | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.x)

    def parts(self, size: int) -> Iterator[tuple[Tensor, Tensor | None]]:
        """So many rows at a time: x in 64 bits, and y."""
        for start in range(0, len(self), size):
            rows = slice(start, start + size)
            x = self.x[rows] if isinstance(self.x, Tensor) else self.x.original(rows).double()
            yield x, None if self.y is None else self.y[rows]


def read_new_rows(
    path: Path,
    table: TableFile | None,
    found: Preprocessing,
    array: str,
    on_progress: Callable[[str], None],
) -> NewRows:
    """The rows of a file.

    Args:
        path: of the file.
        table: how a table is read; None of arrays.
        found: what was learned of the training rows.
        array: the name of the array of a .npz file.
        on_progress: called with a message on how far the reading is.

    Raises:
        DataError: it can't be read, lacks a column, or a cell isn't a number.
    """
    if not found.inputs:
        raise DataError(FEATURELESS)
    match table and table.model_copy(update={"missing": found.missing}):
        case CsvData() as config:
            return _of_csv(config, found)
        case ParquetData() as config:
            return _of_parquet(config, found, on_progress)
        case _:
            is_npz = path.suffix.lower() == ".npz"
            return _of_npz(path, array, found) if is_npz else _of_npy(path, found)


def given_rows(rows: Any, found: Preprocessing) -> NewRows:
    """Rows that were given from Python: a DataFrame, or an array whose columns are the features.

    Raises:
        DataError: it is something else, lacks a column, or has other columns; a value isn't a
            number.
    """
    # These read data that is trained on, too, and so know what is learned of it.
    from gdrun.data.given.frames import is_frame, read_frame, table_of
    from gdrun.data.given.objects import as_array

    if not found.inputs:
        raise DataError(FEATURELESS)
    if not is_frame(rows):
        values = as_array("rows", "rows", rows)
        return _by_place(_numbers(values, "rows"), found, "rows")
    config = MemoryData(missing=found.missing)
    table, by_name = table_of(*read_frame(rows), len(rows))
    columns = _columns(config, found, table.names)
    table.refuse_unusable(config, [*columns])
    fill(columns, [by_name])
    return _rows(config, found, columns)


def _of_csv(config: CsvData, found: Preprocessing) -> NewRows:
    """The rows of a CSV file, with columns by name; its targets, too, if it has them.

    Raises:
        DataError: the file can't be read, lacks a column, or a cell isn't a number.
    """
    layout = find_layout(config, [*(column.name for column in found.inputs), *found.targets])
    columns = _columns(config, found, layout.names)
    places = {layout.names.index(name): column for name, column in columns.items()}
    below = layout.fill(places)
    return _rows(config, found, columns, layout, (*layout.notes, *below))


def _of_parquet(
    config: ParquetData, found: Preprocessing, on_progress: Callable[[str], None]
) -> NewRows:
    """Those of a Parquet file.

    Raises:
        DataError: as for a CSV file.
    """
    from gdrun.data.files.parquet import opened_parquet

    columns: dict[str, Column] = {}

    def choose(table: TypedTable) -> list[str]:
        columns.update(_columns(config, found, table.names))
        table.refuse_unusable(config, [*columns])
        return [*columns]

    with opened_parquet(config, choose, on_progress) as (_, pieces):
        fill(columns, pieces)
    return _rows(config, found, columns)


def _of_npz(path: Path, name: str, found: Preprocessing) -> NewRows:
    """The rows of an array of a .npz file, whose columns are the features by their places.

    Raises:
        DataError: it can't be read, or doesn't hold numbers of fitting shape.
    """
    from gdrun.data.files.npz import read_array

    values = read_array(path, name)
    return _by_place(_numbers(values, f"{path}: {excerpt(name)}"), found, str(path))


def _of_npy(path: Path, found: Preprocessing) -> NewRows:
    """Those of a .npy file, read while they are needed.

    Raises:
        DataError: as for a .npz file.
    """
    from gdrun.data.files.npy import open_npy

    return _by_place(FileRows(open_npy(path, "the data")), found, str(path))


def _numbers(values: NDArray[Any], label: str) -> Tensor:
    """The numbers of an array, (N, C) in 64 bits.

    Raises:
        DataError: it holds something else, or has another shape.
    """
    if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
        raise DataError(
            f"{label} holds {values.dtype} of shape {values.shape}, expected numbers of shape "
            "(rows, columns) or (rows,)"
        )
    return torch.from_numpy(values.reshape(len(values), -1).astype(np.float64))


def _by_place(x: Tensor | FileRows, found: Preprocessing, label: str) -> NewRows:
    if x.shape[1] != len(found.features):
        shown = listed([excerpt(name) for name in found.features], 10)
        raise DataError(
            f"{label}: has {count(x.shape[1], 'column')}, and the network was trained on "
            f"{len(found.features):,}: {shown}"
        )
    return NewRows(x)


def _columns(config: TableData, found: Preprocessing, names: Sequence[str]) -> Mapping[str, Column]:
    """The columns to read, by name: the inputs, and the targets if all of them are there.

    Raises:
        DataError: an input isn't there.
    """
    refuse_lacking(config, [column.name for column in found.inputs], names)
    columns = {column.name: Column(column.name) for column in found.inputs}
    for learned in found.inputs:
        if learned.categories is not None:
            columns[learned.name].collect_categories()
    if set(found.targets) <= set(names):
        for name in found.targets:
            columns[name] = Column(name)
            if found.classes:
                columns[name].collect_categories()
    return columns


def _rows(
    config: TableData,
    found: Preprocessing,
    columns: Mapping[str, Column],
    layout: Layout | None = None,
    assumed: Sequence[str] = (),
) -> NewRows:
    """The rows of columns that were read."""
    own = [columns[learned.name] for learned in found.inputs]
    pairs = list(zip(found.inputs, own, strict=True))
    refuse_new_mistakes(config, [column for way, column in pairs if way.categories is None])
    features: list[NDArray[np.float64]] = []
    unseen = []
    for learned, column in pairs:
        if learned.categories is not None and column.codes is None:
            raise DataError(
                f"{config.label}: column {excerpt(column.name)!r} has more than "
                f"{MAX_CATEGORIES:,} different texts, and the network was trained on "
                f"{len(learned.categories):,}"
            )
        values = kept(column, ALL_ROWS, learned.categories is not None)
        features += encoded(values, learned, fill=found.missing == "mean")
        if isinstance(values, Categories) and (
            times := count_unseen(values, learned, np.arange(len(values.codes)))
        ):
            unseen.append(f"{excerpt(column.name)} ({times:,})")
    rows = len(next(iter(columns.values())).values) if columns else 0
    x = np.stack(features, axis=1) if features else np.empty((rows, 0))
    notes = list(assumed)
    if unseen:
        notes.append(f"rows of a category that no training row had: {listed(unseen)}")
    return NewRows(torch.from_numpy(x), _targets(found, columns), layout, tuple(notes))


def _targets(found: Preprocessing, columns: Mapping[str, Column]) -> Tensor | None:
    """The targets, as far as they are known; None if there are none."""
    if not set(found.targets) <= set(columns):
        return None
    if not found.classes:
        values = [kept(columns[name], ALL_ROWS, as_category=False) for name in found.targets]
        numbers = [column.values for column in values if isinstance(column, Numbers)]
        return torch.from_numpy(np.stack(numbers, axis=1))
    (target,) = (columns[name] for name in found.targets)
    if target.codes is None:  # of so many different texts, these can't be the classes
        return None
    places = {name: float(k) for k, name in enumerate(found.classes)}
    unknown = [places.get(_class_name(label), np.nan) for label in target.labels]
    by_label = map(places.get, target.labels, unknown)
    return torch.tensor([*by_label, np.nan], dtype=torch.float64)[
        torch.from_numpy(target.category_codes().astype(np.int64))
    ].unsqueeze(1)


def _class_name(label: str) -> str:
    """What a class is called whose name is a number, however that is written: 1 and not 1.0."""
    return as_text(number(label)) if is_number(label) else label
