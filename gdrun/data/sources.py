"""Loads the data of a config as tensors, from whatever source."""

from collections.abc import Callable
from dataclasses import replace

from gdrun.config.parts.data import (
    CsvData,
    DataConfig,
    MemoryData,
    NpyData,
    NpzData,
    ParquetData,
    PythonData,
)
from gdrun.data.classes import refuse_several
from gdrun.data.dataset import Dataset
from gdrun.data.files.npy import load_npy
from gdrun.data.files.npz import load_npz
from gdrun.data.generated import generate
from gdrun.data.in_memory import Target, dataset_of, split
from gdrun.data.own.find import find_function
from gdrun.data.preprocessing.record import as_they_are
from gdrun.errors import DataError
from gdrun.text import visible


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
        ConfigError, UserCodeError: a function of the user's can't be found, or raises an exception.
    """
    match config:
        case NpyData():
            return load_npy(config, classify, on_progress)
        case NpzData():
            return load_npz(config, classify, on_progress)
        case ParquetData():
            return _load_parquet(config, classify, on_progress)
        case MemoryData():
            return _load_memory(config, classify)
        case PythonData():
            return _load_python(config, classify, on_progress)
        case CsvData():
            return _load_csv(config, classify, on_progress)
        case _:
            made = generate(config)
            rows = split(len(made.y), config.val_fraction, config.seed)
            target = Target((made.target,), made.y.double(), classify)
            return dataset_of(config, made.x, target, rows, as_they_are(made.features), made.title)


def _load_csv(config: CsvData, classify: bool, on_progress: Callable[[str], None]) -> Dataset:
    """Read a CSV file.

    Raises:
        DataError: the file can't be read or used.
    """
    # Only those who read CSV files pay for that.
    from gdrun.data.of_table import dataset_of_table
    from gdrun.tables.table import read_table

    if classify:
        refuse_several(config.targets)
    on_progress(f"reading {visible(config.path.name)}")
    table = read_table(config, classify=classify)
    return dataset_of_table(config, table, classify, config.path.name)


def _load_memory(config: MemoryData, classify: bool) -> Dataset:
    """The rows that were given from Python.

    Raises:
        DataError: this is a saved run, without them; or they can't be used.
    """
    from gdrun.data.given.objects import load_given

    if config.given is None:
        raise DataError(
            "data.source memory: the rows were given from Python, and aren't saved with the run",
            "pass them again: data=(x, y) of gdrun.train, gdrun.compare or gdrun.sweep",
        )
    return load_given(config, config.given.rows, classify, "data", "data given from Python")


def _load_python(config: PythonData, classify: bool, on_progress: Callable[[str], None]) -> Dataset:
    """Call a function of the user's.

    Raises:
        ConfigError: there is no such function.
        DataError: what it returns can't be used.
        UserCodeError: it raises an exception.
    """
    from gdrun.data.given.objects import load_given

    function = find_function("data.path", config.path, ())
    on_progress(f"calling {visible(function.name)}")
    loaded = load_given(config, function(), classify, f"{function.name} returned", function.name)
    return replace(loaded, code=function)


def _load_parquet(
    config: ParquetData, classify: bool, on_progress: Callable[[str], None]
) -> Dataset:
    """Read a Parquet file.

    Raises:
        DataError: the file can't be read or used.
    """
    from gdrun.data.files.parquet import read_parquet
    from gdrun.data.of_table import dataset_of_table

    if classify:
        refuse_several(config.targets)
    table = read_parquet(config, classify, on_progress)
    return dataset_of_table(config, table, classify, config.path.name)
