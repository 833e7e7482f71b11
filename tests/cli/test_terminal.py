"""Pipes, pseudo-terminals and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pexpect
import pytest

from tests.command_line import NO_PICTURES, SHORT, python
from tests.marks import slow

# In processes of their own, which take a second to start.
SEPARATELY = (slow("full"), slow("minibatch"), "sgd", "compare")


@pytest.mark.parametrize("command", SEPARATELY)
def test_in_a_pipe_output_is_plain_text(command: str, tmp_path: Path) -> None:
    done = python(command, *SHORT, "--set", "plot.dpi=40", cwd=tmp_path)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout + done.stderr
    assert "Warning" not in done.stderr
    method = "sgd" if command == "compare" else command
    assert sum(line.startswith(method) for line in done.stderr.splitlines()) == 2
    assert "written to out/run" in done.stdout


def terminal(tmp_path: Path, *args: str, **env: str) -> "pexpect.spawn[str]":
    """`python -m gdrun ARGS` under a pseudo-terminal of 80 × 24."""
    return pexpect.spawn(
        sys.executable,
        ["-m", "gdrun", *args],
        cwd=str(tmp_path),
        dimensions=(24, 80),
        encoding="utf-8",
        codec_errors="replace",  # a terminal drops what it has not shown yet at Ctrl-C
        timeout=60,
        env={**os.environ, "TERM": "xterm-256color", **env},
    )


@pytest.mark.parametrize("command", SEPARATELY)
def test_on_a_terminal_there_is_a_live_view_and_a_table(command: str, tmp_path: Path) -> None:
    child = terminal(tmp_path, command, *SHORT, *NO_PICTURES)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    screen = child.before or ""
    assert "loading PyTorch" in screen
    assert "\x1b[?25l" in screen
    assert screen.rindex("\x1b[?25h") > screen.rindex("\x1b[?25l")
    assert "\x1b[38;" in screen
    assert "written to out/run" in screen


def test_no_color_and_dumb_terminals_are_respected(tmp_path: Path) -> None:
    child = terminal(tmp_path, "sgd", *SHORT, *NO_PICTURES, NO_COLOR="1")
    child.expect(pexpect.EOF)
    assert "\x1b[38;" not in (child.before or "")
    child = terminal(tmp_path, "sgd", "--epochs", "2", *NO_PICTURES, TERM="dumb")
    child.expect(pexpect.EOF)
    assert "\x1b" not in (child.before or "")
    assert "epoch 2/2" in (child.before or "")


def test_ctrl_c_saves_what_was_finished_and_leaves_a_clean_screen(tmp_path: Path) -> None:
    child = terminal(tmp_path, "compare", "-o", "out", "--name", "run", "--epochs", "1000000")
    child.expect("waiting")
    time.sleep(3)  # what draws is loaded by then
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    screen = child.before or ""
    assert "\x1b[?25h" in screen  # the cursor is back
    assert "interrupted: what was finished is saved" in screen
    assert "Traceback" not in screen
    for name in ("run.json", "full/run.json"):
        assert json.loads((tmp_path / "out/run" / name).read_text())["status"] == "interrupted"
    # Half a second is too little for a picture on a machine that is busy.
    assert (tmp_path / "out/run/compare.png").exists() or "not every picture drawn" in screen
    last = (tmp_path / "out/run/full/epochs.csv").read_text().splitlines()[-1]
    assert len(last.split(",")) == 11


def test_sigterm_is_an_interrupt(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "gdrun",
            "full",
            "-o",
            "out",
            "--name",
            "run",
            "--epochs",
            "1000000",
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("full"):
            break
    time.sleep(0.5)
    child.send_signal(signal.SIGTERM)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert "written to out/run" in out
    assert "interrupted" in err


def test_output_that_cannot_show_a_character_shows_another(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    done = python("compare", *SHORT, *NO_PICTURES, cwd=tmp_path, env=env)
    assert done.returncode == 0
    assert "train loss ? " in done.stdout
