"""Rows that are given from Python: the same as those of files, and what came is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch

import gdrun
from gdrun.config.parts.data import CsvData, MemoryData
from gdrun.config.read import configured
from gdrun.data.dataset import Dataset
from gdrun.data.sources import load_data
from gdrun.errors import ConfigError, DataError, GdrunError
from tests.command_line import NO_PICTURES, Invoke
from tests.data.npy_files import save, some_rows

X, Y = some_rows(40)
PARTS = ("x", "y", "x_val", "y_val")


def loaded(data: Any, classify: bool = False, **keys: Any) -> Dataset:
    return load_data(configured(None, {"data": data, **keys}).data, classify=classify)


def refusal(data: Any, **keys: Any) -> str:
    with pytest.raises(DataError) as caught:
        gdrun.train("full", data=data, epochs=1, **keys)
    return str(caught.value)


def assert_same(one: Dataset, other: Dataset) -> None:
    for name in PARTS:
        torch.testing.assert_close(getattr(one, name)[:], getattr(other, name)[:])


@pytest.mark.parametrize(
    "data",
    [
        (X, Y),
        [X, Y.reshape(-1, 1)],
        (X.tolist(), Y.tolist()),
        (torch.tensor(X), torch.tensor(Y, requires_grad=True)),
        (pd.DataFrame(X), pd.Series(Y)),
        (pl.DataFrame(X), pl.Series(Y)),
        {"x": X, "y": Y},
        (X, Y, None, None),
        (np.ma.array(X), np.asfortranarray(Y)),
    ],
)
def test_rows_are_those_of_npy_files_however_they_come(data: Any, tmp_path: Path) -> None:
    files = load_data(save(tmp_path, X, Y))
    assert_same(loaded(data), files)
    if not isinstance(data[0] if isinstance(data, tuple) else data, pl.DataFrame):  # it has names
        assert (loaded(data).features, loaded(data).target) == (files.features, files.target)


def test_losses_are_those_of_a_file(tmp_path: Path) -> None:
    config = save(tmp_path, X, Y)
    files = gdrun.compare(data=config, epochs=2, engine="eager")
    given = gdrun.compare(data=(X, Y), epochs=2, engine="eager")
    for one, other in zip(files, given, strict=True):
        assert one.epochs["train_loss"] == pytest.approx(other.epochs["train_loss"], rel=1e-5)


def test_validation_rows_are_given_or_drawn() -> None:
    data = loaded((X[:30], Y[:30], X[30:], Y[30:]))
    scaled = (X[30:] - X[:30].mean(0, dtype=np.float64)) / X[:30].std(0, dtype=np.float64)
    torch.testing.assert_close(data.x_val[:], torch.tensor(scaled).float())
    assert len(loaded((X, Y), val_fraction=0.25).x_val) == 10
    said = refusal((X[:30], Y[:30], X[30:], Y[30:]), val_fraction=0.1)
    assert "10 validation rows of its own" in said
    assert "has x_val, but no y_val" in refusal((X, Y, X, None))


COLUMNS: dict[str, Any] = {
    "area": [50.0, 80, 60, 90, 70],
    "rooms": [2, 3, None, 5, 4],
    "city": ["Oslo", "Bergen", "Oslo", "Moss", None],
    "new": [True, False, True, True, False],
    "price": [100.0, 180, 120, 210, 150],
}


def frames() -> list[Any]:
    plain = pd.DataFrame(COLUMNS)
    nullable = pd.DataFrame(
        {
            name: pd.array(values, kind)
            for (name, values), kind in zip(
                COLUMNS.items(), ["Float64", "Int8", "string", "boolean", "Float32"], strict=True
            )
        }
    )
    coded = plain.assign(city=plain["city"].astype("category"))
    return [plain, nullable, coded, pl.DataFrame(COLUMNS), plain.set_index("city", drop=False)]


@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "keys",
    [
        {"missing": "mean", "categorical": ["city"]},
        {"missing": "mean", "categorical": "all", "val_fraction": 0.3},
        {"features": ["area", "new"]},
        {"exclude": ["rooms"], "standardize": False},
        {"target": ["price", "area"], "features": ["new"]},
    ],
)
def test_frames_are_read_as_csv_files_are(place: int, keys: Any, tmp_path: Path) -> None:
    numbers = {**COLUMNS, "new": [int(value) for value in COLUMNS["new"]]}
    pd.DataFrame(numbers).to_csv(tmp_path / "a.csv", index=False)
    asked = {"target": "price", **keys}
    files = load_data(CsvData.model_validate({"path": tmp_path / "a.csv", **asked}))
    given = loaded(frames()[place], **asked)
    assert_same(files, given)
    assert (files.features, files.target, files.notes) == (
        given.features,
        given.target,
        given.notes,
    )


def test_dates_and_objects_of_frames_are_left_out_with_a_note() -> None:
    columns = {
        **COLUMNS,
        "day": pd.date_range("2024-01-01", periods=5),
        "tags": [[1], [], [2], [], []],
    }
    for frame in (pd.DataFrame(columns), pl.DataFrame(columns)):
        data = loaded(frame, target="price", missing="mean")
        assert data.features == ("area", "rooms", "new")
        assert "columns left out (dates): day" in data.notes
        assert "columns left out (lists or other objects): tags" in data.notes


def test_texts_are_classes() -> None:
    labels = np.array(["no", "yes"])[(Y.mean() < Y).astype(int)]
    wide = labels.astype(np.dtypes.StringDType()) if hasattr(np.dtypes, "StringDType") else labels
    for given in (labels, labels.tolist(), pd.Series(labels), labels.astype(object), wide):
        data = loaded((X, given), classify=True)
        assert data.classes == ("no", "yes")
        assert (data.y[:].flatten().numpy() == (Y.mean() < Y)).all()
    assert gdrun.train("full", data=(X, labels), loss="bce", epochs=1).description.classes
    assert "a loss of classes" in refusal((X, labels))


NAN = X.copy()
NAN[3, 1] = np.nan


class Sparse:
    shape = (40, 3)

    def tocsr(self) -> "Sparse":
        return self


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((X,), "got a list of 1"),
        ((X, Y, X), "got a list of 3"),
        (X, "got an array of shape (40, 3)"),
        (torch.tensor(X), "got a tensor of shape (40, 3)"),
        ("houses.csv", "a file: data={'source': 'csv'"),
        (Path("houses.csv"), "a file: data={'source': 'csv'"),
        (torch.utils.data.TensorDataset(torch.ones(3)), "an object of the type TensorDataset"),
        ((torch.empty(40, 3, device="meta"), Y), "x is a tensor of torch.float32"),
        (3, "expected (x, y), (x, y, x_val, y_val) or a DataFrame, got"),
        (lambda: (X, Y), "expected (x, y)"),
        ({"x": X, "y": Y, "z": X}, "got one of x, y, z"),
        ((X, Y[:-1]), "x has 40 rows, and y has 39"),
        ((NAN, Y), "data: x, row 3 (from 0), column 'x1': expected a finite number, got nan"),
        ((X, np.where(Y.mean() < Y, np.inf, Y)), "data: y, row"),
        ((X.reshape(40, 3, 1), Y), "holds float32 of shape (40, 3, 1)"),
        ((X + 1j, Y), "complex numbers"),
        ((torch.tensor(X).to_sparse(), Y), "x is a sparse tensor"),
        ((Sparse(), Y), "x is a sparse matrix"),
        (([[1, 2], [3]], [1, 2]), "x can't be made an array"),
        ((np.array([None] * 40), Y), "holds objects of shape (40,)"),
        ((np.ma.masked_greater(X, 5), Y), "masked array"),
        ((None, Y), "expected an array, a tensor or a list"),
        ((X, None), "expected an array, a tensor or a list"),
        ((X[:0], Y[:0]), "it has no rows"),
        ((X.astype("M8[s]"), Y), "datetime64[s]"),
        ((X, Y.astype(str)), "holds texts"),
        ((pd.DataFrame(COLUMNS), pd.Series(range(5))), "holds objects"),
        (pl.LazyFrame(COLUMNS), "collect() makes a DataFrame of it"),
        (pd.DataFrame(COLUMNS), "which column of the DataFrame is to be predicted isn't said"),
        (pd.DataFrame(np.ones((3, 2)), columns=["y", "y"]), "has two columns 'y'"),
        (pd.DataFrame({"y": []}), "has no rows"),
    ],
)
def test_anything_else_is_refused_and_what_came_is_said(data: Any, said: str) -> None:
    assert said in refusal(data)


@pytest.mark.parametrize("key", [{"target": "z"}, {"features": ["x0"]}, {"categorical": "all"}])
def test_keys_of_a_frame_are_refused_with_arrays(key: dict[str, Any]) -> None:
    assert "is of the columns of a DataFrame" in refusal((X, Y), **key)


def test_mistakes_in_the_keys_of_rows_are_explained() -> None:
    mistakes: list[dict[str, Any]] = [
        {"val_fraction": 2}, {"standardize": "no"}, {"features": []}
    ]  # fmt: skip
    for keys in mistakes:
        with pytest.raises(ConfigError, match=rf"data\.{next(iter(keys))}"):
            gdrun.train("full", data=(X, Y), **keys)


def test_keys_of_any_data_may_stand_beside_it(tmp_path: Path) -> None:
    assert gdrun.train("full", val_fraction=0.2, epochs=1).description.val_rows == 20
    assert gdrun.train("full", "diabetes", val_fraction=0.5, epochs=1).description.val_rows == 221
    path = tmp_path / "a.csv"
    pd.DataFrame(COLUMNS).to_csv(path, index=False)
    data = {"source": "csv", "path": str(path)}
    found = gdrun.train("full", data=data, target="price", exclude=["new"], epochs=1)
    assert found.description.features == ("area", "rooms")


def test_names_are_kept_of_frames_and_series_that_are_handed_over_as_arrays() -> None:
    frame = pd.DataFrame(COLUMNS)[["area", "new", "price"]].astype(float)
    for x, y in (
        (frame[["area", "new"]], frame.price),
        (pl.from_pandas(frame)[["area", "new"]], pl.from_pandas(frame)["price"]),
    ):
        about = gdrun.train("full", data=(x, y), epochs=1).description
        assert about.features == ("area", "new")
        assert about.target == "price"


def test_objects_that_are_all_numbers_are_numbers() -> None:
    x = np.array([[1, 2.5], [3, 4], [5, np.float32(7)]], dtype=object)
    found = gdrun.train("full", data=(x, [1.0, 2.0, 4.0]), epochs=1)
    assert found.status == "done"
    with pytest.raises(DataError, match="holds objects of shape"):
        gdrun.train("full", data=(np.array([[1], [None], [3]], dtype=object), [1, 2, 4]))


def test_an_array_is_no_batch_size() -> None:
    with pytest.raises(ConfigError, match="batch_size"):
        gdrun.train("minibatch", batch_size=np.array([8, 16]))


def test_a_sweep_takes_a_column_or_a_loss_as_target() -> None:
    frame = pd.DataFrame(COLUMNS)
    how: dict[str, Any] = {"lr": [0.1], "batch_size": ["full"], "epochs": 2}
    swept: Any = gdrun.sweep(data=frame, target="price", missing="mean", **how)
    assert swept.description.target == "price"
    assert gdrun.sweep(data=(X, Y), target=0.5, **how).description.target == "y"


def test_what_is_given_is_neither_kept_as_it_is_nor_changed() -> None:
    x = X.copy()
    data = loaded((x, Y), standardize=False)
    x[:] = 0
    assert data.x[:].abs().sum() > 0


def test_saved_runs_are_shown_and_say_that_their_data_was_given(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    gdrun.train("full", data=(X[:, :1], Y), output_dir="outputs", name="run", epochs=2)
    assert gdrun.load("run").results[0].epochs["epoch"] == [0, 1, 2]
    config = "outputs/run/config.yaml"
    for command in (["list"], ["show", "run"], ["plot", "run"], ["show", "run", "--json"]):
        assert invoke(*command).code == 0
    assert "the fit is not drawn again" in invoke("plot", "run").err
    for command in (
        ["full", "--resume", "run"],
        ["full", "--resume", "run", "--epochs", "5"],
        ["full", "-c", config, *NO_PICTURES],
        ["animate", "run"],
        ["compare", "--set", "data.source=memory"],
    ):
        outcome = invoke(*command)
        assert outcome.code == 2
        assert "given from Python, and aren't saved with the run" in outcome.err


def test_configs_are_equal_only_with_the_same_rows() -> None:
    one, other = (MemoryData().with_rows((X, Y)) for _ in range(2))
    assert one == one.model_copy()
    assert one != other
    assert one.model_dump() == MemoryData().model_dump()
    assert "given" not in one.model_dump()


@pytest.mark.parametrize("key", ["given", "_given", "rows"])
def test_rows_can_not_be_written_in_a_config(key: str) -> None:
    with pytest.raises(GdrunError, match="unknown key"):
        gdrun.train("full", data={"source": "memory", key: [1, 2]})


def test_a_frame_without_a_target_is_asked_for_one() -> None:
    frame = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [1.0, 3, 2, 4]})
    with pytest.raises(DataError, match="which column of the DataFrame is to be predicted") as got:
        gdrun.train("full", data=frame, epochs=1)
    assert got.value.hints == ("name it: target='b'", "its columns: a and b")
    assert gdrun.train("full", data=frame.rename(columns={"b": "y"}), epochs=1).status == "done"
