"""Data: the article's rows, the split, standardisation, and defective CSV files."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gdrun.config import CsvData, QuadraticData
from gdrun.data import load_data, split
from gdrun.errors import DataError

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
