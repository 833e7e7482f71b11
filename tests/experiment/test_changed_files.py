"""Files of a run that were changed since: it is refused, and they are left alone."""

import json
import shutil
from pathlib import Path

import pytest

from gdrun.experiment import checkpoint
from gdrun.experiment.checkpoint import last_checkpoint
from gdrun.results.file_names import CHECKPOINT, PREVIOUS_CHECKPOINT
from gdrun.results.run import SCHEMA_VERSION
from tests.command_line import NO_PICTURES, Invoke
from tests.run_files import MOST, contents, logs
from tests.training_runs import run, small_config


def test_a_run_of_a_newer_version_is_refused(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "2", "--name", "a", *NO_PICTURES)
    path = Path("outputs/a/run.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": SCHEMA_VERSION + 1}))
    before = contents(Path("outputs"))
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert outcome.code == 2
    assert "run.json: was written by a newer gdrun" in outcome.err
    assert contents(Path("outputs")) == before


@pytest.mark.parametrize(
    "content",
    [
        *("", "{", "[1]", '{"schema": "1"}', '{"schema": true, "kind": "run"}', "\0"),
        *("[" * 100_000, '{"schema": 1, "kind": 5}', '{"schema": 1, "kind": "run"}'),
        '{"schema": 1, "kind": "run", "status": 7}',
        '{"schema": 1, "kind": "run", "status": "done", "resumed": 5}',
        '{"schema": 1, "kind": "run", "status": "done"}',
        '{"schema": 1, "kind": "group", "status": "done", "experiment": "sgd"}',
        '{"schema": 1, "kind": "run", "status": "done", "method": "sgd", "files": 3}',
    ],
)
def test_a_damaged_run_json_is_refused(content: str, invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "2", "--name", "a", *NO_PICTURES)
    Path("outputs/a/run.json").write_text(content)
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert outcome.code == 2
    assert "outputs/a/run.json: is " in outcome.err


@pytest.mark.parametrize("name", ["epochs.csv", "steps.csv"])
@pytest.mark.parametrize("edit", ["a digit", "a row less", "a row more", "removed"])
def test_logs_edited_by_hand_are_left_alone(name: str, edit: str, invoke: Invoke) -> None:
    invoke("minibatch", "--epochs", "4", "--name", "a", *NO_PICTURES)
    path = Path("outputs/a", name)
    lines = path.read_text().splitlines(keepends=True)
    lines[3] = {"a digit": lines[3].replace("0.2", "0.3"), "a row less": "", "removed": ""}.get(
        edit, lines[3] * 2
    )
    path.write_text("".join(lines))
    if edit == "removed":
        path.unlink()
    before = contents(Path("outputs"))
    outcome = invoke("minibatch", "--resume", "outputs/a", "--epochs", "9")
    assert outcome.code == 2
    assert name in outcome.err
    expected = "is missing" if edit == "removed" else "it was changed since, and is left alone"
    assert expected in outcome.err
    assert contents(Path("outputs")) == before


def test_a_config_edited_by_hand_is_refused(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "3", "--name", "a", *NO_PICTURES)
    path = Path("outputs/a/config.yaml")
    path.write_text(path.read_text().replace("lr: 0.2", "lr: 0.1"))
    before = contents(Path("outputs"))
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert outcome.code == 2
    assert "its checkpoint was made with another config than it has now" in outcome.err
    path.write_text("lr: [")
    assert "config.yaml, line " in invoke("sgd", "--resume", "outputs/a").err
    path.write_text(before[path].decode())
    assert contents(Path("outputs")) == before


def test_data_that_changed_is_refused(invoke: Invoke) -> None:
    rows = "".join(f"{k},{k * k}\n" for k in range(20))
    Path("a.csv").write_text("x,y\n" + rows)
    source = ("--set", "data.source=csv", "--set", "data.path=a.csv", "--set", "data.target=y")
    invoke("sgd", "--epochs", "3", "--name", "a", *source, *NO_PICTURES)
    Path("a.csv").write_text("x,y\n" + rows.replace("3,9\n", "3,10\n"))
    before = contents(Path("outputs"))
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert outcome.code == 2
    assert "a.csv: the data is not what the run was begun with" in outcome.err
    assert contents(Path("outputs")) == before


