"""Runs and their directories: what is written is complete, true, and the same every time."""

import csv
import hashlib
import json
import math
import os
import re
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from gdrun.api import compare, train
from gdrun.config.read import load_config
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError, DataError, OutputError
from gdrun.experiment import train_run
from gdrun.experiment.checkpoint import SEAL, VERSION, Checkpoint, load_checkpoint, save_checkpoint
from gdrun.experiment.execute import execute
from gdrun.experiment.guards import memory_errors
from gdrun.experiment.memory import memory_bytes
from gdrun.experiment.plan import ExperimentPlan, prepare
from gdrun.experiment.signals import stop_on_signals
from gdrun.experiment.train_run import Progress
from gdrun.results.compare import compare_results, reach
from gdrun.results.events import Lane, Segment
from gdrun.results.log_rows import EpochRecord, StepRecord, header
from gdrun.results.run import LaneResult, RunResult, overall_status
from gdrun.storage.row_file import FileDigest
from gdrun.storage.run_dir import make_directory, plan_directory
from gdrun.training.loop import train as descend_on
from gdrun.training.models import Network, Problem
from gdrun.training.state import Plan, initial_state
from tests.conftest import make_plan, make_problem, small_config, step_losses

EPOCHS = "method,batch_size,lr,seed,epoch,updates,samples,seconds,batch_loss,train_loss,val_loss"
STEPS = "method,batch_size,lr,seed,epoch,update,loss"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def without_seconds(path: Path) -> list[dict[str, str]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read(path)]


