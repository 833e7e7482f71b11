"""The weights at the ends of epochs: kept in a file that no stop changes, or found by training."""

import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gdrun
from gdrun.config.timing import Timing
from gdrun.diagnostics.surface import as_vectors
from gdrun.errors import ConfigError, DataError
from gdrun.experiment.checkpoint import last_checkpoint
from gdrun.experiment.landscape import layout, paths
from gdrun.experiment.landscape.layout import (
    HEADER_BYTES,
    MAGIC,
    MOST_BYTES,
    Layout,
    layout_for,
)
from gdrun.experiment.landscape.paths import Chosen, path_of
from gdrun.experiment.landscape.trajectory_file import read_records
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.replay.moments import epoch_ends, prepare_replay
from gdrun.results.file_names import TRAJECTORY, is_own
from gdrun.storage.reader import read_results
from gdrun.storage.saved_run import SavedRun, open_any
from tests.experiment.test_resume import abandon
from tests.run_files import MOST, logs, manifest
from tests.training_runs import run, small_config

WEIGHTS = 31  # of the default network


def saved(place: Path) -> SavedRun:
    found = open_any(place)
    assert isinstance(found, SavedRun)
    return found


def kept(place: Path, lanes: int = 1) -> dict[int, Any]:
    return dict(read_records(place / TRAJECTORY, lanes, WEIGHTS, whole=True))


def replayed(place: Path, epochs: list[int]) -> dict[int, Any]:
    (result,) = read_results(found := saved(place))
    ends = epoch_ends(prepare_replay(found), epochs, result.series.lanes)
    return {end.epoch: as_vectors(end.params).numpy() for end in ends}


CASES: list[tuple[str, dict[str, Any]]] = [
    ("full", {"momentum": 0.9}),
    ("minibatch", {"lr": [0.1, 0.01], "seeds": 2, "data": {"val_fraction": 0.2}}),
    ("sgd", {"eval_every": 3, "optimizer": "adam", "lr": 0.01}),
    ("minibatch", {"lr": [0.1, 1e30]}),
    ("minibatch", {"probes": "all", "probe_every": 2}),
    ("minibatch", {"data": {"val_fraction": 0.2}, "patience": 1, "lr": 0.5}),
]


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("engine", ["eager", "compiled"])
@pytest.mark.parametrize(("command", "options"), CASES)
def test_it_holds_the_weights_of_a_replay_and_changes_no_log(
    command: str, options: dict[str, Any], engine: str, tmp_path: Path
) -> None:
    for name, trajectory in (("with", True), ("without", False)):
        config = small_config(epochs=9, trajectory=trajectory, engine=engine, **options)
        run(command, config, tmp_path / name)
    assert logs(tmp_path / "with") == logs(tmp_path / "without")
    assert not (tmp_path / "without" / TRAJECTORY).exists()
    (result,) = read_results(saved(tmp_path / "with"))
    last = max(lane.epochs for lane in result.lanes)
    found = kept(tmp_path / "with", len(result.lanes))
    assert [*found] == [*range(last + 1)]
    again = replayed(tmp_path / "with", [*found])
    for epoch, weights in found.items():
        assert np.array_equal(weights, again[epoch], equal_nan=True)


def bounded(monkeypatch: pytest.MonkeyPatch, records: int, lanes: int = 1) -> None:
    """Room for so many records."""
    size = Layout(1, lanes, WEIGHTS).record_bytes
    monkeypatch.setattr(layout, "MOST_BYTES", HEADER_BYTES + records * size)


