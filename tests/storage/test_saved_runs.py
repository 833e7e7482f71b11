"""Saved runs: read back as they were trained, listed, shown, drawn and compared without PyTorch."""

import csv
import json
import math
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gdrun
from gdrun.api import compare, train
from gdrun.errors import ConfigError, DataError, GdrunError
from gdrun.experiment.execute import execute
from gdrun.experiment.plan import prepare
from gdrun.loading import load
from gdrun.plots.against import curves_figure
from gdrun.plots.figures import compare_figure
from gdrun.results.compare import legible
from gdrun.results.events import Status
from gdrun.results.run import LaneResult, RunResult
from gdrun.storage.listing import best_losses
from gdrun.storage.locate import complete_runs
from gdrun.storage.lock import locked
from gdrun.terminal.chart import Curve, chart
from tests.conftest import Invoke, small_config

DATA = {"rows": 12, "val_fraction": 0.25}


@pytest.fixture(autouse=True)
def _in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[RunResult]]]:
    """A directory of runs, and what training gave."""
    place = tmp_path_factory.mktemp("runs")
    common: dict[str, Any] = {"epochs": 3, "output_dir": place, "plot": {"enabled": False}}
    results = {
        "both": [*compare(name="both", lr=[0.05, 1e9], seeds=2, batch_size=4, data=DATA, **common)],
        "one": [train("sgd", name="one", data={"rows": 9}, **common)],
        "worst": [train("full", name="worst", lr=1e30, data={"rows": 9}, **common)],
    }
    grid = {"lr": [0.05, 0.1], "batch_size": [2, "full"]}
    config = small_config(seeds=2, sweep=grid, data={"rows": 9}, plot={"enabled": False})
    (place / "grid").mkdir()
    events = execute(prepare("sweep", config), place / "grid", "gdrun sweep")
    results["grid"] = [event for event in events if isinstance(event, RunResult)]
    for k, name in enumerate(results):
        edit(place / name, started=f"2026-11-0{k + 1}T12:00:00+00:00")
    return place, results


@pytest.fixture
def outputs(trained: tuple[Path, object], tmp_path: Path) -> Path:
    """A copy of it, as `outputs` where commands run."""
    return Path(shutil.copytree(trained[0], tmp_path / "outputs"))


def edit(directory: Path, **values: Any) -> None:
    """Change `run.json`; what is None is left out."""
    path = directory / "run.json"
    content = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def kill(directory: Path) -> None:
    """Leave a run as a process does that is killed after its last row."""
    edit(directory, status="running", lanes=[], finished=None, files=None)


def same_columns(own: dict[str, list[float | str]], other: dict[str, list[float | str]]) -> None:
    assert list(own) == list(other)
    for name in own:
        if name == "method":
            assert own[name] == other[name]
        else:  # seconds are logged to the microsecond, losses of updates to nine digits
            mine, theirs = (np.array(columns[name], dtype=float) for columns in (own, other))
            tolerance = {"seconds": 1e-6, "loss": 1e-8}.get(name, 0)
            np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("name", ["both", "one", "worst", "grid"])
def test_what_is_loaded_is_what_was_trained(
    name: str, trained: tuple[Path, dict[str, list[RunResult]]]
) -> None:
    place, results = trained
    saved = load(place / name)
    assert len(saved.results) == len(results[name])
    for own, other in zip(saved.results, results[name], strict=True):
        assert (own.series, own.status, own.lanes) == (other.series, other.status, other.lanes)
        assert own.description == other.description
        assert own.directory == other.directory
        same_columns(own.epochs, other.epochs)
        same_columns(own.steps, other.steps)


@pytest.mark.parametrize("name", ["both/full", "both/sgd", "both/minibatch", "one", "worst"])
def test_lanes_of_a_killed_run_are_worked_out_from_its_rows(name: str, outputs: Path) -> None:
    (before,) = load(outputs / name).results
    kill(outputs / name)
    saved = load(outputs / name)
    assert saved.status == "interrupted"
    (after,) = saved.results
    for lane, known in zip(after.lanes, before.lanes, strict=True):
        status: Status = "interrupted" if known.status == "done" else "diverged"
        assert replace(lane, seconds=0) == replace(known, seconds=0, status=status)
        assert lane.seconds == pytest.approx(known.seconds, abs=1e-6)