def manifest(directory: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((directory / "run.json").read_text())
    return content


def test_columns_are_those_of_the_contract() -> None:
    assert header(EpochRecord) == EPOCHS + "\n"
    assert header(StepRecord) == STEPS + "\n"


def test_run_directory_of_one_run(tmp_path: Path) -> None:
    result = train("minibatch", small_config(), output_dir=tmp_path, name="a")
    directory = tmp_path / "a"
    assert result.directory == directory
    assert sorted(path.name for path in directory.iterdir()) == [
        ".lock",
        "checkpoint.pt",
        "config.yaml",
        "epochs.csv",
        "run.json",
        "steps.csv",
    ]
    epochs, steps = read(directory / "epochs.csv"), read(directory / "steps.csv")
    assert [int(row["epoch"]) for row in epochs] == [0, 1, 2, 3]
    assert [int(row["updates"]) for row in epochs] == [0, 7, 14, 21]
    assert [int(row["samples"]) for row in epochs] == [0, 100, 200, 300]
    assert epochs[0]["batch_loss"] == ""
    assert [int(row["update"]) for row in steps] == list(range(1, 22))
    assert {row["method"] for row in epochs + steps} == {"minibatch"}
    seconds = [float(row["seconds"]) for row in epochs]
    assert seconds[0] == 0
    assert seconds == sorted(seconds)


def test_group_directory(tmp_path: Path) -> None:
    results = compare(small_config(), output_dir=tmp_path, name="g")
    assert sorted(path.name for path in (tmp_path / "g").iterdir()) == [
        ".lock",
        "config.yaml",
        "full",
        "minibatch",
        "run.json",
        "sgd",
    ]
    group = manifest(tmp_path / "g")
    assert (group["kind"], group["status"]) == ("group", "done")
    assert group["members"] == ["full", "sgd", "minibatch"]
    assert [result.directory for result in results] == [
        tmp_path / "g" / name for name in group["members"]
    ]
    assert not list((tmp_path / "g").rglob("*.partial"))


def test_manifest_tells_what_ran_where_and_how_it_ended(tmp_path: Path) -> None:
    result = train("sgd", small_config(lr=[0.1, 1e6]), output_dir=tmp_path, name="a")
    content = manifest(tmp_path / "a")
    assert content["schema"] == 1
    assert content["status"] == "done"
    assert [lane["status"] for lane in content["lanes"]] == ["done", "diverged"]
    assert content["lanes"][0]["train_loss"] == result.lanes[0].train_loss
    assert content["lanes"][1]["train_loss"] is None
    assert content["versions"]["torch"].startswith("2.")
    assert content["threads"] == torch.get_num_threads()
    assert content["pid"] == os.getpid()
    assert content["started"] <= content["finished"]
    assert {"command", "device", "git_commit", "versions"} <= set(content)


def test_losses_in_the_files_are_exact(tmp_path: Path) -> None:
    result = train("sgd", small_config(), output_dir=tmp_path, name="a")
    written = [float(row["loss"]) for row in read(tmp_path / "a" / "steps.csv")]
    as_floats = torch.tensor(written, dtype=torch.float32)
    assert torch.equal(as_floats, torch.tensor(result.steps["loss"], dtype=torch.float32))


def test_columns_in_memory_are_those_of_the_files(tmp_path: Path) -> None:
    config = small_config(lr=[0.1, 0.2], seeds=2, data={"source": "quadratic", "val_fraction": 0.2})
    result = train("minibatch", config, output_dir=tmp_path, name="a")
    for columns, name in ((result.epochs, "epochs.csv"), (result.steps, "steps.csv")):
        rows = read(tmp_path / "a" / name)
        assert list(columns) == list(rows[0])
        assert {len(column) for column in columns.values()} == {len(rows)}
    losses = result.epochs["val_loss"]
    written = {
        (r["lr"], r["seed"], r["epoch"]): r["val_loss"] for r in read(tmp_path / "a" / "epochs.csv")
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
        row for row in read(tmp_path / "whole" / "steps.csv") if int(row["update"]) % every == 0
    ]
    assert read(tmp_path / "some" / "steps.csv") == expected
    assert len(whole.steps["loss"]) == 300


def test_a_diverged_lane_stops_being_logged(tmp_path: Path) -> None:
    result = train("sgd", small_config(lr=[0.1, 1e6]), output_dir=tmp_path, name="a")
    wild = [row for row in read(tmp_path / "a" / "steps.csv") if row["lr"] == "1000000.0"]
    losses = [float(row["loss"]) for row in wild]
    assert all(math.isfinite(loss) for loss in losses[:-1])
    assert not math.isfinite(losses[-1])
    epochs = [row for row in read(tmp_path / "a" / "epochs.csv") if row["lr"] == "1000000.0"]
    assert [row["epoch"] for row in epochs] == ["0", "1"]
    assert [lane.status for lane in result.lanes] == ["done", "diverged"]
    healthy = [row for row in read(tmp_path / "a" / "steps.csv") if row["lr"] == "0.1"]
    alone = train("sgd", small_config(lr=0.1), output_dir=tmp_path, name="alone")
    assert [r["loss"] for r in healthy] == [
        r["loss"] for r in read(tmp_path / "alone" / "steps.csv")
    ]
    assert alone.status == "done"


def test_rows_are_on_the_disk_while_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdrun.storage.run_log.FLUSH_SECONDS", -1.0)
    place = tmp_path / "a"
    place.mkdir()
    events = execute(prepare("sgd", small_config()), place)
    for event in events:
        if isinstance(event, RunResult):
            break
        assert isinstance(event, Progress)
        if event.segment.ends_epoch:
            assert int(read(place / "epochs.csv")[-1]["epoch"]) == event.segment.epoch
            assert manifest(place)["status"] == "running"
    events.close()


def test_stopping_completes_what_was_begun_and_begins_nothing(tmp_path: Path) -> None:
    seen: list[int] = []
    experiment = prepare("compare", small_config(epochs=50))

    def stop() -> bool:
        return len(seen) >= 60

    results = []
    for event in execute(experiment, tmp_path, stop=stop):
        if isinstance(event, RunResult):
            results.append(event)
        elif isinstance(event, Progress):
            seen.append(event.segment.updates)
    assert [result.status for result in results] == ["done", "interrupted"]
    assert manifest(tmp_path)["status"] == "interrupted"
    assert manifest(tmp_path / "sgd")["status"] == "interrupted"
    assert not (tmp_path / "minibatch").exists()
    rows = read(tmp_path / "sgd" / "steps.csv")
    assert len(rows) == results[1].lanes[0].updates > 0
    assert results[1].lanes[0].epochs < 50


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_abandoned_runs_are_interrupted(error: type[BaseException] | None, tmp_path: Path) -> None:
    events = execute(prepare("compare", small_config()), tmp_path)
    next(events)
    next(events)
    if error is None:
        events.close()
    else:
        with pytest.raises(error):
            events.throw(error)
    for place in (tmp_path, tmp_path / "full"):
        assert manifest(place)["status"] == "interrupted"
    assert [row["epoch"] for row in read(tmp_path / "full" / "epochs.csv")] == ["0", "1"]


def test_runs_that_break_have_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gdrun.results.history.Recorder.add", defect)
    with pytest.raises(ZeroDivisionError):
        list(execute(prepare("compare", small_config()), tmp_path))
    for place in (tmp_path, tmp_path / "full"):
        assert manifest(place)["status"] == "failed"


def test_signals_ask_first_and_insist_the_second_time() -> None:
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_signal_is_heeded_at_once_where_nothing_is_begun() -> None:
    with stop_on_signals() as stop:
        stop.at_once = True
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop()


def test_a_batch_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ConfigError, match="batch_size: 101 is larger than the 100 training rows"):
        prepare("minibatch", small_config(batch_size=101))
    held_out = small_config(batch_size=81, data={"val_fraction": 0.2})
    with pytest.raises(ConfigError, match="larger than the 80 training rows"):
        prepare("compare", held_out)
    assert prepare("sgd", small_config(batch_size=101)).members


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_gpu_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(ConfigError, match=f"device: {device} is not there.*no CUDA device"):
        prepare("sgd", small_config(device=device))


