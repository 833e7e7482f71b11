"""Targets of classes: which there are, by their numbers, and what is refused as classes."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gdrun.config.parts.data import CsvData, MoonsData, NpyData, QuadraticData
from gdrun.data.classes import Classes, find_classes
from gdrun.data.dataset import Dataset
from gdrun.data.files import npy
from gdrun.data.in_memory import split
from gdrun.data.sources import load_data
from gdrun.errors import DataError


def loaded(place: Path, target: list[Any], **more: Any) -> Dataset:
    """A CSV file with this target, read for its classes."""
    path = place / "customers.csv"
    pd.DataFrame({"age": range(len(target)), "who": target}).to_csv(path, index=False)
    config = CsvData.model_validate({"path": path, "target": "who", **more})
    return load_data(config, classify=True)


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        (["yes", "no", "no", "yes"], ("no", "yes")),
        ([3, 1, 10, 3], ("1", "3", "10")),
        ([True, False, False, True], ("False", "True")),
        ([0.0, 1.0, 1.0, 0.0], ("0", "1")),
        ([-1, 1, -1, 1], ("-1", "1")),
        (["b", "a", "ä", "B"], ("B", "a", "b", "ä")),
    ],
)
def test_classes_are_numbered_in_order(
    target: list[Any], classes: tuple[str, ...], tmp_path: Path
) -> None:
    data = loaded(tmp_path, target)
    assert data.classes == classes
    names = [str(int(each)) if isinstance(each, float) else str(each) for each in target]
    assert [classes[int(number)] for number in data.y[:].flatten().tolist()] == names
    assert data.y_scaling is None
    assert data.x_scaling is not None


@given(st.lists(st.sampled_from("abcdefg"), min_size=20, max_size=80))
def test_they_are_those_that_pandas_finds(letters: list[str]) -> None:
    codes, _ = pd.factorize(pd.Series(letters), sort=True)
    labels = sorted(set("abcdefg"))
    positions = torch.tensor([labels.index(each) for each in letters])
    try:
        found = find_classes("who", [positions], [positions[:5]], labels)
    except DataError:
        assert len(set(letters)) == 1
        return
    assert found.names == tuple(sorted(set(letters)))
    assert found.numbers(positions).tolist() == codes.tolist()


def test_rows_without_a_class_are_left_out(tmp_path: Path) -> None:
    data = loaded(tmp_path, ["yes", None, "no", "yes", "NA"])
    assert (data.rows, data.classes) == (3, ("no", "yes"))
    assert "2 of 5 rows left out, as the target who is missing" in data.notes


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (["yes"] * 5, "the target who is yes in all 5 training rows: there is but one class"),
        ([7] * 5, "the target who is 7 in all 5 training rows"),
        ([0.5, 1.0, 2.0], "the target who holds 0.5, and classes are whole numbers or texts"),
        (list(range(50)), "50 different numbers in 50 training rows, too many for classes"),
    ],
)
def test_what_can_not_be_classes_is_refused(
    target: list[Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        loaded(tmp_path, target)
    is_quantity = isinstance(target[0], float) or len(target) == 50
    assert ("this looks like a regression: loss: mse" in caught.value.hints) == is_quantity


def test_a_class_that_only_validation_rows_have_is_refused(tmp_path: Path) -> None:
    target = ["yes", "no"] * 5 + ["perhaps"]
    held_out = {seed: 10 in split(11, 0.2, seed)[1].tolist() for seed in range(10)}
    assert {*held_out.values()} == {True, False}
    for seed, is_held_out in held_out.items():
        if is_held_out:
            with pytest.raises(DataError, match="class that validation rows have: perhaps"):
                loaded(tmp_path, target, val_fraction=0.2, seed=seed)
        else:
            data = loaded(tmp_path, target, val_fraction=0.2, seed=seed)
            assert data.classes == ("no", "perhaps", "yes")


def test_a_quantity_of_few_whole_numbers_gets_a_note() -> None:
    moons = load_data(MoonsData())
    assert "class is one of 2 whole numbers; if they stand for classes: loss: bce or" in str(
        moons.notes
    )
    assert load_data(QuadraticData()).notes == ()
    assert load_data(MoonsData(), classify=True).notes == ()


@pytest.mark.parametrize("is_loaded", [True, False])
def test_npy_files_have_classes_too(
    is_loaded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(0)
    classes = generator.choice([2, 5, 9], 400)
    np.save(tmp_path / "x.npy", generator.standard_normal((400, 3)))
    np.save(tmp_path / "y.npy", classes)
    if not is_loaded:
        monkeypatch.setattr(npy, "MAX_LOADED_NUMBERS", 0)
    config = NpyData(x=tmp_path / "x.npy", y=tmp_path / "y.npy")
    data = load_data(config, classify=True)
    assert isinstance(data.y, torch.Tensor) == is_loaded
    assert data.classes == ("2", "5", "9")
    expected = np.searchsorted([2, 5, 9], classes)
    assert data.y[:].flatten().tolist() == expected.tolist()
    np.save(tmp_path / "y.npy", classes + 0.5)
    with pytest.raises(DataError, match=r"holds 2\.5, and classes are whole numbers"):
        load_data(config, classify=True)


def test_numbers_stand_for_classes_by_their_order() -> None:
    classes = Classes(("a", "b"), torch.tensor([-3.0, 8.0], dtype=torch.float64))
    assert classes.numbers(torch.tensor([[8.0], [-3.0]])).tolist() == [[1], [0]]