def test_a_run_at_work_is_running_and_its_half_line_is_left_out(outputs: Path) -> None:
    kill(outputs / "one")
    path = outputs / "one/epochs.csv"
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    with locked(outputs / "one"):
        saved = load(outputs / "one")
    assert saved.status == "running"
    assert saved.epochs["epoch"] == [0, 1, 2]
    assert saved.results[0].lanes[0].epochs == 2
    assert load(outputs / "one").status == "interrupted"


def test_steps_are_read_when_they_are_asked_for(outputs: Path) -> None:
    (outputs / "one/steps.csv").unlink()
    saved = load(outputs / "one")
    assert saved.epochs["epoch"] == [0, 1, 2, 3]
    with pytest.raises(DataError, match=r"steps.csv: is missing"):
        _ = saved.steps


def test_runs_of_an_older_gdrun_load(outputs: Path) -> None:
    old = dict.fromkeys(("name", "config", "jobs", "seconds_an_update_alone", "data_fingerprint"))
    for name in ("both/full", "one", "grid/batch-2"):
        edit(outputs / name, **old)
    edit(outputs / "grid", **{key: None for key in old if key != "config"}, answer=None)
    assert [run.series.name for run in load(outputs / "both").results] == [
        "full",
        "sgd",
        "minibatch",
    ]
    assert load(outputs / "one").config["data"]["rows"] == 9
    old_sweep = load(outputs / "grid")
    assert old_sweep.trials["seed"] == [0, 1] * 4
    assert old_sweep.answer
    assert not old_sweep.answer.pace
    assert load(outputs / "one").answer is None


def test_a_group_has_the_runs_begun_so_far(outputs: Path) -> None:
    shutil.rmtree(outputs / "both/minibatch")
    shutil.rmtree(outputs / "grid/batch-2")
    (outputs / "grid/batch-2").symlink_to(outputs / "one")
    assert [run.series.name for run in load(outputs / "both").results] == ["full", "sgd"]
    assert [run.series.name for run in load(outputs / "grid").results] == ["batch-9"]


def test_what_is_gone_from_a_group_is_said(outputs: Path, invoke: Invoke) -> None:
    assert "missing" not in invoke("show", "both").out
    shutil.rmtree(outputs / "both/minibatch")
    assert "missing  minibatch: trained once, and gone" in invoke("show", "both").out


def test_a_run_is_resumed_by_its_name(outputs: Path, invoke: Invoke) -> None:
    outcome = invoke("sgd", "--resume", "one", "-n")
    assert outcome.code == 0
    assert f"would be written to {outputs.name}/one" in outcome.out
    outcome = invoke("sgd", "--resume", "oen", "-n")
    assert outcome.code == 2
    assert "oen: no such directory" in outcome.err


def test_too_many_curves_are_each_run_at_its_best_rate() -> None:
    results = compare(small_config(lr=(0.01, 0.05, 0.1, 0.2, 1e9), epochs=3, seeds=2))
    shown, reduced = legible(results)
    assert reduced
    for own, other in zip(results, shown, strict=True):
        finals = {lr: [x.train_loss for x in own.lanes if x.lr == lr] for lr in own.series.lrs}
        best = min(finals, key=lambda lr: sum(math.inf if v is None else v for v in finals[lr]))
        assert other.series.lrs == [best]
        assert [lane.train_loss for lane in other.lanes] == finals[best]
        assert [history.lane.lr for history in other.histories] == [best, best]
    few = compare(small_config(lr=(0.01, 0.05), epochs=2))
    assert legible(few) == ([*few], False)
    assert legible(results[:1]) == ([results[0]], False)


