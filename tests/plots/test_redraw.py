"""`gdrun plot` draws the pictures of a saved run again."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import gdrun
from gdrun.cli.saved.plot import _complete_panels
from gdrun.config.parts.groups import Scale
from gdrun.errors import ConfigError
from gdrun.loading import load
from gdrun.plots.figures import compare_figure
from gdrun.storage.run_dir import locked
from tests.command_line import Invoke
from tests.plots.drawn import texts_of
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
    ("run", "panel", "file"),
    [("one", "batch", "loss-batch"), ("one", "train", "loss-train"), ("both", "sgd", "compare-sgd"),
     ("both", "seconds", "compare-seconds"), ("both", "validation", "compare-validation"),
     ("grid", "train", "heatmap-train")],
)  # fmt: skip
def test_plot_draws_one_panel_alone(
    run: str, panel: str, file: str, outputs: Path, invoke: Invoke
) -> None:
    before = set((outputs / run).rglob("*"))
    outcome = invoke("plot", run, "--panel", panel, "--format", "svg")
    assert (outcome.code, outcome.out) == (0, f"outputs/{run}/{file}.svg\n")
    assert set((outputs / run).rglob("*")) - before == {outputs / run / f"{file}.svg"}
    outcome = invoke("plot", run, "--panel", panel, "--output", "here.pdf", "--scale", "slides")
    assert (outcome.code, outcome.out) == (0, "here.pdf\n")
    assert Path("here.pdf").read_bytes().startswith(b"%PDF")


def test_panels_are_named_when_the_name_is_wrong_and_completed(
    outputs: Path, invoke: Invoke
) -> None:
    for run in ("one", "both", "grid"):
        outcome = invoke("plot", run, "--panel", "sdg")
        assert (outcome.code, outcome.out) == (2, "")
        names = outcome.err.split("must be one of ")[1].splitlines()[0].split(", ")
        context = SimpleNamespace(params={"run": run, "output_dir": outputs})
        completed = _complete_panels(context, "")  # type: ignore[arg-type]
        assert set(names) <= set(completed)
        assert all(
            (each, run)
            in {
                ("validation", "grid"),
                ("seconds", "grid"),
                ("updates", "grid"),
                ("samples", "grid"),
            }
            for each in set(completed) - set(names)
        )
    assert "did you mean sgd?" in invoke("plot", "both", "--panel", "sdg").err
    context = SimpleNamespace(params={"run": "no such run", "output_dir": outputs})
    assert _complete_panels(context, "") == []  # type: ignore[arg-type]


def test_slides_have_larger_text_in_a_picture_of_the_same_width(
    outputs: Path, invoke: Invoke
) -> None:
    sizes, shares = [], []
    scales: tuple[Scale, ...] = ("paper", "slides")
    for scale in scales:
        assert invoke("plot", "both", "--scale", scale, "--dpi", "100").code == 0
        header = (outputs / "both/compare.png").read_bytes()[16:24]
        sizes.append(int.from_bytes(header[:4], "big"))
        figure = compare_figure(load(outputs / "both").results, scale=scale)
        smallest = min(float(text.get_fontsize()) for text in texts_of(figure))
        shares.append(smallest / 72 / figure.get_figheight())
    assert sizes[0] == pytest.approx(sizes[1], rel=0.01)
    assert shares[1] > 1.3 * shares[0]


@pytest.mark.parametrize(
    ("args", "code", "part"),
    [
        (["--output", "a.png"], 2, "--output: is for one picture against an axis"),
        (["--panel", "batch", "--x", "epoch"], 2, "each is for one picture"),
        (["--scale", "huge"], 2, "--scale huge: must be one of paper, slides"),
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


def test_panels_and_scales_are_there_in_python(outputs: Path) -> None:
    run = load(outputs / "both")
    (axes,) = gdrun.compare_figure(run, panel="sgd", scale="slides").axes
    assert axes.get_xlabel() == "update"
    odd: list[dict[str, Any]] = [
        {"panel": "sdg"},
        {"panel": ["sgd"]},
        {"scale": "huge"},
        {"scale": []},
    ]
    for wrong in odd:
        with pytest.raises(ConfigError, match="must be one of"):
            gdrun.compare_figure(run, **wrong)
