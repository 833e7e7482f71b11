"""Arrays of .npz files, against those that numpy saved; and files that nobody should trust."""

import io
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from gdrun.config.parts.data import NpzData
from gdrun.config.read import load_config
from gdrun.data.dataset import Dataset
from gdrun.data.files import npz
from gdrun.data.sources import load_data
from gdrun.errors import DataError
from tests.command_line import NO_PICTURES, Invoke
from tests.data.npy_files import save, saved, some_rows
from tests.odd_inputs import fuzz, outcome_of


def loaded(place: Path, **arrays: Any) -> Dataset:
    """The rows of arrays that were saved, with `options` of the config."""
    options, classify = arrays.pop("options", {}), arrays.pop("classify", False)
    np.savez(place / "data.npz", **arrays)
    return load_data(NpzData(path=place / "data.npz", **options), classify=classify)


def refusal(place: Path, **arrays: Any) -> str:
    with pytest.raises(DataError) as caught:
        loaded(place, **arrays)
    return str(caught.value)


@pytest.mark.parametrize("val_fraction", [0.0, 0.25])
def test_rows_are_those_that_were_saved(val_fraction: float, tmp_path: Path) -> None:
    x, y = some_rows()
    how = {"val_fraction": val_fraction, "standardize": False}
    data = loaded(tmp_path, x=x, y=y, options=how)
    both = torch.cat([data.x[:], data.x_val[:]])
    assert len(data.x_val) == 200 * val_fraction
    assert torch.equal(both.sort(0).values, torch.from_numpy(x).sort(0).values)
    if not val_fraction:
        assert torch.equal(data.y[:], torch.from_numpy(y).unsqueeze(1))
    assert (data.features, data.target, data.title) == (("x0", "x1", "x2"), "y", "data.npz")


def test_the_rows_are_those_of_npy_files(tmp_path: Path) -> None:
    x, y = some_rows()
    data, other = loaded(tmp_path, x=x, y=y), load_data(save(tmp_path, x, y))
    torch.testing.assert_close(data.x, other.x[:])
    torch.testing.assert_close(data.y, other.y[:])


def test_validation_rows_of_its_own_are_held_out(tmp_path: Path) -> None:
    x, y = some_rows()
    parts = {"x": x[:150], "y": y[:150], "x_val": x[150:], "y_val": y[150:]}
    data = loaded(tmp_path, **parts)
    assert (data.rows, len(data.x_val)) == (150, 50)
    mean, deviation = x[:150].mean(0, dtype=np.float64), x[:150].std(0, dtype=np.float64)
    expected = torch.tensor((x[150:] - mean) / deviation, dtype=torch.float32)
    torch.testing.assert_close(data.x_val, expected)
    said = refusal(tmp_path, **parts, options={"val_fraction": 0.1})
    assert "50 validation rows of its own" in said
    parts.pop("y_val")
    assert "has an array x_val, but no y_val" in refusal(tmp_path, **parts)


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16", "float64", ">f4", "F"])
def test_any_real_numbers_are_read(dtype: str, compress: bool, tmp_path: Path) -> None:
    values = np.arange(12).reshape(6, 2) % 5
    x = np.asfortranarray(values) if dtype == "F" else values.astype(dtype)
    (np.savez_compressed if compress else np.savez)(tmp_path / "a.npz", x=x, y=np.arange(6))
    data = load_data(NpzData(path=tmp_path / "a.npz", standardize=False))
    assert torch.equal(data.x[:], torch.from_numpy(x.astype(np.float32)))


def test_arrays_may_have_other_names(tmp_path: Path) -> None:
    x, y = some_rows()
    data = loaded(tmp_path, images=x, labels=y, options={"x": "images", "y": "labels"})
    assert data.rows == 200
    assert "did you mean images" in refusal(tmp_path, images=x, y=y, options={"x": "image"})
    assert "its arrays: images and y" in refusal(tmp_path, images=x, y=y)
    text = "data: {source: npz, path: data.npz, x: images, y: labels}"
    (tmp_path / "c.yaml").write_text(text)
    config = load_config(str(tmp_path / "c.yaml")).data
    assert isinstance(config, NpzData)
    assert (config.path, config.x, config.y) == (tmp_path / "data.npz", "images", "labels")


def test_texts_are_classes(tmp_path: Path) -> None:
    x = np.arange(6.0)
    data = loaded(tmp_path, classify=True, x=x, y=np.array(["b", "a", "b", "a", "c", "c"]))
    assert data.classes == ("a", "b", "c")
    assert data.y[:].flatten().tolist() == [1, 0, 1, 0, 2, 2]
    assert "a loss of classes" in refusal(tmp_path, x=x, y=np.array(list("abcabc")))
    assert "got nothing" in refusal(tmp_path, classify=True, x=x, y=np.array(["a", "", *"aabb"]))


