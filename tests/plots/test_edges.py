"""Where curves end: × where training diverges, ▲ where they leave the frame."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation

from gdrun.api import compare, train
from gdrun.plots.figures import compare_figure, curves_figure, loss_figure
from gdrun.plots.fits.figure import fit_figure
from gdrun.plots.scales import CROSS, PEAK
from gdrun.results.axes import COSTS
from gdrun.results.run import RunResult
from gdrun.text import number
from tests.marks import slow
from tests.plots.drawn import beyond, collisions, texts_of


def places(axes: Axes, gid: str) -> list[float]:
    """Where the marks of a kind are on the x axis; all are at the upper edge."""
    marks = [line for line in axes.get_lines() if line.get_gid() == gid]
    for line in marks:
        assert list(np.asarray(line.get_ydata())) == [1.0]
        assert line.get_transform() == axes.get_xaxis_transform()
    return sorted(float(np.asarray(line.get_xdata())[0]) for line in marks)


def labels(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts if isinstance(text, Annotation)]


def first_not_finite(result: RunResult, lane: int) -> int:
    steps = result.histories[lane].steps
    losses = np.asarray(steps["loss"])
    return int(steps["update"][int(np.flatnonzero(~np.isfinite(losses))[0])])


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_size": 16, "drop_last": False},
        {"batch_size": 16, "drop_last": True},
        {"eval_every": 7},
    ],
    ids=str,
)
def test_a_cross_is_at_the_true_update_on_every_axis(settings: dict[str, Any]) -> None:
    result = train(
        "minibatch" if "batch_size" in settings else "sgd", epochs=30, lr=[0.05, 1.5], **settings
    )
    update = first_not_finite(result, 1)
    size = result.series.batch_size
    per_epoch = 100 // size if settings.get("drop_last") else math.ceil(100 / size)
    whole, rest = divmod(update, per_epoch)
    rows = per_epoch * size if settings.get("drop_last") else 100
    table = result.histories[1].epochs
    ends = dict(zip(table["updates"], table["seconds"], strict=True))
    begun, ended = (ends[per_epoch * (whole + k)] for k in (0, 1)) if rest else (None, None)
    for cost in COSTS:
        (at,) = places(curves_figure(result, cost).axes[0], CROSS)
        if cost == "updates":
            assert at == update
        elif cost == "epoch":
            assert at == pytest.approx(update / per_epoch)
        elif cost == "samples":
            assert at == whole * rows + min(rest * size, rows)
        elif begun is not None and ended is not None:
            assert at == pytest.approx(begun + (ended - begun) * rest / per_epoch)
    (at,) = places(loss_figure(result).axes[0], CROSS)
    assert at == update
    assert labels(loss_figure(result).axes[1])[-1] == "lr 1.5"


def test_several_seeds_diverge_where_their_median_does() -> None:
    result = train("sgd", epochs=20, lr=1.5, seeds=5, sampling="reshuffle")
    updates = sorted(first_not_finite(result, lane) for lane in range(5))
    (at,) = places(curves_figure(result, "updates").axes[0], CROSS)
    assert at == updates[2]


def test_a_curve_that_explodes_without_diverging_has_no_cross_but_its_peak() -> None:
    result = train("full", epochs=60, lr=[0.1, 1.2])
    assert all(lane.diverged_at is None for lane in result.lanes)
    figure = loss_figure(result)
    for axes, table, loss in zip(
        figure.axes, ("steps", "epochs"), ("loss", "train_loss"), strict=True
    ):
        assert places(axes, CROSS) == []
        values = np.asarray(getattr(result.histories[1], table)[loss])
        assert f"peak {number(values.max())}" in labels(axes)
        (at,) = places(axes, PEAK)
        top = axes.get_ylim()[1]
        assert top <= 10 * result.histories[0].epochs["train_loss"][0]
        exceeds = int(np.flatnonzero(values > top)[0])
        x = np.asarray(
            getattr(result.histories[1], table)["update" if table == "steps" else "epoch"]
        )
        assert x[exceeds - 1] < at < x[exceeds]
        drawn = [line for line in axes.get_lines() if len(np.asarray(line.get_xdata())) > 1]
        assert max(np.nanmax(np.asarray(line.get_ydata())) for line in drawn) == values.max()
        assert all(line.get_clip_on() for line in drawn)
    assert "×" not in "".join(text.get_text() for text in figure.texts)


def test_curves_within_the_frame_have_no_marks() -> None:
    figure = compare_figure(compare(epochs=5))
    for axes in figure.axes:
        assert places(axes, CROSS) == places(axes, PEAK) == []


def test_one_exploding_lane_leaves_the_others_their_height() -> None:
    """They have at least a third of the panel, whatever another lane does."""
    calm, wild = (compare(epochs=30, lr=[0.1, lr]) for lr in (0.2, 5.0))
    for k in range(7):
        before, now = (compare_figure(results).axes[k].get_ylim() for results in (calm, wild))
        share = math.log(before[1] / before[0]) / math.log(now[1] / now[0])
        assert share > 1 / 3


def test_some_seeds_that_diverge_are_said_and_not_marked() -> None:
    result = train("minibatch", epochs=20, lr=1.2, seeds=9, sampling="reshuffle")
    diverged = sum(lane.diverged_at is not None for lane in result.lanes)
    assert 0 < diverged < 5
    figure = loss_figure(result)
    assert places(figure.axes[0], CROSS) == []
    words = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert f"besides, there diverged {diverged} of 9 seeds at lr 1.2" in words


def test_a_fit_has_no_cross() -> None:
    figure = fit_figure(compare(lr=[0.1, 5.0], epochs=20))
    assert {line.get_marker() for line in figure.axes[0].get_lines()} <= {"None", "o"}
    words = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "not drawn, as it diverged: lr 5 of " in words


@pytest.mark.parametrize("scale", ["paper", "slides"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"lr": [0.05, 0.2, 1.5, 5.0], "seeds": 3}, {"lr": [0.2, 1.2], "epochs": 60},
     {"config": "diabetes", "lr": [0.01, 0.3]}, {"epochs": 100}, {"lr": 1e6},
     slow({"epochs": 3_000, "eval_every": 100, "log_every": 25})],
    ids=str,
)  # fmt: skip
def test_no_text_covers_another_or_leaves_the_picture(settings: dict[str, Any], scale: Any) -> None:
    results = compare(**{"epochs": 30, **settings})
    for figure in (compare_figure(results, scale=scale), loss_figure(results[1], scale=scale)):
        check_texts(figure)


@pytest.mark.parametrize("scale", ["paper", "slides"])
def test_nor_does_it_with_other_numbers_of_panels(scale: Any) -> None:
    results = compare("diabetes", epochs=10, lr=[0.01, 0.3])
    long = replace(results[2].series, name="a run with a name of its own, a long one")
    four = [*results, replace(results[2], series=long)]
    for shown in (four, four[:2], four[:1], [*four, *four]):
        check_texts(compare_figure(shown, scale=scale))
    check_texts(compare_figure(results, panel="sgd", scale=scale))
    check_texts(compare_figure(results, panel="seconds", scale=scale))
    check_texts(curves_figure(results, "samples", scale=scale))


def check_texts(figure: Figure) -> None:
    texts = texts_of(figure)
    assert collisions(texts) == []
    assert beyond(figure, texts) == []
