"""A loss of the user's may be negative: it is logged, read, resumed, compared and drawn as others.

The loss here is the squared error less a number, so that all else is known from the squared error.
"""

from pathlib import Path

import pytest

import gdrun
from tests.command_line import Invoke
from tests.run_files import logs

LESS = 5.0
LOSS = f"def less(outputs, targets): return (targets - outputs).square().sum(1) - {LESS}\n"
SHORT = ("-c", "diabetes", "--seeds", "2", "--loss", "net.py:less", "--set", "plot.enabled=false")


@pytest.fixture(autouse=True)
def loss_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(LOSS)


@pytest.mark.parametrize("engine", ["eager", "compiled"])
def test_a_run_is_read_and_resumed(engine: str, invoke: Invoke) -> None:
    args = (*SHORT, "--set", f"engine={engine}")
    for name, epochs in (("short", "2"), ("long", "4")):
        assert invoke("minibatch", *args, "--name", name, "--epochs", epochs).code == 0
    done = invoke("minibatch", "--resume", "short", "--epochs", "4")
    assert done.code == 0, done.err
    assert logs(Path("outputs/short")) == logs(Path("outputs/long"))
    losses = gdrun.load("long").epochs["train_loss"]
    plain = gdrun.train("minibatch", "diabetes", seeds=2, epochs=4).epochs["train_loss"]
    assert losses == pytest.approx([float(loss) - LESS for loss in plain], abs=1e-4)


def test_the_target_is_a_tenth_above_the_lowest(invoke: Invoke) -> None:
    out = invoke("compare", *SHORT, "--epochs", "10", "--name", "three").out
    results = gdrun.load("three").results
    found = gdrun.compare_results(results)
    lowest = min(row.train_loss for row in found.rows if row.train_loss is not None)
    assert lowest < -4
    assert found.target == pytest.approx(0.9 * lowest)
    assert f"within 10 % of the best final loss {lowest:.3g}" in out
    assert min(row.updates_to_target or 0 for row in found.rows) > 0


def test_curves_and_grids_are_shown_on_linear_axes(invoke: Invoke) -> None:
    invoke("compare", *SHORT, "--epochs", "3", "--name", "three")
    figure = gdrun.compare_figure(gdrun.load("three"))
    axes = [each for each in figure.axes if each.get_lines()]
    assert {each.get_yscale() for each in axes} == {"linear"}
    assert all(len(each.get_yticks()) > 2 for each in axes)
    chart = invoke("show", "three").out.partition("train loss\n")[2]
    assert "-4" in chart.partition("epoch")[0]
    swept = gdrun.sweep("diabetes", loss="net.py:less", epochs=3, lr=[0.01, 0.05], seeds=2)
    (image, *_) = [each.images[0] for each in gdrun.heatmap_figure(swept).axes if each.images]
    assert not getattr(image.get_array(), "mask").any()  # noqa: B009
    assert swept.target is not None
    assert swept.best is not None
    assert swept.target == pytest.approx(0.9 * swept.best.train_loss)
    assert "a tenth above the lowest" in swept.advice
