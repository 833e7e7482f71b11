"""What the tests share: small experiments, and the command line run in this process."""

import gc
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.mark import ParameterSet

from gdrun.__main__ import main
from gdrun.config.schema import RunConfig
from gdrun.data.dataset import Dataset
from gdrun.results.events import Lane, Segment
from gdrun.training.loop import train
from gdrun.training.models import Network, Problem
from gdrun.training.state import Plan, TrainState, initial_state


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    out: str
    err: str


Invoke = Callable[..., Outcome]


def slow(*values: Any, **more: Any) -> ParameterSet:
    """The parameters of a test that only `pytest -m slow` runs, where others show as much."""
    return pytest.param(*values, marks=pytest.mark.slow, **more)


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
def _leave_the_process_as_it_was() -> Iterator[None]:
    """The command line freezes the garbage collector, and Ctrl-C, before it exits."""
    handler = signal.getsignal(signal.SIGINT)
    yield
    gc.unfreeze()
    signal.signal(signal.SIGINT, handler)


def make_problem(
    rows: int = 12,
    features: int = 1,
    hidden: tuple[int, ...] = (5,),
    loss: str = "mse",
    activation: str = "relu",
) -> Problem:
    """A small problem with random rows."""
    generator = torch.Generator().manual_seed(7)
    x = torch.randn(rows, features, generator=generator)
    y = torch.randn(rows, 1, generator=generator)
    data = Dataset(
        x=x,
        y=y,
        x_val=x[:0],
        y_val=y[:0],
        features=tuple(f"x{k}" for k in range(features)),
        target="y",
        x_scaling=None,
        y_scaling=None,
        title="random",
    )
    return Problem(data, Network((features, *hidden, 1), activation), loss)


def make_plan(batch_size: int, epochs: int = 3, lr: float = 0.05, **more: object) -> Plan:
    """A plan with one lane, unless `lanes` says otherwise."""
    settings: dict[str, object] = {"lanes": (Lane(lr, 0),), **more}
    return Plan(batch_size=batch_size, epochs=epochs, **settings)  # type: ignore[arg-type]


def descend(problem: Problem, plan: Plan) -> tuple[list[Segment], TrainState]:
    """Train from the start to the end."""
    state = initial_state(problem, plan)
    return list(train(problem, plan, state)), state


def step_losses(segments: list[Segment], lane: int = 0) -> list[float]:
    """The losses that a lane's updates saw."""
    return [loss for segment in segments if segment.losses for loss in segment.losses[lane]]


def train_losses(segments: list[Segment], lane: int = 0) -> list[float]:
    """The losses of a lane over all rows, at the ends of epochs."""
    evaluations = [segment.evaluations[lane] for segment in segments if segment.ends_epoch]
    return [e.train_loss for e in evaluations if e and e.train_loss is not None]


def small_config(**settings: object) -> RunConfig:
    """The schema's defaults, short."""
    return RunConfig.model_validate({"epochs": 3, **settings})
