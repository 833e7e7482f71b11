"""Runs whose learning rates change: resumed to the same bytes anywhere, and never extended."""

import json
from pathlib import Path
from typing import Any

import pytest

from gdrun.errors import DataError
from gdrun.experiment.replay.moments import largest_difference, moments, prepare_replay
from gdrun.results.rows.log_rows import SCHEDULED_LR
from gdrun.storage.reader import read_results
from gdrun.storage.saved_run import SavedRun, open_any
from tests.command_line import NO_PICTURES, Invoke
from tests.run_files import logs
from tests.training_runs import run, small_config

SCHEDULES: list[Any] = [
    "linear",
    "cosine",
    "inverse",
    "warmup+constant",
    {"name": "warmup+cosine", "final": 0.1},
    {"name": "step", "at": [0.2, 0.6], "factor": 0.3, "warmup": 0.1},
]


@pytest.mark.usefixtures("_many_segments", "cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_stopped_run_goes_on_to_the_same_bytes(
    schedule: Any, engine: str, tmp_path: Path
) -> None:
    config = small_config(
        epochs=7, schedule=schedule, engine=engine, lr=[0.1, 0.02], momentum=0.8, batch_size=30
    )
    run("minibatch", config, tmp_path / "whole")
    expected = logs(tmp_path / "whole")
    assert expected["epochs.csv"][0][-1] == f"{SCHEDULED_LR}\n"
    for stop in (1, 2, 5, 13, 21):
        place = tmp_path / str(stop)
        run("minibatch", config, place, stop_after=stop)
        run("minibatch", config, place, stop_after=3)
        run("minibatch", config, place)
        assert logs(place) == expected


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_run_that_is_trained_again_for_a_film_is_the_same(
    schedule: Any, engine: str, tmp_path: Path
) -> None:
    config = small_config(epochs=8, schedule=schedule, engine=engine, lr=[0.1, 0.02])
    run("minibatch", config, tmp_path)
    saved = open_any(tmp_path)
    assert isinstance(saved, SavedRun)
    (result,) = read_results(saved)
    found = [*moments(prepare_replay(saved), [0, 1, 3, 8], result.series.lanes)]
    losses = {moment.epoch: moment.train_loss for moment in found}
    assert [*losses] == [0, 1, 3, 8]
    assert largest_difference(losses, result) < 1e-8
    assert result.series.schedule


@pytest.mark.parametrize("command", ["sgd", "compare", "sweep"])
def test_more_epochs_are_refused_and_the_same_number_is_resumed(
    command: str, invoke: Invoke
) -> None:
    options = ["--epochs", "4", "--schedule", "cosine", "--lr", "0.1", *NO_PICTURES]
    invoke(command, *options, "--name", "a")
    before = {path: path.read_bytes() for path in Path("outputs/a").rglob("*") if path.is_file()}
    outcome = invoke(command, "--resume", "outputs/a", "--epochs", "9")
    assert outcome.code == 2
    assert "epochs: the run has 4, and can't have more, as its schedule, cosine, " in outcome.err
    assert "hint: with more epochs its updates would have had other rates" in outcome.err
    same = invoke(command, "--resume", "outputs/a", "--epochs", "4")
    assert same.code == 0
    assert "more --epochs extend" not in same.err
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.usefixtures("_many_segments")
def test_an_interrupted_run_isnt_extended_either(tmp_path: Path, invoke: Invoke) -> None:
    config = small_config(epochs=6, schedule="linear")
    run("sgd", config, tmp_path / "a", stop_after=5)
    assert json.loads((tmp_path / "a/run.json").read_text())["status"] == "interrupted"
    outcome = invoke("sgd", "--resume", tmp_path / "a", "--epochs", "7")
    assert outcome.code == 2
    assert "can't have more, as its schedule, linear, depends on them" in outcome.err
    # Nor where the file was changed by hand, or there is no command line.
    with pytest.raises(DataError, match="made with another config"):
        run("sgd", small_config(epochs=7, schedule="linear"), tmp_path / "a")
    run("sgd", config, tmp_path / "a")
    run("sgd", config, tmp_path / "whole")
    assert logs(tmp_path / "a") == logs(tmp_path / "whole")


def test_a_run_goes_on_with_its_own_schedule_alone(tmp_path: Path, invoke: Invoke) -> None:
    run("sgd", small_config(), tmp_path / "a")
    outcome = invoke("sgd", "--resume", tmp_path / "a", "--schedule", "cosine")
    assert outcome.code == 2
    assert 'schedule: the run has "constant", and can' in outcome.err
