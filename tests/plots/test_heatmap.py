"""The heatmap of a sweep."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from gdrun.plots.heatmap import heatmap_figure
from tests.sweep_results import answer_of, mixed, trial


def patches(axes: Axes, **looks: Any) -> list[tuple[float, float]]:
    """The centres of the cells with a frame or a pattern."""
    return [
        (patch.get_x() + 0.5, patch.get_y() + 0.5)
        for patch in axes.patches
        if isinstance(patch, Rectangle)
        and all(getattr(patch, f"get_{look}")() == value for look, value in looks.items())
    ]


def test_cells_that_diverged_are_marked_and_the_best_is_framed() -> None:
    answer = mixed()
    (axes,) = heatmap_figure(answer).axes
    assert answer.best
    assert (answer.best.batch_size, answer.best.lr) == (1, 0.04)
    assert patches(axes, hatch="xxxx") == [(0, 3)]
    assert patches(axes, fill=False) == [(0, 1)]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["1", "4", "16", "64"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["0.01", "0.04", "0.16", "0.64"]
    trials = [trial(4, lr, k, loss=0.1 if k else None) for lr in (0.1, 0.2) for k in range(3)]
    (some,) = heatmap_figure(answer_of(trials)).axes
    assert not patches(some, hatch="xxxx")
    assert [text.get_text() for text in some.texts] == ["0.100$^{×1}$"] * 2
    shown = axes.images[0].get_array()
    assert shown is not None
    for cell in answer.cells:
        value = shown[answer.lrs.index(cell.lr), answer.batch_sizes.index(cell.batch_size)]
        assert np.ma.is_masked(value) or value == pytest.approx(cell.train_loss)


def test_where_all_diverged_no_lowest_and_no_lines_are_spoken_of() -> None:
    pairs = [(size, lr) for size in (1, 4) for lr in (0.1, 0.2)]
    for loss, known in ((None, False), (0.1, True)):
        figure = heatmap_figure(
            answer_of([trial(*pair, loss=loss, reached=None) for pair in pairs], target=None)
        )
        words = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
        words += [text.get_text() for text in figure.texts]
        assert any("lowest" in text for text in words) == known
        assert any("∝" in text for text in words) == known
        assert bool(figure.axes[0].get_lines()) == known


def test_with_validation_there_is_a_panel_for_each_loss_with_its_own_best() -> None:
    trials = [trial(4, 0.1, val=0.3, loss=0.1), trial(4, 0.2, val=0.2, loss=0.2)]
    left, right = heatmap_figure(answer_of(trials)).axes
    assert (left.get_title("left"), right.get_title("left")) == (
        "final train loss", "final validation loss",
    )  # fmt: skip
    assert (patches(left, fill=False), patches(right, fill=False)) == ([(0, 0)], [(0, 1)])


@pytest.mark.parametrize("sizes", [(1, 4, 16, 64), (1, 2, 50, 100)])
def test_guides_go_through_the_centres_of_cells_where_they_hold(sizes: tuple[int, ...]) -> None:
    lrs = sorted({0.01 * size for size in sizes} | {0.01 * size**0.5 for size in sizes})
    trials = [
        trial(size, lr, loss=0.1 if (size, lr) == (sizes[0], lrs[0]) else 0.5)
        for size in sizes
        for lr in lrs
    ]
    (axes,) = heatmap_figure(answer_of(trials)).axes
    linear, root = axes.get_lines()
    for line, power in ((linear, 1), (root, 0.5)):
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        for k, size in enumerate(sizes):
            exact = lrs[0] * (size / sizes[0]) ** power
            at = min(range(len(lrs)), key=lambda j: abs(lrs[j] / exact - 1))
            assert np.interp(k, x, y) == pytest.approx(at, abs=1e-6)


def test_a_hundred_rates_leave_the_axis_legible() -> None:
    trials = [trial(size, 0.001 * k) for size in (1, 4) for k in range(1, 400)]
    figure = heatmap_figure(answer_of(trials))
    assert len(figure.axes[0].get_yticks()) <= 60
    assert figure.get_figheight() < 15