def write(name: str, text: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text(text)


def link(name: str) -> Callable[[Path], object]:
    def replace_by_link(run: Path) -> None:
        (run / name).rename(run / "elsewhere")
        (run / name).symlink_to(run / "elsewhere")

    return replace_by_link


def append(name: str, line: str) -> Callable[[Path], object]:
    return lambda run: (run / name).write_text((run / name).read_text() + line)


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (write("run.json", ""), "run.json: is damaged: no JSON"),
    (write("run.json", "\udc80".encode("utf-8", "surrogatepass").decode("latin-1")), "no JSON"),
    (write("run.json", "[1]"), "run.json: is no run.json"),
    (write("run.json", '{"schema": 99}'), "run.json: is of a newer gdrun"),
    (lambda run: edit(run, kind="pair"), "run.json: is damaged"),
    (lambda run: edit(run, method="adam"), "run.json: is damaged: holds no method"),
    (lambda run: edit(run, batch_size="many"), "run.json: is damaged: holds no batch_size"),
    (lambda run: edit(run, problem={}), "run.json: is damaged: holds no problem.network"),
    (lambda run: edit(run, lanes=[{"lr": 1}]), "run.json: is damaged: holds lanes"),
    (lambda run: edit(run, lanes=7), "run.json: is damaged: holds lanes"),
    (link("run.json"), "run.json: can't be read"),
]
CSV_DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (lambda run: (run / "epochs.csv").unlink(), "epochs.csv: is missing"),
    (write("epochs.csv", "a,b\n"), "epochs.csv: is damaged: expected method,batch_size"),
    (write("epochs.csv", ""), "epochs.csv: is damaged"),
    (append("epochs.csv", "x\n"), "epochs.csv, line 6: is damaged: no row of this run"),
    (append("epochs.csv", "sgd,1,0.3,0,4,1,1,1,1,1,\n"), "epochs.csv, line 6: is damaged"),
    (append("epochs.csv", "sgd,1,0.2,0,4,1,1,1,é,1,\n"), "epochs.csv, line 6: is damaged"),
    (link("epochs.csv"), "epochs.csv: can't be read"),
]


@pytest.mark.parametrize(("damage", "message"), DAMAGES + CSV_DAMAGES)
def test_what_is_broken_is_named(
    damage: Callable[[Path], object], message: str, outputs: Path, invoke: Invoke
) -> None:
    damage(outputs / "one")
    with pytest.raises(GdrunError) as caught:
        load(outputs / "one")
    assert message in caught.value.problems[0]
    assert str(outputs / "one") in caught.value.problems[0]
    outcome = invoke("show", "one")
    assert outcome.code in (1, 2)
    assert message in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
def test_what_is_broken_is_listed_as_broken(
    damage: Callable[[Path], object], message: str, outputs: Path, invoke: Invoke
) -> None:
    damage(outputs / "one")
    outcome = invoke("list")
    assert outcome.code == 0
    assert [line.split()[0] for line in outcome.out.splitlines()[1:]] == [
        "grid",
        "worst",
        "both",
        "one",
    ]
    assert message in outcome.err
    content = {run["name"]: run for run in json.loads(invoke("list", "--json").out)["runs"]}
    assert message in content["one"]["problem"]
    assert content["one"]["status"] == "broken"


# --------------------------------------------------------------------------------------- names


def test_a_run_is_found_by_path_name_member_and_latest(outputs: Path) -> None:
    assert load("one", output_dir=outputs).path == outputs / "one"
    assert load("both/sgd", output_dir=outputs).results[0].series.name == "sgd"
    assert load("latest", output_dir=outputs).path == outputs / "grid"
    assert load("latest/batch-2", output_dir=outputs).path == outputs / "grid/batch-2"
    assert complete_runs(outputs, "o") == ["one"]
    assert complete_runs(outputs, "both/s") == ["both/sgd"]
    assert complete_runs(outputs / "nowhere", "") == ["latest"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("onne", ["onne: no such run in outputs", "did you mean one?"]),
        ("both/sgdd", ["both/sgdd: no such run", "did you mean both/sgd?"]),
        ("latest/batch-3", ["has no run batch-3", "did you mean batch-"]),
        ("outputs", ["outputs: holds no run.json"]),
        ("", ["no such run in outputs"]),
        ("x\0y", ["no such run in outputs"]),
    ],
)
def test_what_is_not_found_is_guessed(
    name: str, parts: list[str], outputs: Path, invoke: Invoke
) -> None:
    assert outputs.exists()
    outcome = invoke("show", name)
    assert outcome.code == 2
    for part in parts:
        assert part in outcome.err


# ---------------------------------------------------------------------------------------- list


def names(out: str) -> list[str]:
    return [line.split()[0] for line in out.splitlines()[1:]]


