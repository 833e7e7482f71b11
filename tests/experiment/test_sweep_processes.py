"""A sweep in processes that are interrupted or killed."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from gdrun.config.read import load_config
from gdrun.errors import ConfigError
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.resume import resume_experiment
from gdrun.storage.run_dir import is_locked, locked
from tests.experiment.sweeps import FLAGS, GRID_FLAGS, nth, run_sweep, statuses
from tests.processes import gdrun
from tests.run_files import whole_rows


def of_its_own_group(directory: str, out: str, args: tuple[str, ...], ready: Connection) -> None:
    """The command line in a process that leads a group, as one that a terminal starts does."""
    os.setpgid(0, 0)
    gdrun(directory, out, args, ready)


LONG = ("sweep", *FLAGS, "--epochs", "1000000", *GRID_FLAGS, "-j", "2", "--name", "a")


@contextmanager
def long_sweep(context: ForkServerContext, place: Path) -> Iterator[BaseProcess]:
    """A sweep in two processes, when both have trained for some epochs; none is left after it."""
    begun, ready = context.Pipe(duplex=False)
    arguments = (str(place), str(place / "out"), LONG, ready)
    process = context.Process(target=of_its_own_group, args=arguments)
    process.start()
    begun.recv_bytes()
    assert process.pid
    try:
        deadline = time.monotonic() + 60
        for name in ("batch-4", "batch-16"):
            path = place / "outputs" / "a" / name / "epochs.csv"
            while not path.exists() or len(path.read_bytes()) < 1000:
                assert time.monotonic() < deadline, (place / "out").read_text()
                time.sleep(0.05)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def goes_on(place: Path) -> None:
    """Go on for a moment, and see that no epoch is missing or there twice."""
    before = whole_rows(place / "batch-4" / "epochs.csv")
    run_sweep(load_config(str(place / "config.yaml")), place, nth(200))
    rows = [line.split(",") for line in (place / "batch-4" / "epochs.csv").read_text().splitlines()]
    assert len(rows) > before
    first = [int(row[4]) for row in rows[1:] if row[2:4] == ["0.1", "0"]]
    assert first == list(range(len(first)))


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_ctrl_c_stops_all_processes_and_loses_nothing(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    with long_sweep(processes, tmp_path) as process:
        assert process.pid
        os.killpg(process.pid, signal.SIGINT)
        process.join(60)
    out = (tmp_path / "out").read_text()
    assert process.exitcode == 130, out
    assert "Traceback" not in out
    assert "error:" not in out
    assert "interrupted: what was finished is saved; to resume: gdrun sweep --resume" in out
    place = tmp_path / "outputs" / "a"
    assert statuses(place) == dict.fromkeys(("", "batch-4", "batch-16"), "interrupted")
    assert not list(place.rglob("*.partial"))
    goes_on(place)


def children(pid: int) -> list[int]:
    """The processes that train for another."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(k) for k in found if b"spawn_main" in Path(f"/proc/{k}/cmdline").read_bytes()]


def has_ended(pid: int) -> bool:
    """Whether a process is gone, if perhaps nobody has heard of it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_processes_whose_parent_was_killed_end_by_themselves(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    with long_sweep(processes, tmp_path) as process:
        assert process.pid
        workers = children(process.pid)
        assert len(workers) == 2
        place = tmp_path / "outputs" / "a"
        assert all(is_locked(place / name) for name in ("batch-4", "batch-16"))
        process.kill()
        process.join(60)
        assert not is_locked(place)
        deadline = time.monotonic() + 60
        while not all(map(has_ended, workers)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert "Traceback" not in (tmp_path / "out").read_text()
    with (
        locked(place / "batch-4"),  # as by one that hasn't ended yet
        pytest.raises(ConfigError, match="batch-4: another process is training it"),
    ):
        resume_experiment(plan_experiment("sweep", load_config(str(place / "config.yaml"))), place)
    goes_on(place)
