"""Batch losses: what is measured of them, and the window in which each update is seen."""

from statistics import fmean, median, pstdev

import numpy as np
import pytest

from gdrun.api import compare, train
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.plots.figures import compare_figure, loss_figure
from gdrun.plots.updates import measured, noise
from gdrun.results.run import RunResult
from tests.plots.drawn import texts_of
from tests.training_runs import small_config


def expected_noise(result: RunResult, lr: float) -> float:
    """As the guide defines it, from the rows of `steps.csv`."""
    rows = result.steps
    by_lane: dict[float, dict[float, list[float]]] = {}
    columns = (rows[name] for name in ("lr", "seed", "epoch", "loss"))
    for rate, seed, epoch, loss in zip(*columns, strict=True):
        if rate == lr:
            by_lane.setdefault(float(seed), {}).setdefault(float(epoch), []).append(float(loss))
    return median(
        median(pstdev(losses) / fmean(losses) for losses in epochs.values())
        for epochs in by_lane.values()
    )


def test_noise_is_what_the_guide_says() -> None:
    for result in compare(epochs=7, lr=[0.1, 0.2], seeds=3)[1:]:
        found = noise(result)
        assert found == pytest.approx({lr: expected_noise(result, lr) for lr in (0.1, 0.2)})
        low, high = sorted(float(f"{value:.2g}") for value in found.values())
        assert measured(result) == f"noise: {low:g} to {high:g} × the epoch's mean"


def test_losses_that_are_all_the_same_have_no_noise_and_larger_batches_less() -> None:
    same = train("minibatch", epochs=3, batch_size=2, lr=1e-30, data={"rows": 4, "noise": 0})
    losses = same.histories[0].steps["loss"]
    losses[:] = type(losses)("d", [0.25] * len(losses))
    assert measured(same) == "noise: 0 × the epoch's mean"
    few, many = (train("minibatch", epochs=9, batch_size=size) for size in (2, 25))
    assert noise(few)[0.2] > 2 * noise(many)[0.2]


def test_nothing_is_said_that_was_not_measured() -> None:
    assert measured(train("full", epochs=3)) == "one update an epoch"
    assert measured(train("sgd", epochs=3, log_every=7)) == ""
    assert measured(train("sgd", epochs=3, lr=5.0)) == ""
    assert list(noise(train("sgd", epochs=20, lr=[0.1, 5.0]))) == [0.1]


def test_titles_state_the_batch_size_and_what_was_measured() -> None:
    results = compare(epochs=7)
    figure = compare_figure(results)
    shown = [text.get_text() for text in texts_of(figure)]
    for name, size, result in zip(
        ("full batch", "stochastic", "mini-batch"), (100, 1, 16), results, strict=True
    ):
        assert f"{name}, batch size {size}" in shown
        assert measured(result) in shown
    assert not any(word in " ".join(shown) for word in ("smooth", "noisy", "practical"))


@pytest.mark.parametrize("scale", ["paper", "slides"])
def test_of_many_updates_a_window_shows_each(scale: str) -> None:
    results = compare(epochs=90)
    figure = compare_figure(results, scale=scale)  # type: ignore[arg-type]
    figure.draw_without_rendering()
    full, sgd, minibatch = figure.axes[:3]
    assert not full.child_axes
    for axes, result, first in ((sgd, results[1], 8701), (minibatch, results[2], 241)):
        (beside,) = axes.child_axes
        raw, mean = beside.get_lines()
        last = len(result.steps["loss"])
        assert list(np.asarray(raw.get_xdata())) == list(range(first, last + 1))
        assert list(np.asarray(raw.get_ydata())) == result.steps["loss"][first - 1 :]
        assert mean.get_linewidth() > raw.get_linewidth()
        assert beside.get_xlabel() == f"{first:,} to {last:,}"
        whole, part = axes.get_window_extent(), beside.get_window_extent()
        assert part.x0 > whole.x1
        assert (part.y0, part.y1) == pytest.approx((whole.y0, whole.y1))
        assert part.width * 72 / figure.dpi / (last - first) > 0.15  # points for each update
        (marked,) = axes.patches
        low, high = (p[0] for p in (marked.get_window_extent().p0, marked.get_window_extent().p1))
        assert axes.transData.inverted().transform([(low, 0), (high, 0)])[:, 0] == pytest.approx(
            [first, last]
        )
    assert not any(axes.child_axes for axes in compare_figure(compare(epochs=5)).axes)


def test_of_several_seeds_a_window_shows_one() -> None:
    results = compare(epochs=30, seeds=4)
    figure = compare_figure(results)
    (beside,) = figure.axes[1].child_axes
    raw, _ = beside.get_lines()
    assert list(np.asarray(raw.get_ydata())) == list(results[1].histories[0].steps["loss"])[-300:]
    words = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert (
        "each update's band faint, running mean over an epoch bold, beside them seed 0 alone"
        in words
    )
    few = compare_figure(compare(epochs=3, seeds=4))
    assert "seed 0" not in "".join(text.get_text() for text in few.texts)


def test_a_thinned_run_has_a_window_where_every_update_is_kept() -> None:
    for keep in (2**14, 4000, 600):
        plan = plan_experiment("sgd", small_config(epochs=90, lr=0.05))
        (thin,) = (e for e in execute(plan, keep_rows=keep) if isinstance(e, RunResult))
        (axes, _) = loss_figure(thin).axes
        kept = np.asarray(thin.histories[0].steps["update"])
        begins = (np.diff(kept[:300]) == 1).all()
        assert bool(axes.child_axes) == begins
        for beside in axes.child_axes:
            x = np.asarray(beside.get_lines()[0].get_xdata())
            assert (len(x), set(np.diff(x))) == (300, {1})
    assert not begins
