"""Parquet files: the same rows as of a CSV file of the same table, and what types add to it."""

import decimal
import subprocess
import sys
from datetime import date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from gdrun.config.parts.data import CsvData, ParquetData
from gdrun.config.read import load_config
from gdrun.data.dataset import Dataset
from gdrun.data.files import parquet as reader
from gdrun.data.sources import load_data
from gdrun.errors import DataError
from tests.command_line import NO_PICTURES, Invoke
from tests.odd_inputs import fuzz, outcome_of

NUMBER = st.none() | st.integers(-9, 9) | st.floats(-9, 9, width=32)
TEXT = st.none() | st.sampled_from(["Oslo", "Moss", "Bergen"])


def written(place: Path, columns: Any, **how: Any) -> Path:
    table = columns if isinstance(columns, pa.Table) else pa.table(columns)
    parquet.write_table(table, place / "a.parquet", **how)
    return place / "a.parquet"


def loaded(place: Path, columns: Any, classify: bool = False, **keys: Any) -> Dataset:
    values = {"path": written(place, columns), "target": "y", **keys}
    return load_data(ParquetData.model_validate(values), classify=classify)


def refusal(place: Path, columns: Any, **keys: Any) -> str:
    with pytest.raises(DataError) as caught:
        loaded(place, columns, **keys)
    return str(caught.value)


@given(
    # A CSV file takes a row of empty cells for no row at all.
    rows=st.lists(st.tuples(st.integers(-9, 9), NUMBER, TEXT, NUMBER), min_size=1, max_size=12),
    missing=st.sampled_from(["drop", "mean", "error"]),
    categorical=st.sampled_from([(), ("city",), "all"]),
    val_fraction=st.sampled_from([0.0, 0.3]),
)
@settings(fuzz, max_examples=100)
def test_rows_are_those_of_a_csv_file_of_the_same_table(
    rows: list[tuple[Any, ...]], missing: str, categorical: Any, val_fraction: float, tmp_path: Path
) -> None:
    names = ("a", "b", "city", "y")
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    (tmp_path / "a.csv").write_text("\n".join([",".join(names), *lines, ""]))
    columns = {
        name: pa.array(values, pa.string() if name == "city" else pa.float64())
        for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    keys = {
        "target": "y", "missing": missing, "categorical": categorical, "standardize": False,
        "val_fraction": val_fraction,
    }  # fmt: skip
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet", row_group_size=5)
    outcomes: list[Any] = []
    as_csv = {"path": tmp_path / "a.csv", "header": True, "delimiter": ",", "decimal": "."}
    for model, own in ((CsvData, as_csv), (ParquetData, {"path": tmp_path / "a.parquet"})):
        config: Any = model.model_validate({**keys, **own})
        outcomes.append(outcome_of(partial(load_data, config), DataError))
    one, other = outcomes
    assert (one is None) == (other is None)
    if one is not None:
        assert (one.features, one.notes) == (other.features, other.notes)
        for name in ("x", "y", "x_val", "y_val"):
            assert torch.equal(getattr(one, name), getattr(other, name))


def test_all_types_of_numbers_are_features(tmp_path: Path) -> None:
    cents = [decimal.Decimal("1.25"), decimal.Decimal("-3.50"), None]
    columns = {
        "int": pa.array([1, 2, None], pa.int16()),
        "big": pa.array([2**60, 1, 2], pa.uint64()),
        "bool": pa.array([True, False, True]),
        "half": pa.array([1.5, 2.5, 3.5], pa.float32()).cast(pa.float16()),
        "money": pa.array(cents, pa.decimal128(9, 2)),
        "coded": pa.array([7, 8, 7]).dictionary_encode(),
        "y": pa.array([1.0, 2.0, 3.0]),
    }
    data = loaded(tmp_path, columns, missing="mean", standardize=False)
    assert data.features == tuple(columns)[:-1]
    assert data.x[:].T.tolist() == [
        [1, 2, 1.5], [2**60, 1, 2], [1, 0, 1], [1.5, 2.5, 3.5], [1.25, -3.5, -1.125], [7, 8, 7]
    ]  # fmt: skip


def test_what_is_neither_number_nor_text_is_left_out_with_a_note(tmp_path: Path) -> None:
    columns = {
        "a": [1, 2, 3],
        "day": [date(2024, 1, day) for day in (1, 2, 3)],
        "at": [datetime(2024, 1, 1, hour) for hour in (1, 2, 3)],
        "tags": [["x"], [], ["y", "z"]],
        "place": [{"lat": 1.0}, {"lat": 2.0}, None],
        "raw": [b"1", b"2", b"3"],
        "empty": pa.nulls(3),
        "city": ["Oslo", "Moss", "Oslo"],
        "y": [1.0, 2.0, 4.0],
    }
    data = loaded(tmp_path, columns)
    assert data.features == ("a",)
    assert "columns left out (dates): day and at" in data.notes
    assert "columns left out (lists or records): tags and place" in data.notes
    assert "columns left out (values of the type binary): raw" in data.notes
    assert any("data.categorical: [city] uses them" in note for note in data.notes)
    assert any("more than half of the rows): empty" in note for note in data.notes)
    assert "'tags' holds lists or records" in refusal(tmp_path, columns, features=["tags"])
    said = refusal(tmp_path, columns, features=["a", "day"])
    assert "row 0 (from 0), column 'day': expected a number, got '2024-01-01'" in said
    assert loaded(tmp_path, columns, exclude=["tags", "place", "raw"]).features == ("a",)


@pytest.mark.parametrize("coded", [False, True])
def test_texts_are_categories_and_classes(coded: bool, tmp_path: Path) -> None:
    city = pa.array(["Oslo", None, "Moss", "Oslo"])
    answer = pa.array(["no", "yes", "yes", "no"])
    encoded = [each.dictionary_encode() if coded else each for each in (city, answer)]
    columns = {"a": [1, 2, 3, 4], "city": encoded[0], "y": encoded[1]}
    how = {"categorical": ["city"], "missing": "mean", "standardize": False}
    data = loaded(tmp_path, columns, True, **how)
    assert data.features == ("a", "city=Moss", "city=Oslo")
    assert data.x[:][:, 1:].tolist() == [[0, 1], [0, 0], [1, 0], [0, 1]]
    assert (data.classes, data.y[:].flatten().tolist()) == (("no", "yes"), [0, 1, 1, 0])
    assert "holds texts, such as 'no' and 'yes'" in refusal(tmp_path, columns, **how)


def test_infinite_numbers_are_refused_by_row_and_nan_is_missing(tmp_path: Path) -> None:
    rows = [1.0, float("nan"), float("-inf"), 3.0, 4.0]
    columns = {"a": rows, "b": [1, 2, 3, 4, 6], "y": [1.0, 2, 3, 4, 5]}
    assert "row 2 (from 0), column 'a': expected a number, got '-inf'" in refusal(tmp_path, columns)
    rows[2] = 7.0
    assert loaded(tmp_path, columns).rows == 4


def test_several_targets_and_rows_of_many_groups(tmp_path: Path) -> None:
    count = 3 * reader.BATCH_ROWS // 2
    numbers = torch.arange(count, dtype=torch.float64)
    columns = {"a": numbers.sin().numpy(), "y": numbers.numpy(), "z": -numbers.numpy()}
    data = loaded(tmp_path, columns, target=["y", "z"], standardize=False)
    assert torch.equal(data.y[:], torch.stack([numbers, -numbers], 1).float())
    assert data.targets == ("y", "z")


def test_columns_that_are_not_there_and_files_that_are_none(tmp_path: Path) -> None:
    columns = {"area": [1, 2], "y": [1, 2]}
    assert "did you mean area" in refusal(tmp_path, columns, features=["aera"])
    assert "has no rows" in refusal(tmp_path, pa.table({"a": [1], "y": [1]}).slice(0, 0))
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], ["a", "a", "y"])
    assert "has two columns 'a'" in refusal(tmp_path, twice)
    (tmp_path / "b.parquet").write_text("a,b\n1,2\n")
    for name in ("b.parquet", "none.parquet", "."):
        with pytest.raises(DataError, match=r"data\.path"):
            load_data(ParquetData(path=tmp_path / name, target="y"))


