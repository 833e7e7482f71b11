"""Runs that predict several numbers of each row, against a plain PyTorch loop."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import gdrun
from gdrun.config.identity import fingerprint
from gdrun.data.order import visiting_order
from gdrun.data.sources import load_data
from gdrun.errors import ConfigError, DataError
from tests.command_line import NO_PICTURES, Invoke
from tests.training_runs import run, small_config

COLUMNS = ("u", "v", "p", "q")
CRITERIA = {"mse": nn.MSELoss(), "l1": nn.L1Loss(), "huber": nn.HuberLoss()}


def numbers(rows: int = 40) -> np.ndarray[Any, Any]:
    """Two features and two targets of very different size."""
    x = np.random.default_rng(5).normal(size=(rows, 2))
    return np.column_stack([x, 1000 * x[:, 0] + 7, 0.01 * x[:, 0] * x[:, 1]])


def written(place: Path, rows: np.ndarray[Any, Any] | None = None) -> dict[str, Any]:
    """A CSV file as the `data` of a config."""
    lines = [",".join(map(str, row)) for row in (numbers() if rows is None else rows).tolist()]
    (place / "a.csv").write_text("\n".join([",".join(COLUMNS), *lines]).replace("nan", ""))
    return {"source": "csv", "path": place / "a.csv", "target": ["p", "q"]}


def plain_loop(config: Any, rows: np.ndarray[Any, Any]) -> list[float]:
    """The train losses at the ends of epochs, by torch.optim.SGD on standardised columns."""
    scaled = (rows - rows.mean(0)) / rows.std(0)
    both = torch.tensor(scaled, dtype=torch.float32)
    x, y = both[:, :2], both[:, 2:]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, 2))
    optimizer = torch.optim.SGD(network.parameters(), lr=config.lr[0])
    criterion = CRITERIA[config.loss]
    found = []
    for epoch in range(1, config.epochs + 1):
        order = visiting_order("reshuffle", len(x), [0], epoch)
        assert order is not None
        visited = order(0, len(x))[0]
        for start in range(0, len(x), config.batch_size):
            batch = visited[start : start + config.batch_size]
            optimizer.zero_grad()
            criterion(network(x[batch]), y[batch]).backward()
            optimizer.step()
        found.append(criterion(network(x), y).item())
    return found


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize("loss", list(CRITERIA))
def test_losses_are_means_over_rows_and_targets_each_standardised_by_itself(
    loss: str, engine: str, tmp_path: Path
) -> None:
    data = written(tmp_path)
    config = small_config(epochs=6, batch_size=7, loss=loss, engine=engine, data=data, lr=0.1)
    run("minibatch", config, tmp_path / "run")
    with (tmp_path / "run" / "epochs.csv").open() as file:
        found = [float(row["train_loss"]) for row in csv.DictReader(file)][1:]
    assert found == pytest.approx(plain_loop(config, numbers()), rel=1e-4, abs=1e-5)


def test_npy_files_hold_several_targets_too(tmp_path: Path) -> None:
    rows = numbers()
    np.save(tmp_path / "x.npy", rows[:, :2])
    np.save(tmp_path / "y.npy", rows[:, 2:])
    files = {"source": "npy", "x": tmp_path / "x.npy", "y": tmp_path / "y.npy"}
    config = small_config(epochs=4, batch_size=7, data=files, lr=0.1)
    result = gdrun.train("minibatch", config)
    assert result.epochs["train_loss"][1:] == pytest.approx(plain_loop(config, rows), rel=1e-4)
    assert (result.description.target, result.description.targets) == ("y0 and y1", ("y0", "y1"))


def test_a_row_needs_all_of_its_targets(tmp_path: Path) -> None:
    rows = numbers(6)
    rows[1, 2] = rows[4, 3] = np.nan
    data = load_data(small_config(data=written(tmp_path, rows)).data)
    assert (data.rows, tuple(data.y.shape)) == (4, (4, 2))
    assert "2 of 6 rows left out, as one of the targets p and q is missing" in data.notes
    rows[:3, 2] = rows[3:, 3] = np.nan
    with pytest.raises(DataError, match="no row has all of the targets p and q"):
        load_data(small_config(data=written(tmp_path, rows)).data)
    rows[:, 3] = np.nan
    with pytest.raises(DataError, match="column 'q' is empty"):
        load_data(small_config(data=written(tmp_path, rows)).data)


def test_a_target_that_is_constant_keeps_its_unit(tmp_path: Path) -> None:
    rows = numbers()
    rows[:, 2] = 5
    data = load_data(small_config(data=written(tmp_path, rows)).data)
    assert torch.equal(data.y[:][:, 0], torch.zeros(40))
    assert data.y[:][:, 1].std(correction=0).item() == pytest.approx(1)
    (note,) = (note for note in data.notes if "nothing to learn" in note)
    assert note.startswith("the target p")


def test_a_run_says_what_its_losses_are(tmp_path: Path) -> None:
    run("full", small_config(data=written(tmp_path)), tmp_path / "run")
    problem = json.loads((tmp_path / "run" / "run.json").read_text())["problem"]
    assert (problem["target"], problem["targets"]) == ("p and q", ["p", "q"])
    result = gdrun.load(tmp_path / "run").results[0]
    assert result.description.loss_name.startswith("MSE ÷ variance of each target; 1 =")
    assert gdrun.load(tmp_path / "run").config["data"]["target"] == ["p", "q"]


def test_one_feature_has_no_fit_to_draw(tmp_path: Path, invoke: Invoke) -> None:
    data = {**written(tmp_path), "features": ["u"]}
    (tmp_path / "outputs").mkdir()
    run("full", small_config(data=data), tmp_path / "outputs" / "run")
    assert gdrun.load(tmp_path / "outputs" / "run").results[0].fit is None
    for command in ("plot", "show", "animate"):
        assert invoke(command, str(tmp_path / "outputs" / "run")).code == 0
    assert not (tmp_path / "outputs" / "run" / "fit.png").exists()


def test_classes_are_of_one_target(tmp_path: Path) -> None:
    for loss in ("bce", "cross_entropy"):
        with pytest.raises(DataError, match="for one target, and there are 2: p and q"):
            gdrun.train("full", loss=loss, data=written(tmp_path))


def test_one_target_is_saved_as_a_text(tmp_path: Path) -> None:
    one, listed = (
        small_config(data={**written(tmp_path), "target": target}) for target in ("p", ["p"])
    )
    assert one == listed
    assert one.model_dump(mode="json")["data"]["target"] == "p"
    assert fingerprint(one, "full") == fingerprint(listed, "full")


@pytest.mark.parametrize(
    "target", [[], ["p", "p"], [""], "", None, [None], [["p"]], {"p": 1}, True]
)
def test_odd_targets_are_refused(target: object, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.target"):
        gdrun.train("full", data={**written(tmp_path), "target": target})


def test_targets_with_commas_between_them_are_a_list(tmp_path: Path, invoke: Invoke) -> None:
    written(tmp_path)
    data = ("--data", str(tmp_path / "a.csv"), *NO_PICTURES)
    assert "--set 'data.target=[p, q]'" in invoke("full", *data, "--target", "p, q").err
    assert invoke("full", *data, "--set", "data.target=[p, q]", "--epochs", "1").code == 0
