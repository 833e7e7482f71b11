"""What happens to a run when the world fails it: nothing that was good is lost, and it says so."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pexpect
import pytest

from gdrun.errors import DataError, OutputError
from gdrun.experiment.checkpoint import last_checkpoint
from gdrun.experiment.execute import execute, take_up
from gdrun.experiment.plan import prepare
from gdrun.results.file_names import CHECKPOINT, PREVIOUS_CHECKPOINT
from gdrun.results.run import SCHEMA_VERSION
from gdrun.storage.lock import is_locked
from gdrun.storage.manifest import current_status, read_manifest
from tests.conftest import Invoke, slow, small_config
from tests.experiment.test_resume import NO_PICTURES, damage, logs, run

GDRUN = [sys.executable, "-m", "gdrun"]


def contents(place: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


# ----------------------------------------------------------------------------------- a full disk


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
    assert "to go on: gdrun sgd --resume outputs/a" in done.stderr
    assert "Traceback" not in done.stderr
    place = tmp_path / "outputs" / "a"
    steps = (place / "steps.csv").read_text()
    assert 50_000 < len(steps) <= 100_000
    assert steps.endswith("\n")
    assert read_manifest(place)["status"] == "failed"  # run.json is small enough
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
    monkeypatch.setattr("gdrun.training.backend.SEGMENT_SECONDS", 0.0)
    monkeypatch.setattr("gdrun.storage.run_log.FLUSH_SECONDS", -1.0)
    written = os.write

    def full(descriptor: int, data: Any) -> int:
        if b"sgd,1,0.2,0,2," in bytes(data):  # half goes through, as on a disk that fills up
            written(descriptor, bytes(data)[: len(data) // 2])
            raise OSError(28, "No space left on device")
        return written(descriptor, data)

    monkeypatch.setattr("gdrun.storage.row_file.os.write", full)
    with pytest.raises(OutputError, match=r"steps\.csv: can't be written: No space left"):
        list(execute(prepare("sgd", small_config(epochs=3)), tmp_path))
    text = (tmp_path / "steps.csv").read_text()
    assert text.endswith("\n")
    assert len(text.splitlines()) == 101


# ------------------------------------------------------------------- directories that go or refuse


def test_a_run_whose_directory_is_removed_stops_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gdrun.storage.run_log.FLUSH_SECONDS", -1.0)
    place = tmp_path / "a"
    place.mkdir()
    events = execute(prepare("full", small_config(epochs=1000)), place)
    for _ in range(20):
        next(events)
    shutil.rmtree(place)
    with pytest.raises(OutputError, match=r"\.csv: can't be written: was removed while"):
        next(events)
    assert not place.exists()


def test_a_run_whose_directory_is_moved_away_says_so_at_its_end(tmp_path: Path) -> None:
    place = tmp_path / "a"
    place.mkdir()
    events = execute(prepare("full", small_config(epochs=30)), place)
    next(events)
    place.rename(tmp_path / "b")
    with pytest.raises(OutputError, match="No such file or directory"):
        list(events)
    assert not place.exists()
    assert read_manifest(tmp_path / "b")["status"] == "running"


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


# ------------------------------------------------------------------------ files that were changed


def test_a_run_of_a_newer_version_is_refused(invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "2", "--name", "a", *NO_PICTURES)
    path = Path("outputs/a/run.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema": SCHEMA_VERSION + 1}))
    before = contents(Path("outputs"))
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "5")
    assert outcome.code == 2
    assert "run.json: is of a newer gdrun" in outcome.err
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
    found, complaints = last_checkpoint(tmp_path)
    assert found
    assert complaints == [f"{tmp_path / CHECKPOINT}: is missing"]
    run("full", config, tmp_path)
    run("full", config, tmp_path.with_name("whole"))
    assert logs(tmp_path) == logs(tmp_path.with_name("whole"))


# ------------------------------------------------------------------------------------------- links


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
        patched.setattr("gdrun.experiment.checkpoint.VERSION", 3)
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
    assert "is a checkpoint of version 3, this gdrun reads 2" in outcome.err
    assert contents(Path("outputs")) == before


@pytest.mark.parametrize("name", ["epochs.csv", "checkpoint.pt", "config.yaml", "run.json"])
def test_a_pipe_in_the_place_of_a_file_does_not_hang(name: str, invoke: Invoke) -> None:
    invoke("sgd", "--epochs", "2", "--name", "a", *NO_PICTURES)
    path = Path("outputs/a", name)
    path.unlink()
    os.mkfifo(path)
    outcome = invoke("sgd", "--resume", "outputs/a", "--epochs", "3", *NO_PICTURES)
    assert outcome.code in (1, 2)
    assert name in outcome.err


# ------------------------------------------------------------------------------- readers that leave


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("compare --epochs 3 --name a --json --set plot.enabled=false", 0),
        slow("compare --epochs 3 --name a --set plot.enabled=false", 0),
        slow("sgd --epochs 3 --name a -q --set plot.enabled=false", 0),
        ("sgd --epochs 3 --name a --set plot.enabled=false --lr 1e6", 3),
        slow("sgd -n", 0),
        ("sgd -n --json", 0),
        ("--version", 0),
        ("init", 0),
    ],
)
def test_a_reader_that_leaves_early_changes_nothing(
    command: str, code: int, tmp_path: Path
) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*GDRUN, *command.split()], cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.returncode == code
    assert "rror" not in done.stderr
    if "--name" in command:
        assert read_manifest(tmp_path / "outputs/a")["status"] in ("done", "diverged")


@pytest.mark.slow
def test_a_reader_of_everything_that_leaves_early_changes_nothing(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*GDRUN, "compare", "--epochs", "3", "--name", "a"],
        cwd=tmp_path,
        stdout=write,
        stderr=write,
    )
    os.close(write)
    assert done.returncode == 0
    assert read_manifest(tmp_path / "outputs/a")["status"] == "done"
    assert (tmp_path / "outputs/a/compare.png").exists()


@pytest.mark.parametrize(
    ("redirection", "code"),
    [
        slow(">&-", 0),
        slow("2>&-", 0),
        (">&- 2>&-", 0),
        slow("2>/dev/full", 0),
        (">/dev/full", 1),
        ("--epochs 0 2>&-", 2),
        slow("-q >&-", 0),
        slow("-n >&-", 0),
    ],
)
def test_streams_that_are_closed_or_full(redirection: str, code: int, tmp_path: Path) -> None:
    command = "full --epochs 2 --name a --set plot.enabled=false"
    done = subprocess.run(
        f"{' '.join(GDRUN)} {command} {redirection}",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert "defect" not in done.stderr
    if code != 2 and "-n" not in redirection:
        assert read_manifest(tmp_path / "outputs/a")["status"] == "done"


def _hear_of_terminals() -> None:
    """Even if nohup runs the tests."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_terminal_that_is_closed_loses_nothing(tmp_path: Path) -> None:
    config = ("sgd", "--epochs", "1000000", "--name", "a", *NO_PICTURES)
    child = pexpect.spawn(
        GDRUN[0],
        [*GDRUN[1:], *config],
        cwd=str(tmp_path),
        timeout=60,
        preexec_fn=_hear_of_terminals,
    )
    place = tmp_path / "outputs" / "a"
    deadline = time.monotonic() + 60
    while not (place / "steps.csv").exists() or (place / "steps.csv").stat().st_size < 100_000:
        assert time.monotonic() < deadline
        time.sleep(0.05)
        with suppress(pexpect.TIMEOUT):
            child.read_nonblocking(100_000, timeout=0)
    os.close(child.fileno())  # the window is gone: SIGHUP, and nobody to write to
    while is_locked(place):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert read_manifest(place)["status"] == "interrupted"
    found, complaints = last_checkpoint(place)
    assert found
    assert not complaints
    assert found.marks["steps.csv"].size == (place / "steps.csv").stat().st_size > 100_000


@pytest.mark.parametrize("args", ["--help", "compare -h", ""])
def test_help_that_nobody_reads_to_the_end_is_quiet(args: str, tmp_path: Path) -> None:
    done = subprocess.run(
        f"{' '.join(GDRUN)} {args} | head -n 1",
        shell=True,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""


def test_damage_is_told_apart(tmp_path: Path) -> None:
    run("full", small_config(), tmp_path)
    damage(tmp_path / CHECKPOINT, "bit flipped")
    with pytest.raises(DataError, match="no good checkpoint is left"):
        take_up(prepare("full", small_config()), tmp_path)
