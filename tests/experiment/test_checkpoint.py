"""Checkpoints: whole, safe to read, and never lost with what follows them."""

import hashlib
import io
import os
from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gdrun.config.timing import Timing
from gdrun.errors import DataError
from gdrun.experiment.checkpoint import (
    SEAL,
    VERSION,
    Checkpoint,
    CheckpointSchedule,
    load_checkpoint,
    save_checkpoint,
)
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.resume import resume_experiment
from gdrun.results.events import EpochEnds, Segment
from gdrun.results.file_names import CHECKPOINT, EPOCHS, PREVIOUS_CHECKPOINT, STEPS
from gdrun.storage.row_file import FileDigest
from gdrun.training.loop import train as descend_on
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.optimizers.sgd import SGD
from gdrun.training.state import initial_state
from tests.command_line import NO_PICTURES, Invoke
from tests.problems import OPTIMIZERS, make_plan, make_problem, step_losses
from tests.run_files import MOST, damage, logs
from tests.segments import epoch_end
from tests.training_runs import run, small_config


def test_after_falling_back_the_good_checkpoints_are_kept(tmp_path: Path) -> None:
    for epochs in (2, 3):
        run("full", small_config(epochs=epochs), tmp_path)
    damage(tmp_path / CHECKPOINT, "cut short")
    for epochs, before in ((4, 2), (5, 4)):
        run("full", small_config(epochs=epochs), tmp_path)
        assert load_checkpoint(tmp_path / PREVIOUS_CHECKPOINT, MOST).state.updates == before
        assert load_checkpoint(tmp_path / CHECKPOINT, MOST).state.updates == epochs


def test_after_falling_back_the_next_checkpoint_is_kept_as_any_other(tmp_path: Path) -> None:
    run("full", small_config(epochs=2), tmp_path)
    run("full", small_config(epochs=3), tmp_path)
    damage(tmp_path / CHECKPOINT, "cut short")
    every_update = Timing(first_checkpoint=-1.0, checkpoint=-1.0, checkpoint_share=1e9)
    run("full", small_config(epochs=9), tmp_path, timing=every_update)
    assert load_checkpoint(tmp_path / CHECKPOINT, MOST).state.updates == 9
    assert load_checkpoint(tmp_path / PREVIOUS_CHECKPOINT, MOST).state.updates == 8


def test_a_resumed_run_has_no_more_time_for_checkpoints_than_it_trains() -> None:
    schedule = CheckpointSchedule(1, Timing(), trained=1000.0)
    end = epoch_end(5, [(0.1, 0.1, None)])
    one = Segment(5, 5, 500, 1000.1, [array("d", [0.1])], (None,), end)
    assert not schedule.is_due(one)
    assert schedule.is_due(replace(one, seconds=1001.0))


@pytest.mark.parametrize(("epochs", "due"), [(range(3, 6), False), (range(3, 9), True)])
def test_a_checkpoint_is_due_after_any_of_several_epochs(epochs: range, *, due: bool) -> None:
    ends = EpochEnds(epochs, epochs, epochs, [1.0], [[0.1]], [[0.1]], [[None]], [True])
    schedule = CheckpointSchedule(7, Timing(), trained=0.0)
    segment = Segment(epochs[-1], 5, 500, 100.0, [array("d", [0.1])], (None,), ends)
    assert schedule.is_due(segment) == due


def test_checkpoints_hold_what_is_needed_and_no_more(tmp_path: Path) -> None:
    run("sgd", small_config(lr=[0.1, 0.2]), tmp_path)
    state = load_checkpoint(tmp_path / CHECKPOINT, MOST).state
    assert state.loss_sum.untyped_storage().nbytes() == 2 * 8


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_the_velocity_of_an_older_gdrun_is_the_buffer_that_it_was(
    momentum: float, tmp_path: Path
) -> None:
    settings = {"momentum": momentum, "engine": "eager"}
    run("sgd", small_config(epochs=6, **settings), tmp_path / "whole")
    run("sgd", small_config(epochs=2, **settings), tmp_path / "older")
    path = tmp_path / "older" / CHECKPOINT
    content = torch.load(io.BytesIO(path.read_bytes().rpartition(SEAL)[0]), weights_only=True)
    (content["state"]["velocity"],) = content["state"].pop("buffers") or ((),)
    buffer = io.BytesIO()
    torch.save({**content, "version": 4}, buffer)
    payload = buffer.getvalue()
    path.write_bytes(payload + SEAL + hashlib.sha256(payload).hexdigest().encode() + b"\n")
    run("sgd", small_config(epochs=6, **settings), tmp_path / "older")
    assert logs(tmp_path / "older") == logs(tmp_path / "whole")


def test_rows_are_on_the_disk_before_a_checkpoint_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    fsync, rename = os.fsync, Path.replace

    def synced(descriptor: int) -> None:
        done.append("disk " + Path(f"/proc/self/fd/{descriptor}").readlink().name)
        fsync(descriptor)

    def renamed(self: Path, target: Path) -> Path:
        done.append(f"{self.name} → {Path(target).name}")
        return rename(self, target)

    run("full", small_config(), tmp_path)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "replace", renamed)
    run("full", small_config(epochs=5), tmp_path)
    first = done.index("disk epochs.csv")
    assert done[first : first + 6] == [
        "disk epochs.csv",
        "disk steps.csv",
        "disk checkpoint.pt.partial",
        "checkpoint.pt → checkpoint.previous.pt",
        "checkpoint.pt.partial → checkpoint.pt",
        f"disk {tmp_path.name}",
    ]
    assert done[-2:] == ["disk run.json.partial", "run.json.partial → run.json"]


