"""Curves of long runs."""

from pathlib import Path

import numpy as np
import pytest

from gdrun.api import train
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.plots.curves import quantiles
from gdrun.plots.figures import compare_figure, loss_figure
from gdrun.plots.updates import running_mean
from gdrun.results.run import RunResult
from tests.training_runs import small_config


def test_pictures_of_a_thinned_run_show_means_not_extremes(tmp_path: Path) -> None:
    config = small_config(epochs=60, lr=0.05)
    (whole,) = (e for e in execute(plan_experiment("sgd", config)) if isinstance(e, RunResult))
    (thin,) = (
        e
        for e in execute(plan_experiment("sgd", config), keep_rows=700)
        if isinstance(e, RunResult)
    )
    assert not thin.histories[0].has_every_update
    assert whole.histories[0].has_every_update
    figure = loss_figure(thin)
    note = " ".join(text.get_text() for text in figure.texts)
    assert "lowest and highest updates faint, mean of each epoch bold" in " ".join(note.split())
    faint, bold = figure.axes[0].get_lines()
    # The bold curve is the mean loss of each epoch, not of the updates that were kept.
    means = dict(
        zip(whole.histories[0].epochs["updates"], whole.histories[0].epochs["batch_loss"],
            strict=True)
    )  # fmt: skip
    for x, y in zip(np.asarray(bold.get_xdata()), np.asarray(bold.get_ydata()), strict=True):
        assert y == pytest.approx(means[round(float(x) + 49.5)])
    assert max(np.asarray(faint.get_ydata())) == max(whole.histories[0].steps["loss"])
    compare_figure([thin]).savefig(tmp_path / "a.png")


def test_running_mean_of_a_whole_run_is_drawn_as_before() -> None:
    result = train("sgd", small_config(epochs=4))
    _, bold = loss_figure(result).axes[0].get_lines()
    steps = result.histories[0].steps
    updates, losses = np.asarray(steps["update"], float), np.asarray(steps["loss"])
    _, expected = running_mean(updates, losses, 100)
    assert np.asarray(bold.get_ydata()) == pytest.approx(expected)


def test_long_curves_of_several_seeds_keep_their_extremes() -> None:
    values = np.random.default_rng(1).normal(size=(3, 60_000))
    values[:, 41_234] = 50.0
    values[:, 17] = -50.0
    values[1:, 59_000:] = np.inf
    x, middle, low, high = quantiles(np.arange(60_000.0), values)
    assert len(x) == len(middle) == len(low) == len(high) <= 5100
    assert (x[0], x[-1]) == (0, 59_999)
    whole = np.median(values, axis=0)
    assert middle[list(x).index(41_234)] == 50.0
    assert middle[list(x).index(17)] == -50.0
    for position, value in zip(x, middle, strict=True):
        expected = whole[int(position)]
        assert value == expected or (np.isnan(value) and np.isinf(expected))
    few = quantiles(np.arange(100.0), values[:, :100])
    assert list(few[0]) == list(range(100))
    assert list(few[1]) == list(whole[:100])
