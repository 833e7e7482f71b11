"""The commit in `run.json`, and that asking for it executes nothing of the repository."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from gdrun.api import train
from tests.run_files import manifest
from tests.training_runs import small_config


def git(place: Path, *args: str) -> str:
    me = ("-c", "user.name=me", "-c", "user.email=me")
    done = subprocess.run(
        ["git", *me, *args], cwd=place, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    place = tmp_path / "repository"
    place.mkdir()
    git(place, "init", "--quiet")
    (place / "file").write_text("1")
    git(place, "add", "file")
    git(place, "commit", "--quiet", "--message=first")
    return place


def commit_of_a_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.chdir(place)
    train("full", small_config(epochs=1), output_dir="outputs", name="a")
    return manifest(Path("outputs/a"))["git_commit"]


def test_the_commit_that_is_checked_out_is_recorded(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert commit_of_a_run(repository, monkeypatch) == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize("begun", [(), ("init", "--quiet")], ids=["no repository", "no commit"])
def test_without_a_commit_there_is_none(
    begun: Sequence[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    if begun:
        git(tmp_path, *begun)
    assert commit_of_a_run(tmp_path, monkeypatch) is None


def test_nothing_that_a_repository_names_is_executed(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    witness = repository.parent / "executed"
    program = repository.parent / "program"
    program.write_text(f"#!/bin/sh\necho \"$0 $*\" >> '{witness}'\ncat\n")
    program.chmod(0o755)
    hooks = repository.parent / "hooks"
    hooks.mkdir()
    (hooks / "post-index-change").symlink_to(program)
    git(repository, "config", "core.hooksPath", str(hooks))
    git(repository, "config", "core.fsmonitor", str(program))
    git(repository, "config", "filter.mine.clean", str(program))
    git(repository, "config", "filter.mine.smudge", str(program))
    (repository / ".gitattributes").write_text("* filter=mine\n")
    (repository / "file").write_text("2")
    witness.unlink(missing_ok=True)
    subprocess.run(["git", "describe", "--always", "--dirty"], cwd=repository, check=True)
    assert witness.exists()  # what would be executed is there
    witness.unlink()
    commit_of_a_run(repository, monkeypatch)
    assert not witness.exists()