def test_list_shows_a_line_a_run_the_latest_first(outputs: Path, invoke: Invoke) -> None:
    (outputs / "notes").mkdir()
    (outputs / "file").write_text("")
    outcome = invoke("list")
    assert (outcome.code, outcome.err) == (0, "")
    assert names(outcome.out) == ["grid", "worst", "one", "both"]
    head, *lines = outcome.out.splitlines()
    assert head.split()[:4] == ["name", "command", "status", "started"]
    loss = load(outputs / "one").results[0].lanes[0].train_loss
    assert f" {loss:.3g} " in lines[2]
    assert lines[1].split()[1:3] == ["full", "diverged"]
    assert "1, 4, 9" in lines[3]
    opened = names(invoke("list", "--all").out)
    assert opened[:2] == ["grid/batch-2", "grid/batch-9"]
    assert opened[-3:] == ["both/full", "both/sgd", "both/minibatch"]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--where", "lr<0.1"], ["grid", "both"]),
        (["--where", "method=sgd and status=done"], ["one", "both"]),
        (["--where", "started<2026-11-02"], ["both"]),
        (["--where", "val_loss=none", "--sort", "name"], ["grid", "one", "worst"]),
        (["--where", "data.rows=12 or sweep.batch_size=full"], ["grid", "both"]),
        (["--where", "momentum=0", "-n", "2"], ["grid", "worst"]),
        (["--sort", "updates"], ["worst", "both", "grid", "one"]),
        (["--sort", "-train_loss", "-n", "1"], ["one"]),
        (["--sort", "val_loss", "-n", "1"], ["both"]),
        (["--sort", "plot.format"], ["grid", "worst", "one", "both"]),
        (["-a", "--where", "batch_size>4 and command=sweep"], ["grid/batch-9"]),
    ],
)
def test_list_picks_and_sorts(
    args: list[str], expected: list[str], outputs: Path, invoke: Invoke
) -> None:
    content = {run["name"]: run for run in json.loads(invoke("list", "--json").out)["runs"]}
    outcome = invoke("list", *args)
    assert outcome.code == 0, outcome.err
    found = names(outcome.out)
    if args[0] == "--sort" and args[1] in ("updates", "-train_loss"):
        key = args[1].removeprefix("-")
        known = sorted(
            (run for run in content if content[run][key] is not None),
            key=lambda run: content[run][key],
            reverse=args[1].startswith("-"),
        )
        assert found == [*known, *(run for run in content if run not in known)][: len(found)]
    else:
        assert found == expected
    assert outputs.exists()


def test_list_in_narrow_terminals_loses_columns_never_digits(outputs: Path) -> None:
    from gdrun.storage.listing import list_entries
    from gdrun.terminal.run_list import table_lines

    entries = list_entries(outputs)
    whole = [line.plain.split() for line in table_lines(entries, None)]
    for width in range(30, 140, 5):
        lines = [line.plain for line in table_lines(entries, width)]
        assert max(map(len, lines)) <= max(width, 32)
        for line, cells in zip(lines, whole, strict=True):
            assert set(line.split()) <= set(cells)


def test_list_says_what_is_wrong(outputs: Path, invoke: Invoke) -> None:
    for args, part in (
        (["-o", "none"], "none: no such directory"),
        (["-o", "outputs/one/run.json"], "run.json: is no directory"),
        (["--where", "lr<"], "--where, column 4, after 'lr<': expected a value"),
        (["--where", "speed<3"], "--where speed: unknown key"),
        (["--sort", "los"], "--sort los: unknown key"),
    ):
        outcome = invoke("list", *args)
        assert (outcome.code, outcome.out) == (2, "")
        assert part in outcome.err
    Path("empty").mkdir()
    assert "no run in empty yet" in invoke("list", "-o", "empty").err
    assert "none of 4 runs" in invoke("list", "--where", "lr>1e40").err
    assert outputs.exists()


