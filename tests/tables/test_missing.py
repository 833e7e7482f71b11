"""Missing cells, words among numbers and categories: what is used, left out and said."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gdrun.config.parts.data import CsvData, MemoryData, NpyData
from gdrun.data.sources import load_data
from gdrun.errors import DataError
from tests.tables.csv_files import csv, numbers_of, table_of, target_of

WORDS = ["", "NA", "na", "N/A", "?", "null", "NULL", "None", "-", ".", "nan", "NaN", "#N/A"]


def rows_of(xs: list[str], start: str = "x,z,y") -> str:
    rows = [f"{x},{k * k % 7},{k}" for k, x in enumerate(xs)]
    return "\n".join([start, *rows, ""])


@pytest.mark.parametrize("word", WORDS)
def test_rows_with_missing_cells_are_dropped_and_counted(word: str, tmp_path: Path) -> None:
    path = csv(tmp_path, rows_of(["1", "2", word, "3.5", word, "1", "2"]))
    table = table_of(path, "y")
    assert numbers_of(table)["y"] == [0, 1, 3, 5, 6]
    assert "2 of 7 rows left out, as cells are missing: x (2)" in table.notes
    with pytest.raises(DataError, match=r"line 4, column 'x': expected a number, got") as caught:
        table_of(path, "y", missing="error")
    assert any("data.missing" in hint for hint in caught.value.hints)


@pytest.mark.parametrize("word", WORDS)
def test_columns_that_are_mostly_missing_are_left_out(word: str, tmp_path: Path) -> None:
    path = csv(tmp_path, rows_of(["1", "2", word, "3.5", word, word, word]))
    table = table_of(path, "y")
    assert list(numbers_of(table)) == ["z", "y"]
    assert table.notes == ("columns left out (missing in more than half of the rows): x",)
    with pytest.raises(DataError, match=r"4 of 7 rows have missing cells, most of them in x \(4\)"):
        table_of(path, "y", features=["x", "z"])


def test_more_than_half_of_the_rows_is_an_error_that_names_the_worst(tmp_path: Path) -> None:
    rows = [(k if k % 3 else "", k if (k + 1) % 3 else "", k * k, k) for k in range(12)]
    path = csv(tmp_path, "\n".join(["a,b,c,y", *(",".join(map(str, row)) for row in rows)]))
    with pytest.raises(DataError, match=r"8 of 12 rows .* in a \(4\), b \(4\)") as caught:
        table_of(path, "y")
    assert any("data.exclude" in hint for hint in caught.value.hints)
    assert len(target_of(table_of(path, "y", exclude=["a"])).values) == 8


def test_missing_cells_become_the_mean_of_the_training_rows(tmp_path: Path) -> None:
    path = csv(tmp_path, rows_of(["1", "", "4", "", "8", "3", "5", "9", "", "2"]))
    config = CsvData(path=path, target="y", missing="mean", val_fraction=0.3, standardize=False)
    data = load_data(config)
    frame = pd.read_csv(path)
    assert data.rows + len(data.x_val) == len(frame)
    mean = np.nanmean(frame.x.to_numpy()[data.y[:].flatten().long()])  # y numbers the rows
    for x, y in ((data.x[:], data.y[:]), (data.x_val[:], data.y_val[:])):
        expected = frame.x.fillna(mean).to_numpy()[y.flatten().long()]
        assert x[:, 0].tolist() == pytest.approx(expected)
    assert any("filled with the mean of their column: x (3)" in note for note in data.notes)


@pytest.mark.parametrize("missing", ["drop", "mean"])
def test_rows_without_a_target_are_none_to_learn_from(missing: str, tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y\n1,\n2,5\n3,NA\n4,\n5,7\n6,1\n7,?\n8,\n")
    table = table_of(path, "y", missing=missing)
    assert numbers_of(table) == {"x": [2, 5, 6], "y": [5, 7, 1]}
    assert table.notes == ("5 of 8 rows left out, as the target y is missing",)


def test_a_word_that_comes_again_is_no_mistake(tmp_path: Path) -> None:
    table = table_of(csv(tmp_path, rows_of(["1", "old", "4", "old", "8", "3", "5"])), "y")
    assert list(numbers_of(table)) == ["z", "y"]
    assert table.notes == ("columns left out (words such as 'old' among the numbers): x",)
    with pytest.raises(DataError, match="line 3, column 'x': expected a number, got 'old'"):
        table_of(csv(tmp_path, rows_of(["1", "old", "4", "2", "8", "3", "5"])), "y")


def test_columns_can_be_excluded(tmp_path: Path) -> None:
    path = csv(tmp_path, rows_of(["1", "odd", "4", "", "8", "3", "5"]))
    assert list(numbers_of(table_of(path, "y", exclude=["x"]))) == ["z", "y"]
    assert table_of(path, "y", exclude="x").notes == ()
    with pytest.raises(DataError, match=r"data.exclude: 'y' is the target"):
        table_of(path, "y", exclude=["y"])
    with pytest.raises(DataError, match=r"data.exclude: 'x' is also named as a feature"):
        table_of(path, "y", exclude=["x"], features=["x", "z"])
    with pytest.raises(DataError, match="has no column 'w'"):
        table_of(path, "y", exclude=["w"])


def test_what_was_not_asked_for_has_no_note(tmp_path: Path) -> None:
    path = csv(tmp_path, "area,rooms,city,price\n1,1,a,2\n2,3,b,1\n5,4,c,7\n")
    assert table_of(path, "price", features=["area"]).notes == ()


KINDS = ["flat", "house", "flat", "hut", "house", "flat"]
HOUSES = "type,sold,area,price\n" + "".join(
    f"{kind},{sold},{k * 7 % 11},{k}\n"
    for k, (kind, sold) in enumerate(zip(KINDS, "110100", strict=True))
)


@pytest.mark.parametrize("categorical", [["type", "sold"], "type", "all"])
def test_categories_are_encoded_as_pandas_does(
    categorical: list[str] | str, tmp_path: Path
) -> None:
    path = csv(tmp_path, HOUSES)
    config = CsvData.model_validate(
        {"path": path, "target": "price", "categorical": categorical, "standardize": False}
    )
    data = load_data(config)
    names = ["type", "sold"] if isinstance(categorical, list) else ["type"]
    expected = pd.get_dummies(pd.read_csv(path), columns=names, prefix_sep="=", dtype=float)
    assert set(data.features) == set(expected.columns) - {"price"}
    for k, name in enumerate(data.features):
        assert data.x[:][:, k].tolist() == expected[name].tolist()
    assert data.notes == ()


def test_categories_are_those_of_the_training_rows(tmp_path: Path) -> None:
    kinds = [*["flat", "house"] * 10, "hut"]
    text = "\n".join(["kind,y", *(f"{kind},{k}" for k, kind in enumerate(kinds))])
    path = csv(tmp_path, text)
    seen = set()
    for seed in range(12):
        config = CsvData(path=path, target="y", categorical=("kind",), val_fraction=0.3, seed=seed)
        data = load_data(config)
        held_out = "kind=hut" not in data.features
        seen.add(held_out)
        assert any("no training row has: kind (1)" in note for note in data.notes) == held_out
    assert seen == {True, False}


def test_too_many_categories(tmp_path: Path) -> None:
    text = "name,x,y\n" + "".join(f"n{k},{k * k},{k}\n" for k in range(1200))
    path = csv(tmp_path, text)
    with pytest.raises(DataError, match="more than 1,000 different texts"):
        table_of(path, "y", categorical=["name"])
    assert list(numbers_of(table_of(path, "y", categorical="all"))) == ["x", "y"]


def test_a_target_that_never_varies_is_said(tmp_path: Path) -> None:
    x, y = np.array([1.0, 2, 5]), np.full(3, 3.0)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    for config in (
        CsvData(path=csv(tmp_path, "x,y\n1,3\n2,3\n5,3\n"), target="y"),
        NpyData(x=tmp_path / "x.npy", y=tmp_path / "y.npy"),
        MemoryData(standardize=True).with_rows((x, y)),
    ):
        data = load_data(config)
        assert data.y[:].tolist() == [[0], [0], [0]]
        assert data.notes == (
            "the target y is 3 in all 3 training rows: there is nothing to learn",
        )


def test_only_texts_that_are_repeated_are_offered_as_categories(tmp_path: Path) -> None:
    rows = "".join(f"c{k},{'ab'[k % 2]},{k},{k}\n" for k in range(40))
    path = csv(tmp_path, f"customer,plan,x,y\n{rows}")
    (note,) = table_of(path, "y").notes
    assert note == "columns left out (text): customer and plan; data.categorical: [plan] uses them"
    names = csv(tmp_path, "customer,x,y\n" + "".join(f"c{k},{k},{k}\n" for k in range(40)))
    assert table_of(names, "y").notes == ("columns left out (text): customer",)


def test_several_columns_with_commas_are_told_to_be_a_list(tmp_path: Path) -> None:
    path = csv(tmp_path, "plan,country,x,y\na,b,1,2\nb,b,2,3\na,a,3,5\n")
    for key in ("categorical", "exclude", "features"):
        with pytest.raises(DataError) as caught:
            table_of(path, "y", **{key: ["plan,country"]})
        assert f"several columns are a list: --set 'data.{key}=[plan, country]'" in str(
            caught.value
        )
