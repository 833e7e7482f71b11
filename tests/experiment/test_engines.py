"""Which engine a run gets, and why."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gdrun.compiler import program_cache
from gdrun.compiler.executor import BACKENDS
from gdrun.config.read import configure
from gdrun.data.files.npy_file import NpyFile
from gdrun.data.rows import FileRows
from gdrun.errors import OutputError
from gdrun.experiment import engines, prepare
from gdrun.experiment.cost import estimate
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.signals import StopRequest
from gdrun.results.events import Lane
from gdrun.results.run import RunResult
from gdrun.storage.run_dir import locked
from gdrun.training.eager import EAGER
from gdrun.training.state import initial_state
from tests.command_line import NO_PICTURES, Invoke
from tests.compiler.compiled_runs import THREE
from tests.problems import make_plan, make_problem
from tests.run_files import edit, logs, manifest


@pytest.mark.usefixtures("_compiler")
def test_a_program_that_can_be_neither_found_nor_built_is_named() -> None:
    problem, plan = make_problem(), make_plan(3)
    state = initial_state(problem, plan)
    assert BACKENDS["eager"] is EAGER
    updates = BACKENDS["compiled"].execute(problem, plan, state, 0.1)
    with pytest.raises(OutputError, match="the compiled program is gone from the cache, and not"):
        next(updates)


@pytest.mark.usefixtures("cache")
def test_a_program_that_is_gone_is_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, plan = make_problem(), make_plan(3)
    found = program_cache.find
    answers = iter([None])
    monkeypatch.setattr(program_cache, "is_built", lambda _: False)
    monkeypatch.setattr(program_cache, "find", lambda spec: next(answers, found(spec)))
    updates = BACKENDS["compiled"].execute(problem, plan, initial_state(problem, plan), 0.1)
    assert next(updates).losses.numel() > 0


def chosen_for(command: str, settings: dict[str, Any]) -> engines.Choice:
    return engines.choose_engine(plan_experiment(command, configure(None, settings)))


WIDE = {"hidden_size": [1000, 1000], "batch_size": 256, "data": {"rows": 1000}}
DEEP = {"hidden_size": [4] * 50}


@pytest.mark.usefixtures("_compiler")
def test_an_update_that_takes_long_is_left_to_pytorch() -> None:
    wide = {"hidden_size": [1000, 1000], "batch_size": 10_000, "data": {"rows": 20_000}}
    choice = chosen_for("minibatch", {**wide, "epochs": 10**6, "engine": "compiled"})
    assert (choice.engine, choice.why) == (
        "eager",
        "an update takes many seconds, and a program can't be stopped",
    )


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(
    ("command", "settings", "engine"),
    [
        ("compare", {}, "compiled"),
        ("sgd", {}, "compiled"),
        ("full", {}, "eager"),
        ("minibatch", {}, "eager"),
        ("full", {"epochs": 10**6}, "compiled"),
        ("minibatch", {**WIDE, "epochs": 10}, "eager"),
        ("minibatch", {**WIDE, "epochs": 10**6}, "eager"),
        ("minibatch", {**DEEP, "epochs": 100}, "eager"),
        ("minibatch", {**DEEP, "epochs": 10**5}, "compiled"),
    ],
)
def test_the_engine_is_the_faster_one(
    command: str, settings: dict[str, Any], engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert chosen_for(command, settings).engine == engine


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("command", ["compare", "sgd", "full"])
@pytest.mark.parametrize("epochs", [1, 30, 100, 1000, 10**5])
def test_the_engine_depends_on_neither_the_cache_nor_the_pace_of_the_machine(
    command: str, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set()
    for is_built in (False, True):
        for pace in (0.1, 10.0):
            monkeypatch.setattr(program_cache, "is_built", lambda _, there=is_built: there)
            monkeypatch.setattr(engines, "machine_pace", lambda pace=pace: pace)
            found.add(chosen_for(command, {"epochs": epochs}).engine)
    assert len(found) == 1


@pytest.mark.usefixtures("_compiler")
def test_a_forecast_counts_what_is_still_to_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure(None, {"epochs": 10**5, "sweep": {"batch_size": 1, "lr": 0.2}})
    monkeypatch.setattr(estimate, "seconds_per_update", lambda *_: 1e-4)
    monkeypatch.setattr(estimate, "build_seconds", lambda specs: 7.0 * len(specs))
    choice = engines.Choice("compiled", "", ("a program",))  # type: ignore[arg-type]
    monkeypatch.setattr(prepare, "choose_engine", lambda _: choice)
    prepared = prepare.prepare_command("sweep", config, preview=True)
    assert prepared.estimate
    assert 0.1 < prepared.estimate.train < 60  # by the formula, not one by one
    before = prepared.estimate.prepare
    monkeypatch.setattr(program_cache, "is_built", lambda _: True)
    prepared = prepare.prepare_command("sweep", config, preview=True)
    assert [run.config.engine for run in prepared.experiment.runs] == ["compiled"]
    assert prepared.estimate
    assert prepared.estimate.train > 1e-4 * 10**7
    assert before - prepared.estimate.prepare == pytest.approx(7)


@pytest.mark.parametrize(
    ("batch", "lanes", "sampling", "fits"),
    [
        (1000, THREE, "reshuffle", True),
        (10**6, THREE[:1], "sequential", True),
        (10**6, THREE, "sequential", True),
        (10**6, THREE, "reshuffle", False),
        (4 * 10**6, THREE[:1], "sequential", False),
    ],
)
def test_what_is_too_much_to_read_at_a_time_is_left_to_pytorch(
    batch: int, lanes: tuple[Lane, ...], sampling: Any, tmp_path: Path, *, fits: bool
) -> None:
    problem, plan = make_problem(), make_plan(batch, lanes=lanes, sampling=sampling)
    assert engines._rows_fit(problem, plan)
    np.save(tmp_path / "x.npy", np.zeros((4 * 10**6, 1), np.float32))
    in_file = FileRows(NpyFile(tmp_path / "x.npy", np.load(tmp_path / "x.npy", mmap_mode="r")))
    problem = replace(problem, data=replace(problem.data, x=in_file, y=in_file))
    assert engines._rows_fit(problem, plan) == fits


def rows_of(place: Path) -> dict[str, Any]:
    """The rows of the logs, without seconds; those of `sweep.csv` are worked out from them."""
    return {name: rows for name, rows in logs(place).items() if name != "sweep.csv"}


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("command", ["sgd", "compare", "sweep"])
def test_a_finished_compiled_run_is_resumed_without_its_program(
    command: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = ("--set", "engine=compiled", "--set", "data.rows=20", *NO_PICTURES)
    longer = ("--resume", "outputs/a", "--epochs", "7")
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    for name, epochs in (("a", "4"), ("b", "7")):
        assert invoke(command, "--epochs", epochs, "--name", name, *settings).code == 0
    shutil.rmtree(tmp_path / "cache")
    before = rows_of(Path("outputs/a"))
    assert invoke(command, "--resume", "outputs/a").code == 0
    assert not (tmp_path / "cache").exists()  # what is only read needs no program
    assert rows_of(Path("outputs/a")) == before
    assert invoke(command, *longer).code == 0  # which builds it anew
    assert rows_of(Path("outputs/a")) == rows_of(Path("outputs/b"))


@pytest.mark.usefixtures("cache")
def test_a_compiled_run_goes_on_to_the_same_bytes(invoke: Invoke) -> None:
    args = ("sgd", "--set", "engine=compiled", *NO_PICTURES)
    assert invoke(*args, "--epochs", "30", "--name", "whole").code == 0
    outcome = invoke(*args, "--epochs", "7", "--name", "a")
    assert "engine: compiled (as requested)" in outcome.err
    assert "engine: compiled" in Path("outputs/a/config.yaml").read_text()
    assert invoke("sgd", "--resume", "outputs/a", "--epochs", "30").code == 0
    assert logs(Path("outputs/a")) == logs(Path("outputs/whole"))
    repeated = invoke("sgd", "-c", "outputs/whole/config.yaml", "--name", "b")
    assert repeated.code == 0
    assert logs(Path("outputs/b")) == logs(Path("outputs/whole"))


def test_without_a_compiler_updates_are_executed_one_by_one(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    invoke("sgd", "--epochs", "3", "--set", "engine=eager", "--name", "a", *NO_PICTURES)
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    outcome = invoke(
        "sgd", "--epochs", "3", "--set", "engine=compiled", "--name", "b", *NO_PICTURES
    )
    assert outcome.code == 0
    assert "engine: eager (there is no C compiler cc)" in outcome.err
    assert "engine: eager" in Path("outputs/b/config.yaml").read_text()
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))


@pytest.mark.usefixtures("_compiler")
def test_where_compiling_fails_updates_are_executed_one_by_one(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", "/bin/false")
    outcome = invoke("full", "--epochs", "3", "--set", "engine=compiled", *NO_PICTURES)
    assert outcome.code == 0
    assert "engine: eager (no program could be built: /bin/false ended with code 1)" in outcome.err
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("_compiler")
def test_where_pytorchs_private_parts_are_gone_updates_are_executed_one_by_one(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    for name in ("gdrun.compiler.lower", "gdrun.compiler.trace"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch._decomp", None)
    outcome = invoke("full", "--epochs", "3", "--set", "engine=compiled", *NO_PICTURES)
    assert outcome.code == 0
    assert "engine: eager (no program could be built: ModuleNotFoundError: " in outcome.err


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("place", ["/proc", "~nobody-of-that-name/cache", "/dev/null/cache"])
def test_where_programs_have_no_place_updates_are_executed_one_by_one(
    place: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", place)
    assert "engine: eager (compiling" in invoke("full", "--epochs", "2", *NO_PICTURES).err
    outcome = invoke("full", "--epochs", "2", "--set", "engine=compiled", *NO_PICTURES)
    assert outcome.code == 0
    assert "engine: eager (no program could be built: " in outcome.err


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(
    ("command", "epochs", "is_built", "line"),
    [
        ("full", 10, False, "eager (compiling would save about 1.2 ms, and takes 350 ms)"),
        ("full", 10**6, False, "compiled (compiling saves about 2:00, and takes 350 ms)"),
        (
            "full",
            10**6,
            True,
            "compiled (compiling saves about 2:00, and the program is there already)",
        ),
        (
            "compare",
            10**4,
            False,
            "compiled (compiling saves about 49.6 s, and takes 400 ms for 3 programs)",
        ),
        (
            "compare",
            10**4,
            True,
            "compiled (compiling saves about 49.6 s, and the programs are there already)",
        ),
    ],
)
def test_a_line_says_what_was_chosen_and_why(
    command: str, epochs: int, is_built: bool, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_cache, "is_built", lambda _: is_built)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert chosen_for(command, {"epochs": epochs}).line == f"engine: {line}"


def stop_after_one(command: str, name: str, epochs: int) -> None:
    """Begin a group, and stop it when its first run has ended."""
    config = configure(None, {"epochs": epochs, "plot": {"enabled": False}})
    experiment = prepare.prepare_command(command, config).experiment
    stop = StopRequest()
    place = Path("outputs") / name
    place.mkdir(parents=True)
    with locked(place):
        for event in execute(experiment, place, "", stop):
            if isinstance(event, RunResult):
                stop.ask()


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(("epochs", "engine"), [(4, "eager"), (300, "compiled")])
def test_a_group_that_is_stopped_keeps_its_engine(
    epochs: int, engine: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    cache = tmp_path / "cache"
    monkeypatch.setenv("GDRUN_CACHE", str(cache))
    assert invoke("compare", "--epochs", str(epochs), "--name", "b", *NO_PICTURES).code == 0
    stop_after_one("compare", "a", epochs)
    for content in (manifest(Path("outputs/a")), manifest(Path("outputs/a/full"))):
        assert content["config"]["engine"] == engine
    assert f"engine: {engine}" in Path("outputs/a/config.yaml").read_text()
    if engine == "eager":  # programs are there by now
        compiled = ("--set", "engine=compiled", "--name", "c", *NO_PICTURES)
        assert invoke("compare", "--epochs", str(epochs), *compiled).code == 0
    else:
        shutil.rmtree(cache)
    outcome = invoke("compare", "--resume", "outputs/a")
    assert outcome.code == 0
    assert f"engine: {engine} (as it was begun)" in outcome.err
    assert "times are not comparable" not in outcome.out
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))


@pytest.mark.usefixtures("cache")
def test_another_engine_is_said_wherever_times_are_compared(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    stop_after_one("compare", "a", 300)
    outcome = invoke("compare", "--resume", "outputs/a", "--set", "engine=eager")
    assert "engine eager, not compiled as in full: times can't be compared" in outcome.err
    note = "times are not comparable: engine: compiled in full, eager in sgd and minibatch"
    assert note in outcome.out
    assert note in invoke("show", "outputs/a").out
    runs = ("outputs/a/full", "outputs/a/sgd")
    assert "engine: compiled in full, eager in sgd" in invoke("compare", *runs).err
    longer = ("--resume", "outputs/a/sgd", "--epochs", "301", "--set", "engine=compiled")
    assert "resumed with engine compiled, not eager: last digits" in invoke("sgd", *longer).err
    assert manifest(Path("outputs/a/sgd"))["engines"] == ["eager", "compiled"]
    runs = ("outputs/a/sgd", "outputs/a/minibatch")
    assert "engine: eager, then compiled in sgd, eager in minibatch" in invoke("compare", *runs).err


@pytest.mark.usefixtures("cache")
def test_another_program_is_said(invoke: Invoke) -> None:
    settings = ("--set", "engine=compiled", *NO_PICTURES)
    assert invoke("sgd", "--epochs", "3", "--name", "a", *settings).code == 0
    longer = ("sgd", "--resume", "outputs/a", "--epochs")
    assert "another program" not in invoke(*longer, "4").err
    edit(Path("outputs/a"), program="that of another compiler")
    assert "sgd: resumed with another program (gdrun, PyTorch" in invoke(*longer, "5").err
    assert "another program" not in invoke(*longer, "6").err


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("missing", ["cache", "compiler", "both"])
def test_a_finished_sweep_is_asked_again_and_extended_without_what_built_it(
    missing: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    settings = ("--set", "engine=compiled", "--set", "data.rows=20", "--epochs", "5")
    grid = ("--set", "sweep.lr=[0.1, 0.2]", "--set", "sweep.batch_size=[4, 20]")
    assert invoke("sweep", *settings, *grid, "--name", "a", *NO_PICTURES).code == 0
    before = logs(Path("outputs/a"))
    if missing in ("cache", "both"):
        shutil.rmtree(tmp_path / "cache")
    if missing in ("compiler", "both"):
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.delenv("CC", raising=False)
    for target in ("0.4", "0.3", "0.4"):
        assert invoke("sweep", "--resume", "outputs/a", "--target", target).code == 0
        assert manifest(Path("outputs/a"))["status"] == "done"
        rows = {name: own for name, own in logs(Path("outputs/a")).items() if "/" in name}
        assert rows == {name: own for name, own in before.items() if "/" in name}
    outcome = invoke("sweep", "--resume", "outputs/a", "--epochs", "6")
    assert outcome.code == 0
    said = "resumed batch-4, batch-20 with engine eager, not compiled" in outcome.err
    assert said == (missing != "cache")
