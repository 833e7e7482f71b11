"""Whatever a `run.json` says is data: no command fails otherwise than by naming the run."""

import json
from pathlib import Path

import pytest

from gdrun.errors import GdrunError
from gdrun.loading import load
from tests.command_line import Outcome, assert_clean, in_process
from tests.hostile_runs import copy_run, full_manifest, hostile_texts
from tests.marks import slow
from tests.run_files import contents

WHERE = ("--where", "momentum<1 and seconds>=0 and not lr>3 or data.rows=9", "--sort", "-epochs")
COMMANDS = {"one": "sgd", "both": "compare", "grid": "sweep"}
EVERY = [slow(name, 1) for name in COMMANDS]  # the fast tests take one of several values in turn


@pytest.mark.parametrize(("name", "every"), [("one", 7), ("both", 23), ("grid", 67), *EVERY])
def test_no_run_keeps_the_others_out_of_the_list(name: str, every: int, outputs: Path) -> None:
    many = outputs.with_name("many")
    copy_run(outputs / "worst", many / "good", (outputs / "worst/run.json").read_text())
    said = {}
    for number, (what, text) in enumerate(hostile_texts(full_manifest(outputs / name))):
        if number % every == 0:
            copy_run(outputs / name, many / f"{number:05}", text)
            said[f"{number:05}"] = what
    for args in ((), ("--json",), ("--all",), WHERE, (*WHERE, "--json")):
        outcome = in_process("list", "-o", "many", *args)
        assert_clean(outcome)
        assert (outcome.code, "good" in outcome.out) == (0, True), outcome.err
    runs = json.loads(in_process("list", "-o", "many", "--json").out)["runs"]
    assert {run["name"] for run in runs} == {*said, "good"}
    broken = {run["name"]: run["problem"] for run in runs if run["status"] == "broken"}
    assert len(broken) > len(said) / 4
    for run, problem in broken.items():
        assert problem.startswith(f"many/{run}/run.json: "), said[run]
        assert any(word in problem for word in ("is damaged: ", "is not a run.json", "newer gdrun"))
        assert len(problem) < 400


# Each key with a few of the values: every value through every command takes ten minutes.
MORE = [slow("one", 7), slow("both", 19), slow("grid", 37)]


@pytest.mark.parametrize(("name", "every"), [("one", 29), ("both", 97), ("grid", 211), *MORE])
def test_every_command_names_the_run_and_changes_nothing(
    name: str, every: int, outputs: Path
) -> None:
    outputs = Path(outputs.name)
    run, command = outputs / name, COMMANDS[name]
    Path("new.csv").write_text("x\n0.5\n")
    for what, text in [*hostile_texts(full_manifest(run))][::every]:
        (run / "run.json").write_text(text, encoding="utf-8")
        before = files(outputs)
        said = load_error(run)
        draws = said is None and every > 1
        for args in (
            ("list",),
            ("list", "--json"),
            ("show", name),
            ("show", name, "-c"),
            ("show", name, "--json"),
            *([] if draws else [("plot", name), ("animate", name), ("landscape", name)]),
            ("predict", name, "new.csv"),
            ("compare", "worst", name, "--force", "-n"),
            (command, "--resume", str(run), "-n"),
        ):
            outcome = in_process(*args)
            assert_clean(outcome)
            if args[0] == "list":
                assert (outcome.code, "worst" in outcome.out) == (0, True), what
            elif args[0] == "predict":  # checkpoints decide more
                assert outcome.code in (0, 1, 2), (what, args, outcome.err)
            elif said is not None and ("run.json: " in said or "--resume" not in args):
                assert fails_as(said, outcome), (what, args, outcome.err, said)
            elif "--resume" not in args:
                assert outcome.code == 0, (what, args, outcome.err)
            else:  # a config may be sound, and what it asks for be refused; checkpoints decide more
                assert (outcome.code, outcome.err[:7]) in ((0, ""), (2, "error: ")), (what, args)
        for picture in run.rglob("*.png"):
            picture.unlink()
        assert files(outputs) == before, what


def files(place: Path) -> dict[str, bytes]:
    """The files below a directory but for the locks."""
    return {str(path): text for path, text in contents(place).items() if path.name != ".lock"}


def load_error(run: Path) -> str | None:
    """What `gdrun.load` says is wrong with a run; None if nothing is."""
    try:
        loaded = load(run)
        assert loaded.epochs
        assert loaded.answer or loaded.command != "sweep"
    except GdrunError as error:
        return error.problems[0]
    return None


def fails_as(said: str, outcome: Outcome) -> bool:
    """Whether a command fails with what `gdrun.load` says, of the run or of one in its group."""
    place = said.split(": ")[0]
    return outcome.code in (1, 2) and place.startswith("outputs/") and place in outcome.err
