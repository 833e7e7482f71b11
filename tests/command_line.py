"""What tests of the command line share: how a command is run, what it left, and its words."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from gdrun.__main__ import main
from gdrun.text import unseen

COMMANDS = ("full", "sgd", "minibatch", "compare")
SHORT = ("--epochs", "3", "-o", "out", "--name", "run")
NO_PICTURES = ("--set", "plot.enabled=false")
GDRUN = [sys.executable, "-m", "gdrun"]


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


Invoke = Callable[..., Outcome]  # the fixture `invoke`


def listed_names(out: str) -> list[str]:
    """The names in the first column of `gdrun list`."""
    return [line.split()[0] for line in out.splitlines()[1:]]


def in_process(*args: str) -> Outcome:
    """`gdrun ARGS…` as a process would see it: streams of bytes and an exit code."""
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8") for _ in range(2))
    with (
        patch.multiple(sys, argv=["gdrun", *args], stdout=out, stderr=err),
        patch("gc.freeze"),
        patch.dict("os.environ", {"COLUMNS": "100"}),
        pytest.raises(SystemExit) as exit_,
    ):
        main()
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Outcome(int(exit_.value.code or 0), *texts)


def assert_clean(outcome: Outcome) -> None:
    """It did what was asked or said what is wrong, with nothing that steers a screen."""
    both = outcome.out + outcome.err
    assert outcome.code in (0, 1, 2), both
    assert "defect of gdrun" not in outcome.err, both
    assert "Traceback" not in both, both
    assert not unseen(both) - {"\n"}, both


def python(*args: str, cwd: Path, **more: Any) -> subprocess.CompletedProcess[str]:
    """`python -m gdrun ARGS` in a process of its own, its output piped."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "gdrun", *args],
        cwd=cwd,
        capture_output=True,
        text=True,
        **more,
    )


def completions(line: str, directory: Path) -> list[str]:
    """What the shell offers for the last word of a command line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split()) - 1)}
    env = {**os.environ, "_GDRUN_COMPLETE": "complete_bash", **words}
    script = "import sys; sys.argv = ['gdrun']; from gdrun.cli.app import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=directory, capture_output=True, text=True, env=env
    )
    return done.stdout.split()
