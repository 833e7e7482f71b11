"""What a run writes is complete, true, and the same every time."""

import math
from pathlib import Path

import pytest
import torch

from gdrun.api import compare, train
from gdrun.config.read import load_config
from gdrun.config.timing import Timing
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.progress import RunProgress
from gdrun.results.run import RunResult
from tests.run_files import manifest, read_csv, without_seconds
from tests.training_runs import small_config


def test_losses_in_the_files_are_exact(tmp_path: Path) -> None:
    result = train("sgd", small_config(), output_dir=tmp_path, name="a")
    written = [float(row["loss"]) for row in read_csv(tmp_path / "a" / "steps.csv")]
    as_floats = torch.tensor(written, dtype=torch.float32)
    assert torch.equal(as_floats, torch.tensor(result.steps["loss"], dtype=torch.float32))


def test_columns_in_memory_are_those_of_the_files(tmp_path: Path) -> None:
    config = small_config(lr=[0.1, 0.2], seeds=2, data={"source": "quadratic", "val_fraction": 0.2})
    result = train("minibatch", config, output_dir=tmp_path, name="a")
    for columns, name in ((result.epochs, "epochs.csv"), (result.steps, "steps.csv")):
        rows = read_csv(tmp_path / "a" / name)
        assert list(columns) == list(rows[0])
        assert {len(column) for column in columns.values()} == {len(rows)}
    losses = result.epochs["val_loss"]
    written = {
        (r["lr"], r["seed"], r["epoch"]): r["val_loss"]
        for r in read_csv(tmp_path / "a" / "epochs.csv")
    }
    for k, loss in enumerate(losses):
        lr, seed, epoch = (str(result.epochs[name][k]) for name in ("lr", "seed", "epoch"))
        key = (lr, seed, epoch)
        assert float(written[key]) == pytest.approx(float(loss), rel=1e-8)


@pytest.mark.parametrize("sampling", ["sequential", "reshuffle", "replacement"])
def test_two_runs_write_the_same_bytes_but_for_seconds(sampling: str, tmp_path: Path) -> None:
    config = small_config(sampling=sampling, lr=[0.1, 1e6], seeds=2, momentum=0.5)
    for name in ("a", "b"):
        compare(config, output_dir=tmp_path, name=name)
    for method in ("full", "sgd", "minibatch"):
        a, b = tmp_path / "a" / method, tmp_path / "b" / method
        assert (a / "steps.csv").read_bytes() == (b / "steps.csv").read_bytes()
        assert without_seconds(a / "epochs.csv") == without_seconds(b / "epochs.csv")


def test_config_of_a_run_repeats_it(tmp_path: Path) -> None:
    train("sgd", "shuffled", output_dir=tmp_path, name="a", epochs=3, lr=[0.1, 0.05])
    config = load_config(str(tmp_path / "a" / "config.yaml"))
    train("sgd", config, output_dir=tmp_path, name="b")
    for name in ("steps.csv", "config.yaml"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("every", [1, 3, 7, 1000])
def test_log_every_keeps_every_kth_update(every: int, tmp_path: Path) -> None:
    whole = train("sgd", small_config(), output_dir=tmp_path, name="whole")
    train("sgd", small_config(log_every=every), output_dir=tmp_path, name="some")
    expected = [
        row for row in read_csv(tmp_path / "whole" / "steps.csv") if int(row["update"]) % every == 0
    ]
    assert read_csv(tmp_path / "some" / "steps.csv") == expected
    assert len(whole.steps["loss"]) == 300


def test_a_diverged_lane_stops_being_logged(tmp_path: Path) -> None:
    result = train("sgd", small_config(lr=[0.1, 1e6]), output_dir=tmp_path, name="a")
    wild = [row for row in read_csv(tmp_path / "a" / "steps.csv") if row["lr"] == "1000000.0"]
    losses = [float(row["loss"]) for row in wild]
    assert all(math.isfinite(loss) for loss in losses[:-1])
    assert not math.isfinite(losses[-1])
    epochs = [row for row in read_csv(tmp_path / "a" / "epochs.csv") if row["lr"] == "1000000.0"]
    assert [row["epoch"] for row in epochs] == ["0", "1"]
    assert [lane.status for lane in result.lanes] == ["done", "diverged"]
    healthy = [row for row in read_csv(tmp_path / "a" / "steps.csv") if row["lr"] == "0.1"]
    alone = train("sgd", small_config(lr=0.1), output_dir=tmp_path, name="alone")
    assert [r["loss"] for r in healthy] == [
        r["loss"] for r in read_csv(tmp_path / "alone" / "steps.csv")
    ]
    assert alone.status == "done"


def test_rows_are_on_the_disk_while_the_run_goes_on(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.mkdir()
    events = execute(plan_experiment("sgd", small_config()), place, timing=Timing(flush=-1.0))
    for event in events:
        if isinstance(event, RunResult):
            break
        assert isinstance(event, RunProgress)
        if event.updates == 100 * event.epoch:
            assert int(read_csv(place / "epochs.csv")[-1]["epoch"]) == event.epoch
            assert manifest(place)["status"] == "running"
    events.close()


def test_saved_config_finds_its_data_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "\n".join(f"{k},{k * k % 7}" for k in range(20))
    Path("a.csv").write_text(f"x,y\n{rows}\n")
    data = {"source": "csv", "path": "a.csv", "target": "y"}
    train("full", small_config(data=data), output_dir=tmp_path, name="a")
    config = load_config(str(tmp_path / "a" / "config.yaml"))
    train("full", config, output_dir=tmp_path, name="b")
    assert (tmp_path / "a/steps.csv").read_bytes() == (tmp_path / "b/steps.csv").read_bytes()


def test_a_diverged_lane_counts_up_to_the_update_that_showed_it(tmp_path: Path) -> None:
    result = train("minibatch", small_config(lr=1e6), output_dir=tmp_path, name="a")
    (lane,) = result.lanes
    steps = read_csv(tmp_path / "a" / "steps.csv")
    assert lane.diverged_at == lane.updates == int(steps[-1]["update"])
    assert lane.samples == 16 * lane.updates
    assert manifest(tmp_path / "a")["lanes"][0]["diverged_at"] == lane.diverged_at


def test_seconds_are_those_of_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock that goes on by a second whenever it is read: each segment reads it twice.
    ticks = iter(range(10**9))
    monkeypatch.setattr(
        "gdrun.training.eager.make_clock", lambda _problem: lambda: float(next(ticks))
    )
    result = train("full", epochs=5)
    assert list(result.histories[0].epochs["seconds"]) == [0, 1, 2, 3, 4, 5]
