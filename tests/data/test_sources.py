"""Data: the split, standardisation."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gdrun.config.parts.data import CsvData
from gdrun.data.in_memory import split
from gdrun.data.sources import load_data
from gdrun.errors import DataError
from tests.tables.csv_files import TABLE, csv


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


def test_what_varies_too_little_to_be_scaled_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, "x,y\n1e-200,1\n3e-200,2\n2e-200,3\n")
    with pytest.raises(DataError, match="column 'x' varies too little around 1e-200"):
        load_data(CsvData(path=path, target="y"))
