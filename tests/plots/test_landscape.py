"""The picture of the loss around runs: its bands, its points, and nothing that covers another."""

import math
from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gdrun.api import compare
from gdrun.plots.landscape.bands import LEVELS, bands_of
from gdrun.plots.landscape.figure import landscape_figure
from gdrun.plots.landscape.ground import GAP, spaced
from gdrun.plots.scales import dpi_of
from gdrun.results.landscape import Landscape, PathEnd, PlanePath
from gdrun.results.run import RunResult
from tests.plots.drawn import beyond, collisions, texts_of
from tests.plots.test_formats import READERS, seen

GRID = [float(x) for x in np.linspace(-1, 1, 21)]


def bowl(x: float, y: float) -> float:
    return 0.01 + x * x + 4 * y * y


def path(name: str, turn: float, points: int = 30, off: float = 0.0) -> PlanePath:
    shares = [k / max(1, points - 1) for k in range(points)]
    places = [(0.8 * (1 - t) * math.cos(turn), 0.6 * (1 - t) * math.sin(turn)) for t in shares]
    plane = [bowl(x, y) for x, y in places]
    own = [loss * (1 + off) for loss in plane]
    xs, ys = ([place[k] for place in places] for k in (0, 1))
    return PlanePath(name, 0, 0.2, 0, range(points), xs, ys, own, plane, PathEnd(1.0, 2.0, None))


def landscape(*paths: PlanePath, **more: Any) -> Landscape:
    losses = [[bowl(x, 1.25 * y) for x in GRID] for y in GRID]
    ys = [y / 1.25 for y in GRID]
    found = Landscape(GRID, ys, losses, paths, 31, (0.9, 0.05), 0.7)
    return replace(found, **more)


@pytest.fixture(scope="module")
def results() -> list[RunResult]:
    return [*compare(epochs=2, data={"rows": 20})]


def three(**more: Any) -> list[PlanePath]:
    names = ("full", "sgd", "minibatch")
    return [path(name, turn, **more) for name, turn in zip(names, (0.3, 2.0, 4.4), strict=True)]


def words(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in texts_of(figure)).split())


def points(axes: Axes) -> list[Any]:
    return [line for line in axes.get_lines() if line.get_marker() not in ("None", None, "")]


@pytest.mark.parametrize("scale", ["paper", "slides"])
@pytest.mark.parametrize("kind", ["three", "one", "nothing", "far", "random"])
def test_no_text_covers_another_or_is_cut_off(
    kind: str, scale: Any, results: Sequence[RunResult]
) -> None:
    shown, paths = results, three()
    more: dict[str, Any] = {}
    if kind == "nothing":
        more = {"explained": (0.5, 0.2)}
    if kind == "far":
        paths = three(off=30.0)
    if kind in ("one", "random"):
        shown, paths = results[1:2], paths[1:2]
    if kind == "random":
        paths = [replace(path("sgd", 0.0, points=1), x=[0.0], y=[0.0])]
        more = {"explained": None, "random_share": None, "seed": 7}
    figure = landscape_figure(landscape(*paths, **more), shown, scale=scale)
    texts = texts_of(figure)
    assert collisions(texts) == []
    assert beyond(figure, texts) == []
    said = words(figure)
    assert ("the shapes of the paths mean nothing" in said) == (kind == "nothing")
    assert ("here these differ a lot" in said) == (kind == "far")
    assert ("70.0 %" in said) == (kind != "random")
    assert ("seed 7" in said) == (kind == "random")


def test_a_point_is_filled_by_its_own_loss_and_the_ground_by_that_of_the_plane(
    results: Sequence[RunResult],
) -> None:
    found = landscape(path("sgd", 0.5, off=20.0))
    figure = landscape_figure(found, results[1:2])
    plane = figure.axes[0]
    own = found.paths[0]
    bands = bands_of([loss for row in found.losses for loss in row], own.losses)
    by_place = {(x, y): k for k, (x, y) in enumerate(zip(own.x, own.y, strict=True))}
    marks = points(plane)
    assert len(marks) > 5
    for mark in marks:
        k = by_place[float(mark.get_xdata()[0]), float(mark.get_ydata()[0])]
        assert tuple(mark.get_markerfacecolor()) == pytest.approx(bands.color(own.losses[k]))
        assert mark.get_markeredgecolor() == "#D55E00"
    start, end = bands.color(own.losses[0]), bands.color(own.plane_losses[0])
    assert start != end