@pytest.mark.parametrize("how", ["cut short", "empty", "bit flipped"])
def test_a_damaged_checkpoint_leaves_the_one_before_it(how: str, invoke: Invoke) -> None:
    for name in ("a", "b"):
        invoke("minibatch", "--epochs", "4", "--name", name, *NO_PICTURES)
    invoke("minibatch", "--resume", "outputs/a", "--epochs", "6")
    damage(Path("outputs/a", CHECKPOINT), how)
    assert load_checkpoint(Path("outputs/a", PREVIOUS_CHECKPOINT), MOST).state.updates == 24
    before = Path("outputs/a", PREVIOUS_CHECKPOINT).read_bytes()
    outcome = invoke("minibatch", "--resume", "outputs/a", "--epochs", "8")
    assert outcome.code == 0
    assert "checkpoint.pt: is damaged" in outcome.err
    assert "resumed from the checkpoint before it" in outcome.err
    invoke("minibatch", "--resume", "outputs/b", "--epochs", "8")
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))
    # The good one is still there, not replaced by the damaged one.
    assert Path("outputs/a", PREVIOUS_CHECKPOINT).read_bytes() == before
    assert load_checkpoint(Path("outputs/a", CHECKPOINT), MOST).state.updates == 48


def test_without_a_good_checkpoint_nothing_is_touched(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "4", "--name", "a", *NO_PICTURES)
    damage(Path("outputs/a", CHECKPOINT), "bit flipped")
    before = {path: path.read_bytes() for path in Path("outputs/a").iterdir()}
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "9")
    assert outcome.code == 2
    assert "checkpoint.pt: is damaged" in outcome.err
    assert "no good checkpoint is left" in outcome.err
    assert {path: path.read_bytes() for path in Path("outputs/a").iterdir()} == before


@given(position=st.integers(0, 10**9), bit=st.integers(0, 7), cut=st.booleans())
@example(position=-1, bit=0, cut=False)
@settings(max_examples=150, suppress_health_check=list(HealthCheck))
def test_no_single_damage_goes_unnoticed(position: int, bit: int, cut: bool) -> None:
    content = bytearray(_some_checkpoint())
    position %= len(content)
    if cut:
        del content[position:]
    else:
        content[position] ^= 1 << bit
    path = Path(os.environ["PYTEST_CHECKPOINT"])
    path.write_bytes(content)
    with pytest.raises(DataError, match="is damaged"):
        load_checkpoint(path, MOST)


_SAVED: dict[str, bytes] = {}


def _some_checkpoint() -> bytes:
    return _SAVED["bytes"]


@pytest.fixture(autouse=True, scope="module")
def _checkpoint_to_damage(tmp_path_factory: pytest.TempPathFactory) -> None:
    place = tmp_path_factory.mktemp("damaged")
    run("minibatch", small_config(epochs=1), place)
    _SAVED["bytes"] = (place / CHECKPOINT).read_bytes()
    os.environ["PYTEST_CHECKPOINT"] = str(place / "damaged.pt")


@pytest.mark.parametrize("optimizer", [SGD(), *OPTIMIZERS.values()], ids=str)
def test_training_goes_on_from_a_checkpoint_as_if_never_stopped(
    optimizer: Optimizer, tmp_path: Path
) -> None:
    problem, plan = make_problem(rows=11), make_plan(3, epochs=6, optimizer=optimizer)
    state = initial_state(problem, plan)
    segments = descend_on(problem, plan, state)
    for segment in segments:
        if segment.epoch == 3 and segment.ends:
            break
    digests = {name: FileDigest(3, "c" * 64) for name in (EPOCHS, STEPS)}
    save_checkpoint(tmp_path, Checkpoint(state, "a" * 64, "b" * 64, digests))
    expected = step_losses(list(segments))
    checkpoint = load_checkpoint(tmp_path / "checkpoint.pt", MOST)
    assert (checkpoint.config, checkpoint.data) == ("a" * 64, "b" * 64)
    assert checkpoint.digests == digests
    loaded = checkpoint.state
    assert loaded.epoch == 3
    assert len(loaded.buffers) == optimizer.buffers
    assert step_losses(list(descend_on(problem, plan, loaded))) == expected


def seal(path: Path) -> None:
    """Put the hash behind a file that is right in a checkpoint's."""
    payload = path.read_bytes()
    path.write_bytes(payload + SEAL + hashlib.sha256(payload).hexdigest().encode() + b"\n")


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


def test_checkpoints_run_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"version": VERSION, "state": Hostile()}, tmp_path / "c.pt")
    seal(tmp_path / "c.pt")
    with pytest.raises(DataError, match="no checkpoint"):
        load_checkpoint(tmp_path / "c.pt", MOST)
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"version": 99}, "of version 99"),
        ({"version": VERSION}, "no checkpoint"),
        ([1], "no checkpoint"),
        (b"junk", "no checkpoint"),
        (b"", "is damaged"),
    ],
)
def test_what_is_no_checkpoint_is_refused(content: object, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
        seal(path)
    with pytest.raises(DataError, match=expected):
        load_checkpoint(path, MOST)


def test_damage_is_told_apart(tmp_path: Path) -> None:
    run("full", small_config(), tmp_path)
    damage(tmp_path / CHECKPOINT, "bit flipped")
    with pytest.raises(DataError, match="no good checkpoint is left"):
        resume_experiment(plan_experiment("full", small_config()), tmp_path)
