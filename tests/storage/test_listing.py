"""What `gdrun list` picks, sorts and says of a run."""

import json
from pathlib import Path

import pytest

from gdrun.results.run import LaneResult
from gdrun.storage.listing import best_losses
from tests.command_line import NO_PICTURES, Invoke, listed_names


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--where", "lr<0.1"], ["grid", "both"]),
        (["--where", "method=sgd and status=done"], ["one", "both"]),
        (["--where", "started<2026-11-02"], ["both"]),
        (["--where", "val_loss=none", "--sort", "name"], ["grid", "one", "worst"]),
        (["--where", "data.rows=12 or sweep.batch_size=full"], ["grid", "both"]),
        (["--where", "momentum=0", "-n", "2"], ["grid", "worst"]),
        (["--sort", "updates"], ["worst", "both", "grid", "one"]),
        (["--sort", "-train_loss", "-n", "1"], ["one"]),
        (["--sort", "val_loss", "-n", "1"], ["both"]),
        (["--sort", "plot.format"], ["grid", "worst", "one", "both"]),
        (["-a", "--where", "batch_size>4 and command=sweep"], ["grid/batch-9"]),
    ],
)
def test_list_picks_and_sorts(
    args: list[str], expected: list[str], outputs: Path, invoke: Invoke
) -> None:
    content = {run["name"]: run for run in json.loads(invoke("list", "--json").out)["runs"]}
    outcome = invoke("list", *args)
    assert outcome.code == 0, outcome.err
    found = listed_names(outcome.out)
    if args[0] == "--sort" and args[1] in ("updates", "-train_loss"):
        key = args[1].removeprefix("-")
        known = sorted(
            (run for run in content if content[run][key] is not None),
            key=lambda run: content[run][key],
            reverse=args[1].startswith("-"),
        )
        assert found == [*known, *(run for run in content if run not in known)][: len(found)]
    else:
        assert found == expected
    assert outputs.exists()


def test_list_says_what_is_wrong(
    outputs: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    for args, part in (
        (["-o", "none"], "none: no such directory"),
        (["-o", "outputs/one/run.json"], "run.json: is not a directory"),
        (["--where", "lr<"], "--where, column 4, after 'lr<': expected a value"),
        (["--where", "speed<3"], "--where speed: unknown key"),
        (["--sort", "los"], "--sort los: unknown key"),
    ):
        outcome = invoke("list", *args)
        assert (outcome.code, outcome.out) == (2, "")
        assert part in outcome.err
    Path("fresh").mkdir()
    with monkeypatch.context() as patch:
        patch.chdir("fresh")
        assert invoke("list").err == "no runs yet in outputs; gdrun compare makes some\n"
    Path("empty").mkdir()
    assert "no runs yet in empty" in invoke("list", "-o", "empty").err
    assert "none of 4 runs" in invoke("list", "--where", "lr>1e40").err
    assert outputs.exists()


@pytest.mark.parametrize(
    ("losses", "expected"),  # by run and learning rate, of each seed: train and validation loss
    [
        ([[[(0.1, 0.9)], [(0.5, 0.4)]]], (0.5, 0.4)),
        ([[[(0.1, 0.9)]], [[(0.5, 0.4)]], [[(0.2, 0.6)]]], (0.5, 0.4)),
        ([[[(0.3, None)], [(0.2, None)]], [[(0.4, None)]]], (0.2, None)),
        ([[[(0.1, 0.1), (None, None), (None, None)], [(0.7, 0.8)] * 3]], (0.7, 0.8)),
        ([[[(0.1, 0.5), (0.2, 0.6), (0.3, 0.1)], [(0.1, 0.6)] * 3]], (0.2, 0.5)),
        ([[[(None, None)]]], (None, None)),
        ([], (None, None)),
    ],
)
def test_the_losses_of_a_line_are_those_of_one_run_at_one_learning_rate(
    losses: list[list[list[tuple[float | None, float | None]]]],
    expected: tuple[float | None, float | None],
) -> None:
    runs = [
        [
            LaneResult(lr, seed, "done", None, 1, 1, 1, 1.0, train, train, val)
            for lr, seeds in enumerate(rates, 1)
            for seed, (train, val) in enumerate(seeds)
        ]
        for rates in losses
    ]
    found = best_losses(runs)
    assert (found["train_loss"], found["val_loss"]) == expected
    assert found["best_train_loss"] == expected[0]


def test_an_optimizer_is_looked_for_by_its_name(invoke: Invoke) -> None:
    for name, *more in (
        ("plain", "--optimizer", "sgd"),
        ("usual", "--optimizer", "adam"),
        ("own", "--optimizer", "adam", "--set", "optimizer.eps=1e-6"),
    ):
        words = ("full", "--epochs", "1", "--lr", "0.01", *more, *NO_PICTURES, "--name", name)
        assert invoke(*words).code == 0
    for optimizer, expected in (("adam", {"usual", "own"}), ("sgd", {"plain"}), ("lion", set())):
        outcome = invoke("list", "--where", f"optimizer={optimizer}")
        assert set(listed_names(outcome.out)) == expected