def test_bands_of_points_and_of_the_ground_are_the_same() -> None:
    bands = bands_of([0.01, 3.0], [0.02, 1.0])
    heights = bands.heights(bands.levels)
    for loss in (0.0101, 0.05, 0.3, 0.9, 2.9, 1e9):
        band = int(np.searchsorted(heights, bands.heights([loss])[0], side="right")) - 1
        assert bands.color(loss) == bands.colors(band)


@given(
    losses=st.lists(
        st.floats(-1e30, 1e30) | st.just(math.inf) | st.just(math.nan), min_size=1, max_size=8
    ),
    low=st.floats(-1e6, 1e6),
    factor=st.floats(0, 1e6),
)
def test_bands_are_few_rising_and_hold_all_paths(
    losses: list[float], low: float, factor: float
) -> None:
    paths = [low, low + abs(low) * factor]
    bands = bands_of(losses, paths)
    assert list(bands.levels) == sorted(set(bands.levels))
    assert 2 <= len(bands.levels) <= LEVELS[1] + 3
    span = bands.levels[-1] - bands.levels[0]
    assert bands.levels[-1] >= max(paths) - 1e-6 * span
    assert np.isfinite(bands.heights(losses)).all()
    for loss in paths:
        assert len(bands.color(loss)) == 4


def test_levels_are_round_and_apart_by_their_ratio_where_losses_span_decades() -> None:
    wide = bands_of([0.004, 0.9], [0.0042, 0.47])
    assert wide.is_log
    assert set(wide.levels) >= {0.005, 0.01, 0.05, 0.1, 0.5}
    narrow = bands_of([1.0, 2.0], [1.2, 1.9])
    assert not narrow.is_log
    assert len(set(np.diff(narrow.levels).round(9))) == 1
    negative = bands_of([-3.0, 10.0], [-2.0, 1.0])
    assert not negative.is_log


def test_ground_that_is_infinite_is_drawn(results: Sequence[RunResult]) -> None:
    losses = [[bowl(x, y) if x < 0.5 else math.inf for x in GRID] for y in GRID]
    losses[3][3] = math.nan
    figure = landscape_figure(landscape(*three(), losses=losses), results)
    assert collisions(texts_of(figure)) == []


def test_markers_of_a_path_have_room(results: Sequence[RunResult]) -> None:
    found = landscape(path("sgd", 0.5, points=200))
    figure = landscape_figure(found, results[1:2])
    figure.draw_without_rendering()
    axes = figure.axes[0]
    kept = spaced(axes, found.paths[0])
    assert (kept[0], kept[-1]) == (0, 199)
    assert 5 < len(kept) < 60
    places = np.asarray(
        [axes.transData.transform((found.paths[0].x[k], found.paths[0].y[k])) for k in kept]
    )
    gaps = np.hypot(*np.diff(places, axis=0).T) * 72 / dpi_of(axes)
    assert gaps.min() >= 0.99 * GAP


def test_both_directions_have_one_scale_or_it_is_said(results: Sequence[RunResult]) -> None:
    figure = landscape_figure(landscape(*three()), results)
    box = figure.axes[0].get_window_extent()
    assert box.width / box.height == pytest.approx(1.25, rel=1e-3)
    assert "times as large" not in words(figure)
    flat = landscape(*three(), ys=[y / 12.5 for y in GRID])
    said = words(landscape_figure(flat, results))
    assert "direction 2 is drawn 10 times as large" in said


@pytest.mark.parametrize("kind", READERS)
def test_every_text_is_in_the_file(kind: str, results: Sequence[RunResult]) -> None:
    figure = landscape_figure(landscape(*three()), results)
    file = BytesIO()
    figure.savefig(file, format=kind)
    found = READERS[kind](file.getvalue())
    assert {text for text in seen(figure) if text not in found} == set()
    assert len(file.getvalue()) < 1e6


def test_the_same_landscape_gives_the_same_bytes(results: Sequence[RunResult]) -> None:
    files = []
    for _ in range(2):
        file = BytesIO()
        landscape_figure(landscape(*three()), results).savefig(file, format="png", dpi=60)
        files.append(file.getvalue())
    assert files[0] == files[1]
