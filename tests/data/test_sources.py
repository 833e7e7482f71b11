"""Data: the article's rows, the split, standardisation, and defective CSV files."""

import math
import tracemalloc
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gdrun.config.schema import CsvData, MeanEstimationData, NpyData, QuadraticData
from gdrun.data.csv_table import read_table
from gdrun.data.sources import load_data, numbers, split
from gdrun.errors import DataError
from tests.marks import slow

TABLE = "area,rooms,city,price\n50,2,Oslo,100\n80,3,Bergen,180\n60,2,Oslo,120\n90,5,Moss,210\n"


def csv(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "houses.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_quadratic_is_the_articles_data() -> None:
    data = load_data(QuadraticData(rows=100, noise=0.2, seed=3))
    torch.manual_seed(3)
    x = torch.linspace(-1, 1, 100).unsqueeze(1)
    assert torch.equal(data.x[:], x)
    assert torch.equal(data.y[:], x.pow(2) + 0.2 * torch.rand(100, 1))
    assert len(data.x_val[:]) == 0


@given(
    rows=st.integers(2, 300),
    mean=st.floats(-100, 100),
    variance=st.just(0) | st.floats(1e-4, 1e4),
    seed=st.integers(0, 1000),
)
def test_numbers_have_their_mean_and_variance_exactly(
    rows: int, mean: float, variance: float, seed: int
) -> None:
    x = numbers(rows, mean, variance, seed)
    deviation = math.sqrt(variance)
    assert x.shape == (rows, 1)
    assert x.mean().item() == pytest.approx(mean, rel=1e-12, abs=1e-12 * deviation)
    found = x.var(correction=0).item()
    assert found == pytest.approx(variance, rel=1e-9, abs=1e-20 * (1 + mean * mean))
    assert torch.equal(x, numbers(rows, mean, variance, seed))


def test_numbers_are_a_target_without_features() -> None:
    config = MeanEstimationData(rows=50, mean=3, variance=4, seed=2, val_fraction=0.2)
    data = load_data(config)
    assert (data.x.shape, data.y.shape) == ((40, 0), (40, 1))
    assert (data.x_val.shape, data.y_val.shape) == ((10, 0), (10, 1))
    assert (data.features, data.target) == ((), "x")
    everything = torch.cat([data.y[:], data.y_val[:]]).double()
    assert everything.mean().item() == pytest.approx(3, rel=1e-6)
    assert everything.var(correction=0).item() == pytest.approx(4, rel=1e-6)
    assert data.fingerprint == load_data(config).fingerprint
    other = load_data(config.model_copy(update={"seed": 3}))
    assert data.fingerprint != other.fingerprint


def test_numbers_are_standardised_by_the_training_rows() -> None:
    data = load_data(MeanEstimationData(rows=50, mean=3, standardize=True, val_fraction=0.2))
    assert data.x_scaling is None
    assert data.y_scaling is not None
    assert data.y[:].mean().item() == pytest.approx(0, abs=1e-6)
    assert data.y[:].var(correction=0).item() == pytest.approx(1, rel=1e-6)
    with pytest.raises(DataError, match="column 'x' is constant"):
        load_data(MeanEstimationData(rows=50, variance=0, standardize=True))


def test_one_number_has_no_variance() -> None:
    assert load_data(MeanEstimationData(rows=1, variance=0, mean=2.5)).y[:].tolist() == [[2.5]]


@given(rows=st.integers(2, 300), fraction=st.floats(0, 0.9), seed=st.integers(0, 1000))
def test_split_holds_out_each_row_once(rows: int, fraction: float, seed: int) -> None:
    if fraction and max(1, round(rows * fraction)) >= rows:
        with pytest.raises(DataError, match="leaves none to train on"):
            split(rows, fraction, seed)
        return
    train, held_out = split(rows, fraction, seed)
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(rows))
    assert train.tolist() == sorted(train.tolist())
    assert len(held_out) == (max(1, round(rows * fraction)) if fraction else 0)


def test_split_depends_on_the_data_seed_alone() -> None:
    assert split(50, 0.3, 1)[1].tolist() == split(50, 0.3, 1)[1].tolist()
    assert split(50, 0.3, 1)[1].tolist() != split(50, 0.3, 2)[1].tolist()


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


def test_standardisation_is_learned_from_the_training_rows_alone(tmp_path: Path) -> None:
    rows = "\n".join(f"{k},{k * k % 17},{3 * k - 5}" for k in range(40))
    path = csv(tmp_path, f"a,b,y\n{rows}\n")
    raw = load_data(CsvData(path=path, target="y", standardize=False, val_fraction=0.25))
    data = load_data(CsvData(path=path, target="y", val_fraction=0.25))
    for scaled, columns, scaling, scaled_val, columns_val in (
        (data.x[:], raw.x[:], data.x_scaling, data.x_val[:], raw.x_val[:]),
        (data.y[:], raw.y[:], data.y_scaling, data.y_val[:], raw.y_val[:]),
    ):
        assert scaling is not None
        torch.testing.assert_close(scaled.mean(0), torch.zeros(scaled.shape[1]), atol=1e-6, rtol=0)
        torch.testing.assert_close(scaled.var(0, unbiased=False), torch.ones(scaled.shape[1]))
        mean, deviation = columns.mean(0), columns.std(0, unbiased=False)
        torch.testing.assert_close(scaled_val, (columns_val - mean) / deviation)
        torch.testing.assert_close(scaling.invert(scaled.double()).float(), columns)


def test_predicting_the_mean_has_loss_one(tmp_path: Path) -> None:
    data = load_data(CsvData(path=csv(tmp_path, TABLE), target="price"))
    assert float(
        torch.nn.functional.mse_loss(torch.zeros_like(data.y[:]), data.y[:])
    ) == pytest.approx(1)


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
    with pytest.raises(DataError, match="names the target or a column twice"):
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
    monkeypatch.setattr("gdrun.data.csv_reader.LARGEST", 2_000_000)
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


def test_what_varies_too_little_to_be_scaled_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y\n1e-200,1\n3e-200,2\n2e-200,3\n")
    with pytest.raises(DataError, match="column 'x' varies too little around 1e-200"):
        load_data(CsvData(path=path, target="y"))
