"""What `gdrun show` prints."""

import json
import shlex
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from gdrun.storage.run_dir import locked
from tests.command_line import Invoke
from tests.run_files import edit, kill


def test_what_is_gone_from_a_group_is_said(outputs: Path, invoke: Invoke) -> None:
    assert "missing" not in invoke("show", "both").out
    shutil.rmtree(outputs / "both/minibatch")
    assert "missing  minibatch: trained, but no longer" in invoke("show", "both").out


def test_show_prints_what_was_asked_for_the_numbers_and_the_curve(
    outputs: Path, invoke: Invoke
) -> None:
    outcome = invoke("show", "both", "--x", "updates")
    assert (outcome.code, outcome.err) == (0, "")
    for part in ("outputs/both  compare  done", "data.rows 12", "lr [0.05, 1e+09]", "took "):
        assert part in outcome.out
    assert "epochs.csv" in outcome.out
    assert "updates" in outcome.out
    for method in ("full", "sgd", "minibatch"):
        assert f"{method}" in outcome.out
    assert "activation" not in outcome.out
    assert "  activation: relu\n" in invoke("show", "both", "-c").out
    assert "batch-2" in invoke("show", "grid").out
    assert "diverged" in invoke("show", "worst").out
    assert outputs.exists()


@pytest.mark.parametrize(
    ("resumed", "words"),
    [
        ([], "12:00:00, took 1:05"),
        ([{"at": "2026-11-02T12:01:00+00:00", "stopped": "2026-11-02T12:00:03+00:00"}],
         "12:00:00, resumed 1 time, took 8 s"),
        ([{"at": "2026-11-02T12:00:20+00:00", "stopped": "2026-11-02T12:00:03+00:00"},
          {"at": "2026-11-02T12:01:05+00:00", "stopped": "2026-11-02T12:00:20+00:00"}],
         "12:00:00, resumed 2 times, took 3 s"),
        # Of a process that was killed nobody knows when; nor does an older gdrun say.
        ([{"at": "2026-11-02T12:00:20+00:00"}],
         "12:00:00, resumed 1 time, ended 2026-11-02 12:01:05"),
        ([{}], "12:00:00, resumed 1 time, ended 2026-11-02 12:01:05"),
        # The clock was set back, by more or by less than the run took.
        ([{"at": "2026-11-02T12:01:30+00:00", "stopped": "2026-11-02T12:30:00+00:00"}],
         "12:00:00, resumed 1 time, ended 2026-11-02 12:01:05"),
        ([{"at": "2026-11-02T11:00:00+00:00", "stopped": "2026-11-02T11:59:00+00:00"}],
         "12:00:00, resumed 1 time, ended 2026-11-02 12:01:05"),
    ],
)  # fmt: skip
def test_the_time_that_a_run_took_is_that_of_its_processes_without_the_breaks(
    resumed: list[Any], words: str, outputs: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    ends = {"started": "2026-11-02T12:00:00+00:00", "finished": "2026-11-02T12:01:05+00:00"}
    edit(outputs / "one", **ends, resumed=resumed)
    assert f"started  2026-11-02 {words}\n" in invoke("show", "one").out


def test_show_json_holds_all_of_it(outputs: Path, invoke: Invoke) -> None:
    content = json.loads(invoke("show", "grid", "--json").out)
    assert (content["schema"], content["status"], content["kind"]) == (1, "done", "group")
    assert content["config"]["sweep"]["batch_size"] == [2, "full"]
    assert [run["name"] for run in content["runs"]] == ["batch-2", "batch-9"]
    saved = json.loads((outputs / "grid/run.json").read_text())["answer"]
    assert {key: content["answer"][key] for key in saved} == saved
    assert content["answer"]["advice"].startswith("The target, a train loss of 0.143")


def test_show_tells_how_far_a_run_is(outputs: Path, invoke: Invoke) -> None:
    kill(outputs / "one")
    with locked(outputs / "one"):
        running = invoke("show", "one").out
    assert "one  sgd  running" in running
    assert "sgd: epoch 3 of 3" in running
    stopped = invoke("show", "one").out
    assert "to resume: gdrun sgd --resume outputs/one" in stopped
    header = (outputs / "one/epochs.csv").read_text().splitlines(keepends=True)[0]
    (outputs / "one/epochs.csv").write_text(header)
    outcome = invoke("show", "one")
    assert outcome.code == 0
    assert "no row is logged yet" in outcome.out
    assert "has logged no row yet" in invoke("plot", "one").err
    assert "none of the runs has logged a row" in invoke("compare", "one").err
    assert invoke("list", "--where", "train_loss=none").out.count("one") == 1


def test_what_is_to_be_copied_is_printed_in_one_piece(invoke: Invoke) -> None:
    name = "a long name" * 15  # of more columns than the widest that a pipe is printed with
    flags = (
        "--set",
        "data.rows=24",
        "--epochs",
        "6",
        "--set",
        "plot.enabled=false",
        "--name",
        name,
    )
    swept = invoke("sweep", *flags, "--lr", "1e-05,0.1", "--batch-size", "4,full")
    shown = invoke("show", name)
    answer = json.loads(invoke("show", name, "--json").out)["answer"]
    (wider,) = [text.partition("\n")[2] for text in answer["cautions"] if "\n" in text]
    for outcome in (swept, shown):
        assert f"  {answer['command']}\n" in outcome.out
        assert f"\n{wider}\n" in outcome.out
    assert f"\nwritten to outputs/{name} (" in swept.out
    assert shown.out.startswith(f"outputs/{name}  sweep  done\n")
    assert f"command  gdrun sweep {shlex.join([*flags, '--lr', '1e-05,0.1'])}" in shown.out
    manifest = Path("outputs", name, "run.json")
    manifest.write_text(manifest.read_text().replace('"status": "done"', '"status": "interrupted"'))
    assert f"\nto resume: gdrun sweep --resume 'outputs/{name}'\n" in invoke("show", name).out
