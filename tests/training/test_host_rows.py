"""Rows that don't fit a device stay in the machine's memory; a training is the same with them."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gdrun.config.read import configure
from gdrun.data import rows
from gdrun.data.dataset import Dataset
from gdrun.data.fingerprint import SAMPLE_ROWS
from gdrun.data.rows import HostRows, moved
from gdrun.experiment.plan.make import plan_experiment
from gdrun.training.device import CPU
from gdrun.training.loop import train
from gdrun.training.problem import Problem
from gdrun.training.state import initial_state

META = torch.device("meta")  # holds no numbers, and stands for a GPU


def on_host(data: Dataset) -> Dataset:
    """The same data read as for another device."""
    values = (data.x, data.y, data.x_val, data.y_val)
    x, y, x_val, y_val = (HostRows(tensor, CPU) for tensor in values if isinstance(tensor, Tensor))
    return replace(data, x=x, y=y, x_val=x_val, y_val=y_val)


@pytest.mark.parametrize("sampling", ["sequential", "reshuffle", "replacement"])
@pytest.mark.parametrize("chunk_rows", ["auto", 7])
@pytest.mark.parametrize("seeds", [1, 3])
def test_a_training_is_the_same_to_the_bit(
    sampling: str, chunk_rows: int | str, seeds: int
) -> None:
    settings = {"data": {"source": "spiral", "val_fraction": 0.2}, "epochs": 5, "seeds": seeds}
    config = configure({}, {**settings, "sampling": sampling, "chunk_rows": chunk_rows})
    (run,) = plan_experiment("minibatch", config).runs

    def trained(problem: Problem) -> list[object]:
        state = initial_state(problem, run.plan)
        ends = [segment.ends for segment in train(problem, run.plan, state) if segment.ends]
        losses = [(end.train_loss, end.val_loss, end.columns) for end in ends]
        return [losses, [tensor.tolist() for tensor in state.params]]

    held = replace(run.problem, data=on_host(run.problem.data))
    assert trained(held) == trained(run.problem)


@pytest.mark.parametrize("count", [100, SAMPLE_ROWS + 1])
def test_data_are_known_again(count: int) -> None:
    config = configure({}, {"data": {"rows": count}})
    data = plan_experiment("full", config).problem.data
    assert on_host(data).fingerprint == data.fingerprint
    assert on_host(data).sorted_by == data.sorted_by == "x"


@pytest.mark.parametrize(("free", "fits"), [(1000, True), (999, False)])
def test_rows_are_moved_at_once_if_they_fit(
    free: int, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "free_bytes", lambda _: free)
    parts = [torch.zeros(90, 2), torch.zeros(10, 2)]  # 800 bytes
    found = moved(parts, META)
    assert all(isinstance(part, Tensor) == fits for part in found)
    for part in found:
        assert part[2:9].device == META
        assert part[torch.tensor([[1], [3]]).to(META if fits else CPU)].shape == (2, 1, 2)
    again = moved(found, META)
    assert [type(part) for part in again] == [type(part) for part in found]


def test_a_note_says_that_rows_dont_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "free_bytes", lambda _: 0)
    data = plan_experiment("full", configure({}, {})).problem.data
    note = "the rows don't fit meta: they are moved there batch by batch"
    assert data.to(META).notes == (*data.notes, note)
    assert data.to(META).to(META).notes == data.to(META).notes
