"""Tables in CSV files: which columns count, and defects named by line and column."""

import tracemalloc
from pathlib import Path

import pytest

from gdrun.config.parts.data import CsvData, NpyData
from gdrun.data.sources import load_data
from gdrun.errors import DataError
from gdrun.tables.csv_text import text_file
from tests.marks import slow
from tests.tables.csv_files import TABLE, csv, table_of, target_of


def test_all_other_numeric_columns_are_features(tmp_path: Path) -> None:
    data = load_data(CsvData(path=csv(tmp_path, TABLE), target="price", standardize=False))
    assert data.features == ("area", "rooms")
    assert data.notes == ("columns left out (text): city; data.categorical: [city] uses them",)
    assert data.x[:].tolist() == [[50, 2], [80, 3], [60, 2], [90, 5]]
    assert data.y[:].tolist() == [[100], [180], [120], [210]]


def test_features_by_name_keep_their_order(tmp_path: Path) -> None:
    config = CsvData(
        path=csv(tmp_path, TABLE), target="area", features=("price", "rooms"), standardize=False
    )
    data = load_data(config)
    assert data.features == ("price", "rooms")
    assert data.x[:][0].tolist() == [100, 2]


@pytest.mark.parametrize(
    "text",
    [
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        "\ufeff" + TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\n\n"),
        TABLE.replace(",", " , "),
    ],
    ids=["semicolons", "tabs", "byte order mark", "CRLF", "blank lines", "spaces"],
)
def test_other_ways_to_write_the_same_table(text: str, tmp_path: Path) -> None:
    data = load_data(CsvData(path=csv(tmp_path, text), target="price", standardize=False))
    assert data.x[:].tolist() == [[50, 2], [80, 3], [60, 2], [90, 5]]


DEFECTS = [
    (TABLE.replace("price", "prize"), ["has no column 'price'", "price: did you mean prize?"]),
    (TABLE.replace("180", "cheap"), ["line 3, column 'price': expected a number, got 'cheap'"]),
    (TABLE.replace("60,2", "60,two"), ["line 4, column 'rooms': expected a number, got 'two'"]),
    (TABLE.replace("120", "1_20"), ["line 4, column 'price': expected a number, got '1_20'"]),
    (TABLE.replace("90,", "inf,"), ["line 5, column 'area': expected a number, got 'inf'"]),
    ("area,price\n", ["has no rows below its header line"]),
    ("", ["is empty"]),
    ("\n \n", ["is empty"]),
    ("city,price\nOslo,1\nMoss,2\n", ["has no column of numbers to learn 'price' from", "(text)"]),
    ("area,price\n1,2\n3\n", ["line 3: has 1 cell, expected 2"]),
    ("area,price\n1,2\n3,4,5\n1,2\n", ["line 3: has 3 cells, expected 2"]),
    ("1,2\n3,4\n", ["has no column 'price'", "its columns: c1, c2"]),
    ("area,price\n7,1\n7,2\n", ["has no column of numbers", "the same in all rows): area"]),
    ("area,price\n7,\n8,NA\n", ["column 'price' is empty"]),
    ('area,price\n"1,2\n', ["is not valid CSV"]),
    (b"area,price\n1\0,2\n3,4\n5,6\n", ["is not text: it holds zero bytes"]),
]


@pytest.mark.parametrize(("text", "expected"), DEFECTS)
def test_defects_name_line_and_column(
    text: str | bytes, expected: list[str], tmp_path: Path
) -> None:
    with pytest.raises(DataError) as caught:
        load_data(CsvData(path=csv(tmp_path, text), target="price"))
    message = str(caught.value)
    for part in expected:
        assert part in message


def test_many_defects_are_counted(tmp_path: Path) -> None:
    rows = "\n".join(f"{k}," if k % 3 == 0 else f"{k},{k}" for k in range(60))
    with pytest.raises(DataError, match="… and 15 more such cells") as caught:
        table_of(csv(tmp_path, f"a,price\n{rows}\n"), missing="error")
    assert len(caught.value.problems) == 6


