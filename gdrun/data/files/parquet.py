"""A Parquet file: columns with types, read some rows at a time.

pyarrow reads it, the reference implementation, which needs no other package. It is large, so it
is an extra, and imported only here.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.config.parts.data import ParquetData
from gdrun.errors import DataError, excerpt, one_line, unreadable
from gdrun.tables.selection import Table
from gdrun.tables.typed import Piece, TypedTable
from gdrun.text import visible

if TYPE_CHECKING:
    import pyarrow as pa

MAX_NUMBERS = 2**27  # in the columns that are read (1 GB)
MAX_COLUMNS = 100_000
BATCH_ROWS = 2**16  # that are read at once
USE_NPY = "larger data comes as .npy files: data.source: npy"


def read_parquet(config: ParquetData, classify: bool, on_progress: Callable[[str], None]) -> Table:
    """Read the targets and the features from a Parquet file, by the rules of CSV files.

    Args:
        config: the file, and which columns it names.
        classify: whether the target may be texts.
        on_progress: called with a message on how far the reading is.

    Raises:
        DataError: pyarrow isn't installed, or the file can't be read or used.
    """
    choose = partial(TypedTable.wanted, config=config)
    with opened_parquet(config, choose, on_progress) as (table, pieces):
        return table.select(config, pieces, classify=classify)


@contextmanager
def opened_parquet(
    config: ParquetData,
    choose: Callable[[TypedTable], list[str]],
    on_progress: Callable[[str], None],
) -> Iterator[tuple[TypedTable, Iterator[Mapping[str, Piece]]]]:
    """The table in a Parquet file, and those of its columns that are chosen, some rows at a time.

    Raises:
        DataError: pyarrow isn't installed, or the file can't be read.
    """
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"{config.path}: a Parquet file is read by pyarrow, which can't be imported: "
            f"{one_line(error)}",
            "pip install 'gdrun[parquet]'",
        ) from None
    path = config.path
    with _errors(config):
        if path.exists() and not path.is_file():
            raise DataError(f"data.path: {path} is not a regular file")
        with path.open("rb") as opened, parquet.ParquetFile(opened) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
            if len(schema.names) > MAX_COLUMNS:
                raise DataError(
                    f"{path}: has {len(schema.names):,} columns; Parquet files are read up to "
                    f"{MAX_COLUMNS:,}",
                    USE_NPY,
                )
            unusable = {field.name: said for field in schema if (said := _unusable(field.type))}
            table = TypedTable(schema.names, unusable, rows)
            wanted = choose(table)
            if rows * len(wanted) > MAX_NUMBERS:
                raise DataError(
                    f"{path}: has {rows:,} rows of {len(wanted):,} columns to read; Parquet files "
                    f"are read up to {MAX_NUMBERS:,} cells",
                    USE_NPY,
                    "data.features reads only these columns",
                )
        texts = [name for name in wanted if _is_text(schema.field(name).type)]
        # Equal texts are one in memory then, however often they are repeated.
        with path.open("rb") as opened, parquet.ParquetFile(opened, read_dictionary=texts) as file:
            batches = file.iter_batches(BATCH_ROWS, columns=wanted)
            yield table, _pieces(batches, wanted, rows, path.name, on_progress)


def _pieces(
    batches: "Iterator[pa.RecordBatch]",
    wanted: list[str],
    rows: int,
    name: str,
    on_progress: Callable[[str], None],
) -> Iterator[Mapping[str, Piece]]:
    done = 0
    for batch in batches:
        on_progress(f"reading {visible(name)}: {100 * done // rows} %")
        done += len(batch)
        yield {column: piece_of(batch.column(column)) for column in wanted}


def piece_of(array: "pa.Array") -> Piece:
    """The values of an Arrow array of numbers, truth values, texts or dates."""
    import pyarrow as pa

    if pa.types.is_dictionary(array.type):
        # Of a null, numpy's index is any number; its place is one behind the last.
        labels = [*piece_of(array.dictionary), None]
        codes = array.indices.fill_null(len(labels) - 1).to_numpy(zero_copy_only=False)
        found: Piece = [labels[code] for code in codes.tolist()]
        is_text = _is_text(array.type.value_type) or _is_date(array.type.value_type)
        return found if is_text else np.array(found, dtype=np.float64)
    if _is_date(array.type):
        return [None if value is None else str(value) for value in array.to_pylist()]
    if _is_text(array.type):
        return list(array.to_pylist())
    if pa.types.is_null(array.type):
        return np.full(len(array), np.nan)
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.uint8())
    numbers = array.cast(pa.float64(), safe=False)
    return np.array(numbers.to_numpy(zero_copy_only=False), dtype=np.float64)


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_date(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(pa.types.is_temporal(kind))


def _unusable(kind: "pa.DataType") -> str:
    """What values of a type are, if they can't be used."""
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(kind):
        return _unusable(kind.value_type)
    if types.is_nested(kind):
        return "lists or records"
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    usable = is_number or types.is_boolean(kind) or types.is_null(kind)
    return "" if usable or _is_text(kind) or _is_date(kind) else f"values of the type {kind}"


@contextmanager
def _errors(config: ParquetData) -> Iterator[None]:
    """What reading raises, as a DataError."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except OSError as error:
        if error.strerror:
            raise unreadable("data.path", config.path, error.strerror) from None
        raise _damaged(config, error) from None
    except Exception as error:  # what pyarrow raises depends on where a file is damaged
        raise _damaged(config, error) from None


def _damaged(config: ParquetData, error: Any) -> DataError:
    return DataError(
        f"data.path: {config.path} is not a Parquet file that can be read: "
        f"{excerpt(one_line(error), 200)}"
    )
