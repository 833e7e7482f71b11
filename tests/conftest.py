"""The fixtures that the tests share."""

import atexit
import gc
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from gdrun.__main__ import main
from gdrun.api import compare, train
from gdrun.compiler import build
from gdrun.config import timing
from gdrun.config.schema import RunConfig
from gdrun.config.timing import Timing
from gdrun.experiment.cost import formulas
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.run import RunResult
from tests.command_line import Invoke, Outcome
from tests.run_files import edit
from tests.training_runs import small_config

settings.register_profile("tests", deadline=None)  # how long an example takes is not tested
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Without pytest-xdist (`-p no:xdist`), let its options in pyproject.toml have no effect."""
    if not pluginmanager.hasplugin("xdist"):
        for name in ("--numprocesses", "--maxprocesses", "--dist"):
            parser.addoption(name)


def pytest_configure() -> None:
    """Let Ctrl-C interrupt, also where a script runs the tests in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def invoke(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Invoke:
    """Run `gdrun ARGS…` in this process, in a directory of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*args: str | Path) -> Outcome:
        monkeypatch.setattr("sys.argv", ["gdrun", *map(str, args)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        out, err = capfd.readouterr()
        code = exit_.value.code
        assert code is None or isinstance(code, int)
        assert "Traceback" not in out + err
        return Outcome(code or 0, out, err)

    return run


@pytest.fixture(autouse=True, scope="session")
def _no_programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Nothing is compiled, nor found among the user's programs, unless a test asks for it."""
    file = tmp_path_factory.mktemp("programs") / "file"
    file.touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDRUN_CACHE", str(file / "no-directory"))
        yield


@pytest.fixture(autouse=True)
def _pace_of_the_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is estimated doesn't depend on how busy this machine is."""
    seconds = 1e-6 * formulas.PACE_CALLS * formulas.PACE_MICROSECONDS
    monkeypatch.setattr(formulas, "_seconds_of_products", lambda: seconds)


@pytest.fixture(autouse=True)
def _leave_the_process_as_it_was() -> Iterator[None]:
    """The command line freezes the garbage collector, and Ctrl-C, before it exits."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    atexit.unregister(os._exit)
    gc.unfreeze()
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def _many_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every update ends a segment, so that a run can be stopped anywhere."""
    monkeypatch.setattr(timing, "DEFAULT", Timing(segment=0.0))


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Processes that are forked from one that has imported PyTorch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "gdrun.experiment.execute",
            "gdrun.cli.train",
            "gdrun.plots.figures",
            "gdrun.storage.run_dir",
        ]
    )
    return context


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunConfig, list[Any]]:
    """A sweep with seeds that diverge, pairs that don't come to the target, and validation."""
    place = tmp_path_factory.mktemp("sweep")
    config = small_config(
        epochs=12,
        seeds=5,
        eval_every=2,
        data={"rows": 40, "val_fraction": 0.2},
        sampling="reshuffle",
        sweep={"lr": [0.01, 0.1, 0.9, 1e5], "batch_size": [2, 5, "full"]},
    )
    return place, config, list(execute(plan_experiment("sweep", config), place))


DATA = {"rows": 12, "val_fraction": 0.25}


@pytest.fixture(scope="session")
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
    events = execute(plan_experiment("sweep", config), place / "grid", "gdrun sweep")
    results["grid"] = [event for event in events if isinstance(event, RunResult)]
    for k, name in enumerate(results):
        edit(place / name, started=f"2026-11-0{k + 1}T12:00:00+00:00")
    return place, results


@pytest.fixture
def outputs(trained: tuple[Path, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, as `outputs` where commands run, which is where the test is, too."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(trained[0], tmp_path / "outputs"))


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for programs that all tests share; without a compiler, there are none."""
    if obstacle := build.no_compiler():
        pytest.skip(obstacle)
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, used."""
    monkeypatch.setenv("GDRUN_CACHE", str(shared_cache))
    return shared_cache


@pytest.fixture
def _compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with a compiler."""
    monkeypatch.setattr(build, "no_compiler", lambda: None)
