"""Runs that are stopped, abandoned or break."""

from pathlib import Path

import pytest
import torch

from gdrun.config.timing import Timing
from gdrun.experiment.checkpoint import load_checkpoint
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.plan.runs import ExperimentPlan
from gdrun.results.progress import RunProgress
from gdrun.results.run import LaneResult, RunResult
from tests.run_files import MOST, manifest, read_csv
from tests.training_runs import small_config


def test_stopping_completes_what_was_begun_and_begins_nothing(tmp_path: Path) -> None:
    seen: list[int] = []
    experiment = plan_experiment("compare", small_config(epochs=50))

    def stop() -> bool:
        return len(seen) >= 60

    results = []
    for event in execute(experiment, tmp_path, stop=stop):
        if isinstance(event, RunResult):
            results.append(event)
        elif isinstance(event, RunProgress):
            seen.append(event.updates)
    assert [result.status for result in results] == ["done", "interrupted"]
    assert manifest(tmp_path)["status"] == "interrupted"
    assert manifest(tmp_path / "sgd")["status"] == "interrupted"
    assert not (tmp_path / "minibatch").exists()
    rows = read_csv(tmp_path / "sgd" / "steps.csv")
    assert len(rows) == results[1].lanes[0].updates > 0
    assert results[1].lanes[0].epochs < 50


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_abandoned_runs_are_interrupted(error: type[BaseException] | None, tmp_path: Path) -> None:
    events = execute(plan_experiment("compare", small_config()), tmp_path)
    next(events)
    next(events)
    if error is None:
        events.close()
    else:
        with pytest.raises(error):
            events.throw(error)
    for place in (tmp_path, tmp_path / "full"):
        assert manifest(place)["status"] == "interrupted"
    assert [row["epoch"] for row in read_csv(tmp_path / "full" / "epochs.csv")] == ["0", "1"]


def test_runs_that_break_have_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gdrun.results.rows.history.Recorder.add", defect)
    with pytest.raises(ZeroDivisionError):
        list(execute(plan_experiment("compare", small_config()), tmp_path))
    for place in (tmp_path, tmp_path / "full"):
        assert manifest(place)["status"] == "failed"


def stop_after(
    segments: int, experiment: ExperimentPlan, place: Path
) -> tuple[LaneResult, list[tuple[int, float]]]:
    """Stop the one lane of an experiment after so many segments; updates and seconds of each."""
    seen: list[tuple[int, float]] = []
    timing = Timing(segment=0.0)
    for event in execute(experiment, place, stop=lambda: len(seen) > segments, timing=timing):
        if isinstance(event, RunResult):
            (lane,) = event.lanes
        elif isinstance(event, RunProgress):
            seen.append((event.updates, event.seconds))
    return lane, seen


def test_a_run_stopped_in_mid_epoch_counts_every_update_it_logged(tmp_path: Path) -> None:
    lane, seen = stop_after(130, plan_experiment("sgd", small_config()), tmp_path)
    assert lane.updates == lane.samples == len(read_csv(tmp_path / "steps.csv")) == seen[-1][0]
    assert lane.updates % 100
    assert lane.seconds == seen[-1][1] > 0
    assert (lane.status, lane.epochs) == ("interrupted", 1)


def test_a_stopped_run_reports_the_loss_of_the_weights_that_stand(tmp_path: Path) -> None:
    config = small_config(epochs=9, eval_every=9, data={"val_fraction": 0.2})
    experiment = plan_experiment("sgd", config)
    lane, _ = stop_after(250, experiment, tmp_path)
    assert lane.status == "interrupted"
    problem, data = experiment.problem, experiment.problem.data
    state = load_checkpoint(tmp_path / "checkpoint.pt", MOST).state
    for loss, x, y in (
        (lane.train_loss, data.x[:], data.y[:]),
        (lane.val_loss, data.x_val[:], data.y_val[:]),
    ):
        outputs = problem.model(state.params, x.unsqueeze(0))[0]
        assert loss == pytest.approx(torch.nn.functional.mse_loss(outputs, y).item(), rel=1e-5)