def test_large_files_are_refused_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {"a": [1, 2, 3], "b": [1, 2, 4], "y": [1, 2, 3]}
    monkeypatch.setattr(reader, "MAX_NUMBERS", 8)
    monkeypatch.setattr(reader, "piece_of", None)
    assert "3 rows of 3 columns to read" in refusal(tmp_path, columns)


@given(
    changes=st.dictionaries(st.integers(0, 5000), st.integers(0, 255), max_size=3),
    cut=st.just(0) | st.integers(1, 1000),
)
@settings(fuzz, max_examples=100)
def test_damaged_files_are_read_or_refused(
    changes: dict[int, int], cut: int, tmp_path: Path
) -> None:
    columns = {"a": [1, 2, 3], "c": ["u", "v", "u"], "y": [1.0, 2.0, 4.0]}
    content = bytearray(written(tmp_path, columns).read_bytes())
    for at, value in changes.items():
        content[at % len(content)] = value
    (tmp_path / "b.parquet").write_bytes(content[: len(content) - cut])
    config = ParquetData(path=tmp_path / "b.parquet", target="y", categorical="all")
    outcome_of(lambda: load_data(config), DataError)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, {"a": [1, 2], "y": [1, 2]})
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        f"import gdrun; gdrun.train('full', data={{'source': 'parquet', 'path': {str(path)!r}, "
        "'target': 'y'})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "DataError" in done.stderr
    assert "pip install 'gdrun[parquet]'" in done.stderr


def test_the_command_line_knows_the_file_by_its_name(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, {"a": [1, 2, 3], "y": [1.0, 2.0, 4.0]})
    options = ("--target", "y", "--epochs", "1", "--name", "one", *NO_PICTURES)
    assert invoke("full", "--data", "a.parquet", *options).code == 0
    config = load_config("outputs/one/config.yaml").data
    assert config == ParquetData(path=tmp_path / "a.parquet", target="y")
