"""Runs that are trained beside each other, for those who watch."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gdrun.config.schema import RunConfig
from gdrun.config.timing import Timing
from gdrun.experiment import execute as execution
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.resume import resume_experiment
from gdrun.results.progress import RunProgress
from gdrun.results.run import RunResult
from tests.command_line import NO_PICTURES, Invoke
from tests.training_runs import small_config

WATCHED = Timing(watch=5.0)
RUNS = ("full", "sgd", "minibatch")


class Clock:
    """Time that goes on only while somebody sleeps."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, 0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.slept += 1


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(execution, "time", clock)
    return clock


def rows_of(place: Path) -> dict[str, list[list[str]]]:
    """All logs but for the seconds."""
    found = {}
    for path in sorted(place.rglob("*.csv")):
        rows = [line.split(",") for line in path.read_text().splitlines()]
        at = rows[0].index("seconds") if "seconds" in rows[0] else None
        found[str(path.relative_to(place))] = [
            [cell for k, cell in enumerate(row) if k != at] for row in rows
        ]
    return found


@pytest.mark.parametrize("sampling", ["sequential", "reshuffle"])
def test_watched_losses_are_those_of_a_run_that_is_not(
    sampling: str, tmp_path: Path, clock: Clock
) -> None:
    config = small_config(sampling=sampling, epochs=7, seeds=2)
    for name, timing in (("watched", WATCHED), ("not", Timing())):
        (tmp_path / name).mkdir()
        list(execute(plan_experiment("compare", config), tmp_path / name, timing=timing))
    assert rows_of(tmp_path / "watched") == rows_of(tmp_path / "not")
    assert len(rows_of(tmp_path / "not")) == 6
    assert clock.slept


def test_runs_go_on_epoch_by_epoch_and_in_the_time_given(clock: Clock) -> None:
    epochs, seen = dict.fromkeys(RUNS, 0), []
    for event in execute(plan_experiment("compare", small_config(epochs=20)), timing=WATCHED):
        if isinstance(event, RunProgress):
            epochs[event.series.name] = event.epoch
            seen.append((clock.now, min(epochs.values())))
            assert max(epochs.values()) - min(epochs.values()) <= 1
    assert clock.now == pytest.approx(WATCHED.watch)
    for now, epoch in seen:  # none is early
        assert epoch <= 20 * now / WATCHED.watch + 1


def test_a_training_that_takes_longer_is_not_slowed_down(clock: Clock) -> None:
    for event in execute(plan_experiment("compare", small_config(epochs=4)), timing=WATCHED):
        if isinstance(event, RunProgress):
            clock.now += 1
    assert not clock.slept


def stopped_after(config: RunConfig, place: Path, events: int) -> None:
    place.mkdir()
    seen: list[object] = []
    experiment = plan_experiment("compare", config)
    seen.extend(execute(experiment, place, stop=lambda: len(seen) > events, timing=WATCHED))


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("events", [0, 3, 40, 150])
def test_what_is_stopped_is_finished_later(events: int, tmp_path: Path) -> None:
    config = small_config(epochs=5, data={"rows": 30})
    stopped_after(config, tmp_path / "a", events)
    statuses = {
        name: json.loads((tmp_path / "a" / name / "run.json").read_text())["status"]
        for name in RUNS
    }
    assert "running" not in statuses.values()
    assert "interrupted" in statuses.values() or events == 150
    experiment = plan_experiment("compare", config)
    results = list(execute(resume_experiment(experiment, tmp_path / "a"), tmp_path / "a"))
    assert all(r.status == "done" for r in results if isinstance(r, RunResult))
    (tmp_path / "b").mkdir()
    list(execute(experiment, tmp_path / "b"))
    assert rows_of(tmp_path / "a") == rows_of(tmp_path / "b")


@pytest.mark.parametrize(
    ("words", "seconds"), [(["--watch"], 10), (["--watch", "3"], 3), (["--watch=2.5"], 2.5)]
)
def test_the_seconds_can_be_left_out(
    words: list[str], seconds: float, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    in_turn: Any = execution._in_turn

    def note(*arguments: Any) -> Iterator[Any]:
        asked.append(arguments[-1].watch)
        yield from in_turn(*arguments)

    monkeypatch.setattr(execution, "_watched", note)
    outcome = invoke("compare", *words, "--epochs", "1", *NO_PICTURES)
    assert outcome.code == 0
    assert asked == [seconds]


def test_seconds_that_are_none(invoke: Invoke) -> None:
    outcome = invoke("compare", "--watch=0", "-n")
    assert outcome.code == 2
    assert "--watch" in outcome.err
