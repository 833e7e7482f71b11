"""Decision regions: the picture says of each point what the probabilities say of it."""

import re
from dataclasses import replace
from io import BytesIO
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from gdrun.config.parts.groups import PlotConfig
from gdrun.figures import fit_figure as fit_in_notebook
from gdrun.plots.fits.classes import COLORS, MARKERS, color_of, marker_of
from gdrun.plots.fits.figure import fit_figure
from gdrun.plots.fits.regions import BOUNDARY, SEED
from gdrun.plots.pictures import pictures
from gdrun.results.colors import METHOD_COLORS
from gdrun.results.compare import at_best_rate
from gdrun.results.fits import Regions
from gdrun.results.run import RunResult
from tests.plots.drawn import beyond, collisions, texts_of
from tests.plots.plane import GRID, linear, nearest, probabilities, regions_of, run_of, without
from tests.plots.test_formats import READERS, seen

WHO = ("healthy", "ill")
# Two classes that are equal where 3x + y = 0.4.
LINE = linear((0.0, 0.0, 0.0), (3.0, 1.0, -0.4))
# How eyes without the first and the second kind of cone see linear RGB: Machado, Oliveira and
# Fernandes 2009, table 1, severity 1.
EYES: tuple[Any, ...] = (
    np.eye(3),
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
     [-0.003882, -0.048116, 1.051998]],
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
     [-0.011820, 0.042940, 0.968881]],
)  # fmt: skip


def three(regions: Regions, **more: Any) -> list[RunResult]:
    kinds = (("full", 120), ("sgd", 1), ("minibatch", 16))
    return [run_of(regions, *each, **more) for each in kinds]


def many(runs: int, **options: Any) -> list[RunResult]:
    regions = regions_of([nearest(3)], ("a", "b", "c"), **options)
    return [run_of(regions, size=2**k, name=f"batch-{2**k}") for k in range(runs)]


def background(axes: Axes) -> NDArray[np.float64]:
    """The colours at the points of the grid, (H, G, 3)."""
    (image,) = axes.images
    shown: Any = image.get_array()
    steps = (len(shown) - 1) // (GRID - 1)
    return np.asarray(shown[::steps, ::steps], dtype=float)


def lines(axes: Axes, gid: str) -> list[NDArray[np.float64]]:
    """The points of the boundaries of one kind, by line."""
    found = [each for each in axes.collections if each.get_gid() == gid]
    return [np.asarray(path.vertices) for each in found for path in each.get_paths()]


def words(figure: Figure) -> str:
    return " ".join(" ".join(text.get_text() for text in figure.texts).split())


def entries(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def lab(color: str, eye: Any) -> Any:
    """A colour in CIELAB, whose distances are those that an eye sees."""
    shares = np.array(to_rgb(color))
    light = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    matrix = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750],
              [0.0193339, 0.1191920, 0.9503041]]  # fmt: skip
    seen_light = np.clip(np.array(eye) @ light, 0, 1)
    x, y, z = np.cbrt(matrix @ seen_light / np.array([0.95047, 1, 1.08883]))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def distance(one: str, other: str) -> float:
    return min(float(np.linalg.norm(lab(one, eye) - lab(other, eye))) for eye in EYES)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_each_point_has_the_colour_of_its_likeliest_class(classes: int) -> None:
    regions = regions_of([nearest(classes, 40, turn=0.1)], [f"class {k}" for k in range(classes)])
    shown = background(fit_figure(run_of(regions)).axes[0])
    odds = np.asarray(regions.probabilities[0]).reshape(GRID, GRID, classes)
    first, second = np.sort(odds, axis=-1)[..., ::-1][..., :2].transpose(2, 0, 1)
    likeliest = odds.argmax(axis=-1)
    taken = 1 - shown  # how much of its colour a class has taken off the white
    for label in range(classes):
        full = 1 - np.array(to_rgb(color_of(label)))
        own = taken[(likeliest == label) & (first > second)]
        shares = (own @ full) / (full @ full)
        np.testing.assert_allclose(own, shares[:, None] * full, atol=1e-9)
        assert (shares > 0.04).all()
    strength = np.linalg.norm(taken, axis=-1) / np.linalg.norm(
        1 - np.array([to_rgb(color) for color in COLORS])[likeliest], axis=-1
    )
    order = np.argsort((first - second).ravel())
    assert (np.diff(strength.ravel()[order]) > -1e-6).all()  # the surer, the stronger
    assert strength.max() > 0.4


