"""Saved runs are found by path, name and `latest`."""

from pathlib import Path

import pytest

from gdrun.loading import load
from gdrun.storage.locate import complete_runs
from tests.command_line import Invoke


def test_a_run_is_resumed_by_its_name(outputs: Path, invoke: Invoke) -> None:
    outcome = invoke("sgd", "--resume", "one", "-n")
    assert outcome.code == 0
    assert f"would be written to {outputs.name}/one" in outcome.out
    outcome = invoke("sgd", "--resume", "oen", "-n")
    assert outcome.code == 2
    assert "oen: no such run in outputs\nhint: oen: did you mean one?" in outcome.err


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
        ("outputs", ["outputs: is not the directory of a run"]),
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
