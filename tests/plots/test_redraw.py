"""`gdrun plot` draws the pictures of a saved run again."""

from pathlib import Path

import pytest

from gdrun.storage.run_dir import locked
from tests.command_line import Invoke


def test_plot_draws_the_pictures_again_but_for_the_fit(outputs: Path, invoke: Invoke) -> None:
    (outputs / "one/fit.png").write_bytes(b"as it was")
    with locked(outputs / "one"):  # as a run that goes on
        outcome = invoke("plot", "one", "--dpi", "40")
    assert (outcome.code, outcome.out) == (0, "outputs/one/loss.png\n")
    assert (outputs / "one/loss.png").read_bytes().startswith(b"\x89PNG")
    assert "not drawn again" in outcome.err
    assert (outputs / "one/fit.png").read_bytes() == b"as it was"


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
        (["--dpi", "1"], 2, "Invalid value"),
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
