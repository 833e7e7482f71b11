"""`run.json`: what is written can be read, and what is read keeps to bounds."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.config.schema import RunConfig
from gdrun.config.values import MAX_COUNT
from gdrun.errors import DataError
from gdrun.results.description import Description
from gdrun.results.events import Lane, Series
from gdrun.results.run import LaneResult
from gdrun.storage.atomic import read_plain
from gdrun.storage.manifest import (
    MAX_BYTES,
    MAX_LANES,
    MAX_LEVELS,
    RunManifest,
    read_manifest,
    to_json,
)
from gdrun.storage.run_log import ManifestWriter, log_facts, run_facts
from gdrun.text import unseen
from tests.command_line import NO_PICTURES, Invoke
from tests.odd_inputs import fuzz, texts
from tests.run_files import edit, kill, logs, manifest

LARGEST = 2**63 - 1
counts = st.integers(0, LARGEST)
losses = st.none() | st.floats(allow_nan=False, allow_infinity=False)
lanes = st.builds(
    LaneResult,
    lr=st.floats(0, exclude_min=True, allow_infinity=False),
    seed=st.integers(0, 2**62),
    status=st.sampled_from(["done", "diverged", "interrupted"]),
    diverged_at=st.none() | counts,
    epochs=st.integers(0, MAX_COUNT),
    updates=counts,
    samples=counts,
    seconds=st.floats(0, 1e12),
    train_loss=losses,
    best_train_loss=losses,
    val_loss=losses,
)
descriptions = st.builds(
    Description,
    network=texts,
    parameters=st.integers(0, MAX_COUNT),
    data=texts,
    rows=st.integers(1, MAX_COUNT),
    val_rows=st.integers(0, MAX_COUNT),
    features=st.lists(texts).map(tuple),
    target=texts,
    loss=st.sampled_from(["mse", "half_mse", "l1", "huber"]),
    standardized=st.booleans(),
    device=texts,
)


@given(command=texts, description=descriptions, ended=st.lists(lanes, min_size=1, max_size=3))
@settings(fuzz, max_examples=25)
def test_what_is_written_can_be_read(
    command: str, description: Description, ended: list[LaneResult], tmp_path: Path
) -> None:
    series = Series("sgd", 1, tuple(Lane(lane.lr, lane.seed) for lane in ended))
    facts = log_facts(run_facts(command, description, 1, "a" * 64), series, RunConfig())
    for _ in range(2):
        saved = read_manifest(tmp_path) if (tmp_path / "run.json").exists() else None
        with ManifestWriter(tmp_path, facts, saved, 3) as writer:
            assert isinstance(read_manifest(tmp_path), RunManifest)
            writer.finish("done", lanes=[asdict(lane) for lane in ended], files={})
    saved = read_manifest(tmp_path)
    assert isinstance(saved, RunManifest)
    assert [*saved.lanes] == ended
    assert (saved.status, saved.settings, saved.resumed[0].updates) == ("done", RunConfig(), 3)
    assert not unseen(str(saved.command))
    (tmp_path / "run.json").unlink()


def test_a_run_with_the_most_lanes_has_room() -> None:
    small, large = 5.4321234567890123e-308, 123456789012.12345
    counts = (LARGEST, MAX_COUNT, LARGEST, LARGEST)
    lane = LaneResult(small, 2**62, "interrupted", *counts, large, -small, -small, -small)
    metrics: dict[str, float | None] = {"train_accuracy": large, "val_accuracy": large}
    lane = replace(lane, best_val_loss=-small, best_val_epoch=MAX_COUNT, metrics=metrics)
    entries = [len(to_json({"lanes": [asdict(lane)] * count})) for count in (1, 2)]
    assert MAX_LANES * (entries[1] - entries[0]) < MAX_BYTES - 2**20


def test_a_resumed_run_keeps_what_it_doesnt_know(invoke: Invoke) -> None:
    unknown: Any = {"text": "\x1b[31m\u202e\udcff", "number": 10**400, "deep": [[[[None]]]]}
    for name, epochs in (("a", "3"), ("b", "5")):
        assert invoke("sgd", "--epochs", epochs, "--name", name, *NO_PICTURES).code == 0
    place = Path("outputs/a")
    config = manifest(place)["config"]
    kill(place)
    edit(place, of_a_newer_gdrun=unknown, config={**config, "newer": 1})
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert outcome.code == 0, outcome.err
    assert manifest(place)["of_a_newer_gdrun"] == unknown
    assert logs(place) == logs(Path("outputs/b"))
    assert read_manifest(place).status == "done"


@pytest.mark.parametrize("levels", [MAX_LEVELS - 1, MAX_LEVELS, 900, 100_000])
def test_few_levels_are_read(levels: int, outputs: Path) -> None:
    text = (outputs / "one/run.json").read_text().strip()
    more = ', "more": ' + "[" * levels + "]" * levels + "}"
    (outputs / "one/run.json").write_text(text.removesuffix("}") + more)
    if levels < MAX_LEVELS:
        assert read_manifest(outputs / "one").content["more"]
    else:
        with pytest.raises(DataError, match=r"one/run.json: is damaged: not valid JSON"):
            read_manifest(outputs / "one")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "1" * 5000])
def test_numbers_are_finite_even_where_nobody_reads_them(number: str, outputs: Path) -> None:
    text = (outputs / "one/run.json").read_text().strip()
    (outputs / "one/run.json").write_text(text.removesuffix("}") + f', "more": [{number}]}}')
    with pytest.raises(DataError, match=r"one/run.json: is damaged: not valid JSON"):
        read_manifest(outputs / "one")


@pytest.mark.parametrize("text", ["3", '"run"', "null", "true", "[]", "[{}]"])
def test_what_is_no_object_is_no_manifest(text: str, outputs: Path) -> None:
    (outputs / "one/run.json").write_text(text)
    with pytest.raises(DataError, match=r"one/run.json: is (damaged|not a run.json of gdrun)"):
        read_manifest(outputs / "one")


def test_no_more_of_a_file_is_read_than_it_may_hold(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_plain(path, 5) == b"12345"
    with pytest.raises(DataError, match="a: is damaged: 5 bytes, more than the 4 that"):
        read_plain(path, 4)


def test_a_group_in_the_place_of_a_run_is_not_resumed(invoke: Invoke, outputs: Path) -> None:
    group = (outputs / "grid/run.json").read_text()
    (outputs / "both/sgd/run.json").write_text(group)
    content = json.loads((outputs / "both/run.json").read_text())
    edit(outputs / "both", status="interrupted", config=content["config"])
    outcome = invoke("compare", "--resume", "outputs/both")
    assert outcome.code == 2
    assert "outputs/both/sgd/run.json: is damaged: is that of a group" in outcome.err