ONES = np.ones((4, 2))
NAN = np.array([[1, 2], [3, np.nan], [5, 6], [7, np.inf]])


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": ONES, "y": np.arange(3)}, "x has 4 rows, and y has 3"),
        ({"x": NAN, "y": np.arange(4)}, "row 1 (from 0), column 'x1': expected a finite number"),
        ({"x": np.ones((4, 2, 3)), "y": np.arange(4)}, "(4, 2, 3), expected (rows, features)"),
        ({"x": np.float64(1), "y": np.arange(4)}, "of shape ()"),
        ({"x": ONES[:0], "y": np.arange(0)}, "it has no rows"),
        ({"x": ONES[:, :0], "y": np.arange(4)}, "it has no columns"),
        ({"x": ONES + 1j, "y": np.arange(4)}, "complex numbers"),
        ({"x": np.array(["a"] * 4), "y": np.arange(4)}, "holds texts"),
        ({"x": np.array([1, None, 2, 3]), "y": np.arange(4)}, "objects of Python"),
        ({"x": np.array(["2020"] * 4, "M8[D]"), "y": np.arange(4)}, "datetime64[D]"),
        ({"x": np.zeros(4, [("a", "f4")]), "y": np.arange(4)}, "records"),
        ({"x": np.ones((10, 2)), "y": np.ones(10), "x_val": ONES[:, :1], "y_val": np.ones(4)},
         "x_val has 1 columns, and x has 2"),
    ],
)  # fmt: skip
def test_what_came_is_said(arrays: dict[str, NDArray[Any]], said: str, tmp_path: Path) -> None:
    assert said in refusal(tmp_path, **arrays)


def header_of(shape: tuple[int, ...]) -> bytes:
    """What `numpy.save` writes before the numbers of an array of this shape."""
    file = io.BytesIO()
    how = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, how)
    return file.getvalue()


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    size = 2**31
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("x.npy", "w", force_zip64=True) as member:
            member.write(header_of((size // 8,)))
            member.write(bytes(2**24))
        file.writestr("y.npy", saved(np.arange(4)))
    start = time.process_time()
    with pytest.raises(DataError, match=r"up to 1,074 MB(.|\n)*source: npy"):
        load_data(NpzData(path=tmp_path / "a.npz"))
    assert time.process_time() - start < 1


@pytest.mark.parametrize("rows", [3, 5])
def test_a_member_of_another_size_than_it_says_is_refused(rows: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as file:
        file.writestr("x.npy", header_of((4,)) + bytes(8 * rows))
        file.writestr("y.npy", saved(np.arange(4)))
    with pytest.raises(DataError, match="another size than its header says"):
        load_data(NpzData(path=tmp_path / "a.npz"))


@given(
    changes=st.dictionaries(st.integers(0, 799), st.integers(0, 255), max_size=3),
    cut=st.just(0) | st.integers(1, 600),
)
@settings(fuzz, max_examples=200)
def test_damaged_files_are_read_or_refused(
    changes: dict[int, int], cut: int, tmp_path: Path
) -> None:
    np.savez(tmp_path / "a.npz", x=np.ones((6, 2)) * [[1, 2]], y=np.arange(6.0))
    content = bytearray((tmp_path / "a.npz").read_bytes())
    for at, value in changes.items():
        content[at % len(content)] = value
    (tmp_path / "a.npz").write_bytes(content[: len(content) - cut])
    config = NpzData(path=tmp_path / "a.npz", standardize=False)
    outcome_of(lambda: load_data(config), DataError)


def test_no_file_a_directory_and_another_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "b.npz").write_bytes(saved(ONES))
    for name in ("none.npz", ".", "b.npz"):
        with pytest.raises(DataError, match=r"data\.path: "):
            load_data(NpzData(path=tmp_path / name))


def test_a_file_that_is_named_on_the_command_line(
    tmp_path: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    x, y = some_rows(20)
    np.savez("a.npz", x=x, y=y, other=-y)
    options = ("--epochs", "1", *NO_PICTURES, "--name")
    assert invoke("full", "--data", "a.npz", *options, "one").code == 0
    assert invoke("full", "--data", "a.npz", "--target", "other", *options, "two").code == 0
    assert "source: npz" in (tmp_path / "outputs" / "one" / "config.yaml").read_text()
    assert "y: other" in (tmp_path / "outputs" / "two" / "config.yaml").read_text()


def test_larger_arrays_are_refused_by_their_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "MAX_BYTES", 63)
    assert "x has 0 MB, of shape (4, 2)" in refusal(tmp_path, x=ONES, y=np.arange(4))
