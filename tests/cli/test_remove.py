"""`gdrun rm` removes runs, and nothing else."""

import os
import re
import sys
from pathlib import Path

import pexpect
import pytest

from gdrun.storage.run_dir import locked
from tests.command_line import Invoke, completions, listed_names
from tests.run_files import contents

NAMES = ["both", "grid", "one", "worst"]


def test_runs_groups_and_comparisons_are_removed(outputs: Path, invoke: Invoke) -> None:
    invoke("compare", "one", "worst", "--force", "--name", "beside", "--set", "plot.dpi=40")
    for path in ("one/.lock", "one/epochs.csv.partial", "both/fit.pdf", "both/train-epoch.svg"):
        (outputs / path).touch()
    outcome = invoke("rm", "both", "beside", "one", "--yes")
    assert outcome.code == 0
    assert outcome.out == "removed outputs/both\nremoved outputs/beside\nremoved outputs/one\n"
    assert sorted(path.name for path in outputs.iterdir()) == ["grid", "worst"]
    assert sorted(listed_names(invoke("list").out)) == ["grid", "worst"]


def test_the_run_of_a_group_and_the_latest_are_removed(outputs: Path, invoke: Invoke) -> None:
    assert invoke("rm", "both/sgd", "latest", "-y").code == 0
    assert sorted(path.name for path in outputs.iterdir()) == ["both", "one", "worst"]
    assert not (outputs / "both/sgd").exists()
    assert invoke("show", "both").code == 0


def test_a_name_twice_or_within_another_is_removed_once(outputs: Path, invoke: Invoke) -> None:
    outcome = invoke("rm", "both/sgd", "both", "outputs/both", outputs / "both", "both/", "-y")
    assert (outcome.code, outcome.out) == (0, "removed outputs/both\n")


def test_the_panels_of_runs_with_names_of_their_own_are_removed(
    outputs: Path, invoke: Invoke
) -> None:
    sizes = ("--batch-size", "4,full", "--epochs", "2", "--set", "plot.dpi=30")
    assert invoke("compare", *sizes, "--name", "sizes").code == 0
    assert invoke("compare", "sizes/batch-4", "one", "--force", "--name", "two").code == 0
    for name, panel in (("sizes", "batch-4"), ("two", "sizes/batch-4")):
        assert invoke("plot", name, "--panel", panel).code == 0
    (outputs / "two/compare-mine.png").touch()
    assert invoke("rm", "sizes", "two", "--yes").code == 0
    assert not (outputs / "sizes").exists()
    assert [path.name for path in (outputs / "two").iterdir()] == ["compare-mine.png"]


def test_foreign_files_are_kept_with_their_directory(outputs: Path, invoke: Invoke) -> None:
    (outputs / "both/notes.txt").write_text("mine")
    (outputs / "both/sgd/own").mkdir()
    (outputs / "both/sgd/own/epochs.csv").write_text("mine")
    (outputs / "both/other").mkdir()
    (outputs / "both/other/run.json").write_text("{}")
    elsewhere = outputs.parent / "elsewhere.csv"
    elsewhere.write_text("mine")
    (outputs / "both/full/link.csv").symlink_to(elsewhere)
    outcome = invoke("rm", "both", "-y")
    assert outcome.code == 0
    assert "outputs/both is kept, since gdrun didn't write" in outcome.err.replace("/sgd", "")
    left = {str(path.relative_to(outputs)) for path in outputs.glob("both/**/*")}
    kept = {
        "both/notes.txt",
        "both/sgd/own/epochs.csv",
        "both/other/run.json",
        "both/full/link.csv",
    }
    assert left == kept | {"both/sgd", "both/sgd/own", "both/other", "both/full"}
    assert elsewhere.read_text() == "mine"
    assert "both" not in listed_names(invoke("list").out)


def test_a_link_in_the_place_of_a_file_is_removed_not_followed(
    outputs: Path, invoke: Invoke
) -> None:
    (outputs.parent / "precious").write_text("mine")
    (outputs / "one/steps.csv").unlink()
    (outputs / "one/steps.csv").symlink_to(outputs.parent / "precious")
    assert invoke("rm", "one", "-y").code == 0
    assert (outputs.parent / "precious").read_text() == "mine"
    assert not (outputs / "one").exists()