def test_directories_are_never_reused(tmp_path: Path) -> None:
    planned = tmp_path / "outputs" / "run"
    made = [make_directory(planned, exact=False) for _ in range(3)]
    assert [path.name for path in made] == ["run", "run_2", "run_3"]
    with pytest.raises(ConfigError, match="exists, and runs are never overwritten"):
        plan_directory(tmp_path / "outputs", "run", "sgd")
    with pytest.raises(ConfigError, match="exists, and runs are never overwritten"):
        make_directory(planned, exact=True)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../a", "/tmp/a", "a\nb", "a\x1b[31m"])
def test_names_stay_inside_the_output_directory(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a plain directory name"):
        plan_directory(tmp_path, name, "sgd")


def test_unwritable_places_are_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file: is no directory"):
        make_directory(tmp_path / "file" / "run", exact=False)
    with pytest.raises(OutputError, match="can't be made: Not a directory"):
        make_directory(tmp_path / "file" / "deeper" / "run", exact=False)


def test_files_that_cannot_be_written_are_reported(tmp_path: Path) -> None:
    (tmp_path / "steps.csv").mkdir()
    with pytest.raises(OutputError, match=r"steps.csv: can't be written"):
        list(execute(prepare("sgd", small_config()), tmp_path))
    assert manifest(tmp_path)["status"] == "failed"


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_training_goes_on_from_a_checkpoint_as_if_never_stopped(
    momentum: float, tmp_path: Path
) -> None:
    problem, plan = make_problem(rows=11), make_plan(3, epochs=6, momentum=momentum)
    state = initial_state(problem, plan)
    segments = descend_on(problem, plan, state)
    for segment in segments:
        if segment.epoch == 3 and segment.ends_epoch:
            break
    save_checkpoint(tmp_path, Checkpoint(state, "config", "data", {"a.csv": FileDigest(3, "abc")}))
    expected = step_losses(list(segments))
    checkpoint = load_checkpoint(tmp_path / "checkpoint.pt")
    assert (checkpoint.config, checkpoint.data) == ("config", "data")
    assert checkpoint.marks == {"a.csv": FileDigest(3, "abc")}
    loaded = checkpoint.state
    assert loaded.epoch == 3
    assert step_losses(list(descend_on(problem, plan, loaded))) == expected


def test_checkpoints_are_written_when_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []

    def save(_directory: Path, checkpoint: Checkpoint, **_: object) -> None:
        saved.append(checkpoint.state.updates)

    def updates_saved(**settings: object) -> list[int]:
        saved.clear()
        place = tmp_path / str(settings)
        place.mkdir(exist_ok=True)
        list(execute(prepare("full", small_config(**settings)), place))
        return list(saved)

    monkeypatch.setattr(train_run, "save_checkpoint", save)
    # Training as short as this would wait longer for a checkpoint than it takes.
    assert updates_saved(epochs=7, checkpoint_every=3) == [7]
    monkeypatch.setattr(train_run, "CHECKPOINT_SHARE", 1e9)
    assert updates_saved(epochs=8, checkpoint_every=3) == [3, 6, 8]
    # After so many seconds, whether epochs are counted or not.
    monkeypatch.setattr(train_run, "CHECKPOINT_SECONDS", -1.0)
    assert updates_saved(epochs=3) == [1, 2, 3]
    assert updates_saved(epochs=4, checkpoint_every=100) == [1, 2, 3, 4]


def test_checkpoints_take_their_share_of_the_time_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second a segment of training, half a second a checkpoint, and one wanted after each epoch.
    seconds, clock = iter(range(10**9)), [0.0]
    monkeypatch.setattr(
        "gdrun.training.eager.make_clock", lambda _problem: lambda: float(next(seconds))
    )
    monkeypatch.setattr("gdrun.experiment.train_run.time.monotonic", lambda: clock[0])
    saved: list[int] = []

    def save(_directory: Path, checkpoint: Checkpoint, **_: object) -> None:
        clock[0] += 0.5
        saved.append(checkpoint.state.updates)

    monkeypatch.setattr(train_run, "save_checkpoint", save)
    list(execute(prepare("full", small_config(epochs=200, checkpoint_every=1)), tmp_path))
    # The first after 1 s; then as often as 2 % of the training time are to be had.
    assert saved == [1, 50, 75, 100, 125, 150, 175, 200]


def test_the_first_checkpoints_come_early_and_later_ones_every_thirty_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]  # half a second passes in training an update

    def tick(_problem: Problem) -> Callable[[], float]:
        def read() -> float:
            clock[0] += 0.25
            return clock[0]

        return read

    monkeypatch.setattr("gdrun.training.eager.make_clock", tick)
    monkeypatch.setattr("gdrun.experiment.train_run.time.monotonic", lambda: clock[0])
    saved: list[float] = []
    monkeypatch.setattr(train_run, "save_checkpoint", lambda *_, **__: saved.append(clock[0]))
    list(execute(prepare("full", small_config(epochs=300)), tmp_path))
    assert saved[:5] == pytest.approx([1.5, 3.5, 7.5, 15.5, 31.5])
    assert [b - a for a, b in pairwise(saved[5:-1])] == pytest.approx([30.5] * len(saved[6:-1]))


def test_checkpoints_are_taken_within_long_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdrun.training.backend.SEGMENT_SECONDS", 0.0)
    monkeypatch.setattr(train_run, "CHECKPOINT_SHARE", 1e9)
    monkeypatch.setattr(train_run, "CHECKPOINT_SECONDS", -1.0)
    saved: list[int] = []
    monkeypatch.setattr(
        train_run,
        "save_checkpoint",
        lambda _directory, checkpoint, **_: saved.append(checkpoint.state.updates),
    )
    list(execute(prepare("sgd", small_config(epochs=1)), tmp_path))
    assert set(saved) == set(range(1, 101))


def seal(path: Path) -> None:
    """Put the hash behind a file that is right in a checkpoint's."""
    payload = path.read_bytes()
    path.write_bytes(payload + SEAL + hashlib.sha256(payload).hexdigest().encode() + b"\n")


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


def test_checkpoints_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"version": VERSION, "state": Hostile()}, tmp_path / "c.pt")
    seal(tmp_path / "c.pt")
    with pytest.raises(DataError, match="no checkpoint"):
        load_checkpoint(tmp_path / "c.pt")
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"version": 99}, "of version 99"),
        ({"version": VERSION}, "no checkpoint"),
        ([1], "no checkpoint"),
        (b"junk", "no checkpoint"),
        (b"", "is damaged"),
    ],
)
def test_what_is_no_checkpoint_is_refused(content: object, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
        seal(path)
    with pytest.raises(DataError, match=expected):
        load_checkpoint(path)


def test_comparison_counts_what_it_takes_to_come_near_the_best() -> None:
    results = compare(RunConfig(epochs=30, seeds=3))
    comparison = compare_results(results)
    finals = [row.train_loss for row in comparison.rows if row.train_loss is not None]
    assert comparison.target == pytest.approx(1.1 * min(finals))
    assert comparison.target is not None
    for result, row in zip(results, comparison.rows, strict=True):
        costs = []
        for history in result.histories:
            losses = list(history.epochs["train_loss"])
            hits = [k for k, loss in enumerate(losses) if loss <= comparison.target]
            at = reach(history, comparison.target, "done")
            assert at == (hits[0] if hits else None)
            assert reach(history, comparison.target, "diverged") is None
            costs.append(math.inf if at is None else history.epochs["updates"][at])
        assert (row.updates_to_target or math.inf) == sorted(costs)[1]


def test_comparison_where_everything_diverged() -> None:
    comparison = compare_results(compare(lr=1e6, epochs=5))
    assert comparison.target is None
    assert [(row.train_loss, row.updates_to_target) for row in comparison.rows] == [
        (None, None)
    ] * 3


def test_status_of_a_whole() -> None:
    assert overall_status(["done", "diverged"]) == "done"
    assert overall_status(["diverged", "diverged"]) == "diverged"
    assert overall_status(["done", "interrupted", "diverged"]) == "interrupted"


def test_fit_is_in_original_units(tmp_path: Path) -> None:
    rows = "\n".join(f"{1000 + 10 * k},{5 * k + 300}" for k in range(30))
    (tmp_path / "line.csv").write_text(f"size,price\n{rows}\n")
    data = {"source": "csv", "path": str(tmp_path / "line.csv"), "target": "price"}
    result = train("full", lr=0.3, epochs=200, hidden_size=[], data=data)
    assert result.fit is not None
    assert (min(result.fit.grid), max(result.fit.grid)) == pytest.approx((1000, 1290))
    assert sorted(result.fit.y) == pytest.approx([5 * k + 300 for k in range(30)])
    # price = size / 2 − 200, which the linear model finds
    assert result.fit.curves[0] == pytest.approx([x / 2 - 200 for x in result.fit.grid], abs=0.1)


def test_only_one_feature_has_a_fit() -> None:
    assert train("full", "diabetes", epochs=1).fit is None


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
    steps = read(tmp_path / "a" / "steps.csv")
    assert lane.diverged_at == lane.updates == int(steps[-1]["update"])
    assert lane.samples == 16 * lane.updates
    assert manifest(tmp_path / "a")["lanes"][0]["diverged_at"] == lane.diverged_at


def test_there_is_no_target_where_nothing_was_learned() -> None:
    results = compare(lr=2.0, epochs=5)
    comparison = compare_results(results)
    assert comparison.target is None
    assert all(row.updates_to_target is None for row in comparison.rows)


def test_python_requests_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for method in ("minibach", "compare"):
        with pytest.raises(ConfigError, match="must be one of full, sgd, minibatch"):
            train(method, output_dir=tmp_path)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_config_may_be_a_mapping_and_a_list_an_array() -> None:
    result = train("full", {"epochs": 1}, lr=torch.tensor([0.25, 0.5]))
    assert [lane.lr for lane in result.lanes] == [0.25, 0.5]


def test_every_key_reaches_the_engine() -> None:
    config = RunConfig(
        lr=(0.1, 0.3),
        batch_size=7,
        epochs=9,
        seed=4,
        seeds=2,
        sampling="replacement",
        drop_last=True,
        momentum=0.8,
        nesterov=True,
        weight_decay=0.01,
        eval_every=3,
        hidden_size=(3, 2),
        activation="tanh",
        loss="huber",
    )
    experiment = prepare("minibatch", config)
    assert experiment.members[0].plan == Plan(
        lanes=(Lane(0.1, 4), Lane(0.1, 5), Lane(0.3, 4), Lane(0.3, 5)),
        batch_size=7,
        epochs=9,
        sampling="replacement",
        drop_last=True,
        momentum=0.8,
        nesterov=True,
        weight_decay=0.01,
        eval_every=3,
    )
    assert experiment.problem.network == Network((1, 3, 2, 1), "tanh")
    assert experiment.problem.loss_name == "huber"


@pytest.mark.parametrize("sampling", ["reshuffle", "replacement"])
def test_a_full_batch_is_every_row_in_order(sampling: str) -> None:
    (member,) = prepare("full", small_config(sampling=sampling)).members
    assert (member.plan.batch_size, member.plan.sampling) == (100, "sequential")


def stop_after(
    segments: int, experiment: ExperimentPlan, place: Path
) -> tuple[LaneResult, list[Segment]]:
    """Stop the one lane of an experiment after so many segments."""
    seen: list[Segment] = []
    for event in execute(experiment, place, stop=lambda: len(seen) > segments):
        if isinstance(event, RunResult):
            (lane,) = event.lanes
        elif isinstance(event, Progress):
            seen.append(event.segment)
    return lane, seen


def test_a_run_stopped_in_mid_epoch_counts_every_update_it_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdrun.training.backend.SEGMENT_SECONDS", 0.0)
    lane, seen = stop_after(130, prepare("sgd", small_config()), tmp_path)
    assert lane.updates == lane.samples == len(read(tmp_path / "steps.csv")) == seen[-1].updates
    assert lane.updates % 100
    assert lane.seconds == seen[-1].seconds > 0
    assert (lane.status, lane.epochs) == ("interrupted", 1)


def test_a_lane_that_diverges_between_evaluations_is_seen_at_once() -> None:
    result = train("sgd", lr=[0.1, 1e6], epochs=10, eval_every=5)
    healthy, wild = result.histories
    assert list(wild.epochs["train_loss"])[1] == math.inf
    assert [k for k, loss in enumerate(healthy.epochs["train_loss"]) if not math.isnan(loss)] == [
        0,
        1,
        5,
        10,
    ]
    rows = compare_results([result]).rows
    assert rows[1].updates_to_target is None
    assert rows[1].diverged == 1


def test_comparison_takes_the_validation_loss_and_the_most_updates() -> None:
    data = {"source": "quadratic", "val_fraction": 0.3}
    result = train("sgd", RunConfig(epochs=4, seeds=3), data=data, lr=[0.1])
    (row,) = compare_results([result]).rows
    losses = sorted(lane.val_loss for lane in result.lanes if lane.val_loss is not None)
    assert row.val_loss == losses[1]
    assert row.val_loss != row.train_loss
    mixed = train("sgd", epochs=4, lr=[0.1, 1e6])
    assert [row.updates for row in compare_results([mixed]).rows] == [400, mixed.lanes[1].updates]


def test_seconds_are_those_of_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock that goes on by a second whenever it is read: each segment reads it twice.
    ticks = iter(range(10**9))
    monkeypatch.setattr(
        "gdrun.training.eager.make_clock", lambda _problem: lambda: float(next(ticks))
    )
    result = train("full", epochs=5)
    assert list(result.histories[0].epochs["seconds"]) == [0, 1, 2, 3, 4, 5]


def test_rows_are_handed_over_before_a_checkpoint_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[int, int]] = []

    def count(directory: Path, checkpoint: Checkpoint, **_: object) -> None:
        counted.append((checkpoint.state.updates, len(read(directory / "steps.csv"))))

    monkeypatch.setattr(train_run, "save_checkpoint", count)
    monkeypatch.setattr(train_run, "CHECKPOINT_SHARE", 1e9)
    list(execute(prepare("minibatch", small_config(checkpoint_every=1)), tmp_path))
    assert counted == [(7, 7), (14, 14), (21, 21)]


