"""Logs of any size: the list reads their ends, `show` no more than it shows, and none of it all."""

import json
import os
import random
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gdrun.loading import load
from gdrun.storage import listing, locate
from tests.command_line import Invoke, listed_names
from tests.run_files import edit, kill, lengthen, manifest

ROW = "sgd,1,0.2,0,{0},{1},{1},{2:.6f},0.5,0.25,\n"


def with_hole(path: Path) -> None:
    """Four gigabytes of nothing between the first rows of a run and the last ones."""
    with path.open("r+b") as file:
        file.seek(2**32)
        file.write(b"\n" + "".join(ROW.format(k, 9 * k, k / 1000) for k in range(10**6, 10**6 + 900)).encode())  # fmt: skip  # noqa: E501


def test_the_list_reads_the_ends_of_logs_alone(outputs: Path, invoke: Invoke) -> None:
    kill(outputs / "one")
    with_hole(outputs / "one/epochs.csv")
    (outputs / "one/steps.csv").unlink()
    outcome = invoke("list", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    (run,) = (run for run in json.loads(outcome.out)["runs"] if run["name"] == "one")
    assert (run["status"], run["epochs"], run["train_loss"]) == ("interrupted", 1_000_899, 0.25)
    assert (run["lr"], run["seeds"], run["updates"]) == ([0.2], 1, 9 * 1_000_899)
    assert run["best_train_loss"] is None  # it may be anywhere
    # What reads all of it finds that it isn't a log, without reading four gigabytes.
    outcome = invoke("show", "one")
    assert outcome.code == 2
    assert "one/epochs.csv, line 6: is damaged: no row of this run" in outcome.err


def test_a_long_run_is_shown_without_numpy_as_it_is(outputs: Path) -> None:
    run = outputs / "one"
    kill(run)
    lengthen(run, 70_000)
    (run / "steps.csv").unlink()
    script = (
        "import sys\n"
        "from gdrun.cli.app import main\n"
        "sys.argv = ['gdrun', 'show', 'one', '--json']\n"
        "try: main()\n"
        "finally: assert 'numpy' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=outputs.parent, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    content, whole = json.loads(done.stdout), load(run)
    (lane,), (expected,) = content["runs"][0]["lanes"], whole.results[0].lanes
    assert len(whole.epochs["epoch"]) == 70_001
    assert lane == {**lane, "epochs": 70_000, "updates": 630_000, "train_loss": expected.train_loss,
                    "best_train_loss": min(whole.epochs["train_loss"])}  # fmt: skip
    (row,) = content["comparison"]["rows"]
    target = content["comparison"]["target"]
    first = next(k for k, loss in enumerate(whole.epochs["train_loss"]) if loss <= target)
    assert row["updates_to_target"] == whole.epochs["updates"][first]


def started(run: Path) -> float:
    return datetime.fromisoformat(manifest(run)["started"]).timestamp()


def count_opened(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Path]:
    """The directories that a function of a module is called with."""
    opened: list[Path] = []
    real = getattr(module, name)

    def watched(path: Path) -> object:
        opened.append(path)
        return real(path)

    monkeypatch.setattr(module, name, watched)
    return opened


def test_no_more_runs_are_opened_than_are_listed(
    outputs: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    for run in outputs.iterdir():
        os.utime(run / "run.json", (started(run) + 60, started(run) + 60))
    opened = count_opened(monkeypatch, listing, "open_any")
    for args, names, most in (
        (["--limit", "1"], ["grid"], 1),
        (["--limit", "2"], ["grid", "worst"], 2),
        (["--limit", "1", "--where", "status=done and method=sgd"], ["one"], 3),
        (["--limit", "1", "--sort", "started"], ["both"], 4),
    ):
        opened.clear()
        assert listed_names(invoke("list", *args).out) == names
        assert len(opened) == most
    opened = count_opened(monkeypatch, locate, "read_manifest")
    assert locate.latest(outputs) == outputs / "grid"
    assert opened == [outputs / "grid"]


def test_the_first_of_a_list_are_those_of_the_whole(outputs: Path, invoke: Invoke) -> None:
    draws = random.Random(0)
    names = [path.name for path in outputs.iterdir()]
    for _ in range(20):
        for name in names:
            # Some were started in the same second; all were written at the same time or later.
            start = datetime(2026, 11, 1, 12, 0, draws.choice([0, 30])).astimezone()
            edit(outputs / name, started=start.isoformat())
            later = start.timestamp() + draws.choice([0, 0.5, 1000])
            os.utime(outputs / name / "run.json", (later, later))
        whole = listed_names(invoke("list").out)
        for limit in range(1, 5):
            assert listed_names(invoke("list", "-n", str(limit)).out) == whole[:limit]


HOSTILE = [
    b"sgd,1,0.2,0,4\n",
    b"sgd,1,0.2,0,4,36,36,nan,0.5,0.25,\n",
    b"sgd,1,0.2,0,4,36,36,0.1,0.5,1e400,\n",
    b"sgd,1,0.2,0,4,0,0,0.1,inf,inf,\n",
    b"sgd,1,0.2,0,-4,36,36,0.1,0.5,0.25,\n",
    b"sgd,1,0.2,0,4," + b"9" * 400 + b",36,0.1,0.5,0.25,\n",
    b"sgd,1,0.2,0,9,81,81,0.1,0.5,0.25,\n",
    b"sgd,1,0.2,0,0,0,0,0.0,,inf,\n",
    b"full,1,0.2,0,4,36,36,0.1,0.5,0.25,\n",
    b"sgd,1,0.2,1,4,36,36,0.1,0.5,0.25,\n",
    b"\x1b]0;pwned\x07\n",
    b"\0" * 5000,
    b"\0" * 200 + b"\n",
    b"\xff\xfe\n",
    "é\n".encode(),
    b"0" * 10_000,
    b"\n\n\n",
]


@pytest.mark.parametrize("rows", HOSTILE)
@pytest.mark.parametrize("is_killed", [True, False])
def test_a_run_whose_rows_are_none_is_a_broken_one_and_no_other(
    rows: bytes, is_killed: bool, outputs: Path, invoke: Invoke
) -> None:
    if is_killed:
        kill(outputs / "one")
    path = outputs / "one/epochs.csv"
    path.write_bytes(path.read_bytes() + rows)
    for command in (["show"], ["plot", "--dpi", "30"], ["compare"]):
        outcome = invoke(*command, "one")
        assert (outcome.code, outcome.out) == (2, "")
        assert outcome.err.startswith(
            f"error: {Path('outputs/one/epochs.csv')}, line 6: is damaged"
        )
    outcome = invoke("list")
    assert outcome.code == 0
    assert sorted(listed_names(outcome.out)) == ["both", "grid", "one", "worst"]
    if is_killed:
        assert "broken: outputs/one/epochs.csv, at its end: is damaged" in outcome.err
    else:  # its run.json says it all
        assert outcome.err == ""


def test_random_damage_of_logs_is_named_or_harmless(outputs: Path, invoke: Invoke) -> None:
    draws = random.Random(1)
    kill(outputs / "both/full")
    kept = {
        name: (outputs / "both/full" / name).read_bytes() for name in ("epochs.csv", "steps.csv")
    }
    for _ in range(60):
        for name, content in kept.items():
            (outputs / "both/full" / name).write_bytes(content)
        name = draws.choice(list(kept))
        damaged = bytearray(kept[name])
        for _ in range(draws.randint(1, 4)):
            start = draws.randrange(len(damaged))
            damaged[start : start + draws.choice([0, 1, 9, 200])] = draws.randbytes(
                draws.choice([0, 1, 3, 300])
            )
        (outputs / "both/full" / name).write_bytes(damaged)
        for command in (["show", "both/full"], ["show", "both"], ["list", "-a"]):
            outcome = invoke(*command)
            assert outcome.code in (0, 2), outcome.err
            assert "defect" not in outcome.err
            assert "\x1b" not in outcome.out + outcome.err