@pytest.mark.parametrize(
    ("losses", "expected"),  # by run and learning rate, of each seed: train and validation loss
    [
        ([[[(0.1, 0.9)], [(0.5, 0.4)]]], (0.5, 0.4)),
        ([[[(0.1, 0.9)]], [[(0.5, 0.4)]], [[(0.2, 0.6)]]], (0.5, 0.4)),
        ([[[(0.3, None)], [(0.2, None)]], [[(0.4, None)]]], (0.2, None)),
        ([[[(0.1, 0.1), (None, None), (None, None)], [(0.7, 0.8)] * 3]], (0.7, 0.8)),
        ([[[(0.1, 0.5), (0.2, 0.6), (0.3, 0.1)], [(0.1, 0.6)] * 3]], (0.2, 0.5)),
        ([[[(None, None)]]], (None, None)),
        ([], (None, None)),
    ],
)
def test_the_losses_of_a_line_are_those_of_one_run_at_one_learning_rate(
    losses: list[list[list[tuple[float | None, float | None]]]],
    expected: tuple[float | None, float | None],
) -> None:
    runs = [
        [
            LaneResult(lr, seed, "done", None, 1, 1, 1, 1.0, train, train, val)
            for lr, seeds in enumerate(rates, 1)
            for seed, (train, val) in enumerate(seeds)
        ]
        for rates in losses
    ]
    found = best_losses(runs)
    assert (found["train_loss"], found["val_loss"]) == expected
    assert found["best_train_loss"] == expected[0]


# ---------------------------------------------------------------------------------------- show


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
         "12:00:00, gone on with 1 time, took 8 s"),
        ([{"at": "2026-11-02T12:00:20+00:00", "stopped": "2026-11-02T12:00:03+00:00"},
          {"at": "2026-11-02T12:01:05+00:00", "stopped": "2026-11-02T12:00:20+00:00"}],
         "12:00:00, gone on with 2 times, took 3 s"),
        # Of a process that was killed nobody knows when; nor does an older gdrun say.
        ([{"at": "2026-11-02T12:00:20+00:00"}],
         "12:00:00, gone on with 1 time, ended 2026-11-02 12:01:05"),
        ([5], "12:00:00, gone on with 1 time, ended 2026-11-02 12:01:05"),
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
    assert "to go on: gdrun sgd --resume outputs/one" in stopped
    header = (outputs / "one/epochs.csv").read_text().splitlines(keepends=True)[0]
    (outputs / "one/epochs.csv").write_text(header)
    outcome = invoke("show", "one")
    assert outcome.code == 0
    assert "no row is logged yet" in outcome.out
    assert "has logged no row yet" in invoke("plot", "one").err
    assert "none of the runs has logged a row" in invoke("compare", "one").err
    assert invoke("list", "--where", "train_loss=none").out.count("one") == 1


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
@pytest.mark.parametrize(
    "y",
    [[1.0], [1.0, 0.1, 0.01], [1.0, math.inf], [math.inf, 1.0, 0.0], [1e-30, 1e30], [2.0] * 300],
)
def test_charts_fit_their_width_and_encoding(y: list[float], encoding: str) -> None:
    curves = [Curve(label, "#0072B2", range(len(y)), y) for label in ("a", "b\x1b")]
    for width in (10, 60, 120):
        lines = [line.plain for line in chart(curves, "epoch", width, encoding=encoding)]
        assert len(lines) >= 15
        assert max(map(len, lines[:12])) <= max(width, 20)
        "\n".join(lines).encode(encoding)
        assert "\x1b" not in "".join(lines)
    assert list(chart([Curve("a", "red", [0.0], [math.inf])], "epoch", 80)) == []


# ---------------------------------------------------------------------------------------- plot


def test_plot_draws_the_pictures_again_but_for_the_fit(outputs: Path, invoke: Invoke) -> None:
    (outputs / "one/fit.png").write_bytes(b"as it was")
    with locked(outputs / "one"):  # as a run that goes on
        outcome = invoke("plot", "one", "--dpi", "40")
    assert (outcome.code, outcome.out) == (0, "outputs/one/loss.png\n")
    assert (outputs / "one/loss.png").read_bytes().startswith(b"\x89PNG")
    assert "left as it is" in outcome.err
    assert (outputs / "one/fit.png").read_bytes() == b"as it was"


