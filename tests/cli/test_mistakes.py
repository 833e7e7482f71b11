"""Mistakes of users and failures: exit codes and messages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import NO_PICTURES, SHORT, Invoke

CSV = "data: {source: csv, path: a.csv, target: y}\nbatch_size: 1\n"
STRICT = ("-c", "a.yaml", "--set", "data.missing=error")


MISTAKES = [
    (["--set", "hiden_size=3"], {}, ["hiden_size", "did you mean hidden_size?"]),
    (["--lr", "fast"], {}, ["lr (--lr fast)", "must be a number"]),
    (["--lr", "0"], {}, ["lr (--lr 0)", "must be greater than 0"]),
    (["--epochs", "0"], {}, ["epochs (--epochs 0)", "greater than or equal to 1"]),
    (["--batch-size", "0"], {}, ["batch_size (--batch-size 0)"]),
    (["--batch-size", "101"], {}, ["batch_size: 101 is larger than the 100 training rows"]),
    (["--set", "data.noise=-1"], {}, ["data.noise (--set data.noise=-1)"]),
    (["-c", "none.yaml"], {}, ["--config none.yaml: no such file", "presets: article"]),
    (["-c", "a.yaml"], {"a.yaml": "lr: [1\nb: 2\n"}, ["a.yaml, line 2, column 2"]),
    (["-c", "a.yaml"], {"a.yaml": "- lr\n"}, ["holds a list, expected a mapping"]),
    (["-c", "a.yaml"], {"a.yaml": CSV}, ["a.csv can't be read: No such file"]),
    (["-c", "a.yaml"], {"a.yaml": CSV, "a.csv": "x,z\n1,2\n"}, ["has no column 'y'"]),
    (["-c", "a.yaml"], {"a.yaml": CSV, "a.csv": "x,y\n1,2\n2,b\n3,4\n"}, ["line 3, column 'y'"]),
    ([*STRICT], {"a.yaml": CSV, "a.csv": "x,y\n1,2\n2,\n3,4\n"}, ["got an empty cell"]),
    ([*STRICT], {"a.yaml": CSV, "a.csv": "x,y\n1,2\n2,nan\n3,4\n"}, ["got 'nan'"]),
    (["-c", "a.yaml"], {"a.yaml": CSV, "a.csv": "x,y\n"}, ["has no rows"]),
    (["-c", "a.yaml"], {"a.yaml": CSV, "a.csv": "x,y\n1,2\n1,3\n"}, ["the same in all rows): x"]),
    (["--device", "tpu"], {}, ["device (--device tpu)", "must be auto, cpu, cuda"]),
    (["--device", "cuda:9"], {}, ["device: cuda:9 is not there", "cpu or auto"]),
    (["--name", "../a"], {}, ["--name '../a': expected a plain directory name"]),
    (["--set", "lr"], {}, ["--set lr: expected KEY=VALUE"]),
]


@pytest.mark.parametrize(("args", "files", "expected"), MISTAKES)
def test_mistakes_exit_with_2_and_write_nothing(
    args: list[str], files: dict[str, str], expected: list[str], invoke: Invoke
) -> None:
    for name, text in files.items():
        Path(name).write_text(text)
    outcome = invoke("compare", *args)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    for part in expected:
        assert part in outcome.err
    assert {path.name for path in Path.cwd().iterdir()} == set(files)


def test_a_taken_name_is_refused(invoke: Invoke) -> None:
    invoke("full", *SHORT, *NO_PICTURES)
    before = Path("out/run/epochs.csv").read_bytes()
    outcome = invoke("full", *SHORT)
    assert outcome.code == 2
    assert "out/run exists, and runs are never overwritten" in outcome.err
    assert Path("out/run/epochs.csv").read_bytes() == before


def test_a_place_that_cannot_be_written_exits_with_1(invoke: Invoke) -> None:
    Path("file").write_text("")
    outcome = invoke("sgd", "--epochs", "1", "-o", "file")
    assert outcome.code == 1
    assert "file: is not a directory" in outcome.err
    assert "--output-dir" in outcome.err


def test_divergence_exits_with_3_only_if_every_lane_diverged(invoke: Invoke) -> None:
    outcome = invoke("sgd", *SHORT, "--lr", "1000000", "--set", "plot.dpi=40")
    assert outcome.code == 3
    assert "diverged" in outcome.out
    assert "try a smaller learning rate" in outcome.out
    assert invoke("sgd", "--epochs", "3", "--lr", "0.1,1000000", *NO_PICTURES).code == 0


def test_unexpected_failures_are_a_line_and_a_hint(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("gdrun.experiment.prepare.prepare_command", defect)
    outcome = invoke("sgd")
    assert outcome.code == 1
    assert "error: unexpected ZeroDivisionError: oh" in outcome.err
    assert "GDRUN_DEBUG=1" in outcome.err


def test_debugging_shows_where_an_unexpected_failure_happened(tmp_path: Path) -> None:
    script = (
        "import gdrun.experiment.prepare, sys\n"
        "gdrun.experiment.prepare.prepare_command = lambda *_, **__: 1 / 0\n"
        "sys.argv = ['gdrun', 'sgd']\n"
        "from gdrun.__main__ import main; main()"
    )
    for debug in (True, False):
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={**os.environ, "GDRUN_DEBUG": "1" if debug else ""},
        )
        assert done.returncode == 1
        assert ("Traceback" in done.stderr) == debug
        assert "unexpected ZeroDivisionError" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="a current directory can't be removed")
@pytest.mark.parametrize("args", ["full", "compare --dry-run", "sgd -o /tmp", "sweep --resume a"])
def test_a_current_directory_that_was_removed_is_said(args: str, tmp_path: Path) -> None:
    place = tmp_path / "gone"
    place.mkdir()
    command = f"rmdir '{place}' && exec '{sys.executable}' -P -m gdrun {args}"
    done = subprocess.run(["sh", "-c", command], cwd=place, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error: the current directory was removed" in done.stderr
    assert "hint: change to one that exists" in done.stderr
