"""Learning rates that change: a panel below the losses, and words in captions."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes

from gdrun import compare, train
from gdrun.config.parts.groups import SCALES, Scale
from gdrun.plots.figures import compare_figure, loss_figure
from gdrun.results.run import RunResult
from gdrun.training.optimizers.schedule import Cosine
from tests.command_line import NO_PICTURES, Invoke
from tests.plots.drawn import beyond, collisions, texts_of

EPOCHS = 6


def scheduled(schedule: Any, **more: Any) -> RunResult:
    return train("minibatch", schedule=schedule, epochs=EPOCHS, **more)


def rates_of(result: RunResult, scale: Scale = "paper") -> Axes:
    (below,) = loss_figure(result, scale=scale).axes[1].child_axes
    assert isinstance(below, Axes)
    return below


def test_the_rates_of_each_epochs_last_update_are_drawn_below_the_losses() -> None:
    result = scheduled({"name": "cosine", "final": 0.1}, lr=0.2, seeds=2)
    below = rates_of(result)
    (line,) = below.get_lines()
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert x.tolist() == list(range(EPOCHS + 1))
    updates = torch.tensor([max(1, 6 * epoch) for epoch in range(EPOCHS + 1)], dtype=torch.float64)
    factors = Cosine(final=0.1).factors(updates, 6 * EPOCHS)
    assert y == pytest.approx(0.2 * factors.numpy())
    assert below.get_ylim()[0] == 0
    above = loss_figure(result).axes[1]
    assert above.get_xlim() == below.get_xlim()
    assert (above.get_xlabel(), below.get_xlabel()) == ("", "epoch")


def test_rates_of_several_lanes_have_curves_of_their_own() -> None:
    (near,) = {rates_of(scheduled("linear", lr=[0.1, 0.2])).get_yscale()}
    below = rates_of(scheduled("linear", lr=[0.001, 0.01, 0.1], seeds=3))
    assert (near, below.get_yscale()) == ("linear", "log")
    lines = below.get_lines()
    assert [np.asarray(line.get_ydata())[0] for line in lines] == [0.001, 0.01, 0.1]
    assert len({str(line.get_color()) for line in lines}) == 3
    assert below.get_ylim()[0] >= 0.001 / 200 * 0.999


def test_a_constant_rate_has_no_panel() -> None:
    result = scheduled("constant")
    assert not loss_figure(result).axes[1].child_axes
    assert loss_figure(result).axes[1].get_xlabel() == "epoch"
    (alone,) = loss_figure(scheduled("cosine"), panel="train").axes
    assert not alone.child_axes


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("lrs", [[0.1], [1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001]])
def test_no_text_covers_another(scale: Scale, lrs: list[float]) -> None:
    steps = {"name": "warmup+step", "at": [0.25, 0.5, 0.75], "factor": 0.2}
    for schedule in (steps, "cosine"):
        figure = loss_figure(scheduled(schedule, lr=lrs, data={"val_fraction": 0.2}), scale=scale)
        texts = texts_of(figure)
        assert collisions(texts) == []
        assert beyond(figure, texts) == []


def test_captions_say_the_schedule() -> None:
    cosine, constant = compare(schedule="warmup+cosine", epochs=2), compare(epochs=2)
    said = "learning rate 0.2, cosine after 5\N{NO-BREAK SPACE}% warm-up"
    assert said in texts_of(compare_figure(cosine))[0].get_text()
    assert said in texts_of(loss_figure(cosine[0]))[0].get_text()
    rates = texts_of(loss_figure(scheduled("step", lr=[0.1, 0.2])))[0].get_text()
    assert "batches of 16, step × 0.1 at 50 and 75\N{NO-BREAK SPACE}%" in rates
    assert "constant" not in texts_of(compare_figure(constant))[0].get_text()
    other = replace(constant[1], series=replace(constant[1].series, name="other"))
    texts = [text.get_text() for text in texts_of(compare_figure([cosine[1], other], mixed=True))]
    assert "sgd (B = 1, cosine after 5 % warm-up)" in texts
    assert "other (B = 1, constant)" in texts


def test_pages_and_headers_say_the_schedule(invoke: Invoke) -> None:
    options = ["--schedule", "warmup+linear", "--lr", "0.1", "--epochs", "3", "--name", "a"]
    trained = invoke("sgd", *options, *NO_PICTURES)
    assert "lr 0.1, linear after 5 % warm-up · " in trained.err
    shown = invoke("show", "a").out
    assert "lr 0.1, linear after 5 % warm-up" in shown
    assert "schedule linear, schedule.warmup 0.05" in shown
    assert "a" in invoke("list", "--where", "schedule=linear").out
    assert "a" in invoke("list", "--where", "schedule.warmup>0.01").out
    assert Path("outputs/a/config.yaml").read_text().count("name: linear") == 1
    steady = invoke("sgd", "--epochs", "3", "--name", "b", *NO_PICTURES)
    assert "lr 0.2 · " in steady.err
    assert "schedule" not in invoke("show", "b").out
    assert " b " not in invoke("list", "--where", "schedule=linear").out
    assert "cosine" in repr(scheduled("cosine"))
