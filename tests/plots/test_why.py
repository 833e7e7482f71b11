"""The picture of probes: what is drawn, and what it is compared with."""

from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

from gdrun.plots.why import GREY, why_figure, why_panels
from gdrun.results.run import RunResult
from tests.command_line import Invoke
from tests.probed_results import EPOCHS, ROWS, probed


def three() -> list[RunResult]:
    return [
        probed("full", ROWS, scale=(5, 10, 20, 40, 80)),
        probed("sgd", 1, lr=0.05, scale=30.0),
        probed("minibatch", 16, scale=20.0),
    ]


def dashed(axes: mpl.axes.Axes) -> list[mpl.lines.Line2D]:
    return [line for line in axes.get_lines() if line.get_linestyle() == "--"]


def curves(axes: mpl.axes.Axes) -> list[mpl.lines.Line2D]:
    return [line for line in axes.get_lines() if line.get_linestyle() == "-"]


def test_each_probe_has_a_panel_with_medians_and_what_bounds_them() -> None:
    figure = why_figure(three())
    sharpness, noise, gradient = figure.axes
    assert [axes.get_ylabel() for axes in figure.axes] == ["largest eigenvalue", "rows", "norm"]
    full = curves(noise)[0]
    assert list(np.asarray(full.get_xdata())) == list(EPOCHS)
    assert list(np.asarray(full.get_ydata())) == [5, 10, 20, 40, 80]
    sizes = sorted(float(np.asarray(line.get_ydata())[0]) for line in dashed(noise))
    assert sizes == [1, 16, ROWS]
    limits = {float(np.asarray(line.get_ydata())[0]): line for line in dashed(sharpness)}
    assert limits.keys() == {20.0, 40.0}
    # Two runs have the same one, which is then of neither's colour.
    assert limits[20.0].get_color() == GREY
    assert limits[40.0].get_color() != GREY
    assert len(dashed(gradient)) == 2  # all rows have none
    texts = {text.get_text() for axes in figure.axes for text in axes.texts}
    assert {"stable up to 20", "stable up to 40", "B = 1", "B = 16", "noise"} <= texts


def test_all_rows_have_a_noise_of_zero_which_a_logarithmic_axis_does_not_show() -> None:
    _, _, gradient = why_figure([probed("full", ROWS)]).axes
    assert not dashed(gradient)


def test_labels_of_lines_that_are_close_do_not_overlap() -> None:
    runs = [probed(f"batch-{size}", size) for size in (100, 101, 102)]
    _, noise, _ = why_figure(runs).axes
    assert len(noise.texts) == 1


@pytest.mark.parametrize(
    ("settings", "panels"),
    [
        ({}, ["sharpness", "noise", "gradient"]),
        ({"ratio": None}, ["noise", "gradient"]),
        ({"scale": None}, ["sharpness"]),
    ],
)
def test_there_is_a_panel_for_each_probe_that_there_was(
    settings: dict[str, None], panels: list[str]
) -> None:
    result = probed(**settings)  # type: ignore[arg-type]
    assert why_panels([result]) == panels
    assert len(why_figure([result]).axes) == len(panels)
    (axes,) = why_figure([result], panel=panels[0], scale="slides").axes
    assert curves(axes)


def test_adaptive_optimizers_show_the_divided_hessian() -> None:
    sharpness = why_figure([probed(adaptive=True)]).axes[0]
    assert "preconditioned" in sharpness.get_title(loc="left")


def test_lanes_that_ended_early_and_unknown_numbers_leave_gaps() -> None:
    result = probed(scale=(10, float("nan"), 10, 10, 10), seeds=(1.0, 1.0, 1.0))
    shorter = result.histories[0]
    for column in shorter.probes.values():
        del column[3:]
    _, noise, _ = why_figure([result]).axes
    drawn = np.asarray(curves(noise)[0].get_ydata(), dtype=float)
    assert np.isnan(drawn[1])
    assert drawn[0] == 10


def test_without_probes_there_is_nothing_to_draw() -> None:
    unprobed = probed(ratio=None, scale=None)
    with pytest.raises(ValueError, match="none of the runs was probed"):
        why_figure([unprobed])
    with pytest.raises(ValueError, match="panel must be one of sharpness, noise, gradient"):
        why_figure([probed()], panel="loss")
    mixed = [unprobed, replace(probed(), series=replace(probed().series, name="other"))]
    assert len(why_figure(mixed).axes) == 3


def test_plot_draws_a_panel_of_it(invoke: Invoke) -> None:
    invoke("full", "--probes", "noise", "--epochs", "3", "--name", "a", "--set", "plot.dpi=40")
    assert Path("outputs/a/why.png").exists()
    assert invoke("plot", "a", "--panel", "noise").code == 0
    assert Path("outputs/a/why-noise.png").exists()
    assert "must be one of batch, train, noise" in invoke("plot", "a", "--panel", "x").err
    assert invoke("rm", "a", "--yes").code == 0
    assert not Path("outputs/a").exists()