@pytest.mark.parametrize(
    ("epochs", "records", "expected"),
    [
        (9, 11, [*range(10)]),
        (9, 10, [0, 2, 4, 6, 8, 9]),
        (8, 6, [0, 2, 4, 6, 8]),
        (9, 5, [0, 4, 8, 9]),
        (9, 2, [0, 9]),
        (1, 2, [0, 1]),
    ],
)
def test_it_is_bounded_and_has_the_first_and_the_last_epoch(
    epochs: int,
    records: int,
    expected: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounded(monkeypatch, records)
    config = small_config(epochs=epochs, trajectory=True)
    run("minibatch", config, tmp_path)
    assert [*kept(tmp_path)] == expected
    taken = (tmp_path / TRAJECTORY).stat().st_size
    assert taken <= layout.MOST_BYTES
    assert taken == layout_for(epochs, 1, WEIGHTS).bytes_of(epochs)
    again = replayed(tmp_path, [*range(epochs + 1)])
    assert all(np.array_equal(own, again[epoch]) for epoch, own in kept(tmp_path).items())
    notes = plan_experiment("minibatch", config).notes
    every = expected[1] if len(expected) > 2 else 2 ** epochs.bit_length()
    assert any(f"every {every}th epoch" in note for note in notes) == (every > 1)


def test_what_has_no_room_is_refused_before_it_is_trained() -> None:
    most = MOST_BYTES // 8
    assert layout_for(10**9, 1, most - 100).every > 10**9
    with pytest.raises(ConfigError, match="the weights of an epoch take"):
        layout_for(3, 1, most)


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("records", [3, 100])
@pytest.mark.parametrize("command", ["full", "minibatch"])
def test_a_run_stopped_at_any_segment_goes_on_to_the_same_bytes(
    command: str, records: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounded(monkeypatch, records, lanes=2)
    config = small_config(epochs=5, trajectory=True, momentum=0.9, seeds=2, batch_size=30)
    run(command, config, tmp_path / "whole")
    expected = (tmp_path / "whole" / TRAJECTORY).read_bytes()
    for stop in range(1, 30):
        place = tmp_path / str(stop)
        run(command, config, place, stop_after=stop)
        run(command, config, place, stop_after=3)
        run(command, config, place)
        assert (place / TRAJECTORY).read_bytes() == expected
    assert logs(tmp_path / "7") == logs(tmp_path / "whole")


@pytest.mark.usefixtures("_many_segments")
def test_records_after_the_last_checkpoint_come_again(tmp_path: Path) -> None:
    timing = Timing(segment=0.0, checkpoint_share=1e9)
    config = small_config(epochs=7, checkpoint_every=3, trajectory=True)
    run("full", config, tmp_path / "whole", timing=timing)
    ahead = 0
    for segments in range(1, 14):
        place = tmp_path / str(segments)
        abandon("full", config, place, segments, timing)
        if manifest(place)["status"] == "running":
            with (place / TRAJECTORY).open("ab") as file:
                file.write(b"half a record")
            found, _ = last_checkpoint(place, MOST)
            records = dict(read_records(place / TRAJECTORY, 1, WEIGHTS, whole=False))
            ahead += max(records, default=0) > (found.state.epoch if found else 0)
        run("full", config, place)
        assert (place / TRAJECTORY).read_bytes() == (tmp_path / "whole" / TRAJECTORY).read_bytes()
    assert ahead > 2


@given(
    epochs=st.integers(1, 9),
    more=st.integers(0, 9),
    records=st.integers(2, 12),
    command=st.sampled_from(["full", "minibatch"]),
)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_extended_run_ends_with_the_bytes_of_one_that_never_stopped(
    epochs: int,
    more: int,
    records: int,
    command: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    place = tmp_path_factory.mktemp("extended")
    with pytest.MonkeyPatch.context() as patch:
        bounded(patch, records)
        for number in (epochs, epochs + more):
            run(command, small_config(epochs=number, trajectory=True), place / "a")
        run(command, small_config(epochs=epochs + more, trajectory=True), place / "b")
    assert (place / "a" / TRAJECTORY).read_bytes() == (place / "b" / TRAJECTORY).read_bytes()
    shutil.rmtree(place)


def test_a_finished_run_is_only_read(tmp_path: Path) -> None:
    config = small_config(trajectory=True)
    run("full", config, tmp_path)
    before = (tmp_path / TRAJECTORY).stat()
    run("full", config, tmp_path)
    assert (tmp_path / TRAJECTORY).stat() == before


def test_a_run_whose_file_is_gone_goes_on_without_it(tmp_path: Path) -> None:
    config = small_config(epochs=6, trajectory=True)
    run("minibatch", config, tmp_path, stop_after=4)
    (tmp_path / TRAJECTORY).unlink()
    run("minibatch", config, tmp_path)
    assert not (tmp_path / TRAJECTORY).exists()
    (result,) = read_results(saved(tmp_path))
    path = path_of(Chosen(saved(tmp_path), result, 0), lambda *_: None, lambda: False)
    assert path.epochs == tuple(range(7))


def test_a_directory_is_all_that_it_takes(tmp_path: Path) -> None:
    assert is_own(TRAJECTORY)
    gdrun.train("full", small_config(trajectory=True))  # nowhere to write to
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------- damaged ones


def bit_flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def other(every: int, lanes: int, parameters: int) -> bytes:
    return Layout(every, lanes, parameters).header


RECORD = Layout(1, 1, WEIGHTS).record_bytes
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "half a header": lambda content: content[:20],
    "another file": lambda _: b"PNG" * 100,
    "a bit of the header": lambda content: bit_flipped(content, 17),
    "a bit of its hash": lambda content: bit_flipped(content, HEADER_BYTES - 1),
    "a bit of an epoch": lambda content: bit_flipped(content, HEADER_BYTES + RECORD),
    "a bit of a weight": lambda content: bit_flipped(content, HEADER_BYTES + RECORD + 40),
    "cut short": lambda content: content[:-5],
    "a record less": lambda content: content[:-RECORD],
    "no record": lambda content: content[:HEADER_BYTES],
    "a record twice": lambda content: content + content[-RECORD:],
    "in another order": lambda content: (
        content[: HEADER_BYTES + RECORD]
        + content[HEADER_BYTES + 2 * RECORD :]
        + content[HEADER_BYTES + RECORD : HEADER_BYTES + 2 * RECORD]
    ),
    "of other lanes": lambda content: other(1, 2, WEIGHTS) + content[HEADER_BYTES:],
    "of no lanes": lambda content: other(1, 0, 0) + content[HEADER_BYTES:],
    "of very many": lambda content: other(1, 2**63, 2**63) + content[HEADER_BYTES:],
    "no step": lambda content: other(0, 1, WEIGHTS) + content[HEADER_BYTES:],
    "a huge step": lambda content: other(2**63, 1, WEIGHTS) + content[HEADER_BYTES:],
    "too large": lambda content: content + bytes(MOST_BYTES),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_named(damage: str, tmp_path: Path) -> None:
    run("minibatch", small_config(trajectory=True), tmp_path)
    path = tmp_path / TRAJECTORY
    path.write_bytes(DAMAGES[damage](path.read_bytes()))
    (result,) = read_results(saved(tmp_path))
    with pytest.raises(DataError) as caught:
        path_of(Chosen(saved(tmp_path), result, 0), lambda *_: None, lambda: False)
    assert caught.value.problems[0].startswith(f"{path}: is ")
    path.unlink()
    found = path_of(Chosen(saved(tmp_path), result, 0), lambda *_: None, lambda: False)
    assert found.epochs == (0, 1, 2, 3)


@given(content=st.binary(max_size=400) | st.binary(max_size=400).map(MAGIC.__add__))
def test_whatever_is_in_it_is_refused(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"any\.bin: is "):
        list(read_records(path, 1, WEIGHTS, whole=True))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    run("minibatch", small_config(trajectory=True), tmp_path / "a")
    path = tmp_path / "a" / TRAJECTORY
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"not a regular file|symbolic link"):
        kept(tmp_path / "a")


def test_a_damaged_file_stops_a_run_from_being_resumed_and_nothing_is_changed(
    tmp_path: Path,
) -> None:
    config = small_config(epochs=6, trajectory=True)
    run("minibatch", config, tmp_path, stop_after=4)
    path = tmp_path / TRAJECTORY
    path.write_bytes(bit_flipped(path.read_bytes(), HEADER_BYTES + 30))
    before = {each: each.read_bytes() for each in tmp_path.iterdir() if each.is_file()}
    with pytest.raises(DataError, match=r"trajectory\.bin: is damaged in record 1"):
        run("minibatch", config, tmp_path)
    assert {each: each.read_bytes() for each in before} == before


def test_a_run_that_is_at_work_is_read_as_far_as_it_is(tmp_path: Path) -> None:
    config = small_config(epochs=6, trajectory=True)
    run("minibatch", config, tmp_path, stop_after=4)
    path = tmp_path / TRAJECTORY
    whole = path.read_bytes()
    records = dict(read_records(path, 1, WEIGHTS, whole=False))
    path.write_bytes(whole + struct.pack("<Q", 9) + b"half")
    again = dict(read_records(path, 1, WEIGHTS, whole=False))
    assert again.keys() == records.keys()


# ----------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize("trajectory", [True, False])
def test_the_path_of_a_lane_is_that_of_the_run(trajectory: bool, tmp_path: Path) -> None:
    config = small_config(epochs=5, lr=[0.1, 0.2], seeds=2, trajectory=trajectory)
    run("minibatch", config, tmp_path)
    (result,) = read_results(saved(tmp_path))
    again = replayed(tmp_path, [*range(6)])
    for lane in range(4):
        chosen = Chosen(saved(tmp_path), result, lane)
        path = path_of(chosen, lambda *_: None, lambda: False)
        assert path.epochs == tuple(range(6))
        expected = torch.stack([torch.from_numpy(again[epoch][lane]) for epoch in path.epochs])
        assert torch.equal(path.weights, expected)
        ends = path_of(chosen, lambda *_: None, lambda: False, ends_alone=True)
        assert ends.epochs == (0, 5)
        assert torch.equal(ends.weights, path.weights[[0, 5]])
        assert [tensor.shape for tensor in path.like] == [(1, 10), (1, 10), (10, 1), (1, 1)]


@pytest.mark.parametrize("trajectory", [True, False])
def test_a_long_path_has_every_second_point_and_so_on(
    trajectory: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "MOST_POINTS", 6)
    run("minibatch", small_config(epochs=11, trajectory=trajectory), tmp_path)
    (result,) = read_results(saved(tmp_path))
    path = path_of(Chosen(saved(tmp_path), result, 0), lambda *_: None, lambda: False)
    assert path.epochs == (0, 4, 8, 11)
    monkeypatch.setattr(paths, "MOST_NUMBERS", 1)
    path = path_of(Chosen(saved(tmp_path), result, 0), lambda *_: None, lambda: False)
    assert path.epochs == (0, 11)
