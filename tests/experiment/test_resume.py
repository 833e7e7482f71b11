"""Going on with a run gives what it would have given; what can't be gone on with is left alone."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gdrun.cli.preview import progress_of_runs
from gdrun.config.parts.groups import SweepConfig
from gdrun.config.schema import RunConfig
from gdrun.config.timing import Timing
from gdrun.experiment.checkpoint import last_checkpoint, load_checkpoint
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.resume import resume_experiment
from gdrun.results.file_names import CHECKPOINT
from gdrun.results.progress import RunProgress
from tests.run_files import MOST, logs
from tests.training_runs import run, small_config


def abandon(command: str, config: RunConfig, place: Path, segments: int, timing: Timing) -> None:
    """Train in a directory and let go of everything in the middle, as if killed."""
    place.mkdir(exist_ok=True)
    events = execute(plan_experiment(command, config), place, timing=timing)
    for _ in range(segments):
        next(events, None)
    # What the process would no longer have written.
    kept = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    events.close()
    for path in [path for path in place.rglob("*") if path.is_file()]:
        path.unlink()
        if path in kept:
            path.write_bytes(kept[path])


def results_in(place: Path) -> Mapping[str, Any]:
    """What `run.json` says came of it, but for times."""
    content = json.loads((place / "run.json").read_text())
    return {
        "status": content["status"],
        "lanes": [{k: v for k, v in lane.items() if k != "seconds"} for lane in content["lanes"]],
    }


CONFIGS: list[dict[str, Any]] = [
    {"sampling": "sequential"},
    {"sampling": "reshuffle", "momentum": 0.9},
    {"sampling": "replacement", "momentum": 0.8, "nesterov": True, "weight_decay": 0.01},
    {"lr": [0.1, 0.01], "seeds": 2, "drop_last": True, "data": {"val_fraction": 0.2}},
    {"lr": [0.1, 1e6], "seeds": 2, "eval_every": 3, "log_every": 5},
    {"lr": 0.01, "optimizer": {"name": "adam", "amsgrad": True}, "seeds": 2},
    {"lr": 0.01, "optimizer": {"name": "rmsprop", "centered": True, "momentum": 0.5}},
    {"eval_every": 3, "batch_size": 30, "chunk_rows": 7},
    {"lr": [1e38, 1e30], "eval_every": 5},
    {"hidden_size": [], "momentum": 0.5, "data": {"source": "mean_estimation"}},
    {"data": {"source": "circles", "rows": 50, "standardize": True, "val_fraction": 0.2}},
]


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("command", ["full", "sgd", "minibatch"])
@pytest.mark.parametrize("settings_", CONFIGS, ids=lambda settings: ",".join(settings))
def test_a_stopped_run_goes_on_to_the_same_bytes(
    command: str, settings_: dict[str, Any], tmp_path: Path
) -> None:
    config = small_config(epochs=7, **settings_)
    run(command, config, tmp_path / "whole")
    expected = logs(tmp_path / "whole")
    for stop in (1, 3, 25, 66):
        place = tmp_path / str(stop)
        run(command, config, place, stop_after=stop)
        run(command, config, place, stop_after=4)
        run(command, config, place)
        assert logs(place) == expected
        assert results_in(place) == results_in(tmp_path / "whole")


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("command", ["full", "minibatch"])
def test_rows_after_the_last_checkpoint_are_cut_and_come_again(
    command: str, tmp_path: Path
) -> None:
    timing = Timing(segment=0.0, flush=-1.0, checkpoint_share=1e9)
    config = small_config(epochs=7, checkpoint_every=3, momentum=0.9, lr=[0.1, 0.2])
    run(command, config, tmp_path / "whole")
    for segments in (2, 5, 6, 12, 40, 45):
        place = tmp_path / str(segments)
        abandon(command, config, place, segments, timing)
        over = command == "full" and segments >= 12
        status = json.loads((place / "run.json").read_text())["status"]
        assert status == ("done" if over else "running")
        before = (place / "steps.csv").read_bytes()
        found, complaints = last_checkpoint(place, MOST)
        assert not complaints
        if found and not over:
            assert found.state.epoch % 3 == 0
            assert found.digests["steps.csv"].size < len(before)
        run(command, config, place)
        assert logs(place) == logs(tmp_path / "whole")
        assert (place / "steps.csv").read_bytes().startswith(before)


@given(
    epochs=st.integers(1, 8),
    more=st.integers(0, 6),
    eval_every=st.integers(1, 4),
    lrs=st.lists(
        st.sampled_from([0.05, 0.3, 30.0, 1e6, 1e38]), min_size=1, max_size=2, unique=True
    ),
    command=st.sampled_from(["full", "sgd", "minibatch"]),
)
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_more_epochs_extend_a_finished_run_as_if_it_had_never_ended(
    epochs: int,
    more: int,
    eval_every: int,
    lrs: list[float],
    command: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    tmp_path = tmp_path_factory.mktemp("extended")
    settings_ = {"lr": lrs, "eval_every": eval_every, "sampling": "reshuffle"}
    run(command, small_config(epochs=epochs, **settings_), tmp_path / "a")
    run(command, small_config(epochs=epochs + more, **settings_), tmp_path / "a")
    run(command, small_config(epochs=epochs + more, **settings_), tmp_path / "b")
    assert logs(tmp_path / "a") == logs(tmp_path / "b")
    assert results_in(tmp_path / "a") == results_in(tmp_path / "b")
    shutil.rmtree(tmp_path)


def test_a_finished_run_is_only_read(tmp_path: Path) -> None:
    config = small_config(lr=[0.1, 0.2], eval_every=2)
    (first,) = run("minibatch", config, tmp_path / "a")
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "a").iterdir()}
    (again,) = run("minibatch", config, tmp_path / "a")
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in (tmp_path / "a").iterdir()} == before
    assert again.status == first.status == "done"
    for one, other in zip(first.lanes, again.lanes, strict=True):
        assert other.train_loss == one.train_loss
        assert other.updates == one.updates
    for name, column in first.epochs.items():
        if name not in ("seconds", "method"):
            assert again.epochs[name] == pytest.approx(column, rel=1e-8, nan_ok=True)
    assert again.steps["update"] == first.steps["update"]
    assert again.fit == first.fit


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("stop", [1, 5, 30, 60, 335, 340, 400])
def test_a_stopped_comparison_goes_on_where_it_was(stop: int, tmp_path: Path) -> None:
    config = small_config(momentum=0.5)
    whole = run("compare", config, tmp_path / "whole")
    run("compare", config, tmp_path / "a", stop_after=stop)
    done = [
        path.parent
        for path in (tmp_path / "a").glob("*/run.json")
        if json.loads(path.read_text())["status"] == "done"
    ]
    before = {place: (place / "run.json").read_bytes() for place in done}
    results = run("compare", config, tmp_path / "a")
    assert [result.series for result in results] == [result.series for result in whole]
    assert logs(tmp_path / "a") == logs(tmp_path / "whole")
    assert {place: (place / "run.json").read_bytes() for place in done} == before
    group = json.loads((tmp_path / "a" / "run.json").read_text())
    assert (group["status"], group["members"]) == ("done", ["full", "sgd", "minibatch"])


def test_run_json_tells_of_every_start(tmp_path: Path) -> None:
    config = small_config(epochs=5)
    run("full", config, tmp_path / "a", stop_after=3)
    first = json.loads((tmp_path / "a" / "run.json").read_text())
    run("full", config, tmp_path / "a")
    content = json.loads((tmp_path / "a" / "run.json").read_text())
    assert (first["status"], content["status"]) == ("interrupted", "done")
    assert content["started"] == first["started"]
    assert [start["updates"] for start in content["resumed"]] == [2]
    assert [start["stopped"] for start in content["resumed"]] == [first["finished"]]
    assert "resumed" not in first


def test_a_complete_comparison_is_only_read(tmp_path: Path) -> None:
    run("compare", small_config(), tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    results = run("compare", small_config(), tmp_path, stop_after=1)
    assert results[0].status == "done"
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("command", ["compare", "sweep"])
def test_a_group_whose_end_was_not_written_is_closed(command: str, tmp_path: Path) -> None:
    config = small_config(sweep=SweepConfig(batch_size=(5, 20), lr=(0.1,)))
    run(command, config, tmp_path)
    path = tmp_path / "run.json"
    whole = json.loads(path.read_text())
    ending = ("finished", "members", "failures", "comparison", "answer")
    killed = {name: value for name, value in whole.items() if name not in ending}
    path.write_text(json.dumps({**killed, "status": "running"}))
    run(command, config, tmp_path)
    closed = json.loads(path.read_text())
    for name in ("status", *ending[1:]):
        assert closed.get(name) == whole.get(name)
    assert closed["finished"] >= whole["finished"]


def test_every_start_is_kept_in_run_json(tmp_path: Path) -> None:
    for epochs in (2, 3, 5):
        run("full", small_config(epochs=epochs), tmp_path)
    content = json.loads((tmp_path / "run.json").read_text())
    assert [start["updates"] for start in content["resumed"]] == [2, 3]


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("segments", [1, 5, 130, 300, 302])
def test_a_run_that_nobody_listens_to_any_more_is_saved(segments: int, tmp_path: Path) -> None:
    config = small_config(eval_every=2)
    (tmp_path / "a").mkdir()
    experiment = plan_experiment("sgd", config)
    events = execute(experiment, tmp_path / "a", timing=Timing(segment=0.0))
    for _ in range(segments):
        last = next(events)
    events.close()
    assert isinstance(last, RunProgress)
    assert load_checkpoint(tmp_path / "a" / CHECKPOINT, MOST).state.updates == last.updates
    run("sgd", small_config(eval_every=2, epochs=5), tmp_path / "a")
    run("sgd", small_config(eval_every=2, epochs=5), tmp_path / "b")
    assert logs(tmp_path / "a") == logs(tmp_path / "b")


def test_a_resumed_run_remembers_its_best_loss_and_its_curve(tmp_path: Path) -> None:
    config = small_config(epochs=40, lr=[0.1, 0.2], seeds=2, eval_every=3)
    *_, whole, _ = execute(plan_experiment("sgd", config))
    assert isinstance(whole, RunProgress)
    run("sgd", config, tmp_path, stop_after=20)
    experiment = resume_experiment(plan_experiment("sgd", config), tmp_path)
    (before,) = progress_of_runs(experiment)
    assert 0 < before.updates < 4000
    *_, resumed, _ = execute(experiment, tmp_path)
    assert isinstance(resumed, RunProgress)
    assert resumed.best == pytest.approx(whole.best)
    assert resumed.curve == pytest.approx(whole.curve)
