"""The runs of a sweep side by side."""

import errno
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest

from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.timing import Timing
from gdrun.experiment import workers
from gdrun.experiment.members import MemberTask, train_member
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.signals import SIGNALS
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure
from gdrun.storage.run_dir import is_locked
from tests.command_line import GDRUN, Invoke
from tests.experiment.sweeps import (
    FLAGS,
    GRID_FLAGS,
    SHUFFLED,
    nth,
    run_sweep,
    statuses,
    sweep_config,
    sweep_rows,
    tables,
)
from tests.run_files import manifest, whole_rows


@pytest.mark.slow
def test_a_sweep_begun_in_one_process_is_finished_by_two(tmp_path: Path) -> None:
    config = sweep_config(epochs=5)
    run_sweep(config, tmp_path / "whole")
    run_sweep(config, tmp_path / "a", nth(3))
    assert statuses(tmp_path / "a") == {"": "interrupted", "batch-4": "interrupted"}
    events = run_sweep(config, tmp_path / "a", jobs=2)
    assert not [event for event in events if isinstance(event, Failure)]
    assert any(isinstance(event, RunProgress) for event in events)
    assert isinstance(events[-1], SweepResult)
    assert events[-1].jobs == 2
    assert tables(tmp_path / "a") == tables(tmp_path / "whole")
    group, whole = manifest(tmp_path / "a"), manifest(tmp_path / "whole")
    assert group["members"] == whole["members"]
    for path in (tmp_path / "a").glob("*/run.json"):
        own = manifest(path.parent)
        assert own["pid"] != group["pid"] == os.getpid()
        assert own["threads"] == max(1, group["threads"] // 2)
    assert not multiprocessing.active_children()


def test_a_sweep_begun_by_two_processes_and_stopped_is_finished_by_one(tmp_path: Path) -> None:
    config = sweep_config(epochs=400)
    events = run_sweep(config, tmp_path / "a", lambda event: isinstance(event, RunProgress), jobs=2)
    assert not [event for event in events if isinstance(event, Failure)]
    found = statuses(tmp_path / "a")
    assert found[""] == "interrupted"
    assert "batch-24" not in found  # nothing is begun after it
    for path in (tmp_path / "a").glob("*/*.csv"):
        whole_rows(path)
    assert not multiprocessing.active_children()
    run_sweep(config, tmp_path / "a")
    run_sweep(config, tmp_path / "whole")
    assert tables(tmp_path / "a") == tables(tmp_path / "whole")


def test_no_more_processes_are_spoken_of_than_there_are_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alone(*_: object) -> None:
        raise AssertionError("one run needs no processes")

    monkeypatch.setattr("gdrun.experiment.execute.train_side_by_side", alone)
    config = sweep_config(sweep={"lr": [0.1, 0.2], "batch_size": 8})
    *_, answer = run_sweep(config, tmp_path, jobs=4)
    assert answer.jobs == 1
    assert manifest(tmp_path)["jobs"] == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_a_process_that_is_killed_is_a_failure_and_the_others_finish(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int | None] = []

    def kill(*_: object) -> None:
        if not killed:
            child = next(iter(multiprocessing.active_children()))
            killed.append(child.pid)
            child.kill()

    monkeypatch.setattr("gdrun.terminal.live.PlainView.show", kill)
    args = ("sweep", *FLAGS, "--epochs", "300", *GRID_FLAGS, *SHUFFLED)
    outcome = invoke(*args, "--name", "a", "-j", "2")
    assert outcome.code == 1
    place = Path("outputs/a")
    (failure,) = manifest(place)["failures"]
    assert f"{failure['name']}: its process was killed by SIGKILL" in outcome.err
    assert "to resume: gdrun sweep --resume outputs/a" in outcome.err
    found = statuses(place)
    found.pop(failure["name"], None)
    assert found.pop("") == "failed"
    assert sorted(found.values()) == ["done", "done"]
    assert invoke("sweep", "--resume", place).code == 0
    assert set(statuses(place).values()) == {"done"}
    assert len({row["batch_size"] for row in sweep_rows(place)}) == 3


def test_a_process_that_is_given_a_run_after_its_parent_died_begins_nothing(tmp_path: Path) -> None:
    task = MemberTask("sweep", sweep_config(), tmp_path, {}, None, Timing(), 1, (None,) * 3)
    assert not list(train_member(task, task.plan, "batch-4", lambda: True))
    assert not list(tmp_path.glob("*/run.json"))
    assert not is_locked(tmp_path / "batch-4")


@pytest.mark.slow
def test_a_process_that_dies_while_it_is_told_what_to_train_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each asks for a run and is gone before it can be told; the pipe is broken by then."""
    monkeypatch.setattr(workers, "_work", ask_and_die)
    experiment = plan_experiment("sweep", sweep_config(sweep={"lr": 0.1, "batch_size": [4, 16]}))

    def late(connections: Any, timeout: float) -> Any:
        for process in multiprocessing.active_children():
            process.join(60)
        return wait(connections, timeout)

    monkeypatch.setattr(workers, "wait", late)
    task = MemberTask.of(experiment, tmp_path, {}, None, Timing())
    found = list(workers.train_side_by_side(task, ["batch-4", "batch-16"], lambda: False, 1))
    assert found == [
        Failure(name, ("its process ended with code 0",)) for name in ("batch-4", "batch-16")
    ]


@pytest.mark.parametrize("work", ["load", "read"])
def test_processes_that_have_nothing_to_save_are_not_waited_for(
    work: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before they are given a run, and while they read what to train on."""
    monkeypatch.setattr(workers, "_work", {"load": never_ask, "read": ask_and_read}[work])
    monkeypatch.setattr(workers, "STOP_SECONDS", 0.0)
    experiment = plan_experiment("sweep", sweep_config(sweep={"lr": 0.1, "batch_size": [4, 16]}))
    asked: list[object] = []
    assign = workers._Pool.assign

    def note(pool: workers._Pool, connection: Connection) -> None:
        asked.append(connection)
        assign(pool, connection)

    monkeypatch.setattr(workers._Pool, "assign", note)

    def stop() -> bool:
        return work == "load" or len(asked) == 2

    task = MemberTask.of(experiment, tmp_path, {}, None, Timing())
    found = workers.train_side_by_side(task, ["batch-4", "batch-16"], stop, 2)
    assert not list(found)
    assert not multiprocessing.active_children()


def test_a_process_trains_on_no_other_data_than_its_parent_read(tmp_path: Path) -> None:
    facts = {"data_fingerprint": "0" * 64}
    task = MemberTask("sweep", sweep_config(), tmp_path, facts, None, Timing(), 1, (None,) * 3)
    (failure,) = train_member(task, task.plan, "batch-4", lambda: False)
    assert isinstance(failure, Failure)
    assert "the data was changed since the command began" in failure.problems[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("started", [0, 1])
@pytest.mark.parametrize(
    ("error", "limit"),
    [
        (BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "ulimit -u"),
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "ulimit -n"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
    ],
)
def test_too_few_processes_allowed_end_with_a_message(
    error: Exception, limit: str, started: int, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[SpawnProcess] = []
    start = SpawnProcess.start

    def fail(process: SpawnProcess) -> None:
        if len(begun) == started:
            raise error
        begun.append(process)
        start(process)

    args = ("sweep", *FLAGS, "--epochs", "3", *GRID_FLAGS, *SHUFFLED, "--name", "a")
    with monkeypatch.context() as patched:
        patched.setattr(SpawnProcess, "start", fail)
        outcome = invoke(*args, "-j", "2")
    assert outcome.code == 1
    assert f"error: --jobs: no more processes can be started: {error}" in outcome.err
    assert limit in outcome.err
    assert "fewer --jobs need fewer" in outcome.err
    assert not multiprocessing.active_children()
    assert statuses(Path("outputs/a"))[""] == "failed"
    assert invoke("sweep", "--resume", "a").code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")
def test_too_few_files_allowed_end_with_a_message(tmp_path: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))

    args = ("sweep", *FLAGS, "--epochs", "3", *GRID_FLAGS, *SHUFFLED, "-j", "3")
    done = subprocess.run(
        [*GDRUN, *args], cwd=tmp_path, capture_output=True, text=True, preexec_fn=limited
    )
    assert done.returncode == 1
    assert "Too many open files" in done.stderr
    assert "ulimit -n" in done.stderr
    assert "Traceback" not in done.stderr


def never_ask(_task: object, _connection: Connection) -> None:
    """Load PyTorch for longer than anybody waits."""
    time.sleep(600)


def ask_and_read(_task: object, connection: Connection) -> None:
    """Ask for a run, and read for longer than anybody waits."""
    connection.send(None)
    time.sleep(600)


def ask_and_die(_task: object, connection: Connection) -> None:
    """End with a code that isn't 0 if a signal could have ended it before it came here."""
    connection.send(None)
    if hasattr(signal, "pthread_sigmask"):
        sys.exit(len(set(SIGNALS) - signal.pthread_sigmask(signal.SIG_BLOCK, [])))