def test_short_memory_is_reported_as_such() -> None:
    with pytest.raises(MemoryError, match="can't allocate memory"), memory_errors():
        torch.empty(10**15)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"data": {"rows": 10**12}}, "data.rows: would take about 4.47e+04 GiB of memory"),
        ({"hidden_size": 10**9}, "hidden_size, lr and seeds: would take about"),
        ({"hidden_size": [10**6, 10**6]}, "hidden_size, lr and seeds: would take about"),
        ({"hidden_size": 10**15}, "GiB of memory, and there are"),
        ({"seeds": 100_000, "lr": [k / 1000 for k in range(1, 1000)]}, "fewer hidden units"),
    ],
)
def test_more_than_fits_is_refused_before_it_is_tried(
    settings: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(expected)):
        prepare("compare", small_config(**settings))


def test_what_goes_through_in_chunks_takes_no_more_than_a_chunk() -> None:
    million = {"rows": 2_000_000}
    wide = {"hidden_size": 4000, "chunk_rows": 100, "data": million, "sampling": "sequential"}
    assert prepare("full", small_config(**wide)).members
    with pytest.raises(ConfigError, match="hidden_size, lr and seeds"):
        prepare("full", small_config(**{**wide, "chunk_rows": 10**6, "hidden_size": 40_000}))