REFUSED = [
    "nope", "link", "other", "outputs", ".", "..", "/", "elsewhere", "elsewhere/run", "file", "",
    "both/nope", "outputs/one/..", "one/epochs.csv", "dangling", "outputs/../elsewhere/run",
]  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_run_there_is_refused(name: str, outputs: Path, invoke: Invoke) -> None:
    run = outputs.parent / "elsewhere/run"
    run.mkdir(parents=True)
    (run / "run.json").write_text((outputs / "one/run.json").read_text())
    (outputs / "link").symlink_to(run)
    (outputs / "dangling").symlink_to(outputs.parent / "nowhere")
    (outputs / "other").mkdir()
    (outputs / "other/run.json").write_text("{}")
    Path("file").touch()
    before = contents(outputs.parent)
    outcome = invoke("rm", "one", name, "--yes")
    assert outcome.code == 2
    assert outcome.out == ""
    assert "error: " in outcome.err
    assert contents(outputs.parent) == before


def test_a_run_in_another_directory_needs_its_name(outputs: Path, invoke: Invoke) -> None:
    outputs.rename("there")
    assert invoke("rm", "there/one", "-y").code == 2
    assert Path("there/one").exists()
    assert invoke("rm", "one", "-o", "there", "-y").code == 0
    assert not Path("there/one").exists()


@pytest.mark.parametrize(
    ("held", "name"), [("one", "one"), ("both", "both"), ("both", "both/sgd"), ("both/sgd", "both")]
)
def test_a_run_at_work_is_refused(held: str, name: str, outputs: Path, invoke: Invoke) -> None:
    with locked(outputs / held):
        before = contents(outputs)
        outcome = invoke("rm", name, "worst", "--yes")
        assert outcome.code == 2
        assert "another process is training it" in outcome.err
        assert contents(outputs) == before
    assert invoke("rm", name, "worst", "--yes").code == 0


@pytest.mark.parametrize("content", ["", "{", '{"schema": 1, "kind": "run"}', '{"schema": 99}'])
def test_broken_runs_are_removed(content: str, outputs: Path, invoke: Invoke) -> None:
    (outputs / "one/run.json").write_text(content)
    assert invoke("rm", "one", "-y").code == 0
    assert not (outputs / "one").exists()


def test_without_a_terminal_nothing_is_removed(outputs: Path, invoke: Invoke) -> None:
    before = contents(outputs)
    outcome = invoke("rm", "one")
    assert outcome.code == 2
    assert "hint: --yes removes without asking" in outcome.err
    assert contents(outputs) == before


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals")
@pytest.mark.parametrize(
    ("answer", "gone"), [("y", True), ("yes", True), ("n", False), ("", False)]
)
def test_on_a_terminal_it_asks(answer: str, gone: bool, outputs: Path) -> None:
    child = pexpect.spawn(
        sys.executable, ["-m", "gdrun", "rm", "both"], encoding="utf-8", timeout=60
    )
    child.expect(re.escape("outputs/both: 3 runs, "))
    child.expect(re.escape("remove? [y/N] "))
    child.sendline(answer)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert (outputs / "both").exists() != gone


def test_names_are_completed(outputs: Path) -> None:
    assert completions("gdrun rm o", outputs.parent) == ["one"]
    assert sorted(completions("gdrun rm both/", outputs.parent)) == [
        "both/full", "both/minibatch", "both/sgd",
    ]  # fmt: skip


def test_a_removal_cut_short_is_completed_by_another(
    outputs: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    unlink = Path.unlink

    def fail(path: Path, missing_ok: bool = False) -> None:
        if len(removed) == 2:
            raise PermissionError(1, os.strerror(1), str(path))
        removed.append(path.name)
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", fail)
        outcome = invoke("rm", "both", "-y")
    assert outcome.code == 1
    assert "can't be removed: Operation not permitted" in outcome.err
    assert "both" in listed_names(invoke("list").out)
    assert invoke("rm", "both", "-y").code == 0
    assert not (outputs / "both").exists()
