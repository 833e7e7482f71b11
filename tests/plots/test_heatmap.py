"""The heatmap of a sweep."""

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from gdrun.analysis.recommend import recommended
from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.trials import Cell
from gdrun.plots.sweeps.heatmap import ADVISED, LOWEST, heatmap_figure
from tests.plots.drawn import collisions, texts_of
from tests.sweep_results import answer_of, mixed, side_by_side, trial, typical


def with_validation() -> SweepResult:
    """A pair whose validation loss the seeds can't tell from the lowest, and that trains faster."""
    trials = [
        trial(
            size, 0.1, seed, loss=0.1 * size, val=val + (seed + size) % 3 * 0.1, spent=900 // size
        )
        for size, val in ((1, 0.3), (4, 0.301), (9, 0.9))
        for seed in range(6)
    ]
    return answer_of(trials)


def patches(axes: Axes, **looks: Any) -> list[tuple[float, float]]:
    """The centres of the cells with a frame or a pattern."""
    return [
        (patch.get_x() + 0.5, patch.get_y() + 0.5)
        for patch in axes.patches
        if isinstance(patch, Rectangle)
        and all(getattr(patch, f"get_{look}")() == value for look, value in looks.items())
    ]


def framed(axes: Axes, frame: Any) -> list[tuple[float, float]]:
    """The centres of the cells with this frame."""
    color = to_rgba(frame["edgecolor"])
    return [
        (patch.get_x() + patch.get_width() / 2, patch.get_y() + patch.get_height() / 2)
        for patch in axes.patches
        if isinstance(patch, Rectangle) and not patch.fill and patch.get_edgecolor() == color
    ]


def place(answer: SweepResult, cell: Cell | None) -> list[Any]:
    assert cell
    return [pytest.approx((answer.batch_sizes.index(cell.batch_size), answer.lrs.index(cell.lr)))]


@pytest.mark.parametrize("answer", [mixed(), typical(), with_validation()], ids=str)
def test_the_recommended_pair_is_framed_beside_the_lowest(answer: SweepResult) -> None:
    advised = recommended(answer)
    figure = heatmap_figure(answer)
    for axes in figure.axes:
        assert framed(axes, ADVISED) == place(answer, advised)
    lowest = (answer.best, answer.best_validated)
    for axes, cell in zip(figure.axes, lowest, strict=False):
        assert framed(axes, LOWEST) == place(answer, cell)
    (legend,) = figure.legends
    assert advised
    words = [text.get_text() for text in legend.get_texts()]
    assert f"train with this: batch {advised.batch_size}, lr {advised.lr:g}" in words


def test_where_nothing_is_recommended_nothing_is_marked_so() -> None:
    answer = answer_of([trial(size, 0.1, loss=None) for size in (1, 4)], target=None)
    figure = heatmap_figure(answer)
    assert framed(figure.axes[0], ADVISED) == []
    words = [text.get_text() for legend in figure.legends for text in legend.get_texts()]
    assert not any("train with" in text for text in words)


def test_lines_pass_behind_numbers() -> None:
    """A number looks the same with the lines and without them."""
    pictures = []
    for seen in (True, False):
        figure = heatmap_figure(typical())
        for line in figure.axes[0].get_lines():
            line.set_visible(seen)
        figure.canvas.draw()
        pictures.append(np.asarray(figure.canvas.buffer_rgba()))  # type: ignore[attr-defined]
        numbers = [text.get_window_extent() for text in figure.axes[0].texts]
    with_lines, without = pictures
    assert (with_lines != without).any()
    assert len(numbers) == 9
    height = len(with_lines)
    for box in numbers:
        part = (
            slice(height - int(box.y1), height - int(box.y0)), slice(int(box.x0), int(box.x1))
        )  # fmt: skip
        assert (with_lines[part] == without[part]).all()


def test_one_panel_alone() -> None:
    answer = with_validation()
    for name, cell in (("train", answer.best), ("validation", answer.best_validated)):
        (axes,) = heatmap_figure(answer, panel=name).axes
        assert framed(axes, LOWEST) == place(answer, cell)
    with pytest.raises(ValueError, match="panel must be one of train, validation, got 'x'"):
        heatmap_figure(answer, panel="x")


def test_many_batch_sizes_leave_the_axis_legible() -> None:
    for sizes in (range(1000, 1040), [2**k for k in range(21)]):
        figure = heatmap_figure(answer_of([trial(size, 0.1) for size in sizes]))
        assert collisions(texts_of(figure)) == []


def test_cells_that_diverged_are_marked_and_the_best_is_framed() -> None:
    answer = mixed()
    (axes,) = heatmap_figure(answer).axes
    assert answer.best
    assert (answer.best.batch_size, answer.best.lr) == (1, 0.04)
    assert patches(axes, hatch="xxxx") == [(0, 3)]
    assert framed(axes, LOWEST) == [(0, 1)]
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
    assert (framed(left, LOWEST), framed(right, LOWEST)) == ([(0, 0)], [(0, 1)])


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


@pytest.mark.parametrize("panel", [None, "train"])
@pytest.mark.parametrize("parts", [(mixed(), typical()), (with_validation(), with_validation())])
def test_each_of_several_optimizers_has_panels_on_one_scale(
    parts: tuple[SweepResult, SweepResult], panel: str | None
) -> None:
    answer = side_by_side(sgd=parts[0], adam=parts[1])
    figure = heatmap_figure(answer, panel=panel)
    kinds = 1 + (answer.has_validation and panel is None)
    assert len(figure.axes) == 2 * kinds
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.partition(":")[0] for title in titles] == ["sgd"] * kinds + ["adam"] * kinds
    for first, second in zip(figure.axes[:kinds], figure.axes[kinds:], strict=True):
        assert first.images[0].norm.vmin == second.images[0].norm.vmin
        assert first.images[0].norm.vmax == second.images[0].norm.vmax
    for axes, part in zip(figure.axes[::kinds], answer.parts, strict=True):
        assert framed(axes, LOWEST) == place(part, part.best)
    assert sum(len(framed(axes, ADVISED)) for axes in figure.axes) == kinds
    assert not collisions(texts_of(figure))
