"""Rows copied out of a mapped file, which may be cut short meanwhile."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.data.files import npy, npy_file
from gdrun.data.files.npy_file import NpyFile
from gdrun.errors import DataError
from tests.command_line import NO_PICTURES, Invoke
from tests.data.npy_files import save, some_rows
from tests.run_files import logs, manifest


def opened(path: Path) -> NpyFile:
    return NpyFile(path, np.load(path, mmap_mode="r"))


@pytest.mark.parametrize("dtype", ["<f4", ">f8", "?", "<i2"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(5000, 3), (3000,), (40, 20_001)])
def test_rows_are_those_of_the_array(
    shape: tuple[int, ...], order: str, dtype: str, tmp_path: Path
) -> None:
    generator = np.random.default_rng(1)
    array = generator.integers(0, 2**15, shape).astype(dtype, order=order)  # type: ignore[call-overload]
    np.save(tmp_path / "x.npy", array)
    file, whole = opened(tmp_path / "x.npy"), array.reshape(len(array), -1)
    assert file.shape == whole.shape
    assert np.array_equal(file.rows(7, 31), whole[7:31])
    assert file.rows(9, 9).shape == file.take(np.arange(0)).shape == (0, whole.shape[1])
    for numbers in (generator.integers(0, len(whole), 2000), np.array([len(whole) - 1, 0])):
        found = file.take(numbers)
        assert found.dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
        assert np.array_equal(found, whole[numbers])


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 300_000)), min_size=1, max_size=5))
def test_memory_of_any_size_is_copied_whole(sizes: list[tuple[int, int]]) -> None:
    memory = np.arange(400_000, dtype=np.uint8) % 251
    for start, size in sizes:
        places = np.array([start, 0, 2 * start]) + memory.ctypes.data
        whole = b"".join(memory[k : k + size].tobytes() for k in (start, 0, 2 * start))
        assert npy_file._copied_memory(places, size) == whole


@pytest.mark.parametrize("left", [0, 200, 50_000, 799_999])
def test_what_is_missing_is_an_error(left: int, tmp_path: Path) -> None:
    """Also a last byte, whose page is there still."""
    path = tmp_path / "x.npy"
    np.save(path, np.arange(100_000.0))
    file = opened(path)
    file.rows(0, len(file))
    os.truncate(path, left)
    far = np.arange(0, len(file), 997)
    with pytest.raises(DataError, match=r"x\.npy: was cut short while it was read"):
        file.rows(50_000, len(file))
    with pytest.raises(DataError, match=r"x\.npy: was cut short while it was read"):
        file.take(far)


@pytest.mark.parametrize("command", ["full", "minibatch", "compare"])
def test_a_file_cut_short_while_it_is_trained_on_ends_with_a_message(
    command: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(npy, "MAX_LOADED_NUMBERS", 0)
    x, y = some_rows(20_000)
    data = save(tmp_path, x, y, val_fraction=0.1)
    whole = data.x.read_bytes()
    settings = [f"data.source=npy data.x={data.x} data.y={data.y} lr=0.01".split()]
    args = [part for key in settings[0] for part in ("--set", key)]
    args += ["--epochs", "3", "--batch-size", "64"] if command != "full" else ["--epochs", "3"]
    seen = []

    def cut(*_: object) -> None:
        seen.append(1)
        if len(seen) == 3:
            os.truncate(data.x, 5000)

    with monkeypatch.context() as patched:
        patched.setattr("gdrun.terminal.live.PlainView.show", cut)
        outcome = invoke(command, *args, "--name", "a", *NO_PICTURES)
    assert outcome.code == (1 if command == "compare" else 2)
    assert "x.npy: was cut short while it was read" in outcome.err
    assert f"to resume: gdrun {command} --resume outputs/a" in outcome.err
    assert manifest(Path("outputs/a"))["status"] == "failed"
    data.x.write_bytes(whole)
    assert invoke(command, "--resume", "a").code == 0
    invoke(command, *args, "--name", "b", *NO_PICTURES)
    for path in Path("outputs/b").rglob("epochs.csv"):
        assert logs(path.parent) == logs(Path("outputs/a", path.parent.relative_to("outputs/b")))
