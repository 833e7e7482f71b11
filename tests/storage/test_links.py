"""Links and pipes in the place of files are not followed."""

import os
import shutil
from pathlib import Path

import pytest

from tests.command_line import NO_PICTURES, Invoke
from tests.run_files import contents, kill


@pytest.mark.parametrize(
    "name", ["epochs.csv", "steps.csv", "run.json", "config.yaml", "checkpoint.pt", ".lock"]
)
def test_links_out_of_a_run_are_not_followed(name: str, invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "3", "--name", "a", *NO_PICTURES)
    link, outside = Path("outputs/a", name), Path("outside")
    link.rename(outside)
    link.symlink_to(outside.absolute())
    before = outside.read_bytes()
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5", *NO_PICTURES)
    assert outcome.code in (1, 2)
    assert name in outcome.err
    assert "symbolic link" in outcome.err
    assert outside.read_bytes() == before


def test_what_a_linked_lock_points_to_is_never_emptied(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "3", "--name", "a", *NO_PICTURES)
    kill(Path("outputs/a"))
    mine, lock = Path("mine"), Path("outputs/a/.lock")
    mine.write_text("mine")
    lock.unlink()
    lock.symlink_to(mine.absolute())
    for command in ("list", "show outputs/a", "sgd --resume outputs/a --epochs 5"):
        outcome = invoke(*command.split())
        assert "Traceback" not in outcome.err
        assert mine.read_text() == "mine"


def test_pictures_replace_links_and_never_follow_them(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "3", "--name", "a", "--set", "plot.dpi=30")
    outside = Path("outside.png")
    Path("outputs/a/loss.png").rename(outside)
    Path("outputs/a/loss.png").symlink_to(outside.absolute())
    before = outside.read_bytes()
    assert invoke("sgd", "--resume", "outputs/a", "--epochs", "5").code == 0
    assert outside.read_bytes() == before
    assert not Path("outputs/a/loss.png").is_symlink()


def test_a_member_that_is_a_link_is_refused(invoke: Invoke) -> None:
    invoke("compare", "--epochs", "2", "--name", "a", *NO_PICTURES)
    Path("outputs/a/sgd").rename("elsewhere")
    Path("outputs/a/sgd").symlink_to(Path("elsewhere").absolute())
    before = contents(Path("elsewhere"))
    outcome = invoke("compare", "--resume", "outputs/a", "--epochs", "4", *NO_PICTURES)
    assert outcome.code in (1, 2)
    assert "outputs/a/sgd: is a link" in outcome.err
    assert contents(Path("elsewhere")) == before


def test_a_link_to_a_directory_that_is_no_run_is_not_written_through(invoke: Invoke) -> None:
    invoke("compare", "--epochs", "2", "--name", "a", *NO_PICTURES)
    shutil.rmtree("outputs/a/sgd")
    Path("mine").mkdir()
    Path("mine/epochs.csv").write_text("mine")
    Path("outputs/a/sgd").symlink_to(Path("mine").absolute())
    outcome = invoke("compare", "--resume", "outputs/a", *NO_PICTURES)
    assert "outputs/a/sgd: is a link" in outcome.err
    assert Path("mine/epochs.csv").read_text() == "mine"


@pytest.mark.parametrize("name", ["epochs.csv", "checkpoint.pt", "config.yaml", "run.json"])
def test_a_pipe_in_the_place_of_a_file_does_not_hang(name: str, invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "2", "--name", "a", *NO_PICTURES)
    path = Path("outputs/a", name)
    path.unlink()
    os.mkfifo(path)
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "3", *NO_PICTURES)
    assert outcome.code in (1, 2)
    assert name in outcome.err
