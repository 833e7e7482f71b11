"""When checkpoints are taken: soon enough, and for a small share of the time."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from gdrun.config.timing import Timing
from gdrun.experiment import run_files
from gdrun.experiment.checkpoint import Checkpoint
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.training.problem import Problem
from tests.run_files import read_csv
from tests.training_runs import small_config


def test_checkpoints_are_written_when_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved: list[int] = []

    def save(_directory: Path, checkpoint: Checkpoint, **_: object) -> None:
        saved.append(checkpoint.state.updates)

    def updates_saved(timing: Timing, **settings: object) -> list[int]:
        saved.clear()
        place = tmp_path / str(settings)
        place.mkdir(exist_ok=True)
        list(execute(plan_experiment("full", small_config(**settings)), place, timing=timing))
        return list(saved)

    monkeypatch.setattr(run_files, "save_checkpoint", save)
    # Training as short as this would wait longer for a checkpoint than it takes.
    assert updates_saved(Timing(), epochs=7, checkpoint_every=3) == [7]
    assert updates_saved(Timing(checkpoint_share=1e9), epochs=8, checkpoint_every=3) == [3, 6, 8]
    # After so many seconds, whether epochs are counted or not.
    often = Timing(checkpoint=-1.0, checkpoint_share=1e9)
    assert updates_saved(often, epochs=3) == [1, 2, 3]
    assert updates_saved(often, epochs=4, checkpoint_every=100) == [1, 2, 3, 4]


def test_checkpoints_take_their_share_of_the_time_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A second a segment of training, half a second a checkpoint, and one wanted after each epoch.
    seconds, clock = iter(range(10**9)), [0.0]
    monkeypatch.setattr(
        "gdrun.training.eager.make_clock", lambda _problem: lambda: float(next(seconds))
    )
    monkeypatch.setattr("gdrun.experiment.checkpoint.time.monotonic", lambda: clock[0])
    saved: list[int] = []

    def save(_directory: Path, checkpoint: Checkpoint, **_: object) -> None:
        clock[0] += 0.5
        saved.append(checkpoint.state.updates)

    monkeypatch.setattr(run_files, "save_checkpoint", save)
    list(execute(plan_experiment("full", small_config(epochs=200, checkpoint_every=1)), tmp_path))
    # The first after 1 s; then as often as 2 % of the training time are to be had.
    assert saved == [1, 50, 75, 100, 125, 150, 175, 200]


def test_the_first_checkpoints_come_early_and_later_ones_every_thirty_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]  # half a second passes in training an update

    def tick(_problem: Problem) -> Callable[[], float]:
        def read() -> float:
            clock[0] += 0.25
            return clock[0]

        return read

    monkeypatch.setattr("gdrun.training.eager.make_clock", tick)
    monkeypatch.setattr("gdrun.experiment.checkpoint.time.monotonic", lambda: clock[0])
    saved: list[float] = []
    monkeypatch.setattr(run_files, "save_checkpoint", lambda *_, **__: saved.append(clock[0]))
    list(execute(plan_experiment("full", small_config(epochs=300)), tmp_path))
    assert saved[:5] == pytest.approx([1.5, 3.5, 7.5, 15.5, 31.5])
    assert [b - a for a, b in pairwise(saved[5:-1])] == pytest.approx([30.5] * len(saved[6:-1]))


def test_checkpoints_are_taken_within_long_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    monkeypatch.setattr(
        run_files,
        "save_checkpoint",
        lambda _directory, checkpoint, **_: saved.append(checkpoint.state.updates),
    )
    every_update = Timing(segment=0.0, checkpoint=-1.0, checkpoint_share=1e9)
    list(execute(plan_experiment("sgd", small_config(epochs=1)), tmp_path, timing=every_update))
    assert set(saved) == set(range(1, 101))


def test_rows_are_handed_over_before_a_checkpoint_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[tuple[int, int]] = []

    def count(directory: Path, checkpoint: Checkpoint, **_: object) -> None:
        counted.append((checkpoint.state.updates, len(read_csv(directory / "steps.csv"))))

    monkeypatch.setattr(run_files, "save_checkpoint", count)
    config, timing = small_config(checkpoint_every=1), Timing(checkpoint_share=1e9)
    list(execute(plan_experiment("minibatch", config), tmp_path, timing=timing))
    assert counted == [(7, 7), (14, 14), (21, 21)]
