"""Patience with a validation loss: lanes are stopped as if their epochs had ended there."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

import gdrun
from gdrun.config.schema import RunConfig
from gdrun.experiment.checkpoint import load_checkpoint
from gdrun.results.file_names import CHECKPOINT
from gdrun.results.rows.history import History
from tests.command_line import NO_PICTURES, Invoke
from tests.run_files import MOST, logs
from tests.training_runs import run, small_config

DATA = {"rows": 30, "noise": 1.0, "val_fraction": 0.4}
ENGINES = ["eager", "compiled"]


def config_with(patience: int | None, **settings: Any) -> RunConfig:
    """Lanes whose validation losses are lowest at different epochs; the last one diverges."""
    lrs = {"lr": [0.3, 0.05, 0.01, 1e4], "seeds": 2, "epochs": 40, "batch_size": 5}
    return small_config(data=DATA, patience=patience, **{**lrs, **settings})


def expected_end(history: History, patience: int, every: int) -> tuple[int, int]:
    """The last epoch of a lane, and its best one, by the losses of a training without patience."""
    best, at = math.inf, 0
    losses = zip(history.epochs["epoch"], history.epochs["val_loss"], strict=True)
    for epoch, loss in losses:
        if math.isfinite(loss) and loss < best:
            best, at = loss, int(epoch)
        elif int(epoch) % every == 0 and math.isfinite(loss) and epoch - at >= patience:
            return int(epoch), at
    return int(history.epochs["epoch"][-1]), at


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("patience", [1, 4, 15])
@pytest.mark.parametrize("every", [1, 3])
def test_a_lane_ends_where_its_loss_was_not_lower_for_so_long(
    engine: str, patience: int, every: int, tmp_path: Path
) -> None:
    more = {"engine": engine, "eval_every": every}
    (whole,) = run("minibatch", config_with(None, **more), tmp_path / "whole")
    (found,) = run("minibatch", config_with(patience, **more), tmp_path / "found")
    ends = set()
    pairs = zip(found.histories, found.lanes, whole.histories, strict=True)
    for history, lane, full in pairs:
        end, best = expected_end(full, patience, every)
        ends.add(end)
        assert lane.epochs == end
        assert lane.best_val_epoch == best
        assert lane.status in (("done", "diverged") if lane.lr == 1e4 else ("done",))
        for name, column in history.epochs.items():
            if name != "seconds":
                assert repr(column) == repr(full.epochs[name][: len(column)])
        updates = lane.updates
        assert list(history.steps["loss"]) == list(full.steps["loss"][:updates])
    assert len(ends) > 2


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ENGINES)
def test_its_weights_are_those_of_a_training_that_ended_there(engine: str, tmp_path: Path) -> None:
    more = {"engine": engine, "lr": [0.3, 0.05], "seeds": 1}
    (found,) = run("minibatch", config_with(3, **more), tmp_path / "found")
    state = load_checkpoint(tmp_path / "found" / CHECKPOINT, MOST).state
    for k, lane in enumerate(found.lanes):
        assert lane.epochs < 40
        for kind, epochs in (("last", lane.epochs), ("best", lane.best_val_epoch)):
            assert epochs
            place = tmp_path / f"{k} {kind}"
            alone = config_with(None, engine=engine, seeds=1, lr=lane.lr, epochs=epochs)
            run("minibatch", alone, place)
            expected = load_checkpoint(place / CHECKPOINT, MOST).state.params
            own = state.params if kind == "last" else state.best.params
            for mine, theirs in zip(own, expected, strict=True):
                torch.testing.assert_close(mine[k], theirs[0], rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("_many_segments", "cache")
@pytest.mark.parametrize("engine", ENGINES)
def test_a_stopped_run_goes_on_to_the_same_bytes(engine: str, tmp_path: Path) -> None:
    config = config_with(3, engine=engine, momentum=0.5)
    run("minibatch", config, tmp_path / "whole")
    for stop in (1, 20, 60, 110):
        place = tmp_path / str(stop)
        run("minibatch", config, place, stop_after=stop)
        run("minibatch", config, place)
        assert logs(place) == logs(tmp_path / "whole")
        states = [
            load_checkpoint(each / CHECKPOINT, MOST).state for each in (place, tmp_path / "whole")
        ]
        assert states[0].best.epochs == states[1].best.epochs
        for one, other in zip(states[0].best.params, states[1].best.params, strict=True):
            assert torch.equal(one, other)


def test_more_epochs_extend_it_as_if_it_had_never_ended(tmp_path: Path) -> None:
    run("minibatch", config_with(8, epochs=10), tmp_path / "a")
    run("minibatch", config_with(8, epochs=30), tmp_path / "a")
    run("minibatch", config_with(8, epochs=30), tmp_path / "b")
    assert logs(tmp_path / "a") == logs(tmp_path / "b")


def test_a_run_whose_lanes_are_all_stopped_is_done(invoke: Invoke) -> None:
    data = ["--set", "data.val_fraction=0.4", "--set", "data.noise=1", "--set", "patience=2"]
    outcome = invoke("sgd", *data, "--epochs", "200", "--seeds", "3", "--name", "a", *NO_PICTURES)
    assert outcome.code == 0
    loaded = gdrun.load("a")
    assert loaded.status == "done"
    assert all(2 <= epochs < 200 for epochs in loaded.lanes["epochs"])
    again = invoke("sgd", "--resume", "a")
    assert again.code == 0
    assert "is done, and only read" in again.err


def test_patience_needs_rows_that_are_held_out(invoke: Invoke) -> None:
    outcome = invoke("sgd", "--set", "patience=3")
    assert outcome.code == 2
    assert "patience: watches the validation loss, and no rows are held out" in outcome.err
    assert "data.val_fraction" in outcome.err
