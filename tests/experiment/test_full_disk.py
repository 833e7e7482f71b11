"""What happens to a run when the disk is full: nothing that was good is lost, and it says so."""

import os
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gdrun.config.timing import Timing
from gdrun.errors import OutputError
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.storage.manifest import current_status, read_manifest
from tests.command_line import GDRUN, NO_PICTURES
from tests.run_files import logs
from tests.training_runs import run, small_config


@pytest.mark.slow
def test_a_size_limit_is_a_message_and_leaves_whole_rows(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [*GDRUN, "sgd", "--epochs", "150", "--name", "a", *NO_PICTURES],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        preexec_fn=limit,
    )
    assert done.returncode == 1
    assert "steps.csv: can't be written: File too large" in done.stderr
    assert "to resume: gdrun sgd --resume outputs/a" in done.stderr
    assert "Traceback" not in done.stderr
    place = tmp_path / "outputs" / "a"
    steps = (place / "steps.csv").read_text()
    assert 50_000 < len(steps) <= 100_000
    assert steps.endswith("\n")
    assert read_manifest(place).status == "failed"  # run.json is small enough
    again = subprocess.run(
        [*GDRUN, "sgd", "--resume", "outputs/a", "-q"], cwd=tmp_path, capture_output=True, text=True
    )
    assert again.returncode == 0, again.stderr
    run("sgd", prepare_config(place), tmp_path / "whole")
    assert logs(place) == logs(tmp_path / "whole")


def prepare_config(place: Path) -> Any:
    from gdrun.config.read import load_config

    return load_config(str(place / "config.yaml"))


SMALL_DISK = """
mount -t tmpfs -o size=400k none outputs || exit 77
{gdrun} sgd --epochs 10 --name good --set plot.enabled=false -q || exit 78
cp -r outputs/good ../before
{gdrun} sgd --epochs 150 --name a --set plot.enabled=false
echo "code $?"
cp -r outputs/good ../after
cp -r outputs/a ../a
"""


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs a file system of its own")
def test_a_full_disk_is_a_message_and_other_runs_stand(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "outputs").mkdir(parents=True)
    script = SMALL_DISK.format(gdrun=" ".join(GDRUN))
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=work,
        capture_output=True,
        text=True,
    )
    if done.returncode in (1, 77, 127) and "code" not in done.stdout:
        pytest.skip("file systems can't be mounted here")
    assert "code 1" in done.stdout, done.stderr
    assert "can't be written: No space left on device" in done.stderr
    assert "--resume outputs/a" in done.stderr
    assert "Traceback" not in done.stderr
    before, after = tmp_path / "before", tmp_path / "after"
    assert {p.name: p.read_bytes() for p in before.iterdir()} == {
        p.name: p.read_bytes() for p in after.iterdir()
    }
    # What could be written is whole, and can be gone on with where there is room.
    place = tmp_path / "a"
    assert (place / "steps.csv").read_text().endswith("\n")
    assert not list(place.glob("*.partial"))
    assert current_status(read_manifest(place), at_work=False) in ("failed", "interrupted")
    config = prepare_config(place)
    run("sgd", config, place)
    run("sgd", config, tmp_path / "whole")
    assert logs(place) == logs(tmp_path / "whole")


def test_what_is_on_the_disk_says_so_when_it_cannot_be_updated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = os.write

    def full(descriptor: int, data: Any) -> int:
        if b"sgd,1,0.2,0,2," in bytes(data):  # half goes through, as on a disk that fills up
            written(descriptor, bytes(data)[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return written(descriptor, data)

    monkeypatch.setattr("gdrun.storage.row_file.os.write", full)
    timing = Timing(segment=0.0, flush=-1.0)
    with pytest.raises(OutputError, match=r"steps\.csv: can't be written: No space left"):
        list(execute(plan_experiment("sgd", small_config(epochs=3)), tmp_path, timing=timing))
    text = (tmp_path / "steps.csv").read_text()
    assert text.endswith("\n")
    assert len(text.splitlines()) == 101