@pytest.mark.parametrize("features", [("price",), ("area", "area")])
def test_features_must_be_others_and_different(features: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a column is named twice, or is the target"):
        load_data(CsvData(path=csv(tmp_path, TABLE), target="price", features=features))


def test_missing_file_says_what_paths_are_relative_to(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file") as caught:
        load_data(CsvData(path=tmp_path / "none.csv", target="y"))
    assert "relative" in caught.value.hints[0]


@pytest.mark.parametrize("standardize", [True, False])
def test_numbers_too_large_are_refused(standardize: bool, tmp_path: Path) -> None:
    path = csv(tmp_path, "a,price\n1e300,1\n-1e300,2\n3e300,4\n")
    with pytest.raises(DataError, match="column 'a' holds numbers too large"):
        load_data(CsvData(path=path, target="price", standardize=standardize))


def test_a_file_too_large_is_not_read_and_names_the_npy_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_file, "MAX_BYTES", 2_000_000)
    path = csv(tmp_path, b"\xff" * 3_000_000)  # reading it would find that it isn't UTF-8
    with pytest.raises(DataError, match="has 3 MB; CSV files are read up to 2 MB") as caught:
        load_data(CsvData(path=path, target="price"))
    assert "source: npy, x: X.npy, y: y.npy" in caught.value.hints[0]


def test_reading_takes_little_more_than_the_numbers(tmp_path: Path) -> None:
    rows, columns = 20_000, 10
    names = ",".join(f"x{k}" for k in range(columns))
    lines = [",".join([f"-1234.{k:05}"] * columns) for k in range(rows)]
    path = csv(tmp_path, "\n".join([names, *lines, ""]))
    table_of(path, "x0")  # what is imported on the way isn't counted
    tracemalloc.start()
    try:
        table = table_of(path, "x0")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(target_of(table).values) == rows
    assert peak < 20 * rows * columns


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x" + "," * 100_001 + "\n", "has 100,002 columns; CSV files are read up to 100,000"),
        ("x,y\n" + "1," * 3_000_000, "line 2: the row is longer than 4,000,000 characters"),
        slow("x,y\n1," + '"2\n",' * 1_000_000, "the row is longer than 4,000,000 characters"),
        ('x,y\n1,"' + "2" * 200_000 + '"', "line 2: is not valid CSV: field larger than"),
    ],
    ids=["columns", "cells", "lines of a row", "a cell"],
)
def test_absurd_shapes_are_refused(text: str, expected: str, tmp_path: Path) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as caught:
            table_of(csv(tmp_path, text), "y")
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    (problem,) = caught.value.problems
    assert expected in problem


def test_long_cells_and_names_are_cut_and_many_columns_counted(tmp_path: Path) -> None:
    path = csv(tmp_path, f"x,y\n1,2\n3,{'z' * 5000}\n5,6\n")
    with pytest.raises(DataError, match=f"expected a number, got '{'z' * 59}…'"):
        table_of(path, "y")
    path = csv(tmp_path, ",".join(f"x{k}{'z' * 500}" for k in range(1000)) + "\n1\n")
    with pytest.raises(DataError) as caught:
        table_of(path, "y" * 5000, features=[f"z{k}" for k in range(1000)])
    assert len(caught.value.problems) == 6
    assert caught.value.hints[-1].endswith(" and 980 more")
    assert all(len(line) < 2000 for line in (*caught.value.problems, *caught.value.hints))


@pytest.mark.parametrize("name", ["x" * 300, "\ud800"])
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        table_of(tmp_path / name, "y")
    with pytest.raises(DataError, match=r"data\.x: "):
        load_data(NpyData(source="npy", x=tmp_path / name, y=tmp_path / "y.npy"))