def test_data_that_moved_is_found_where_it_is_said_to_be(invoke: Invoke) -> None:
    Path("a.csv").write_text("x,y\n" + "".join(f"{k},{k * k}\n" for k in range(20)))
    source = ("--set", "data.source=csv", "--set", "data.path=a.csv", "--set", "data.target=y")
    invoke("sgd", "--epochs", "3", "--name", "a", *source, *NO_PICTURES)
    Path("a.csv").rename("b.csv")
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert outcome.code == 2
    assert "a.csv can't be read" in outcome.err
    moved = ("--set", "data.path=b.csv")
    assert invoke("sgd", "--resume", "outputs/a", "--epochs", "5", *moved).code == 0
    assert invoke("sgd", "--resume", "outputs/a", "--epochs", "6").code == 0


def test_a_finished_run_without_its_checkpoint_is_left_alone(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "3", "--name", "a", *NO_PICTURES)
    Path("outputs/a", CHECKPOINT).unlink()
    before = contents(Path("outputs"))
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert outcome.code == 2
    assert "checkpoint.pt: is missing" in outcome.err
    assert contents(Path("outputs")) == before


def test_a_checkpoint_of_another_run_is_refused(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "3", "--name", "a", *NO_PICTURES)
    invoke("sgd", "--epochs", "3", "--name", "b", "--lr", "0.1", *NO_PICTURES)
    shutil.copy(Path("outputs/b", CHECKPOINT), Path("outputs/a", CHECKPOINT))
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert outcome.code == 2
    assert "its checkpoint was made with another config" in outcome.err


def test_a_checkpoint_that_vanished_leaves_the_one_before_or_the_beginning(
    tmp_path: Path,
) -> None:
    config = small_config(epochs=5)
    for stop in (3, 4):
        run("full", config, tmp_path, stop_after=stop)
    (tmp_path / CHECKPOINT).unlink()  # as between two renames
    found, complaints = last_checkpoint(tmp_path, MOST)
    assert found
    assert complaints == [f"{tmp_path / CHECKPOINT}: is missing"]
    run("full", config, tmp_path)
    run("full", config, tmp_path.with_name("whole"))
    assert logs(tmp_path) == logs(tmp_path.with_name("whole"))


def test_a_member_that_lost_its_run_json_is_left_alone(invoke: Invoke) -> None:
    invoke("compare", "--epochs", "2", "--name", "a", *NO_PICTURES)
    Path("outputs/a/sgd/run.json").unlink()
    before = contents(Path("outputs"))
    outcome = invoke("compare", "--resume", "outputs/a", "--epochs", "4")
    assert outcome.code == 2
    assert "outputs/a/sgd/run.json: is missing" in outcome.err
    assert contents(Path("outputs")) == before


def test_the_end_of_a_finished_run_is_looked_at_too(invoke: Invoke) -> None:
    invoke("minibatch", "--epochs", "3", "--name", "a", *NO_PICTURES)
    path = Path("outputs/a/epochs.csv")
    whole = path.read_text()
    for changed in (whole[: whole.rindex("minibatch")], whole.replace("0.1", "0.2"), whole + "x"):
        path.write_text(changed)
        outcome = invoke("minibatch", "--resume", "outputs/a")
        assert outcome.code == 2
        assert "epochs.csv: is " in outcome.err
        assert path.read_text() == changed
    path.write_text(whole)
    assert invoke("minibatch", "--resume", "outputs/a").code == 0


def test_a_newer_checkpoint_is_not_passed_over(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke("sgd", "--epochs", "2", "--name", "a", *NO_PICTURES)
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "VERSION", 6)
        shutil.copy(Path("outputs/a", CHECKPOINT), "old")
        Path("outputs/a/checkpoint.pt").unlink()
        Path("outputs/a/run.json").write_text(
            Path("outputs/a/run.json")
            .read_text()
            .replace('"done"', '"failed"')
            .replace('"lanes": [', '"lanes": [], "was": [')
        )
        invoke("sgd", "--resume", "outputs/a")
    shutil.copy("old", Path("outputs/a", PREVIOUS_CHECKPOINT))
    before = contents(Path("outputs"))
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "4")
    assert outcome.code == 2
    assert "is a checkpoint of version 6, this gdrun reads 2 to 5" in outcome.err
    assert contents(Path("outputs")) == before