def test_plot_draws_one_picture_against_an_axis(outputs: Path, invoke: Invoke) -> None:
    outcome = invoke("plot", "grid", "--x", "samples", "--format", "svg")
    assert (outcome.code, outcome.out) == (0, "outputs/grid/train-samples.svg\n")
    assert "samples seen" in (outputs / "grid/train-samples.svg").read_text()
    outcome = invoke("plot", "one", "--x", "seconds", "--linear-x", "--output", "here.pdf")
    assert (outcome.code, outcome.out) == (0, "here.pdf\n")
    assert Path("here.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("args", "code", "part"),
    [
        (["--output", "a.png"], 2, "--output: is for one picture against an axis"),
        (["--log-x"], 2, "is for one picture"),
        (["--x", "epoch", "--output", "a.gif"], 2, "ends in .png or .svg or .pdf"),
        (["--x", "epoch", "--output", "a.png", "--format", "svg"], 2, "ends in .svg"),
        (["--x", "epoch", "--output", "no/a.png"], 1, "no/a.png: can't be written: No such file"),
        (["--x", "speed"], 2, "--x speed: must be one of epoch, upd"),
        (["--dpi", "1"], 2, "Invalid value"),
    ],
)
def test_plot_says_what_is_wrong(
    args: list[str], code: int, part: str, outputs: Path, invoke: Invoke
) -> None:
    outcome = invoke("plot", "one", *args)
    assert (outcome.code, outcome.out) == (code, "")
    assert part in outcome.err
    (outputs / "one/loss.png").mkdir()
    assert invoke("plot", "one").code == 1


def test_curves_are_drawn_against_any_cost(outputs: Path) -> None:
    results = load(outputs / "both").results
    for x, log in (("epoch", False), ("updates", True), ("samples", True), ("seconds", True)):
        figure = curves_figure(results, x)  # type: ignore[arg-type]
        figure.canvas.draw()
        train, validation = figure.axes
        assert train.get_xscale() == validation.get_xscale() == ("log" if log else "linear")
        drawn = [line for line in train.get_lines() if line.get_gid() != "cross"]
        history = results[0].histories[0].epochs
        known = list(history[x])[1 if log else 0 :]
        assert list(np.asarray(drawn[0].get_xdata())) == known
    linear = curves_figure(results[0], "seconds", log_x=False)
    assert linear.axes[0].get_xscale() == "linear"
    assert linear.axes[0].get_xlim()[1] < 1
    with pytest.raises(ValueError, match="x must be one of"):
        curves_figure(results, "speed")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="no results"):
        curves_figure([])


# ------------------------------------------------------------------------------------- compare


def test_compare_lays_saved_runs_side_by_side(outputs: Path, invoke: Invoke) -> None:
    before = {path: path.stat().st_mtime_ns for path in outputs.rglob("*") if path.is_file()}
    outcome = invoke(
        "compare", "one", "grid", "grid/batch-2", "--name", "n", "--set", "plot.dpi=40"
    )
    assert outcome.code == 0
    assert "written to outputs/n\n  compared.json  compare.png\n" in outcome.out
    record = json.loads((outputs / "n/compared.json").read_text())
    assert [run["name"] for run in record["runs"]] == ["one", "grid/batch-2", "grid/batch-9"]
    assert [Path(run["directory"]) for run in record["runs"]] == [
        outputs / "one",
        outputs / "grid/batch-2",
        outputs / "grid/batch-9",
    ]
    assert (outputs / "n/compare.png").stat().st_size > 1000
    assert "times are not comparable: lanes trained together: 1 in one, 4 in grid/b" in outcome.err
    assert "n" not in names(invoke("list").out)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_compare_within_a_group_uses_the_names_there(outputs: Path, invoke: Invoke) -> None:
    no_picture = ("--set", "plot.enabled=false")
    content = json.loads(invoke("compare", "both", "both/sgd", "--json", *no_picture).out)
    assert [run["name"] for run in content["runs"]] == ["full", "sgd", "minibatch"]
    shutil.copytree(outputs / "one", Path("elsewhere/one"))
    two = invoke("compare", "one", "elsewhere/one", "--quiet", *no_picture)
    assert two.code == 0
    runs = json.loads((Path(two.out.strip()) / "compared.json").read_text())["runs"]
    assert [run["name"] for run in runs] == ["outputs/one", "elsewhere/one"]
    plan = invoke("compare", "one", "-n")
    assert "would be written to outputs/" in plan.out