def test_where_nothing_is_known_it_is_nearly_white() -> None:
    regions = regions_of([linear((0, 0, 0), (0, 0, 0))], WHO)
    axes = fit_figure(run_of(regions)).axes[0]
    assert background(axes).min() > 0.94
    assert not lines(axes, BOUNDARY)


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 30.0])
def test_the_boundary_is_where_two_classes_are_equal(sharpness: float) -> None:
    """However abruptly the probabilities change."""
    logits = linear((0.0, 0.0, 0.0), (3 * sharpness, sharpness, -0.4 * sharpness))
    (line,) = lines(fit_figure(run_of(regions_of([logits], WHO))).axes[0], BOUNDARY)
    np.testing.assert_allclose(3 * line[:, 0] + line[:, 1], 0.4, atol=1e-4)
    assert np.ptp(line[:, 1]) == pytest.approx(2.2, abs=1e-3)  # from the lower edge to the upper


def test_each_boundary_of_several_classes_is_one_of_two_likeliest() -> None:
    logits = nearest(5, turn=0.2)
    found = lines(fit_figure(run_of(regions_of([logits], list("abcde")))).axes[0], BOUNDARY)
    points = np.concatenate(found)
    odds = np.sort(probabilities(logits, *points.T), axis=-1)
    far = np.hypot(*points.T) > 0.1  # where all five meet, no grid is fine enough
    np.testing.assert_allclose(odds[far, -1], odds[far, -2], rtol=0.05)


def test_several_seeds_show_their_mean_and_the_boundary_of_each() -> None:
    moved = [linear((0, 0, 0), (3, 1, shift)) for shift in (-0.6, 0.0, 0.9)]
    regions = regions_of(moved, WHO)
    figure = fit_figure(run_of(regions))
    (axes,) = figure.axes
    sums = [3 * line[:, 0] + line[:, 1] for line in lines(axes, SEED)]
    assert sorted(round(float(each.mean()), 4) for each in sums) == [-0.9, 0.0, 0.6]
    (mean,) = lines(axes, BOUNDARY)
    odds = np.mean([probabilities(logits, *mean.T) for logits in moved], axis=0)
    np.testing.assert_allclose(odds, 0.5, atol=2e-3)
    assert "mean over 3 seeds, thin: the boundary of each" in words(figure)
    assert not lines(fit_figure(run_of(regions_of([LINE], WHO))).axes[0], SEED)


def test_seeds_that_diverged_have_no_part_in_it() -> None:
    regions = regions_of([LINE, linear((0, 0, 0), (-9, 5, 0))], WHO)
    alone = fit_figure(run_of(regions.of_lanes([0])))
    for some in (run_of(regions, diverged=[1]), run_of(without(regions, 1))):
        figure = fit_figure(some)
        np.testing.assert_array_equal(background(figure.axes[0]), background(alone.axes[0]))
        assert "not drawn, as they diverged: 1 of 2 seeds" in words(figure)
    none = fit_figure([run_of(regions, diverged=[0, 1]), run_of(regions, "sgd", 1)])
    left, right = none.axes
    assert [text.get_text() for text in left.texts] == ["diverged"]
    assert not left.images
    assert left.get_lines()
    assert right.images
    none.canvas.draw()


