"""Directories that go away or can't be written to."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gdrun.config.timing import Timing
from gdrun.errors import OutputError
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.storage.manifest import read_manifest
from tests.command_line import NO_PICTURES, Invoke
from tests.run_files import contents
from tests.training_runs import small_config


def test_a_run_whose_directory_is_removed_stops_at_once(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.mkdir()
    experiment = plan_experiment("full", small_config(epochs=1000))
    events = execute(experiment, place, timing=Timing(flush=-1.0))
    for _ in range(20):
        next(events)
    shutil.rmtree(place)
    with pytest.raises(OutputError, match=r"\.csv: can't be written: was removed while"):
        next(events)
    assert not place.exists()


def test_a_run_whose_directory_is_moved_away_says_so_at_its_end(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.mkdir()
    events = execute(plan_experiment("full", small_config(epochs=30)), place)
    next(events)
    place.rename(tmp_path / "b")
    with pytest.raises(OutputError, match="No such file or directory"):
        list(events)
    assert not place.exists()
    assert read_manifest(tmp_path / "b").status == "running"


@contextmanager
def read_only(place: Path) -> Iterator[None]:
    """A directory that this process can't write to; for root, by not being root meanwhile."""
    user = os.geteuid()
    parents = [p for p in place.absolute().parents if p.stat().st_uid == user and user == 0]
    modes = {p: p.stat().st_mode for p in [*parents, place]}
    for path in parents:
        path.chmod(modes[path] | 0o055)
    place.chmod(0o555)
    if user == 0:
        try:
            os.seteuid(65534)
        except OSError:
            pytest.skip("root can't be somebody else here")
    try:
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


def test_read_only_places_are_refused_and_left_alone(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "2", "--name", "a", *NO_PICTURES)
    before = contents(Path("outputs"))
    with read_only(Path("outputs")):
        outcome = invoke("sgd", "--epochs", "2", "--name", "b", *NO_PICTURES)
    assert outcome.code == 1
    assert "outputs/b: can't be made: Permission denied" in outcome.err
    assert "--output-dir" in outcome.err
    with read_only(Path("outputs/a")):
        outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5", *NO_PICTURES)
    assert outcome.code == 1
    assert "outputs/a" in outcome.err
    assert "Permission denied" in outcome.err
    assert contents(Path("outputs")) == before
