"""The costs of the target by batch size, drawn."""

import math
from collections.abc import Sequence
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

from gdrun.analysis.analyze import analyze
from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.schema import RunConfig
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.plots.sweeps.heatmap import heatmap_figure
from gdrun.plots.sweeps.looks import ALONE
from gdrun.plots.sweeps.scaling import BAR, scaling_figure
from gdrun.results.run import RunResult
from gdrun.text import rounded
from tests.plots.drawn import beyond, collisions, texts_of
from tests.sweep_results import answer_of, answers, fast, mixed, side_by_side, trial, typical
from tests.training_runs import small_config


@given(answers())
@settings(max_examples=6, suppress_health_check=list(HealthCheck))
def test_whatever_a_sweep_came_to_it_is_drawn(answer: SweepResult) -> None:
    for figure in (heatmap_figure(answer), scaling_figure(answer)):
        figure.savefig(BytesIO(), dpi=30)


def markers(axes: Axes, marker: str) -> dict[float, float]:
    lines = [line for line in axes.get_lines() if line.get_marker() == marker]
    return {
        float(x): float(y)
        for line in lines
        for x, y in zip(np.asarray(line.get_xdata()), np.asarray(line.get_ydata()), strict=True)
    }


def test_reached_batch_sizes_are_circles_and_others_triangles_in_all_panels() -> None:
    answer = mixed()
    updates, samples, seconds = scaling_figure(answer).axes
    weights = {1: 1, 4: 1, 16: 2, 64: 3}  # in ms, as the longest takes less than a second
    assert seconds.get_title(loc="left") == "training time to target (ms)"
    for axes, weight in (
        (updates, lambda _: 1), (samples, lambda size: size), (seconds, lambda size: weights[size]),
    ):  # fmt: skip
        assert markers(axes, "o") == pytest.approx(
            {size: reached * weight(size) for size, reached in ((1, 640), (4, 160), (16, 40))}
        )
        assert set(markers(axes, "^")) == {64}
    assert markers(updates, "^") == {64: 764}
    assert markers(samples, "^") == {64: 500}  # as many as were counted
    assert markers(seconds, "^") == {64: pytest.approx(764 * 3)}
    assert {line.get_color() for line in updates.get_lines()} >= {ALONE.color, ALONE.missed}
    assert [axes.get_yscale() for axes in (updates, samples, seconds)] == ["log"] * 3


def test_the_band_of_one_batch_size_alone_is_a_bar() -> None:
    trials = [*fast(4, 0.1, 40), *fast(16, 0.1, None)]
    updates, samples = scaling_figure(answer_of(trials)).axes
    for axes, factor in ((updates, 1), (samples, 4)):
        (bar,) = [line for line in axes.get_lines() if line.get_linewidth() == BAR["linewidth"]]
        ends = np.asarray(bar.get_xydata()).tolist()
        assert ends == [[4, 39 * factor], [4, 41 * factor]]