def test_each_run_is_shown_at_its_best_learning_rate() -> None:
    regions = regions_of([LINE, LINE, nearest(2), nearest(2)], WHO)
    run = run_of(regions, lrs=(0.5, 0.01), losses=(0.9, 0.8, 0.2, 0.3))
    assert at_best_rate(run).fit == regions.of_lanes([2, 3])
    figure = fit_figure([run, run_of(regions.of_lanes([0]), "sgd", 1, lrs=(0.5,))])
    best = fit_figure(run_of(regions.of_lanes([2, 3])))
    np.testing.assert_array_equal(background(figure.axes[0]), background(best.axes[0]))
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.partition("lr ")[2] for title in titles] == ["0.01", "0.5"]
    assert "best" in words(figure)


def test_panels_share_their_limits_and_say_whose_they_are() -> None:
    figure = fit_figure(three(regions_of([nearest(3)], list("abc"), reach=(3, 50))))
    limits = {(*axes.get_xlim(), *axes.get_ylim()) for axes in figure.axes}
    assert limits == {(-1.1 * 3, 1.1 * 3, -1.1 * 50, 1.1 * 50)}
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    names = ["full batch, batch size 120", "stochastic, batch size 1", "mini-batch, batch size 16"]
    assert titles == names
    assert figure.axes[0].get_xlabel() == "x1"
    assert [axes.get_ylabel() for axes in figure.axes] == ["x2", "", ""]


@pytest.mark.parametrize("val_rows", [0, 30])
def test_rows_have_the_looks_of_their_classes_and_only_those_for_validation_are_hollow(
    val_rows: int,
) -> None:
    regions = regions_of([nearest(3, 1.0)], ["red", "green", "blue"], val_rows=val_rows)
    figure = fit_figure(run_of(regions))
    counts = {False: 0, True: 0}
    for line in figure.axes[0].get_lines():
        hollow = line.get_markerfacecolor() == "white"
        label = COLORS.index(str(line.get_color()))
        assert line.get_marker() == MARKERS[label]
        assert hollow or line.get_markerfacecolor() == COLORS[label]
        x, labels = (regions.x_val, regions.labels_val) if hollow else (regions.x, regions.labels)
        own = [point for point, its in zip(x, labels, strict=True) if its == label]
        assert np.array(line.get_data()).T.tolist() == [[*point] for point in own]
        counts[hollow] += len(own)
    assert counts == {False: 120, True: val_rows}
    kinds = ["training data", "validation data"] if val_rows else []
    assert sorted(entries(figure)) == sorted(["red", "green", "blue", *kinds])
    faces = [str(handle.get_markerfacecolor()) for handle in figure.legends[0].legend_handles]  # type: ignore[union-attr]
    assert ("white" in faces) == bool(val_rows)


def test_ten_colours_are_told_apart_by_all_eyes_and_from_those_of_methods() -> None:
    for few, least in ((2, 60), (6, 30), (len(COLORS), 12)):
        assert min(distance(*pair) for pair in combinations(COLORS[:few], 2)) > least
    assert min(distance(a, b) for a in COLORS for b in METHOD_COLORS.values()) > 9
    assert len({(color_of(k), marker_of(k)) for k in range(40)}) == 40


@pytest.mark.parametrize("scale", ["paper", "slides"])
@pytest.mark.parametrize("runs", [1, 2, 3, 4, 5, 6, 8, 9, 20])
def test_no_text_covers_another_or_is_cut_off(runs: int, scale: Any) -> None:
    for reach in ((1.0, 1.0), (2e-7, 3e8), (12345.0, 0.01)):
        results = many(runs, reach=reach, val_rows=20)
        figure = fit_figure(results, scale=scale)
        texts = texts_of(figure)
        assert collisions(texts) == []
        assert beyond(figure, texts) == []
        assert len(figure.axes) == runs


def test_many_runs_are_in_rows_whose_outer_panels_are_numbered() -> None:
    figure = fit_figure(many(8))
    places = [axes.get_position() for axes in figure.axes]
    assert len({round(place.y0, 3) for place in places}) == 2
    below = [axes.get_xlabel() for axes in figure.axes]
    assert below == [""] * 4 + ["x1"] * 4
    five = fit_figure(many(5))
    assert [axes.get_xlabel() for axes in five.axes] == ["", "", "x1", "x1", "x1"]
    assert min(place.width for place in places) * figure.get_figwidth() > 2