def test_compare_refuses_different_problems_unless_forced(outputs: Path, invoke: Invoke) -> None:
    before = sorted(outputs.iterdir())
    outcome = invoke("compare", "one", "both/sgd")
    assert (outcome.code, outcome.out) == (2, "")
    for part in (
        "data.rows: 9 in one, 12 in both/sgd",
        "validation rows: 0 in one, 3 in",
        "--force",
    ):
        assert part in outcome.err
    assert sorted(outputs.iterdir()) == before
    forced = invoke(
        "compare", "one", "both/sgd", "--force", "--name", "f", "--set", "plot.format=svg"
    )
    assert forced.code == 0
    assert "different problems: data.rows: 9 in one, 12 in both/sgd" in forced.err
    assert "to target" not in forced.out
    assert "different problems" in (outputs / "f/compare.svg").read_text()


def test_data_is_known_by_what_it_holds(outputs: Path, invoke: Invoke) -> None:
    shutil.copytree(outputs / "one", outputs / "two")
    config = json.loads((outputs / "one/run.json").read_text())["config"]
    args = ("compare", "one", "two", "-n")
    edit(outputs / "two", config={**config, "data": {**config["data"], "noise": 0.3}})
    assert invoke(*args).code == 0  # the rows are the same
    edit(outputs / "two", data_fingerprint="0" * 64)
    assert "data.noise: 0.2 in one, 0.3 in two" in invoke(*args).err
    edit(outputs / "two", config=config)
    assert "the configs say the same, but the rows differ" in invoke(*args).err
    edit(outputs / "two", data_fingerprint=None)
    assert invoke(*args).code == 0
    edit(outputs / "one", data_fingerprint=None)
    edit(outputs / "two", config={**config, "data": {**config["data"], "seed": 7}})
    assert "data.seed: 0 in one, 7 in two" in invoke(*args).err
    edit(outputs / "two", config={**config, "loss": "l1"}, data_fingerprint=None)
    assert invoke(*args).code == 0  # its description is what counts
    edit(outputs / "two", host="other", threads=77)
    assert "threads" in invoke(*args).err


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["one", "--lr", "0.1"], "--lr 0.1: is for training"),
        (["one", "-c", "article"], "--config article: is for training"),
        (["one", "--set", "momentum=0"], "--set momentum=0: is for training"),
        (["one", "--resume", "x"], "--resume x: is for training"),
        (["one", "--set", "plot.dpi=1"], "plot.dpi"),
        (["one", "none"], "none: no such run"),
        (["--force"], "--force: is for saved runs"),
    ],
)
def test_compare_says_what_is_wrong(
    args: list[str], part: str, outputs: Path, invoke: Invoke
) -> None:
    outcome = invoke("compare", *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert part in outcome.err
    assert len(list(outputs.iterdir())) == 4


def test_many_runs_get_larger_axes_and_tell_their_rates(outputs: Path) -> None:
    one = load(outputs / "one").results[0]
    many = [
        replace(one, series=replace(one.series, name=f"run {k}, of a long name")) for k in range(9)
    ]
    figure = compare_figure(many)
    figure.canvas.draw()
    assert len(figure.axes) == 4
    colors = {line.get_color() for line in figure.axes[0].get_lines()}
    assert len(colors) == 9
    other = load(outputs / "grid/batch-2").results[0]
    with pytest.raises(ValueError, match="different problems"):
        compare_figure([one, replace(other, description=replace(one.description, rows=8))])
    styles = compare_figure([one, other], mixed=True, note="a note")
    assert [text.get_text() for text in styles.legends[0].get_texts()][-3:] == [
        "lr 0.2",
        "lr 0.05",
        "lr 0.1",
    ]
    assert "a note" in "\n".join(text.get_text() for text in styles.texts)


# ---------------------------------------------------------------------------------- from Python


def test_columns_are_lists_of_the_same_length(outputs: Path) -> None:
    saved = gdrun.load(outputs / "both")
    assert (saved.kind, saved.command, saved.status) == ("group", "compare", "done")
    assert saved.config["data"]["rows"] == 12
    for columns in (saved.epochs, saved.steps, saved.lanes):
        assert all(type(column) is list for column in columns.values())
        assert len({len(column) for column in columns.values()}) == 1
    assert len(saved.lanes["run"]) == 12
    assert saved.lanes["run"][:5] == ["full"] * 4 + ["sgd"]
    with pytest.raises(ConfigError, match="is no sweep"):
        _ = saved.trials


def test_trials_are_the_columns_of_the_file(outputs: Path) -> None:
    trials = gdrun.load(outputs / "grid").trials
    with (outputs / "grid/sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(trials) == list(rows[0])
    for k, row in enumerate(rows):
        for name, cell in row.items():
            value = trials[name][k]
            if name == "seconds_to_target":  # files have it to the microsecond
                assert (value is None) == (cell == "")
                continue
            shown = "" if value is None else f"{value:.9g}" if type(value) is float else str(value)
            assert shown == cell


# ----------------------------------------------------------------------------------- processes


def test_no_command_that_looks_imports_torch(outputs: Path) -> None:
    script = (
        "import sys\n"
        "from gdrun.cli.app import main\n"
        "for args in (['list', '-a'], ['list', '--where', 'momentum=0'], ['show', 'one'],\n"
        "             ['show', 'grid'], ['plot', 'one', '--x', 'epoch'],\n"
        "             ['plot', 'one', '--dpi', '30'],\n"
        "             ['compare', 'one', 'grid', '--set', 'plot.dpi=30']):\n"
        "    sys.argv = ['gdrun', *args]\n"
        "    try: main()\n"
        "    except SystemExit as end: assert not end.code, args\n"
        "    assert 'torch' not in sys.modules, args\n"
        "    light = args[0] == 'list' or args == ['show', 'one']\n"
        "    assert not light or not {'numpy', 'matplotlib'} & set(sys.modules), args\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=outputs.parent,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout


def test_bands_that_would_cover_each_other_are_left_out(outputs: Path) -> None:
    grid = load(outputs / "grid").results
    few, many = (
        curves_figure(
            [
                replace(run, series=replace(run.series, name=f"{k}"))
                for k in range(n)
                for run in grid
            ]
        )
        for n in (1, 3)
    )
    for figure, drawn in ((few, True), (many, False)):
        assert bool(figure.axes[0].collections) == drawn
        note = "\n".join(text.get_text() for text in figure.texts)
        assert ("band" in note) == drawn
        assert "median of 2 seeds" in note


def test_runs_of_several_numbers_of_seeds_and_lanes_are_compared_with_all_of_them_named(
    invoke: Invoke,
) -> None:
    flags = ("--epochs", "2", "--set", "plot.enabled=false")
    for name, more in (("a", ["--seeds", "3", "--lr", "0.1,0.2"]), ("b", []), ("c", [])):
        assert invoke("full", *flags, *more, "--name", name).code == 0
    out = invoke("compare", "a", "b").out
    assert "are medians of 1 to 3 seeds\n" in out
    assert "times are those of all lanes of a run (1 to 6), which are trained together\n" in out
    out = invoke("compare", "a").out
    assert "are medians of 3 seeds\n" in out
    assert "times are those of all lanes of a run (6), which" in out
    out = invoke("compare", "b", "c").out
    assert "medians" not in out
    assert "lanes" not in out


@pytest.mark.parametrize(
    ("command", "flag", "value", "hint"),
    [("plot", "--format", "jpg", ""), ("plot", "--x", "epochs", "did you mean epoch?"),
     ("show", "--x", "foo", "")],
)  # fmt: skip
def test_a_word_that_is_none_of_those_an_option_takes_is_refused_in_one_sentence(
    command: str, flag: str, value: str, hint: str, outputs: Path, invoke: Invoke
) -> None:
    outcome = invoke(command, "one", flag, value)
    known = "png, svg, pdf" if flag == "--format" else "epoch, updates, samples, seconds"
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {flag} {value}: must be one of {known}\n")
    assert hint in outcome.err
    assert outputs.exists()


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
    assert f"\nwritten to outputs/{name}\n" in swept.out
    assert shown.out.startswith(f"outputs/{name}  sweep  done\n")
    assert f"command  gdrun sweep {shlex.join([*flags, '--lr', '1e-05,0.1'])}" in shown.out
    manifest = Path("outputs", name, "run.json")
    manifest.write_text(manifest.read_text().replace('"status": "done"', '"status": "interrupted"'))
    assert f"\nto go on: gdrun sweep --resume 'outputs/{name}'\n" in invoke("show", name).out
