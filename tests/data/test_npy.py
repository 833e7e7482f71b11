"""Data in .npy files: trained on mapped as in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gdrun.data import rows
from gdrun.data.files import npy
from gdrun.data.preprocessing.standardize import fit_scaling
from gdrun.data.rows import FileRows, Holdout, spread
from gdrun.data.sources import load_data
from gdrun.errors import DataError
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.fits import Fit
from gdrun.results.run import RunResult
from gdrun.training import outcome
from tests.command_line import NO_PICTURES, Invoke
from tests.data.npy_files import save, saved, some_rows
from tests.training_runs import small_config


@pytest.fixture(params=["mapped", "kept"])
def _where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small files both ways."""
    if request.param == "mapped":
        monkeypatch.setattr(npy, "MAX_LOADED_NUMBERS", 0)
        monkeypatch.setattr(rows, "READ_NUMBERS", 30)


@pytest.mark.usefixtures("_where")
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", "i1", "<i4", "<u8", "?"])
def test_rows_are_those_of_the_file_whatever_its_type(dtype: str, tmp_path: Path) -> None:
    x, y = (np.rint(values).astype(dtype) for values in some_rows())
    data = load_data(save(tmp_path, x, y, standardize=False))
    assert torch.equal(data.x[:], torch.tensor(x.astype(np.float32)))
    assert torch.equal(data.y[:], torch.tensor(y.astype(np.float32)).unsqueeze(1))
    assert data.x[:].dtype == torch.float32
    assert (data.features, data.target) == (("x0", "x1", "x2"), "y")


@pytest.mark.usefixtures("_where")
@pytest.mark.parametrize("order", ["C", "F"])
def test_rows_are_indexed_like_a_tensor(order: str, tmp_path: Path) -> None:
    x, y = some_rows()
    data = load_data(
        save(tmp_path, np.asarray(x, order=order), y, val_fraction=0.2)  # type: ignore[call-overload]
    )
    whole = data.x[:]
    assert whole.shape == data.x.shape == (160, 3)
    assert torch.equal(data.x[30:50], whole[30:50])
    assert torch.equal(data.x[150:500], whole[150:])
    index = torch.tensor([[5, 0, 159], [7, 7, 3]])
    assert torch.equal(data.x[index], whole[index])
    assert len(data.x_val) == len(data.y_val) == 40


@pytest.mark.usefixtures("_where")
def test_standardisation_is_that_of_the_training_rows_in_memory(tmp_path: Path) -> None:
    x, y = some_rows()
    data = load_data(save(tmp_path, x, y, val_fraction=0.25))
    raw = load_data(save(tmp_path, x, y, val_fraction=0.25, standardize=False))
    assert data.x_scaling
    assert data.y_scaling
    for scaled, original, scaling, held in (
        (data.x[:], raw.x[:], data.x_scaling, (data.x_val[:], raw.x_val[:])),
        (data.y[:], raw.y[:], data.y_scaling, (data.y_val[:], raw.y_val[:])),
    ):
        mean, deviation = original.double().mean(0), original.double().std(0, unbiased=False)
        torch.testing.assert_close(scaling.mean, mean)
        torch.testing.assert_close(scaling.deviation, deviation)
        torch.testing.assert_close(scaled, ((original.double() - mean) / deviation).float())
        torch.testing.assert_close(held[0], ((held[1].double() - mean) / deviation).float())


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.floats(-1e6, 1e6),
    st.floats(1e-3, 1e3),
)
def test_means_by_blocks_are_those_of_all(sizes: list[int], shift: float, scale: float) -> None:
    generator = torch.Generator().manual_seed(sum(sizes))
    rows = torch.randn(sum(sizes) + 2, 2, generator=generator, dtype=torch.float64) * scale + shift
    scaling = fit_scaling(torch.split(rows, [*sizes, 2]), ("a", "b"))
    torch.testing.assert_close(scaling.mean, rows.mean(0))
    torch.testing.assert_close(scaling.deviation, rows.std(0, unbiased=False))