@pytest.mark.parametrize(
    ("name", "label"),
    [("\x1b[31mred\u202e", r"\x1b[31mred\u202e"), (r"$\frac{1$", r"\$\frac{1\$"),
     ("w" * 5000, "w" * 10 + "…"), ("two\nlines", r"two\nlines")],
    ids=["control", "formula", "long", "newline"],
)  # fmt: skip
def test_whatever_a_class_or_a_feature_is_called_it_is_drawn_as_text(name: str, label: str) -> None:
    regions = regions_of([nearest(3)], [name, "b", "c"], val_rows=5)
    more: Any = {"features": ("W" * 500, "$w$" * 500)}
    for results in ([run_of(regions, **more)], three(regions, **more)):
        figure = fit_figure(results)
        assert label in entries(figure)
        texts = texts_of(figure)
        assert collisions(texts) == []
        assert beyond(figure, texts) == []


@pytest.mark.parametrize("kind", READERS)
def test_every_text_is_in_the_file(kind: str) -> None:
    figure = fit_figure(three(regions_of([nearest(3)] * 4, ["a", "bé", "c d"], val_rows=9)))
    file = BytesIO()
    figure.savefig(file, format=kind)
    found = READERS[kind](file.getvalue())
    assert {text for text in seen(figure) if text not in found} == set()


def test_many_rows_and_classes_are_drawn_and_the_file_stays_small() -> None:
    regions = regions_of([nearest(14)], [f"class {k}" for k in range(14)], rows=10_000)
    figure = fit_figure(run_of(regions))
    file = BytesIO()
    figure.savefig(file, format="svg")
    assert len(file.getvalue()) < 2e6
    assert len(entries(figure)) == 14


def test_the_same_result_gives_the_same_bytes() -> None:
    regions = regions_of([nearest(3)] * 2, list("abc"), val_rows=5)
    files = []
    for _ in range(2):
        file = BytesIO()
        fit_figure(three(regions)).savefig(file, format="png", dpi=60)
        files.append(file.getvalue())
    assert files[0] == files[1]


def test_it_is_the_fit_among_the_pictures_of_a_run_and_in_a_notebook(tmp_path: Path) -> None:
    result = replace(run_of(regions_of([LINE], WHO)), directory=tmp_path)
    (fit,) = [
        each for each in pictures([result], tmp_path, PlotConfig()) if "fit" in each.path.name
    ]
    fit.save(dpi=50)
    assert (tmp_path / "fit.png").read_bytes().startswith(b"\x89PNG")
    assert len(fit_in_notebook([result]).axes) == 1
    with pytest.raises(ValueError, match="only runs on one feature, or on classes of two"):
        fit_figure(replace(result, fit=None))


def test_a_constant_guess_has_one_colour_and_no_boundary() -> None:
    (axes,) = fit_figure(run_of(regions_of([linear((0, 0, 0), (0, 0, 50))], WHO))).axes
    assert not lines(axes, BOUNDARY)
    assert len(np.unique(background(axes).reshape(-1, 3), axis=0)) == 1
    assert not re.search("nan", str(axes.get_xlim()))


@pytest.mark.parametrize("value", [0.0, -3e9])
def test_a_feature_with_a_single_value_has_room_around_it(value: float) -> None:
    regions = regions_of([linear((0, 0, 0), (5, 0, 0))], WHO)
    points = [(x, value) for x, _ in regions.x]
    figure = fit_figure(run_of(replace(regions, x=points, grid_y=[value] * GRID)))
    low, high = figure.axes[0].get_ylim()
    assert low < value < high
    (line,) = lines(figure.axes[0], BOUNDARY)
    np.testing.assert_allclose(line[:, 0], 0, atol=1e-6)
    assert collisions(texts_of(figure)) == []
