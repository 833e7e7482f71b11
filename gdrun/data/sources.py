"""Loads the data of a config as tensors, from whatever source."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from gdrun.config.parts.data import CsvData, DataConfig, NpyData, NpzData, ParquetData, TableData
from gdrun.data.classes import refuse_several
from gdrun.data.dataset import Dataset
from gdrun.data.files.npy import load_npy
from gdrun.data.files.npz import load_npz
from gdrun.data.generated import generate
from gdrun.data.in_memory import Target, dataset_of, split
from gdrun.text import visible

if TYPE_CHECKING:
    from gdrun.tables.selection import Table


def load_data(
    config: DataConfig,
    *,
    classify: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Dataset:
    """Read or generate the rows of a config, split and scaled, on the CPU.

    Args:
        config: the source, and how to split and scale its rows.
        classify: whether the target is of classes, and not a quantity.
        on_progress: called with a message on how far a long reading is.

    Raises:
        DataError: the file can't be read or used.
    """
    match config:
        case NpyData():
            return load_npy(config, classify, on_progress)
        case NpzData():
            return load_npz(config, classify, on_progress)
        case ParquetData():
            return _load_parquet(config, classify, on_progress)
        case CsvData():
            return _load_csv(config, classify, on_progress)
        case _:
            made = generate(config)
            rows = split(len(made.y), config.val_fraction, config.seed)
            target = Target((made.target,), made.y.double(), classify)
            return dataset_of(config, made.x, target, rows, made.features, made.title)


def _load_csv(config: CsvData, classify: bool, on_progress: Callable[[str], None]) -> Dataset:
    """Read a CSV file.

    Raises:
        DataError: the file can't be read or used.
    """
    # Only those who read CSV files pay for that.
    from gdrun.tables.table import read_table

    if classify:
        refuse_several(config.targets)
    on_progress(f"reading {visible(config.path.name)}")
    table = read_table(config, classify=classify)
    return _of_table(config, table, classify, config.path.name)


def _load_parquet(
    config: ParquetData, classify: bool, on_progress: Callable[[str], None]
) -> Dataset:
    """Read a Parquet file.

    Raises:
        DataError: the file can't be read or used.
    """
    from gdrun.data.files.parquet import read_parquet

    if classify:
        refuse_several(config.targets)
    table = read_parquet(config, classify, on_progress)
    return _of_table(config, table, classify, config.path.name)


def _of_table(config: TableData, table: "Table", classify: bool, title: str) -> Dataset:
    """The rows of a table."""
    from gdrun.data.encode import encode, encode_targets

    values, labels = encode_targets(table)
    names = tuple(target.name for target in table.targets)
    target = Target(names, values, classify, labels, may_be_constant=True)
    train, held_out = split(len(values), config.val_fraction, config.seed)
    x, features, notes = encode(
        table, train.numpy(), held_out.numpy(), keep_constant=config.shape is not None
    )
    return dataset_of(config, x, target, (train, held_out), features, title, (*table.notes, *notes))