def test_a_band_without_an_upper_end_is_marked_where_the_trainings_ended() -> None:
    sure = [t for size in (1, 4) for t in fast(size, 0.1, 400 // size, spent=900)]
    seeds = [trial(16, 0.1, k, reached=40 if k < 2 else None, spent=300) for k in range(3)]
    for trials, ends in (([*sure, *seeds], {16: 300}), (seeds, {16: 300}), (sure, {})):
        figure = scaling_figure(answer_of(trials))
        updates = figure.axes[0]
        assert markers(updates, "^") == ends
        (legend,) = figure.legends
        says = "80th percentile not reached by then"
        assert (says in [text.get_text() for text in legend.get_texts()]) == bool(ends)
        if len(trials) > 3:
            (band,) = updates.collections
            x, y = np.asarray(band.get_paths()[0].vertices).T
            assert y[x == 4].max() == 101
            assert ends == {} or y[x == 16].max() == 300


def boxes(figure: Figure, texts: Sequence[Any]) -> list[Bbox]:
    """Where texts are, as they are drawn; of two lines, of which the first is empty, the second."""
    figure.draw_without_rendering()
    found = []
    for text in texts:
        box = text.get_window_extent()
        if text.get_text().startswith("\n"):
            box = Bbox([(box.x0, box.y0), (box.x1, (box.y0 + box.y1) / 2)])
        found += [box] if text.get_text() else []
    return found


def are_apart(found: Sequence[Bbox]) -> bool:
    return not any(a.overlaps(b) for a, b in combinations(found, 2))


@pytest.mark.parametrize(
    "sizes",
    [(1, 2, 4, 8, 16, 32, 64, 100), (1, 4, 16, 64, 256, 354), (1000, 1024), (7,),
     tuple(range(1, 40)), (1, 10**6, 10**6 + 1, 10**9)],
    ids=str,
)  # fmt: skip
def test_each_batch_size_has_a_tick_and_numbers_that_do_not_collide(sizes: tuple[int, ...]) -> None:
    figure = scaling_figure(
        answer_of([trial(size, 0.1, reached=9) for size in sizes], pace=dict.fromkeys(sizes, 1e-3))
    )
    bottom = figure.bbox.y0
    for axes in figure.axes:
        assert list(axes.get_xticks()) == list(sizes)
        found = boxes(figure, [*axes.get_xticklabels(), axes.xaxis.label])
        assert are_apart(found)
        assert all(box.y0 > bottom for box in found)
        assert axes.get_xticklabels()[-1].get_text() == f"{sizes[-1]:,}"
        if len(sizes) <= 8 and max(sizes) < 1000:
            assert all(text.get_text() for text in axes.get_xticklabels())


@pytest.mark.parametrize("flat", [False, True])
def test_the_rates_are_named_apart_from_each_other_and_from_the_points(flat: bool) -> None:
    """Of eight batch sizes, each with a rate of its own; the last two end at about the same."""
    sizes, lrs = (1, 2, 4, 8, 16, 32, 64, 100), (0.0316, 0.01, 0.1, 0.316)
    trials = [
        each
        for k, size in enumerate(sizes)
        for lr in lrs
        for each in fast(
            size, lr, (60 if flat else 6000 // size) * (1 + (lr != lrs[k % 4])), spent=6000
        )
        if size < 64 or lr == lrs[k % 4]
    ]
    figure = scaling_figure(answer_of(trials))
    axes = figure.axes[0]
    rates = [text for text in axes.texts if text.get_text()]
    assert [text.get_text() for text in rates] == [f"{lrs[k % 4]:g}" for k in range(8)]
    words = boxes(figure, rates)
    points = [
        Bbox([(x - 4, y - 4), (x + 4, y + 4)])
        for x, y in axes.transData.transform(
            [(cell, at) for cell, at in markers(axes, "o").items()]
        )
    ]
    assert are_apart(words)
    for own, word in enumerate(words):
        assert not any(word.overlaps(point) for point in points)
        middle = ((word.x0 + word.x1) / 2, (word.y0 + word.y1) / 2)
        away = [math.dist(middle, ((p.x0 + p.x1) / 2, (p.y0 + p.y1) / 2)) for p in points]
        assert min(away) > away[own] - 3


def test_samples_are_drawn_as_they_were_counted() -> None:
    """64 of 100 rows and then 36: two updates take 100 samples, not 128."""
    results = [
        event
        for event in execute(
            plan_experiment(
                "sweep",
                small_config(
                    epochs=8, seeds=3, sweep={"lr": 0.1, "batch_size": [4, 64], "target": 0.3}
                ),
            )
        )
        if isinstance(event, RunResult)
    ]
    answer = analyze(results, 0.3)
    assert answer
    samples = scaling_figure(answer).axes[1]
    expected = {c.batch_size: c.to_target("samples") for c in answer.best_of_batch}
    assert expected[64] % 100 == 0
    assert markers(samples, "o") == expected


def test_the_fitted_curve_is_that_of_the_fit() -> None:
    answer = typical()
    fit = answer.critical
    assert fit
    updates, samples, _ = scaling_figure(answer).axes
    for axes, power in ((updates, 0), (samples, 1)):
        (line,) = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
        x, y = (np.asarray(data, dtype=float) for data in line.get_data())
        assert (x[0], x[-1]) == (1, 100)
        np.testing.assert_allclose(y, [fit.updates(size) * size**power for size in x])
    words = "\n".join(text.get_text() for text in scaling_figure(answer).texts)
    assert f"B_crit = {rounded(fit.batch_crit)}" in words
    assert "median of 3 seeds, band 20th to 80th percentile" in words


def test_batch_sizes_are_whole_numbers() -> None:
    sizes = (1000, 1024, 18_850, 10**6)
    figure = scaling_figure(answer_of([trial(size, 0.1, reached=9) for size in sizes]))
    shown = {text.get_text().strip() for text in figure.axes[0].get_xticklabels()} - {""}
    assert shown <= {"1,000", "1,024", "18,850", "1,000,000"}
    assert len(shown) >= 3


@pytest.mark.parametrize("scale", ["paper", "slides"])
@pytest.mark.parametrize("answer", [mixed(), typical(), typical(pace={})], ids=["3", "3 fit", "2"])
def test_no_text_covers_another_or_leaves_the_picture(answer: SweepResult, scale: Any) -> None:
    for figure in (
        scaling_figure(answer, scale=scale),
        heatmap_figure(answer, scale=scale),
        *(scaling_figure(answer, panel=name, scale=scale) for name in ("updates", "samples")),
        heatmap_figure(answer, panel="train", scale=scale),
    ):
        texts = texts_of(figure)
        assert collisions(texts) == []
        assert beyond(figure, texts) == []


def test_every_batch_size_has_a_point_or_a_note_that_says_why_not() -> None:
    trials = [
        *fast(1, 0.1, 400), trial(4, 0.1, reached=0), *fast(16, 0.1, None, loss=None),
        *fast(64, 0.1, None), *fast(256, 0.1, 30, spent=300),
    ]  # fmt: skip
    answer = answer_of(trials)
    figure = scaling_figure(answer)
    for axes in figure.axes:
        assert set(markers(axes, "o")) == {1, 256}
        assert set(markers(axes, "^")) == {64}
        low, high = axes.get_ylim()
        for points in (markers(axes, "o"), markers(axes, "^")):
            assert all(low < y < high for y in points.values())
    words = " ".join(" ".join(text.get_text() for text in figure.texts).split())
    assert "no point for batch 4: no update needed" in words
    assert "no point for batch 16: diverged at every lr" in words
    assert "no point" not in " ".join(text.get_text() for text in scaling_figure(mixed()).texts)


def test_one_panel_alone_is_that_of_the_whole_picture() -> None:
    answer = typical()
    whole = scaling_figure(answer).axes
    for axes, name in zip(whole, ("updates", "samples", "seconds"), strict=True):
        (alone,) = scaling_figure(answer, panel=name).axes
        assert markers(alone, "o") == markers(axes, "o")
        assert [text.get_text() for text in alone.texts] == ["0.1"]
    with pytest.raises(ValueError, match="panel must be one of updates, samples, seconds, got 'x'"):
        scaling_figure(answer, panel="x")


def drawn(figure: Figure) -> None:
    figure.savefig(BytesIO(), dpi=30)


def test_pictures_of_a_sweep_are_drawn_without_a_word(
    swept: tuple[Path, RunConfig, list[Any]],
) -> None:
    for figure in (heatmap_figure(swept[2][-1]), scaling_figure(swept[2][-1])):
        drawn(figure)


def test_each_of_several_optimizers_has_a_curve_a_fit_and_a_critical_batch() -> None:
    answer = side_by_side(sgd=typical(), adam=typical())
    updates, samples = scaling_figure(answer).axes
    for axes in (updates, samples):
        colors = {line.get_color() for line in axes.get_lines() if line.get_marker() in ("o", "s")}
        assert len(colors) == 2
        fits = [line for line in axes.get_lines() if line.get_linestyle() == "--"]
        assert {line.get_color() for line in fits} == colors
        marks = [line for line in axes.get_lines() if line.get_marker() == "|"]
        assert {line.get_color() for line in marks} == colors
        for mark, part in zip(marks, reversed(answer.parts), strict=True):
            assert part.critical
            assert np.asarray(mark.get_xdata()).tolist() == [part.critical.batch_crit]
    assert [len(markers(updates, marker)) for marker in "os"] == [3, 3]
    assert not collisions(texts_of(scaling_figure(answer)))