def test_memory_is_that_of_the_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = memory_bytes()
    assert machine
    assert machine > 2**28
    limit = tmp_path / "memory.max"
    monkeypatch.setattr("gdrun.experiment.memory.LIMITS", (str(limit), str(tmp_path / "none")))
    for text, expected in (("max\n", machine), (f"{2**29}\n", 2**29)):
        limit.write_text(text)
        assert memory_bytes() == expected
    with pytest.raises(ConfigError, match=r"and there are 0\.5 GiB"):
        prepare("full", small_config(hidden_size=10**8))


def test_ignored_signals_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_row_counts_the_most_updates_and_no_diverged_lane_as_having_come_to_the_target() -> None:
    result = train("minibatch", epochs=40, seeds=3)
    row = compare_results([result]).rows[0]
    assert row.updates_to_target is not None
    first, *others = result.lanes
    gone = [replace(lane, status="diverged", updates=5) for lane in others]
    changed = compare_results([replace(result, lanes=(first, *gone)), result]).rows[0]
    assert changed.updates == 240
    assert changed.diverged == 2
    assert changed.updates_to_target is None


def test_a_stopped_run_reports_the_loss_of_the_weights_that_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdrun.training.backend.SEGMENT_SECONDS", 0.0)
    config = small_config(epochs=9, eval_every=9, data={"val_fraction": 0.2})
    experiment = prepare("sgd", config)
    lane, _ = stop_after(250, experiment, tmp_path)
    assert lane.status == "interrupted"
    problem, data = experiment.problem, experiment.problem.data
    state = load_checkpoint(tmp_path / "checkpoint.pt").state
    for loss, x, y in (
        (lane.train_loss, data.x[:], data.y[:]),
        (lane.val_loss, data.x_val[:], data.y_val[:]),
    ):
        outputs = problem.network(state.params, x.unsqueeze(0))[0]
        assert loss == pytest.approx(torch.nn.functional.mse_loss(outputs, y).item(), rel=1e-5)


def test_a_name_needs_a_place() -> None:
    with pytest.raises(ConfigError, match="needs an output_dir"):
        train("full", name="x")