@given(rows=st.integers(2, 300), share=st.floats(0.001, 0.999), seed=st.integers(0, 99))
def test_a_holdout_parts_the_rows_evenly(rows: int, share: float, seed: int) -> None:
    held = min(rows - 1, max(1, round(rows * share)))
    holdout = Holdout(rows, held, seed)
    training = holdout.training(torch.arange(rows - held)).tolist()
    validation = holdout.validation(torch.arange(held)).tolist()
    assert training == sorted(training)
    assert validation == sorted(validation)
    assert sorted(training + validation) == list(range(rows))
    # One of each stratum: as many of any stretch of the file as its length allows, but for two.
    for start in range(0, rows, max(1, rows // 5)):
        inside = sum(row < start for row in validation)
        assert abs(inside - start * held / rows) <= 1


def test_every_row_of_a_stratum_is_equally_likely_to_be_held_out() -> None:
    counts = torch.zeros(10)
    for seed in range(2000):
        counts[Holdout(30, 3, seed).validation(torch.tensor([1])) - 10] += 1
    assert float(((counts - 200) ** 2 / 200).sum()) < 33.8  # χ² with 9 degrees, 0.9999


@pytest.mark.parametrize("command", ["full", "sgd", "minibatch"])
def test_training_on_a_mapped_file_is_training_in_memory(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = some_rows()
    found = []
    for kept in (0, 10**9):
        monkeypatch.setattr(npy, "MAX_LOADED_NUMBERS", kept)
        config = small_config(
            lr=0.01, data=save(tmp_path, x, y, val_fraction=0.1).model_dump(), chunk_rows=50
        )
        experiment = plan_experiment(command, config)
        assert isinstance(experiment.problem.data.x, FileRows) == (kept == 0)
        *_, result = execute(experiment)
        assert isinstance(result, RunResult)
        found.append(result)
    assert found[0].epochs["train_loss"] == found[1].epochs["train_loss"]
    assert found[0].epochs["val_loss"] == found[1].epochs["val_loss"]
    assert found[0].steps == found[1].steps
    assert found[0].lanes[0].train_loss < found[0].epochs["train_loss"][0]  # type: ignore[operator]


def test_one_column_is_drawn_with_a_sample_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcome, "FIT_ROWS", 30)
    x, y = some_rows(columns=1)
    *_, result = execute(
        plan_experiment("full", small_config(data=save(tmp_path, x, y).model_dump()))
    )
    assert isinstance(result, RunResult)
    assert isinstance(result.fit, Fit)
    assert len(result.fit.x) == len(result.fit.y) == 30
    assert result.fit.x[0] == pytest.approx(float(x[0, 0]), rel=1e-5)
    assert result.fit.x[-1] == pytest.approx(float(x[-1, 0]), rel=1e-5)


@given(rows=st.integers(0, 500), most=st.integers(1, 100))
def test_a_spread_has_both_ends_and_no_row_twice(rows: int, most: int) -> None:
    numbers = spread(rows, most).tolist()
    assert len(numbers) == len(set(numbers)) == min(rows, most)
    if rows and most > 1:
        assert (numbers[0], numbers[-1]) == (0, rows - 1)


LATE = np.where(np.arange(10**5) == 77_777, np.inf, np.arange(1e5))


X, Y = np.ones((5, 2)) * np.arange(5)[:, None], np.arange(5.0)


BROKEN = [
    ({"x": X, "y": Y[:4]}, ["x.npy has 5 rows", "y.npy has 4"]),
    ({"x": X, "y": X[:, :, None]}, ["y.npy holds", "expected numbers of shape (rows, columns)"]),
    ({"x": X[:, :, None], "y": Y}, ["shape (5, 2, 1), expected numbers of shape (rows, columns)"]),
    ({"x": X.astype(complex), "y": Y}, ["complex128"]),
    ({"x": X.astype(str), "y": Y}, ["x.npy holds <U"]),
    ({"x": X.astype(object), "y": Y}, ["is not a .npy file of numbers"]),
    ({"x": np.where(X == 3, np.nan, X), "y": Y}, ["row 3 (from 0), column 'x0'", "got nan"]),
    ({"x": X, "y": np.where(Y == 2, -np.inf, Y)}, ["y.npy, row 2 (from 0), column 'y'", "-inf"]),
    ({"x": np.ones((5, 2)), "y": Y}, ["column 'x0' is constant (1)", "column 'x1' is constant"]),
    ({"x": np.float64(3), "y": Y}, ["x.npy holds no rows"]),
    ({"x": X[:0], "y": Y[:0]}, ["x.npy holds no rows"]),
    ({"x": X * 1e300, "y": Y}, ["too large for 32-bit floats"]),
    ({"x": LATE, "y": np.arange(1e5)}, ["row 77777 (from 0), column 'x'"]),
    ({"x": b"junk", "y": Y}, ["x.npy is not a .npy file of numbers"]),
    ({"x": b"", "y": Y}, ["x.npy is not a .npy file of numbers"]),
    ({"x": b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'shape': (10**9,)", "y": Y}, ["x.npy is no"]),
    ({"x": saved(X).replace(b"(5, 2)", b"((((5("), "y": Y}, ["x.npy is not a .npy file"]),
    ({"x": saved(X).replace(b"(5, 2)", b"(-5,3)"), "y": Y}, ["x.npy is not a .npy file"]),
    ({"x": saved(X).replace(b"'<f8'", b"()   "), "y": Y}, ["x.npy is not a .npy file"]),
    ({"y": Y}, ["x.npy can't be read: No such file"]),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), BROKEN)
def test_defects_are_named(files: dict[str, Any], expected: list[str], invoke: Invoke) -> None:
    for name, content in files.items():
        if isinstance(content, bytes):
            Path(f"{name}.npy").write_bytes(content)
        else:
            np.save(f"{name}.npy", content, allow_pickle=True)
    Path("c.yaml").write_text("data: {source: npy, x: x.npy, y: y.npy}\n")
    outcome = invoke("full", "-c", "c.yaml", "--epochs", "1", *NO_PICTURES)
    assert outcome.code == 2
    for part in expected:
        assert part in outcome.err
    assert not Path("outputs").exists()


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("held", [True, False])
def test_numbers_too_large_are_refused_wherever_they_are(
    standardize: bool, held: bool, tmp_path: Path
) -> None:
    x, y = (values.astype(np.float64) for values in some_rows())
    holdout = Holdout(200, 40, 0)
    row = (holdout.validation if held else holdout.training)(torch.tensor([7])).item()
    x[int(row), 1] = 1e300
    config = save(tmp_path, x, y, val_fraction=0.2, standardize=standardize)
    with pytest.raises(DataError, match="column 'x1' holds numbers too large"):
        load_data(config)


def test_a_validation_row_counts_in_the_fingerprint(tmp_path: Path) -> None:
    x, y = some_rows()
    found = [load_data(save(tmp_path, x, y, val_fraction=0.2)).fingerprint]
    x[int(Holdout(200, 40, 0).validation(torch.tensor([7]))), 1] += 1
    found.append(load_data(save(tmp_path, x, y, val_fraction=0.2)).fingerprint)
    assert found[0] != found[1]


def test_a_file_cut_short_is_named(invoke: Invoke) -> None:
    np.save("x.npy", X)
    np.save("y.npy", Y)
    Path("x.npy").write_bytes(Path("x.npy").read_bytes()[:-8])
    settings = ("--set", "data.source=npy", "--set", "data.x=x.npy", "--set", "data.y=y.npy")
    outcome = invoke("full", *settings, "--epochs", "1", *NO_PICTURES)
    assert outcome.code == 2
    assert "x.npy is cut short" in outcome.err


def test_mapped_data_that_changed_is_refused(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npy, "MAX_LOADED_NUMBERS", 0)
    x, y = some_rows()
    np.save("x.npy", x)
    np.save("y.npy", y)
    settings = ("--set", "data.source=npy", "--set", "data.x=x.npy", "--set", "data.y=y.npy")
    invoke("full", *settings, "--epochs", "2", "--name", "a", *NO_PICTURES)
    assert invoke("full", "--resume", "outputs/a", "--epochs", "3").code == 0
    np.save("x.npy", x[::-1])
    outcome = invoke("full", "--resume", "outputs/a", "--epochs", "4")
    assert outcome.code == 2
    assert "x.npy: the data is not what the run was begun with" in outcome.err
