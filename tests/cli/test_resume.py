"""`--resume` as a user meets it: what goes on, what is refused, and what is said."""

import json
from pathlib import Path

import pytest
import torch

from tests.command_line import NO_PICTURES, Invoke
from tests.run_files import logs


def test_resuming_on_the_command_line(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "4", "--name", "a", *NO_PICTURES)
    invoke("sgd", "--epochs", "9", "--name", "b", *NO_PICTURES)
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "9")
    assert outcome.code == 0
    assert "written to outputs/a" in outcome.out
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))
    assert "epochs: 9" in Path("outputs/a/config.yaml").read_text()
    assert not Path("outputs/a/loss.png").exists()  # the run's own config goes on to count


def test_comparisons_are_resumed_and_extended_on_the_command_line(invoke: Invoke) -> None:
    invoke("compare", "--epochs", "3", "--name", "a", *NO_PICTURES)
    assert invoke("compare", "--resume", "outputs/a").code == 0
    assert invoke("compare", "--resume", "outputs/a", "--epochs", "5").code == 0
    invoke("compare", "--epochs", "5", "--name", "b", *NO_PICTURES)
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))
    # A member can be gone on with by its own command; then so can the group.
    assert invoke("full", "--resume", "outputs/a/full", "--epochs", "7").code == 0
    outcome = invoke("compare", "--resume", "outputs/a", "--epochs", "6")
    assert outcome.code == 2
    assert "outputs/a/full: has trained for more than the 6 epochs requested" in outcome.err
    assert "--epochs 7" in outcome.err
    assert invoke("compare", "--resume", "outputs/a", "--epochs", "7").code == 0
    invoke("compare", "--epochs", "7", "--name", "c", *NO_PICTURES)
    assert logs(Path("outputs/a")) == logs(Path("outputs/c"))


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--lr", "0.3"], ["lr: the run has 0.2, and can't be resumed with 0.3"]),
        (["--epochs", "2"], ["epochs: the run has 4, which can be raised, not lowered"]),
        (
            ["--set", "data.rows=50", "--seed", "3"],
            ["data.rows: the run has 100, and can't be resumed with 50", "seed: the run has 0"],
        ),
        (
            ["-c", "shuffled"],
            ['sampling: the run has "sequential"', "drop_last: the run has true"],
        ),
        (
            ["--set", "data.source=csv", "--set", "data.path=a", "--set", "data.target=y"],
            ['data.source: the run has "quadratic"'],
        ),
        (["--name", "b"], ["leave out --name and --output-dir"]),
        (["-o", "elsewhere"], ["leave out --name and --output-dir"]),
    ],
)
def test_another_config_is_refused_by_key(
    args: list[str], expected: list[str], invoke: Invoke
) -> None:
    invoke("sgd", "--epochs", "4", "--name", "a", *NO_PICTURES)
    before = {path: path.read_bytes() for path in Path("outputs/a").iterdir()}
    outcome = invoke("sgd", "--resume", "outputs/a", *args)
    assert outcome.code == 2
    for part in expected:
        assert part in outcome.err
    assert {path: path.read_bytes() for path in Path("outputs/a").iterdir()} == before


def test_a_run_is_resumed_by_the_command_that_began_it(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "1", "--name", "a", *NO_PICTURES)
    outcome = invoke("full", "--resume", "outputs/a")
    assert outcome.code == 2
    assert "was made by gdrun sgd, not gdrun full" in outcome.err
    assert "hint: gdrun sgd --resume outputs/a" in outcome.err


def test_what_is_no_run_is_refused(invoke: Invoke) -> None:
    assert "nowhere: there are no runs in outputs yet" in invoke("sgd", "--resume", "nowhere").err
    invoke("sgd", "--epochs", "1", "--name", "first", *NO_PICTURES)
    assert "no/where: no such run" in invoke("sgd", "--resume", "no/where").err
    assert "nowhere: no such run in outputs" in invoke("sgd", "--resume", "nowhere").err
    assert "did you mean first?" in invoke("sgd", "--resume", "outputs/frist").err
    outcome = invoke("sgd", "--resume", "outputs/first/run.json")
    assert outcome.code == 2
    assert "is a file\nhint: name its directory: outputs/first" in outcome.err
    Path("empty").mkdir()
    outcome = invoke("sgd", "--resume", "empty")
    assert outcome.code == 2
    assert "empty: is not the directory of a run: it has no run.json" in outcome.err


def test_what_happens_to_a_run_is_said(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "4", "--name", "a", *NO_PICTURES)
    outcome = invoke("sgd", "--resume", "outputs/a")
    assert "note: outputs/a: is done, and only read; more --epochs extend it" in outcome.err
    path = Path("outputs/a/run.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "threads": 77}))
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "6")
    assert "note: outputs/a: done after 4 of 6 epochs, resumed" in outcome.err
    here = torch.get_num_threads()
    assert f"note: resumed with threads {here}, not 77: last digits may differ" in outcome.err


def test_a_dry_run_says_where_a_run_would_go_on(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "4", "--name", "a", *NO_PICTURES)
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "6", "-n")
    assert outcome.code == 0
    assert "600 in all, 400 of them done" in outcome.out
    assert json.loads(Path("outputs/a/run.json").read_text())["lanes"][0]["epochs"] == 4
