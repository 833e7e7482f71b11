"""Whatever is written into files of data: rows or a clean error, and soon."""

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.config.parts.data import CsvData, NpyData
from gdrun.data.sources import load_data
from gdrun.errors import DataError
from gdrun.tables.table import read_table
from tests.data.npy_files import saved
from tests.odd_inputs import fuzz, names, outcome_of, table, texts


@given(
    content=st.binary(max_size=60) | texts.map(lambda t: t.encode("utf-8", "ignore")) | table(),
    features=st.none() | st.lists(names, max_size=3),
    target=st.just("y") | names,
)
@settings(fuzz, max_examples=300)
def test_any_file_is_a_table_or_a_clean_error(
    content: bytes, features: list[str] | None, target: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    config = CsvData(
        path=path, target=target or "y", features=tuple(filter(None, features or ())) or None
    )
    outcome_of(lambda: read_table(config), DataError)


@given(content=table(), standardize=st.booleans(), val_fraction=st.sampled_from([0, 0.3, 0.99]))
@settings(fuzz, max_examples=250)
def test_data_are_finite_or_a_clean_error(
    content: bytes, standardize: bool, val_fraction: float, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    config = CsvData(path=path, target="y", standardize=standardize, val_fraction=val_fraction)
    data: Any = outcome_of(lambda: load_data(config), DataError)
    if data is not None:
        rows = (data.x, data.y, data.x_val, data.y_val)
        assert all(tensor.isfinite().all() for tensor in rows)


@given(changes=st.dictionaries(st.integers(0, 127), st.integers(0, 255), max_size=4))
@settings(fuzz, max_examples=300)
def test_npy_files_with_a_damaged_header_are_read_or_refused(
    changes: dict[int, int], tmp_path: Path
) -> None:
    content = bytearray(saved(np.ones((6, 2), np.float32)))
    for at, value in changes.items():
        content[at] = value
    (tmp_path / "x.npy").write_bytes(content)
    np.save(tmp_path / "y.npy", np.arange(6.0))
    config = NpyData(x=tmp_path / "x.npy", y=tmp_path / "y.npy")
    outcome_of(lambda: load_data(config), DataError)
