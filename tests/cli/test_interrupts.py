"""Ctrl-C where nothing is to be finished: while libraries load, and while pictures are drawn."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from gdrun.experiment.signals import HAS_ALARM
from tests.command_line import Invoke
from tests.run_files import logs, manifest

INTERRUPTED = "interrupted, and not every picture drawn: gdrun plot outputs/a draws them"


@pytest.mark.parametrize("turned_into", [None, ImportError])
def test_an_import_is_left_at_once(
    turned_into: type[Exception] | None, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def loading() -> Iterator[None]:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            if turned_into:  # as some modules do
                raise turned_into from None
            raise
        yield

    monkeypatch.setattr("gdrun.cli.train.loading", loading)
    outcome = invoke("sgd")
    assert outcome.code == 130
    assert outcome.err.splitlines() == ["interrupted: nothing was begun"]
    assert not Path("outputs").exists()


@pytest.mark.parametrize("turned_into", [None, ValueError])
def test_a_picture_is_left_in_the_middle(
    turned_into: type[Exception] | None, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Path] = []
    savefig = Figure.savefig

    def interrupted(figure: Figure, path: Path, **more: Any) -> None:
        if drawn:
            path.write_bytes(b"half of it")
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt:
                raise (turned_into or KeyboardInterrupt) from None
        drawn.append(path)
        savefig(figure, path, **more)

    monkeypatch.setattr(Figure, "savefig", interrupted)
    outcome = invoke("compare", "--epochs", "3", "--name", "a")
    assert outcome.code == 130
    assert INTERRUPTED in outcome.err
    assert "was not drawn" not in outcome.err
    assert "minibatch" in outcome.out
    assert manifest(Path("outputs/a"))["status"] == "done"
    assert [path.name for path in Path("outputs").rglob("*.png*")] == ["compare.png"]


def test_a_process_whose_import_was_interrupted_ends_with_its_code(tmp_path: Path) -> None:
    """By itself Python would end with the signal, as code in `exec` was interrupted."""
    script = (
        "import signal, sys\n"
        "from contextlib import contextmanager\n"
        "from gdrun.cli import train\n"
        "@contextmanager\n"
        "def loading():\n"
        "    exec('signal.raise_signal(signal.SIGINT)')\n"
        "    yield\n"
        "train.loading = loading\n"
        "from gdrun.__main__ import main\n"
        "sys.argv = ['gdrun', 'sgd']\n"
        "main()\n"
    )
    (tmp_path / "interrupted.py").write_text(script)
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr == "interrupted: nothing was begun\n"


@pytest.mark.skipif(not HAS_ALARM, reason="needs an alarm")
def test_drawing_what_was_trained_until_an_interrupt_ends_by_itself(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(_figure: Figure, path: Path, **_: Any) -> None:
        path.write_bytes(b"half of it")
        time.sleep(60)

    def stop(*_: object) -> None:
        if not asked:
            asked.append(True)
            signal.raise_signal(signal.SIGINT)

    asked: list[bool] = []
    with monkeypatch.context() as patched:
        patched.setattr(Figure, "savefig", endless)
        patched.setattr("gdrun.terminal.live.PlainView.show", stop)
        outcome = invoke("sgd", "--epochs", "200", "--name", "a")
    assert outcome.code == 130
    assert INTERRUPTED in outcome.err
    assert "to resume: gdrun sgd --resume outputs/a" in outcome.err
    assert not list(Path("outputs").rglob("*.partial"))
    assert not list(Path("outputs").rglob("*.png"))
    assert invoke("sgd", "--resume", "a").code == 0
    invoke("sgd", "--epochs", "200", "--name", "b")
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))
    assert {path.name for path in Path("outputs/a").glob("*.png")} == {"loss.png", "fit.png"}
