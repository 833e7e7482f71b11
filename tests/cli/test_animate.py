"""`gdrun animate RUN` makes a film of a saved run."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gdrun.plots.animation.scene import Scene
from gdrun.results.file_names import is_own
from gdrun.storage.run_dir import locked
from tests.command_line import GDRUN, Invoke
from tests.run_files import edit, log_another_loss

MOST_BYTES = 3_000_000


def frames_of(path: Path) -> tuple[int, float]:
    """The number of frames of a film, and how many seconds it takes."""
    with Image.open(path) as film:
        assert film.format == "GIF"
        number, total = film.n_frames, 0  # type: ignore[attr-defined]
        for k in range(number):
            film.seek(k)
            total += film.info["duration"]
    return number, total / 1000


@pytest.mark.parametrize(
    ("run", "frames"), [("one", 4), ("both", 4), ("both/sgd", 4), ("grid", 4), ("worst", 2)]
)
def test_films_have_a_frame_an_epoch_and_the_time_that_is_asked_for(
    run: str, frames: int, outputs: Path, invoke: Invoke
) -> None:
    with locked(outputs / run.partition("/")[0]):  # as a run that goes on
        outcome = invoke("animate", run, "--seconds", "2")
    path = outputs / run / "animation.gif"
    assert (outcome.code, outcome.out) == (0, f"outputs/{run}/animation.gif\n")
    assert frames_of(path)[0] == frames
    assert frames_of(path)[1] == pytest.approx(2.0)
    assert path.stat().st_size < MOST_BYTES
    assert "warning" not in outcome.err
    assert not list(outputs.rglob("*.partial"))


@pytest.mark.slow
def test_a_long_run_has_150_frames_and_is_small(invoke: Invoke) -> None:
    given = ("--set", "plot.enabled=false", "--set", "data.rows=20")
    invoke("full", "--epochs", "400", "--name", "a", *given)
    outcome = invoke("animate", "a", "-q", "--json")
    made = json.loads(outcome.out)
    assert outcome.err == ""
    path = Path(made["path"])
    number, seconds = frames_of(path)
    assert 140 <= number <= 150
    assert made == {
        "schema": 1,
        "path": "outputs/a/animation.gif",
        "frames": number,
        "seconds": 10.0,
        "bytes": path.stat().st_size,
    }
    assert seconds == pytest.approx(10.0)
    assert path.stat().st_size < MOST_BYTES


def test_several_features_show_the_losses_alone_and_train_nothing(
    invoke: Invoke,
) -> None:
    Path("a.csv").write_text("a,b,y\n1,5,2\n2,4,3\n3,9,5\n4,1,4\n")
    given = ("--data", "a.csv", "--target", "y", "--batch-size", "2", "--epochs", "4")
    invoke("minibatch", *given, "--name", "a")
    Path("a.csv").unlink()
    outcome = invoke("animate", "a")
    assert (outcome.code, outcome.out) == (0, "outputs/a/animation.gif\n")
    assert "note: without a fit, as there is none to show of 2 features" in outcome.err
    assert "again" not in outcome.err
    assert frames_of(Path("outputs/a/animation.gif"))[0] == 5


def test_changed_data_is_refused_and_the_earlier_film_kept(invoke: Invoke) -> None:
    Path("a.csv").write_text("x,y\n1,2\n2,3\n3,5\n4,4\n")
    given = ("--data", "a.csv", "--target", "y", "--batch-size", "2", "--epochs", "2")
    invoke("minibatch", *given, "--name", "a")
    film = Path("outputs/a/animation.gif")
    film.write_bytes(b"earlier")
    Path("a.csv").write_text("x,y\n1,2\n2,3\n3,5\n4,9\n")
    outcome = invoke("animate", "a")
    assert (outcome.code, outcome.out) == (2, "")
    assert "the data is not what the run was begun with" in outcome.err
    assert film.read_bytes() == b"earlier"
    Path("a.csv").write_text("x,y\n1,2\n2,3\n3,5\n4,4\n")
    assert invoke("animate", "a").code == 0
    assert frames_of(film)[0] == 3


def test_a_film_that_is_a_link_is_replaced_and_not_followed(
    outputs: Path, invoke: Invoke, tmp_path: Path
) -> None:
    other = tmp_path / "precious"
    other.write_text("mine")
    film = outputs / "one" / "animation.gif"
    film.symlink_to(other)
    assert invoke("animate", "one").code == 0
    assert other.read_text() == "mine"
    assert not film.is_symlink()
    assert frames_of(film)[0] == 4


def test_an_interrupted_run_is_animated_as_far_as_its_log_goes(
    outputs: Path, invoke: Invoke
) -> None:
    place = outputs / "one"
    lines = (place / "epochs.csv").read_text().splitlines(keepends=True)
    (place / "epochs.csv").write_text("".join(lines[:3]))  # epochs 0 and 1
    edit(place, status="running", lanes=[])
    outcome = invoke("animate", "one")
    assert outcome.code == 0
    assert frames_of(place / "animation.gif")[0] == 2
    assert "differ" not in outcome.err


def test_losses_that_differ_from_the_log_are_said(outputs: Path, invoke: Invoke) -> None:
    log_another_loss(outputs / "one")
    outcome = invoke("animate", "one")
    assert outcome.code == 0
    assert "its train losses differ by up to 20 % from those in its log" in outcome.err


def test_a_comparison_of_saved_runs_is_animated_and_one_of_two_problems_without_fits(
    outputs: Path, invoke: Invoke
) -> None:
    invoke("compare", "both/sgd", "both/full", "--name", "same")
    outcome = invoke("animate", "same")
    assert (outcome.code, outcome.out) == (0, "outputs/same/animation.gif\n")
    assert "training" in outcome.err
    invoke("compare", "both", "one", "--force", "--name", "mixed")
    outcome = invoke("animate", "mixed")
    assert outcome.code == 0
    assert "note: without fits, as the runs are of different problems" in outcome.err
    assert frames_of(outputs / "mixed" / "animation.gif")[0] == 4


def test_films_are_removed_with_their_run_and_when_they_no_longer_fit(invoke: Invoke) -> None:
    given = ("--set", "plot.enabled=false", "--name", "a")
    invoke("sgd", "--epochs", "2", *given)
    assert invoke("animate", "a").code == 0
    outcome = invoke("sgd", "--resume", "a", "--epochs", "3")
    assert "animation.gif was removed, since it no longer fits the run" in outcome.err
    assert invoke("animate", "a").code == 0
    Path("outputs/a/animation.mp4.partial").touch()
    assert invoke("rm", "a", "--yes").code == 0
    assert not Path("outputs/a").exists()
    assert is_own("animation.mp4")
    assert not is_own("animation.png")


def fake_ffmpeg(place: Path, script: str) -> None:
    program = place / "ffmpeg"
    program.write_text(f"#!{sys.executable}\nimport sys\n{script}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.skipif(os.name == "nt", reason="programs have other names there")
@pytest.mark.parametrize("args", [("--format", "mp4"), ("--output", "b.mp4")])
def test_ffmpeg_is_given_every_frame(
    args: tuple[str, ...],
    outputs: Path,
    invoke: Invoke,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    place = tmp_path / "bin"
    place.mkdir()
    monkeypatch.setenv("PATH", str(place))
    assert outputs.exists()
    outcome = invoke("animate", "one", *args)
    assert (outcome.code, outcome.out) == (2, "")
    assert "needs the program ffmpeg, which isn't there" in outcome.err
    assert "apt install ffmpeg" in outcome.err
    fake_ffmpeg(
        place,
        "size = len(sys.stdin.buffer.read())\n"
        "open(sys.argv[-1], 'w').write(f'{size} ' + ' '.join(sys.argv))",
    )
    outcome = invoke("animate", "one", *args, "--seconds", "2")
    path = Path(args[1] if "." in args[1] else "outputs/one/animation.mp4")
    assert (outcome.code, outcome.out) == (0, f"{path}\n")
    size, *said = path.read_text().split()
    assert int(size) == 2 * 25 * 960 * 540 * 3  # two seconds of frames, uncompressed
    assert {"960x540", "yuv420p", "mp4"} <= set(said)


@pytest.mark.skipif(os.name == "nt", reason="programs have other names there")
def test_a_failure_of_ffmpeg_is_said_and_leaves_nothing(
    outputs: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    fake_ffmpeg(tmp_path / "bin", "sys.exit('no such codec')")
    outcome = invoke("animate", "one", "--format", "mp4")
    assert (outcome.code, outcome.out) == (1, "")
    assert "ffmpeg failed: no such codec" in outcome.err
    assert not list(outputs.rglob("animation*"))


def test_ctrl_c_leaves_nothing(
    outputs: Path, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = Scene.frame

    def interrupted(scene: Scene, number: int) -> object:
        if number == 2:
            signal.raise_signal(signal.SIGINT)
        return frame(scene, number)

    monkeypatch.setattr(Scene, "frame", interrupted)
    outcome = invoke("animate", "one")
    assert (outcome.code, outcome.out) == (130, "")
    assert not list(outputs.rglob("animation*"))


@pytest.mark.parametrize(
    ("args", "code", "part"),
    [
        (["--output", "a.png"], 2, "expected the name of a file that ends in .gif or .mp4"),
        (["--output", "a.mp4", "--format", "gif"], 2, "ends in .gif"),
        (["--output", "no/a.gif"], 1, "no/a.gif: can't be written: No such file"),
        (["--output", "outputs.gif"], 1, "outputs.gif: can't be written: Is a directory"),
        (["--format", "avi"], 2, "--format avi: must be one of gif, mp4"),
        (["--x", "speed"], 2, "--x speed: must be one of epoch, updates"),
        (["--seconds", "0"], 2, "--seconds: "),
        (["--seconds", "nan"], 2, "--seconds"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(
    args: list[str], code: int, part: str, outputs: Path, invoke: Invoke
) -> None:
    Path("outputs.gif").mkdir()
    outcome = invoke("animate", "one", *args)
    assert (outcome.code, outcome.out) == (code, "")
    assert part in outcome.err
    assert "training" not in outcome.err
    assert not list(outputs.rglob("animation*"))


def test_a_run_without_a_row_has_nothing_to_show(outputs: Path, invoke: Invoke) -> None:
    place = outputs / "one"
    header = (place / "epochs.csv").read_text().splitlines(keepends=True)[:1]
    (place / "epochs.csv").write_text("".join(header))
    edit(place, status="running", lanes=[])
    outcome = invoke("animate", "one")
    assert outcome.code == 2
    assert "has logged no row yet" in outcome.err


@pytest.mark.usefixtures("outputs")
@pytest.mark.slow
def test_it_needs_no_display() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    environment |= {"MPLBACKEND": "TkAgg", "COLUMNS": "80"}
    done = subprocess.run(
        [*GDRUN, "animate", "one", "--output", "b.gif"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "b.gif\n"
    assert "training sgd again …\n" in done.stderr
    assert frames_of(Path("b.gif"))[0] == 4
