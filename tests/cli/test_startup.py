"""A quick start: help, version and completion load nothing heavy."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gdrun
from gdrun.cli.startup import loading
from tests.command_line import COMMANDS, completions, python


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "sys.argv = ['gdrun', *sys.argv[1:]]\n"
        "from gdrun.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as e: assert not e.code\n"
        "heavy = {'torch', 'numpy', 'matplotlib'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for args in (
        ["--help"],
        ["compare", "-h"],
        ["--version"],
        ["init"],
        ["--show-completion", "bash"],
    ):
        done = subprocess.run(
            [sys.executable, "-c", script, *args],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "SHELL": "/bin/bash",
                "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
            },
        )
        assert done.returncode == 0, done.stderr


def test_no_garbage_is_collected_while_libraries_are_loaded_and_is_afterwards() -> None:
    def load(*, well: bool) -> None:
        with loading():
            assert not gc.isenabled()
            if not well:
                raise ImportError

    try:
        load(well=True)
        assert gc.isenabled()
        assert gc.get_freeze_count()
        with pytest.raises(ImportError):
            load(well=False)
        assert gc.isenabled()
    finally:
        gc.unfreeze()


def test_version_and_help() -> None:
    here = Path.cwd()
    assert python("--version", cwd=here).stdout == f"gdrun {gdrun.__version__}\n"
    for args in ([], ["-h"], ["--help"]):
        help_ = python(*args, cwd=here)
        for command in (*COMMANDS, "init"):
            assert command in help_.stdout
    page = python("compare", "-h", cwd=here).stdout
    for flag in (
        "--config",
        "--lr",
        "--hidden-size",
        "--batch-size",
        "--epochs",
        "--device",
        "--seed",
    ):
        assert flag in page
    for flag in ("--seeds", "--set", "--output-dir", "--name", "--dry-run", "--quiet", "--json"):
        assert flag in page


def test_completion_is_offered(tmp_path: Path) -> None:
    assert "diabetes" in completions("gdrun compare --config d", tmp_path)
