"""The trained network of a lane: one of PyTorch, of the epoch that it is said to be."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import gdrun
from gdrun import ConfigError, DataError
from gdrun.config.presets import find_config
from gdrun.config.read import configure, load_config
from gdrun.config.schema import Method
from gdrun.data.dataset import Dataset
from gdrun.data.sources import load_data
from gdrun.results.run import RunResult

CONV = """
from torch import nn

def build(features, outputs):
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(72, outputs))

class Random(nn.Module):
    def __init__(self, features, outputs):
        super().__init__()
        self.fixed = nn.Linear(features, 3).requires_grad_(False)
        self.out = nn.Linear(3, outputs)

    def forward(self, x):
        return self.out(self.fixed(x).relu())

def frozen(features, outputs):
    import torch
    with torch.random.fork_rng():
        torch.manual_seed(5)
        module = Random(features, outputs)
    module.out.reset_parameters()
    return module
"""


def trained(method: Method, config: str, **settings: Any) -> tuple[RunResult, Dataset]:
    result = gdrun.train(method, config, **settings)
    data = load_config(config).data
    return result, load_data(data, classify=bool(result.description.classes))


def in_units(data: Dataset, which: str) -> tuple[Tensor, Tensor]:
    """The rows of a data set in original units."""
    x, y = (getattr(data, f"{name}{which}") for name in "xy")
    x = data.x_scaling.invert(x) if data.x_scaling else x
    return x, data.y_scaling.invert(y) if data.y_scaling else y


def val_loss(network: nn.Module, data: Dataset) -> float:
    x, y = in_units(data, "_val")
    deviation = data.y_scaling.deviation if data.y_scaling else 1.0
    return float(((network(x).detach() - y) / deviation).square().mean())


# --------------------------------------------------------------------------------- which it is


@pytest.mark.parametrize("place", ["memory", "saved"])
@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_a_network_is_that_of_its_lanes_best_epoch_or_of_its_last(
    place: str, engine: str, tmp_path: Path
) -> None:
    where = {} if place == "memory" else {"output_dir": tmp_path, "name": "run"}
    settings = {"epochs": 25, "seeds": 4, "lr": [0.003, 0.02], "engine": engine}
    result, data = trained("sgd", "diabetes", **settings, **where)
    bests = set()
    for k, lane in enumerate(result.lanes):
        bests.add(lane.best_val_epoch)
        last = val_loss(result.network(k, last=True), data)
        assert val_loss(result.network(k), data) == pytest.approx(lane.best_val_loss, rel=1e-5)
        assert last == pytest.approx(lane.val_loss, rel=1e-5)
    assert len(bests) > 2
    best = min(range(8), key=lambda k: result.lanes[k].best_val_loss or np.inf)
    assert result.best_lane() == best
    x, _ = in_units(data, "_val")
    assert torch.equal(result.network()(x), result.network(best)(x))


def test_the_closing_evaluation_counts_though_the_checkpoint_is_of_before(tmp_path: Path) -> None:
    settings = {"epochs": 3, "lr": 1e-3, "seeds": 2, "output_dir": tmp_path, "name": "run"}
    result, data = trained("minibatch", "diabetes", **settings)
    assert [lane.best_val_epoch for lane in result.lanes] == [3, 3]
    for k, lane in enumerate(result.lanes):
        assert val_loss(result.network(k), data) == pytest.approx(lane.best_val_loss, rel=1e-5)


def test_a_lane_that_patience_stopped_has_the_weights_of_its_best_epoch(tmp_path: Path) -> None:
    where = {"output_dir": tmp_path, "name": "run"}
    result, data = trained("sgd", "diabetes", epochs=60, patience=4, seeds=3, **where)
    assert {lane.epochs for lane in result.lanes} != {60}
    for k, lane in enumerate(result.lanes):
        assert val_loss(result.network(k), data) == pytest.approx(lane.best_val_loss, rel=1e-5)
        last = val_loss(result.network(k, last=True), data)
        assert last == pytest.approx(lane.val_loss, rel=1e-5)


def test_a_loaded_run_gives_the_same_network_and_needs_no_data(tmp_path: Path) -> None:
    frame = pd.read_csv(find_config("diabetes").with_suffix(".csv"))
    path = tmp_path / "own.csv"
    frame.to_csv(path, index=False)
    data = {"source": "csv", "path": str(path), "target": "progression", "val_fraction": 0.2}
    own = gdrun.train("full", data=data, epochs=5, seeds=2, output_dir=tmp_path, name="run")
    path.unlink()
    (loaded,) = gdrun.load("run", output_dir=tmp_path).results
    x = torch.tensor(frame[list(own.description.features)].to_numpy())
    for lane in range(2):
        for last in (False, True):
            one, other = (each.network(lane, last=last) for each in (own, loaded))
            assert torch.equal(one(x), other(x))
    assert pickle.loads(pickle.dumps(own)).network(1)(x).shape == (442, 1)


def test_without_validation_rows_it_is_the_last_of_the_lane_with_the_lowest_train_loss() -> None:
    result, data = trained("minibatch", "shuffled", epochs=6, seeds=3)
    losses = [lane.train_loss or np.inf for lane in result.lanes]
    assert result.best_lane() == losses.index(min(losses))
    x, y = in_units(data, "")
    assert F.mse_loss(result.network()(x), y).item() == pytest.approx(min(losses), rel=1e-5)


# --------------------------------------------------------------------------------- what it is


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", "gelu"])
@pytest.mark.parametrize("hidden", [[], [5], [6, 4]])
def test_it_consists_of_pytorchs_layers_and_is_its_own(activation: str, hidden: list[int]) -> None:
    settings = {"activation": activation, "hidden_size": hidden, "epochs": 2}
    result, data = trained("full", "article", **settings)
    network, again = result.network(), result.network()
    layers = [type(layer).__name__ for layer in network]
    assert layers.count("Linear") == len(hidden) + 1
    x, y = in_units(data, "")
    found = F.mse_loss(network(x), y)
    assert found.item() == pytest.approx(result.lanes[0].train_loss, rel=1e-5)
    with torch.no_grad():
        for own in network.parameters():
            own.mul_(2)
    assert F.mse_loss(again(x), y).item() == pytest.approx(result.lanes[0].train_loss, rel=1e-5)


@pytest.mark.parametrize(("config", "loss"), [("moons", "bce"), ("digits", "cross_entropy")])
def test_of_classes_it_gives_logits(config: str, loss: str) -> None:
    result, data = trained("minibatch", config, epochs=3)
    x, y = in_units(data, "_val")
    logits = result.network(last=True)(x)
    if loss == "bce":
        found = F.binary_cross_entropy_with_logits(logits, y.float())
    else:
        found = F.cross_entropy(logits, y.long().squeeze(1))
    assert found.item() == pytest.approx(result.lanes[0].val_loss, rel=1e-4)


@pytest.mark.parametrize("name", ["build", "frozen"])
@pytest.mark.parametrize("saved", [False, True])
def test_a_network_of_the_users_is_its_module_with_the_weights(
    name: str, saved: bool, tmp_path: Path
) -> None:
    (tmp_path / "net.py").write_text(CONV)
    settings: dict[str, Any] = {"model": f"{tmp_path / 'net.py'}:{name}", "epochs": 2, "seeds": 2}
    if name == "build":
        settings["data"] = {"shape": [1, 8, 8]}
    if saved:
        settings |= {"output_dir": tmp_path, "name": "run"}
    result, data = trained("minibatch", "digits", **settings)
    if name == "build":  # whose columns that never vary are kept
        data = load_data(
            configure("digits", {"data": {"shape": [1, 8, 8]}}).data,
            classify=True,
        )
    x, y = in_units(data, "_val")
    for k, lane in enumerate(result.lanes):
        logits = result.network(k, last=True)(x)
        found = F.cross_entropy(logits, y.long().squeeze(1))
        assert found.item() == pytest.approx(lane.val_loss, rel=1e-4)


def test_it_is_exported_by_pytorch_itself(tmp_path: Path) -> None:
    result, data = trained("minibatch", "diabetes", epochs=2)
    network, (x, _) = result.network(), in_units(data, "")
    torch.save(network.state_dict(), tmp_path / "weights.pt")
    other = result.network(last=True)
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(other(x), network(x))
    rows = {"values": {0: torch.export.Dim("rows")}}
    program = torch.export.export(network, (x[:5],), dynamic_shapes={"input": rows["values"]})
    torch.export.save(program, tmp_path / "net.pt2")
    loaded = torch.export.load(tmp_path / "net.pt2").module()
    torch.testing.assert_close(loaded(x), network(x))


def test_building_one_leaves_the_random_state_alone() -> None:
    result, _ = trained("full", "article", epochs=1)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    result.network()
    assert torch.equal(before, torch.get_rng_state())


# ------------------------------------------------------------------------------ what goes wrong


def test_a_lane_that_is_not_there_is_refused() -> None:
    result, _ = trained("full", "article", epochs=1, seeds=2)
    for lane in (2, -1, True, "0", 0.0):
        with pytest.raises(ConfigError, match="the run has lanes 0 to 1"):
            result.network(lane)  # type: ignore[arg-type]


def test_where_every_lane_diverged_none_is_the_best() -> None:
    result = gdrun.train("sgd", "article", lr=1e6, epochs=3)
    with pytest.raises(DataError, match="no lane has a finite loss"):
        result.network()


def test_damage_is_named_by_its_file(tmp_path: Path) -> None:
    where = {"output_dir": tmp_path, "name": "run"}
    result, data = trained("full", "diabetes", epochs=2, **where)
    path, x = tmp_path / "run" / "preprocessing.json", in_units(data, "")[0]
    before = path.read_text()
    expected = result.network()(x)

    def refused(match: str) -> None:
        with pytest.raises(DataError, match=match):
            result.network()

    for text in ("", "{", "[]", "3", "{}", '{"inputs": [], "targets": []}', "\x00", "[" * 10**5):
        path.write_text(text)
        refused("preprocessing.json: is damaged")
    path.write_text(before)
    for key, value in (
        ("classes", ["a"]),
        ("targets", ["a", "b"]),
        ("inputs", []),
        ("x_scale", {"mean": [0.0], "deviation": [1.0]}),
        ("y_scale", {"mean": [0.0], "deviation": [0.0]}),
        ("y_scale", {"mean": [float("1e400")], "deviation": [1.0]}),
        ("inputs", [{"name": 3}]),
        ("missing", "often"),
    ):
        path.write_text(json.dumps({**json.loads(before), key: value}))
        refused(r"preprocessing.json: is (damaged|of another run)")
    path.unlink()  # as of a run of an older gdrun, whose data is read again
    assert torch.equal(result.network()(x), expected)
    path.mkdir()
    with pytest.raises(gdrun.OutputError, match=r"preprocessing.json"):
        result.network()
    path.rmdir()
    path.write_text(before)
    (tmp_path / "run" / "checkpoint.pt").unlink()
    refused("checkpoint.pt: is missing, and the weights are in it")
