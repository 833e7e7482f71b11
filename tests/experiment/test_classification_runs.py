"""Whole runs that learn classes, against a plain PyTorch loop; their files, resumed and read."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import gdrun
from gdrun.data.order import visiting_order
from gdrun.experiment.checkpoint import load_checkpoint
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.file_names import CHECKPOINT
from gdrun.results.fits import Fit, Regions
from tests.command_line import NO_PICTURES, Invoke
from tests.run_files import MOST, logs
from tests.training_runs import run, small_config

SPIRAL = {"source": "spiral", "rows": 60, "val_fraction": 0.2}


def plain_loop(loss: str, config: Any, lr: float) -> list[list[float]]:
    """Train and validation loss and accuracy at the end of each epoch, by torch.optim.SGD."""
    data = plan_experiment("minibatch", config).problem.data
    x, y, x_val, y_val = data.x[:], data.y[:], data.x_val[:], data.y_val[:]
    outputs = 1 if loss == "bce" else 2
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 10), nn.ReLU(), nn.Linear(10, outputs))
    optimizer = torch.optim.SGD(network.parameters(), lr=lr)

    def criterion(z: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        if loss == "bce":
            return F.binary_cross_entropy_with_logits(z, own)
        return F.cross_entropy(z, own.squeeze(1).long())

    def hits(z: torch.Tensor, own: torch.Tensor) -> float:
        likeliest = (z > 0).float() if loss == "bce" else z.argmax(1, keepdim=True).float()
        return (likeliest == own).float().mean().item()

    found = []
    for epoch in range(1, config.epochs + 1):
        order = visiting_order("reshuffle", len(x), [0], epoch)
        assert order is not None
        rows = order(0, len(x))[0]
        for start in range(0, len(x), config.batch_size):
            batch = rows[start : start + config.batch_size]
            optimizer.zero_grad()
            criterion(network(x[batch]), y[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            parts = [(network(one), own) for one, own in ((x, y), (x_val, y_val))]
        losses = [criterion(*part).item() for part in parts]
        found.append([*losses, *(hits(*part) for part in parts)])
    return found


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize("loss", ["bce", "cross_entropy"])
def test_losses_and_accuracies_are_those_of_a_plain_loop(
    loss: str, engine: str, tmp_path: Path
) -> None:
    config = small_config(epochs=8, batch_size=7, loss=loss, engine=engine, data=SPIRAL, lr=0.5)
    run("minibatch", config, tmp_path)
    with (tmp_path / "epochs.csv").open() as file:
        rows = list(csv.DictReader(file))[1:]
    names = ("train_loss", "val_loss", "train_accuracy", "val_accuracy")
    found = [[float(row[name]) for name in names] for row in rows]
    expected = plain_loop(loss, config, lr=0.5)
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-4, atol=1e-5)


def test_the_run_says_which_columns_and_classes_it_has(tmp_path: Path) -> None:
    run("minibatch", small_config(loss="cross_entropy", data=SPIRAL), tmp_path)
    content = json.loads((tmp_path / "run.json").read_text())
    assert content["columns"] == ["train_accuracy", "val_accuracy"]
    assert content["problem"]["classes"] == ["0", "1"]
    (lane,) = content["lanes"]
    last = (tmp_path / "epochs.csv").read_text().splitlines()[-1].split(",")
    assert [lane["metrics"][name] for name in content["columns"]] == [*map(float, last[-2:])]


def test_without_validation_rows_its_accuracy_is_empty(tmp_path: Path) -> None:
    run("full", small_config(loss="bce", data={"source": "moons"}), tmp_path)
    assert all(
        line.endswith(",") for line in (tmp_path / "epochs.csv").read_text().splitlines()[1:]
    )


def test_a_lane_without_a_finite_loss_has_no_accuracy(tmp_path: Path) -> None:
    config = small_config(loss="bce", data=SPIRAL, lr=[0.1, 1e38], epochs=5)
    (result,) = run("minibatch", config, tmp_path)
    good, bad = result.lanes
    assert (good.status, bad.status) == ("done", "diverged")
    assert good.metrics["train_accuracy"]
    assert bad.metrics == {"train_accuracy": None, "val_accuracy": None}


def test_saved_runs_with_other_columns_are_read_and_compared(invoke: Invoke) -> None:
    for name, more in (("classes", ["--loss", "bce"]), ("numbers", [])):
        settings = ["--set", "data.source=moons", *more, "--epochs", "3", "--name", name]
        assert invoke("sgd", *settings, *NO_PICTURES).code == 0
    loaded = gdrun.load("classes")
    assert len(loaded.epochs["train_accuracy"]) == len(loaded.epochs["epoch"]) == 4
    assert loaded.lanes["train_accuracy"] == [loaded.epochs["train_accuracy"][-1]]
    shown = invoke("show", "classes")
    assert shown.code == 0
    assert "acc." in shown.out
    assert invoke("compare", "classes", "numbers", "--force", "--name", "both").code == 0
    both = gdrun.load("both")
    assert len(both.epochs["train_accuracy"]) == 8
    listed = json.loads(invoke("list", "--json").out)
    accuracies = {each["name"]: each["train_accuracy"] for each in listed["runs"]}
    assert accuracies["classes"] == loaded.epochs["train_accuracy"][-1]
    assert accuracies["numbers"] is None
    assert "classes" in invoke("list", "--where", "train_accuracy > 0").out
    assert "numbers" not in invoke("list", "--where", "train_accuracy > 0").out


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("stop", [1, 4, 30])
def test_a_stopped_run_goes_on_to_the_same_bytes(stop: int, tmp_path: Path) -> None:
    config = small_config(epochs=5, loss="cross_entropy", data=SPIRAL, lr=[0.1, 1e6], eval_every=2)
    run("minibatch", config, tmp_path / "whole")
    run("minibatch", config, tmp_path / "stopped", stop_after=stop)
    run("minibatch", config, tmp_path / "stopped")
    assert logs(tmp_path / "stopped") == logs(tmp_path / "whole")


def test_a_sweep_gives_the_accuracy_as_a_second_opinion(invoke: Invoke) -> None:
    settings = ["-c", "moons", "--lr", "0.1,1", "--batch-size", "8,full", "--epochs", "20"]
    outcome = invoke("sweep", *settings, "--name", "a", *NO_PICTURES)
    assert outcome.code == 0
    assert "validation accuracy" in " ".join(outcome.out.split())
    answer = json.loads(invoke("show", "a", "--json").out)["answer"]
    best = answer["most_accurate"]
    trials = gdrun.load("a").trials
    assert best["accuracy"] == max(trials["val_accuracy"])
    header = Path("outputs/a/sweep.csv").read_text().splitlines()[0]
    assert header.endswith("best_val_loss,best_val_epoch,train_accuracy,val_accuracy")


def test_bce_is_for_two_classes(invoke: Invoke) -> None:
    outcome = invoke("sgd", "-c", "digits", "--loss", "bce")
    assert outcome.code == 2
    assert "loss: bce is for two classes, and the target digit has 10" in outcome.err
    assert "cross_entropy is for any number" in outcome.err


@pytest.mark.parametrize("loss", ["bce", "cross_entropy"])
def test_regions_are_the_probabilities_of_the_network_in_units_of_the_data(
    loss: str, tmp_path: Path
) -> None:
    """Those of a linear model are known: σ(w·x + b) of the standardised point."""
    data = {"source": "moons", "rows": 50, "standardize": True, "val_fraction": 0.2}
    config = small_config(loss=loss, data=data, hidden_size=[], lr=[0.1, 0.5], epochs=2)
    (result,) = run("minibatch", config, tmp_path)
    regions = result.fit
    assert isinstance(regions, Regions)
    state = load_checkpoint(tmp_path / CHECKPOINT, MOST).state
    rows = plan_experiment("minibatch", config).problem.data
    scaling = rows.x_scaling
    assert scaling
    width, height = len(regions.grid_x), len(regions.grid_y)
    for lane in range(2):
        found = torch.tensor(regions.probabilities[lane]).view(height, width, 2)
        assert torch.allclose(found.sum(-1), torch.ones(height, width))
        for i, j in ((0, 0), (width - 1, 3), (5, height - 1)):
            point = torch.tensor([regions.grid_x[i], regions.grid_y[j]], dtype=torch.float64)
            weight, bias = (tensor[lane].double() for tensor in state.params)
            z = (scaling.apply(point) @ weight + bias).flatten()
            margin = z[0] if loss == "bce" else z[1] - z[0]
            assert found[j, i, 1].item() == pytest.approx(torch.sigmoid(margin).item(), rel=1e-4)
    assert [regions.classes[k] for k in regions.labels] == [
        rows.classes[int(k)] for k in rows.y[:].flatten().tolist()
    ]
    expected = scaling.invert(rows.x_val[:].double())
    torch.testing.assert_close(torch.tensor(regions.x_val).double(), expected)
    low, high = min(x for x, _ in regions.x), max(x for x, _ in regions.x)
    assert regions.grid_x[0] < low < high < regions.grid_x[-1]


def test_pictures_of_classes_are_drawn_and_drawn_again(invoke: Invoke) -> None:
    assert invoke("compare", "-c", "moons", "--epochs", "2", "--name", "a").code == 0
    drawn = Path("outputs/a/fit.png")
    first = drawn.read_bytes()
    drawn.unlink()
    assert invoke("plot", "a").code == 0
    assert drawn.read_bytes() == first
    assert Path("outputs/a/sgd/fit.png").exists()


def test_two_classes_of_one_feature_have_a_curve_of_probabilities(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "x,y\n" + "".join(f"{k},{'yes' if k > 20 else 'no'}\n" for k in range(40))
    )
    data = {"source": "csv", "path": tmp_path / "a.csv", "target": "y"}
    (result,) = run("full", small_config(loss="bce", data=data, epochs=50), tmp_path / "run")
    assert isinstance(result.fit, Fit)
    (curve,) = result.fit.curves
    assert 0 < curve[0] < 0.5 < curve[-1] < 1


@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_a_loss_of_classes_is_never_negative_however_sure_the_network_is(
    engine: str, invoke: Invoke
) -> None:
    settings = ("-c", "moons", "--set", f"engine={engine}", *NO_PICTURES)
    assert invoke("sgd", *settings, "--epochs", "100", "--name", "sure").code == 0
    steps = gdrun.load("sure").steps["loss"]
    assert min(steps) >= 0
    assert max(steps[-160:]) < 1e-2
    done = invoke("sgd", "--resume", "sure", "--epochs", "120")
    assert done.code == 0, done.err
