"""Data of any size that was changed after a run was begun on it."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gdrun.config.parts.data import CsvData, DataConfig, QuadraticData
from gdrun.data.dataset import Dataset
from gdrun.data.files import npy
from gdrun.data.fingerprint import ALL_ROWS, SAMPLE_ROWS
from gdrun.data.rows import FileRows, spread
from gdrun.data.sources import load_data
from gdrun.experiment.checkpoint import load_checkpoint, save_checkpoint
from gdrun.results.file_names import CHECKPOINT, PREVIOUS_CHECKPOINT
from tests.command_line import NO_PICTURES, Invoke
from tests.data.npy_files import save, some_rows
from tests.run_files import contents

NPY = ("--set", "data.source=npy", "--set", "data.x=x.npy", "--set", "data.y=y.npy")
ROWS = 200_000
Numbers = NDArray[np.float32]


@pytest.fixture(scope="module", name="many")
def _many() -> tuple[Numbers, Numbers]:
    return some_rows(ROWS, 2)


def as_csv(place: Path, x: Numbers, y: Numbers) -> DataConfig:
    path = place / "a.csv"
    rows = np.column_stack([x, y])
    np.savetxt(path, rows, fmt="%.9g", delimiter=",", header="a,b,y", comments="")
    return CsvData(path=path, target="y", val_fraction=0.1)


def as_npy(place: Path, x: Numbers, y: Numbers) -> DataConfig:
    return save(place, x, y, val_fraction=0.1)


@pytest.fixture(params=["csv", "npy", "npy in its file"])
def write(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    if request.param == "npy in its file":
        monkeypatch.setattr(npy, "MAX_LOADED_NUMBERS", 0)
    return as_csv if request.param == "csv" else as_npy


Write = Callable[[Path, Numbers, Numbers], DataConfig]


def test_every_number_of_many_rows_counts(
    write: Write, many: tuple[Numbers, Numbers], tmp_path: Path
) -> None:
    x, y = many
    saved = load_data(write(tmp_path, x, y)).fingerprint
    again = load_data(write(tmp_path, x, y))
    assert again.fingerprint == saved
    assert again.is_as(saved)
    for name, row in (("x", 0), ("x", 77_777), ("x", ROWS - 1), ("y", 1), ("y", 100_001)):
        columns = {"x": x.copy(), "y": y.copy()}
        columns[name][row] += 1e-3
        assert not load_data(write(tmp_path, columns["x"], columns["y"])).is_as(saved), (name, row)


def test_the_order_of_many_rows_counts(
    write: Write, many: tuple[Numbers, Numbers], tmp_path: Path
) -> None:
    x, y = many
    saved = load_data(write(tmp_path, x, y)).fingerprint
    order = np.arange(ROWS)
    order[[70_001, 70_002]] = order[[70_002, 70_001]]
    assert not load_data(write(tmp_path, x[order], y[order])).is_as(saved)


def test_generated_rows_are_known_by_all_of_them() -> None:
    data = load_data(QuadraticData(rows=ROWS))
    x = data.x[:].clone()
    x[77_777] += 1e-3
    assert not replace(data, x=x).is_as(data.fingerprint)


@pytest.mark.parametrize("in_file", [True, False])
def test_a_file_edited_behind_its_times_is_refused(
    in_file: bool, many: tuple[Numbers, Numbers], invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_file:
        monkeypatch.setattr(npy, "MAX_LOADED_NUMBERS", 0)
    save(Path(), *many)
    assert invoke("full", *NPY, "--epochs", "1", "--name", "a", *NO_PICTURES).code == 0
    found = Path("x.npy").stat()
    x = np.load("x.npy", mmap_mode="r+")
    before = x[77_777, 0].copy()
    x[77_777, 0] += 1
    x.flush()
    os.utime("x.npy", ns=(found.st_atime_ns, found.st_mtime_ns))
    assert Path("x.npy").stat().st_mtime_ns == found.st_mtime_ns
    was = contents(Path("outputs"))
    outcome = invoke("full", "--resume", "a", "--epochs", "2")
    assert outcome.code == 2
    assert "x.npy: the data is not what the run was begun with" in outcome.err
    assert contents(Path("outputs")) == was
    x[77_777, 0] = before
    x.flush()  # what counts is what it holds, not when that was written
    assert invoke("full", "--resume", "a", "--epochs", "2").code == 0


def older_fingerprint(data: Dataset) -> str:
    """What a gdrun that hashed a sample took."""
    digest = hashlib.sha256()
    for rows in (data.x, data.y, data.x_val, data.y_val):
        digest.update(repr(tuple(rows.shape)).encode())
        digest.update(rows[spread(len(rows), SAMPLE_ROWS)].numpy().tobytes())
    return digest.hexdigest()


def test_few_rows_keep_the_fingerprint_that_an_older_gdrun_gave_them() -> None:
    data = load_data(QuadraticData(rows=300, val_fraction=0.2))
    assert data.fingerprint == older_fingerprint(data)
    assert not data.is_sampled(data.fingerprint)
    many = load_data(QuadraticData(rows=SAMPLE_ROWS + 1))
    assert many.fingerprint.startswith(ALL_ROWS)
    assert many.is_sampled(older_fingerprint(many))


@pytest.mark.parametrize("in_file", [True, False])
def test_a_run_of_a_gdrun_that_hashed_a_sample_is_resumed(
    in_file: bool, many: tuple[Numbers, Numbers], invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    if in_file:
        monkeypatch.setattr(npy, "MAX_LOADED_NUMBERS", 0)
    x, y = many
    data = load_data(save(Path(), x, y))
    assert isinstance(data.x, FileRows) == in_file
    invoke("full", *NPY, "--epochs", "1", "--name", "a", *NO_PICTURES)
    checkpoint = load_checkpoint(Path("outputs/a", CHECKPOINT), 10**6)
    assert checkpoint.data == data.fingerprint
    save_checkpoint(Path("outputs/a"), replace(checkpoint, data=older_fingerprint(data)))
    Path("outputs/a", PREVIOUS_CHECKPOINT).unlink()
    changed = x.copy()
    changed[0] += 1  # a row of the sample
    save(Path(), changed, y)
    outcome = invoke("full", "--resume", "a", "--epochs", "2")
    assert "the data is not what the run was begun with" in outcome.err
    save(Path(), x, y)
    outcome = invoke("full", "--resume", "a", "--epochs", "2")
    assert outcome.code == 0
    assert "hashed only some of the rows" in outcome.err
    assert load_checkpoint(Path("outputs/a", CHECKPOINT), 10**6).data == data.fingerprint
    assert "hashed" not in invoke("full", "--resume", "a", "--epochs", "3").err
