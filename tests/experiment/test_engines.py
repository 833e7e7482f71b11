"""Which engine a run gets, and why."""

import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.compiler import program_cache
from gdrun.config.read import configure
from gdrun.data.rows import MappedRows
from gdrun.errors import OutputError
from gdrun.experiment import engines, prepare
from gdrun.experiment.plan import plan_experiment
from gdrun.results.events import Lane
from gdrun.training.eager import EAGER
from gdrun.training.state import initial_state
from tests.command_line import NO_PICTURES, Invoke
from tests.compiler.compiled_runs import THREE
from tests.problems import make_plan, make_problem
from tests.run_files import logs


def test_a_program_that_is_gone_is_named() -> None:
    problem, plan = make_problem(), make_plan(3)
    state = initial_state(problem, plan)
    assert engines.BACKENDS["eager"] is EAGER
    updates = engines.BACKENDS["compiled"].execute(problem, plan, state, 0.1)
    with pytest.raises(OutputError, match="the compiled program is gone from"):
        next(updates)


@pytest.mark.usefixtures("_compiler")
def test_an_update_that_takes_long_is_left_to_pytorch() -> None:
    wide = {"hidden_size": [1000, 1000], "batch_size": 10_000, "data": {"rows": 20_000}}
    config = configure(None, {**wide, "epochs": 10**6, "engine": "compiled"})
    (choice,) = engines.choose_engines(plan_experiment("minibatch", config)).values()
    assert (choice.engine, choice.why) == (
        "eager",
        "an update takes many seconds, and a program can't be stopped",
    )


@pytest.mark.usefixtures("_compiler")
def test_a_forecast_counts_what_is_still_to_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure(None, {"epochs": 10**5, "sweep": {"batch_size": 1, "lr": 0.2}})
    monkeypatch.setattr(prepare, "estimate_seconds", lambda *_: 1000.0)
    prepared = prepare.prepare_command("sweep", config, preview=True)
    assert [run.config.engine for run in prepared.experiment.runs] == ["eager"]
    assert prepared.estimated_seconds == pytest.approx(1000 + engines.BUILD_SECONDS - 500.24)
    monkeypatch.setattr(program_cache, "find", lambda _: str)
    prepared = prepare.prepare_command("sweep", config, preview=True)
    assert [run.config.engine for run in prepared.experiment.runs] == ["compiled"]
    assert prepared.estimated_seconds == 1000


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
    batch: int, lanes: tuple[Lane, ...], sampling: Any, *, fits: bool
) -> None:
    problem, plan = make_problem(), make_plan(batch, lanes=lanes, sampling=sampling)
    assert engines._rows_fit(problem, plan)
    mapped = MappedRows(np.zeros((4 * 10**6, 1), np.float32))
    problem = replace(problem, data=replace(problem.data, x=mapped, y=mapped))
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
@pytest.mark.parametrize(("built", "engine"), [(1, "eager"), (3, "compiled")])
def test_runs_whose_times_are_compared_have_one_engine(
    built: int, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = (1, 16, 100)[:built]  # stochastic descent alone would be worth its program
    found = lambda spec: str if spec.rows in sizes else None  # noqa: E731
    monkeypatch.setattr(program_cache, "find", found)
    chosen = engines.choose_engines(plan_experiment("compare", configure(None, {})))
    assert [choice.engine for choice in chosen.values()] == [engine] * 3
    assert not any(choice.builds for choice in chosen.values())
    assert len(engines.engine_lines(chosen)) == 1


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(
    ("epochs", "is_built", "engine", "builds", "why"),
    [
        (10, False, "eager", False, "would save about 0.524 ms, and take 400 ms"),
        (10**6, False, "compiled", True, "saves about 52.4 s, and takes 400 ms"),
        (
            10,
            True,
            "eager",
            False,
            "would save about 0.524 ms, less than loading the program takes",
        ),
        (1000, True, "compiled", False, "saves about 52.4 ms, and the program is there already"),
    ],
)
def test_a_program_is_chosen_where_it_saves_more_than_it_takes(
    epochs: int,
    is_built: bool,
    engine: str,
    builds: bool,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program_cache, "find", lambda _: str if is_built else None)
    experiment = plan_experiment("full", configure(None, {"epochs": epochs}))
    (choice,) = engines.choose_engines(experiment).values()
    assert (choice.engine, choice.builds is not None) == (engine, builds)
    assert engines.engine_lines({"full": choice}) == [f"engine: {engine} (compiling {why})"]
