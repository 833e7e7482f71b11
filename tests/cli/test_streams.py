"""Readers that leave early, streams that are closed or full, terminals that go away."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pexpect
import pytest

from gdrun.experiment.checkpoint import last_checkpoint
from gdrun.storage.manifest import read_manifest
from gdrun.storage.run_dir import is_locked
from tests.command_line import GDRUN, NO_PICTURES
from tests.marks import slow
from tests.run_files import MOST


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("compare --epochs 3 --name a --json --set plot.enabled=false", 0),
        slow("compare --epochs 3 --name a --set plot.enabled=false", 0),
        slow("sgd --epochs 3 --name a -q --set plot.enabled=false", 0),
        ("sgd --epochs 3 --name a --set plot.enabled=false --lr 1e6", 3),
        slow("sgd -n", 0),
        ("sgd -n --json", 0),
        ("--version", 0),
        ("init", 0),
    ],
)
def test_a_reader_that_leaves_early_changes_nothing(
    command: str, code: int, tmp_path: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*GDRUN, *command.split()], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.returncode == code
    assert "rror" not in done.stderr
    if "--name" in command:
        assert read_manifest(tmp_path / "outputs/a").status in ("done", "diverged")


@pytest.mark.slow
def test_a_reader_of_everything_that_leaves_early_changes_nothing(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*GDRUN, "compare", "--epochs", "3", "--name", "a"],
        cwd=tmp_path,
        stdout=write,
        stderr=write,
    )
    os.close(write)
    assert done.returncode == 0
    assert read_manifest(tmp_path / "outputs/a").status == "done"
    assert (tmp_path / "outputs/a/compare.png").exists()


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        slow(">&-", 0),
        slow("2>&-", 0),
        (">&- 2>&-", 0),
        slow("2>/dev/full", 0),
        (">/dev/full", 1),
        ("--epochs 0 2>&-", 2),
        slow("-q >&-", 0),
        slow("-n >&-", 0),
    ],
)
def test_streams_that_are_closed_or_full(redirection: str, code: int, tmp_path: Path) -> None:
    command = "full --epochs 2 --name a --set plot.enabled=false"
    done = subprocess.run(
        f"{' '.join(GDRUN)} {command} {redirection}",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    if code != 2 and "-n" not in redirection:
        assert read_manifest(tmp_path / "outputs/a").status == "done"


def _hear_of_terminals() -> None:
    """Even if nohup runs the tests."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_terminal_that_is_closed_loses_nothing(tmp_path: Path) -> None:
    config = ("sgd", "--epochs", "1000000", "--name", "a", *NO_PICTURES)
    child = pexpect.spawn(
        GDRUN[0],
        [*GDRUN[1:], *config],
        cwd=str(tmp_path),
        timeout=60,
        preexec_fn=_hear_of_terminals,
    )
    place = tmp_path / "outputs" / "a"
    deadline = time.monotonic() + 60
    while not (place / "steps.csv").exists() or (place / "steps.csv").stat().st_size < 100_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        with suppress(pexpect.TIMEOUT):
            child.read_nonblocking(100_000, timeout=0)
    os.close(child.fileno())  # the window is gone: SIGHUP, and nobody to write to
    while is_locked(place):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert read_manifest(place).status == "interrupted"
    found, complaints = last_checkpoint(place, MOST)
    assert found
    assert not complaints
    assert found.digests["steps.csv"].size == (place / "steps.csv").stat().st_size > 100_000


@pytest.mark.parametrize("args", ["--help", "compare -h", ""])
def test_help_that_nobody_reads_to_the_end_is_quiet(args: str, tmp_path: Path) -> None:
    done = subprocess.run(
        f"{' '.join(GDRUN)} {args} | head -n 1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
