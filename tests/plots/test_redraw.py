"""`gdrun plot` draws the pictures of a saved run again."""

from pathlib import Path

import pytest

from gdrun.storage.run_dir import locked
from tests.command_line import Invoke
from tests.run_files import damage


def test_plot_draws_the_pictures_again(outputs: Path, invoke: Invoke) -> None:
    with locked(outputs / "one"):  # as a run that goes on
        outcome = invoke("plot", "one", "--dpi", "40")
    assert (outcome.code, outcome.out) == (0, "outputs/one/loss.png\noutputs/one/fit.png\n")
    for name in ("loss", "fit"):
        assert (outputs / f"one/{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("command", ["compare", "sgd", "sweep"])
def test_a_fit_is_drawn_again_as_it_was(command: str, invoke: Invoke) -> None:
    given = ("--epochs", "3", "--lr", "0.1,1e9", "--seeds", "2", "--set", "plot.dpi=40")
    invoke(command, *given, "--set", "data.val_fraction=0.2", "--name", "a")
    fits = {path: path.read_bytes() for path in Path("outputs/a").rglob("fit.png")}
    assert fits
    for path in fits:
        path.unlink()
    outcome = invoke("plot", "a")
    assert outcome.code == 0
    assert outcome.err == ""
    for path, content in fits.items():
        assert path.read_bytes() == content
        assert f"{path}\n" in outcome.out


@pytest.mark.parametrize("how", ["no checkpoint", "damaged", "other data"])
def test_a_fit_that_cannot_be_had_is_left_as_it_is(how: str, invoke: Invoke) -> None:
    Path("a.csv").write_text("x,y\n1,2\n2,3\n3,5\n4,4\n")
    given = ("--data", "a.csv", "--target", "y", "--batch-size", "2", "--epochs", "2")
    assert invoke("minibatch", *given, "--name", "a", "--set", "plot.dpi=40").code == 0
    before = Path("outputs/a/fit.png").read_bytes()
    if how == "other data":
        Path("a.csv").write_text("x,y\n1,2\n2,3\n3,5\n4,9\n")
    for path in Path("outputs/a").glob("checkpoint*"):
        if how == "no checkpoint":
            path.unlink()
        elif how == "damaged":
            damage(path, "cut short")
    outcome = invoke("plot", "a")
    assert (outcome.code, outcome.out) == (0, "outputs/a/loss.png\n")
    assert "note: the fit is not drawn again: " in outcome.err
    assert Path("outputs/a/fit.png").read_bytes() == before


PLOTTED = (("--format", "pdf"), ("--x", "updates"), ("--x", "epoch", "--format", "svg"))


@pytest.mark.parametrize("command", ["compare", "sgd", "sweep"])
def test_pictures_that_no_longer_fit_are_redrawn_or_removed(command: str, invoke: Invoke) -> None:
    given = ("--epochs", "2", "--lr", "0.1,0.2", "--set", "plot.dpi=40", "--name", "a")
    invoke(command, *given)
    for plotted in PLOTTED:
        assert invoke("plot", "a", *plotted).code == 0
    Path("outputs/a/mine.png").touch()
    ended = [path for path in Path("outputs/a").rglob("*") if path.suffix in (".pdf", ".svg")]
    assert len(ended) > 2
    invoke(command, "--resume", "a")  # of which nothing is left to train
    if command != "sweep":
        assert all(path.exists() for path in ended)
    pictures = {path: path.read_bytes() for path in Path("outputs/a").rglob("*.png")}
    outcome = invoke(command, "--resume", "a", "--epochs", "4")
    assert outcome.code == 0
    assert not any(path.exists() for path in ended)
    if command != "sweep":
        for path in [*ended, Path("outputs/a/train-updates.png")]:
            assert f"note: {path} was removed" in outcome.err
    for path in Path("outputs/a").rglob("*.png"):
        assert path.name == "mine.png" or path.read_bytes() != pictures[path]
    assert Path("outputs/a/mine.png").exists()


def test_plot_draws_one_picture_against_an_axis(outputs: Path, invoke: Invoke) -> None:
    outcome = invoke("plot", "grid", "--x", "samples", "--format", "svg")
    assert (outcome.code, outcome.out) == (0, "outputs/grid/train-samples.svg\n")
    assert "samples seen" in (outputs / "grid/train-samples.svg").read_text()
    outcome = invoke("plot", "one", "--x", "seconds", "--linear-x", "--output", "here.pdf")
    assert (outcome.code, outcome.out) == (0, "here.pdf\n")
    assert Path("here.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("args", "code", "part"),
    [
        (["--output", "a.png"], 2, "--output: is for one picture against an axis"),
        (["--log-x"], 2, "is for one picture"),
        (["--x", "epoch", "--output", "a.gif"], 2, "ends in .png or .svg or .pdf"),
        (["--x", "epoch", "--output", "a.png", "--format", "svg"], 2, "ends in .svg"),
        (["--x", "epoch", "--output", "no/a.png"], 1, "no/a.png: can't be written: No such file"),
        (["--x", "speed"], 2, "--x speed: must be one of epoch, upd"),
        (["--dpi", "1"], 2, "error: --dpi: "),
    ],
)
def test_plot_says_what_is_wrong(
    args: list[str], code: int, part: str, outputs: Path, invoke: Invoke
) -> None:
    outcome = invoke("plot", "one", *args)
    assert (outcome.code, outcome.out) == (code, "")
    assert part in outcome.err
    (outputs / "one/loss.png").mkdir()
    assert invoke("plot", "one").code == 1
