"""Tables in CSV files: which columns count, and defects named by line and column."""

import tracemalloc
from pathlib import Path

import pytest

from gdrun.config.schema import CsvData, NpyData
from gdrun.data import csv_reader
from gdrun.data.csv_table import read_table
from gdrun.data.sources import load_data
from gdrun.errors import DataError
from tests.data.csv_files import TABLE, csv
from tests.marks import slow


def test_all_other_numeric_columns_are_features(tmp_path: Path) -> None:
    data = load_data(CsvData(path=csv(tmp_path, TABLE), target="price", standardize=False))
    assert data.features == ("area", "rooms")
    assert data.left_out == ("city",)
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
    (TABLE.replace("120", "nan"), ["line 4, column 'price': expected a number, got 'nan'"]),
    (TABLE.replace("50,2", ",2"), ["line 2, column 'area': expected a number, got an empty cell"]),
    (TABLE.replace("90,", "inf,"), ["line 5, column 'area': expected a number, got 'inf'"]),
    ("area,price\n", ["has no rows below its header line"]),
    ("", ["is empty"]),
    ("city,price\nOslo,1\nMoss,2\n", ["has no numeric column to learn 'price' from"]),
    ("area,area,price\n1,2,3\n", ["two columns are named 'area'"]),
    ("area,price\n1,2\n3\n", ["line 3: has 1 cells, the header line has 2"]),
    ("1,2\n3,4\n", ["has no column 'price'", "the first line must name the columns"]),
    ("area,price\n7,1\n7,2\n", ["column 'area' is constant (7) in the 2 training rows"]),
    ('area,price\n"1,2\n', ["is not valid CSV"]),
    (b"area,price\n\xff\xfe,2\n", ["is not UTF-8 text"]),
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
        load_data(CsvData(path=csv(tmp_path, f"a,price\n{rows}\n"), target="price"))
    assert len(caught.value.problems) == 6


@pytest.mark.parametrize("features", [("price",), ("area", "area")])
def test_features_must_be_others_and_different(features: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a column is named twice, or is the target"):
        load_data(CsvData(path=csv(tmp_path, TABLE), target="price", features=features))


def test_missing_file_says_what_paths_are_relative_to(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file") as caught:
        load_data(CsvData(path=tmp_path / "none.csv", target="y"))
    assert "relative" in caught.value.hints[0]


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        (",area,price\n0,5,1\n1,6,2\n2,8,1\n", ("column 1 (no name)",)),
        ("area,price,\n5,1,\n6,2,\n8,1,\n", ("column 3 (no name)",)),
    ],
    ids=["an index", "a trailing comma"],
)
def test_columns_without_a_name_are_left_out(
    text: str, left_out: tuple[str, ...], tmp_path: Path
) -> None:
    data = load_data(CsvData(path=csv(tmp_path, text), target="price"))
    assert data.features == ("area",)
    assert data.left_out == left_out


def test_decimal_commas_are_mistakes_not_labels(tmp_path: Path) -> None:
    path = csv(tmp_path, "a;b;price\n1,5;2;3\n2,5;3;4\n")
    with pytest.raises(DataError, match="expected a number, got '1,5'") as caught:
        load_data(CsvData(path=path, target="price"))
    assert any("decimal point" in hint for hint in caught.value.hints)


@pytest.mark.parametrize("standardize", [True, False])
def test_numbers_too_large_are_refused(standardize: bool, tmp_path: Path) -> None:
    path = csv(tmp_path, "a,price\n1e300,1\n-1e300,2\n3e300,4\n")
    with pytest.raises(DataError, match="column 'a' holds numbers too large"):
        load_data(CsvData(path=path, target="price", standardize=standardize))


def test_a_file_too_large_is_not_read_and_names_the_npy_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_reader, "MAX_BYTES", 2_000_000)
    path = csv(tmp_path, b"\xff" * 3_000_000)  # reading it would find that it isn't UTF-8
    with pytest.raises(DataError, match="has 3 MB; CSV files are read up to 2 MB") as caught:
        load_data(CsvData(path=path, target="price"))
    assert "source: npy, x: X.npy, y: y.npy" in caught.value.hints[0]


def test_reading_takes_little_more_than_the_numbers(tmp_path: Path) -> None:
    rows, columns = 20_000, 10
    row = ",".join(["-1234.56789"] * columns)
    names = ",".join(f"x{k}" for k in range(columns))
    path = csv(tmp_path, f"{names}\n" + f"{row}\n" * rows)
    tracemalloc.start()
    try:
        table = read_table(path, "x0", None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(table.y) == rows
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
            read_table(csv(tmp_path, text), "y", None)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    (problem,) = caught.value.problems
    assert expected in problem


def test_long_cells_and_names_are_cut_and_many_columns_counted(tmp_path: Path) -> None:
    path = csv(tmp_path, f"x,y\n1,2\n3,{'z' * 5000}\n5,6\n")
    with pytest.raises(DataError, match=f"expected a number, got '{'z' * 59}…'"):
        read_table(path, "y", None)
    path = csv(tmp_path, ",".join(f"x{k}{'z' * 500}" for k in range(1000)) + "\n1\n")
    with pytest.raises(DataError) as caught:
        read_table(path, "y" * 5000, [f"z{k}" for k in range(1000)])
    assert len(caught.value.problems) == 6
    assert caught.value.hints[-1].endswith(" and 980 more")
    assert all(len(line) < 2000 for line in (*caught.value.problems, *caught.value.hints))


@pytest.mark.parametrize("name", ["x" * 300, "\ud800"])
def test_names_that_no_file_can_have(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="can't be read"):
        read_table(tmp_path / name, "y", None)
    with pytest.raises(DataError, match=r"data\.x: "):
        load_data(NpyData(source="npy", x=tmp_path / name, y=tmp_path / "y.npy"))
