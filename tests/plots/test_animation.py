"""Films: which epochs they show, and what a frame shows."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.lines import Line2D
from PIL import Image

import gdrun
from gdrun.plots.animation.film import COLORS, save_gif
from gdrun.plots.animation.moving import Functions, median_functions
from gdrun.plots.animation.scene import DPI, HEIGHT, WIDTH, Scene
from gdrun.plots.animation.timeline import MAX_FRAMES, plan_timeline
from gdrun.results.colors import METHOD_COLORS
from gdrun.results.fits import Fit
from gdrun.results.run import RunResult
from tests.plots.plane import nearest, regions_of

COMMON: dict[str, Any] = {"data": {"rows": 20}, "batch_size": 4, "epochs": 6}


def still(results: list[RunResult], frames: int) -> dict[str, list[Functions]]:
    """Functions that don't move."""
    found = {}
    for result in results:
        assert isinstance(result.fit, Fit)
        found[result.series.name] = [median_functions(result, result.fit)] * frames
    return found


@pytest.mark.parametrize("last", [0, 1, 5, 149, 150, 151, 1000, 12_345, 10**7])
@pytest.mark.parametrize("seconds", [1.0, 7.3, 10.0, 60.0])
def test_frames_begin_and_end_a_training_and_take_the_time_that_is_asked_for(
    last: int, seconds: float
) -> None:
    timeline = plan_timeline(last, seconds)
    epochs, most = list(timeline.epochs), min(MAX_FRAMES, int(15 * seconds))
    assert epochs == sorted(set(epochs))
    assert (epochs[0], epochs[-1]) == (0, last)
    assert len(epochs) == last + 1 if last < most else 0.9 * most <= len(epochs) <= most
    assert sum(timeline.ticks) == round(100 * seconds)
    assert len(timeline.ticks) == len(epochs)
    assert min(timeline.ticks) >= 2  # what is faster, browsers show slowly
    if last >= most:  # more of the beginning than of the end, and nothing left out for long
        steps = np.diff(epochs)
        assert (np.diff(steps) >= -1).all()
        assert steps[0] <= max(1, last / most / 3)


def test_the_last_frame_is_the_whole_and_the_first_the_beginning() -> None:
    results = [*gdrun.compare(**COMMON)]
    scene = Scene(results, range(7), still(results, 7))
    first, last = scene.frame(0), scene.frame(6)
    assert first.shape == (HEIGHT * DPI, WIDTH * DPI, 3)
    assert len(scene) == 7
    for method, color in METHOD_COLORS.items():
        rgb = [int(color[k : k + 2], 16) for k in (1, 3, 5)]
        counts = [int((frame == rgb).all(axis=-1).sum()) for frame in (first, last)]
        assert 0 < counts[0] < counts[1], method
    again = scene.frame(0)  # whatever was drawn before
    assert (again == first).all()
    assert (first == 255).all(axis=-1).mean() > 0.8


def test_axes_stand_still_and_texts_count_the_updates() -> None:
    results = [*gdrun.compare(**COMMON)]
    scene = Scene(results, range(7), still(results, 7))
    limits = [(axes.get_xlim(), axes.get_ylim()) for axes in scene.figure.axes]
    said = []
    for number in (0, 2, 6):
        scene.frame(number)
        assert [(axes.get_xlim(), axes.get_ylim()) for axes in scene.figure.axes] == limits
        said.append(
            [text.get_text() for text in scene.figure.legends[0].get_texts()]
            + [scene.figure.axes[0].get_title("left")]
        )
    for texts, epoch in zip(said, (0, 2, 6), strict=True):
        assert f"epoch {epoch} of 6" in texts
        for name, each in (("full (B = 20)", 1), ("sgd (B = 1)", 20), ("minibatch (B = 4)", 5)):
            assert f"{name}: {each * epoch} updates" in texts


def heads(scene: Scene, number: int) -> list[tuple[float, float]]:
    """The ends of the loss curves of a frame."""
    scene.frame(number)
    lines = [line for line in scene.figure.axes[-1].get_lines() if line.get_marker() == "o"]
    points = [np.asarray(line.get_xydata()) for line in lines if isinstance(line, Line2D)]
    return [(float(x), float(y)) for each in points for x, y in each]


@pytest.mark.parametrize("x", ["epoch", "updates", "samples", "seconds"])
def test_curves_end_at_the_losses_of_their_epoch(x: Any) -> None:
    results = [*gdrun.compare(**COMMON)]
    scene = Scene(results, range(7), {}, x)
    for epoch in (1, 4, 6):
        tables = [result.histories[0].epochs for result in results]
        expected = [(table[x][epoch], table["train_loss"][epoch]) for table in tables]
        assert heads(scene, epoch) == expected


def test_a_median_that_is_infinite_is_not_drawn() -> None:
    (result,) = gdrun.compare(batch_sizes=[4], lr=[0.1, 1e6], seeds=3, **COMMON)
    assert isinstance(result.fit, Fit)
    curves = [[1.0, 2.0], [9.0, math.nan], [2.0, math.inf], *[[math.nan, 0.0]] * 3]
    low, high = median_functions(result, replace(result.fit, curves=curves))
    np.testing.assert_array_equal(low, [2.0, np.nan])
    np.testing.assert_array_equal(high, [np.nan, 0.0])
    scene = Scene([result], range(7), still([result], 7))
    assert scene.frame(6).shape == scene.frame(0).shape


def test_a_film_has_one_palette_with_the_colours_as_they_are(tmp_path: Path) -> None:
    results = [*gdrun.compare(**COMMON)]
    scene = Scene(results, range(7), still(results, 7))
    path = tmp_path / "a.gif"
    seen: list[int] = []
    save_gif(scene, [10, 20, 30, 10, 10, 10, 110], path, seen.append)
    assert seen == list(range(7))
    with Image.open(path) as film:
        assert film.n_frames == 7  # type: ignore[attr-defined]
        durations = []
        for number in range(7):
            film.seek(number)
            durations.append(film.info["duration"])
            shown = np.asarray(film.convert("RGB")).astype(int)
            assert len(np.unique(shown @ [2**16, 2**8, 1])) <= COLORS
            difference = np.abs(shown - scene.frame(number))
            assert np.percentile(difference, 99) <= 8
        assert durations == [100, 200, 300, 100, 100, 100, 1100]
        assert film.info["loop"] == 0


def test_beside_regions_the_losses_fill_the_picture() -> None:
    (result,) = gdrun.compare(batch_sizes=[4], **COMMON)
    regions = regions_of([nearest(3)], ("a", "b", "c"))
    scene = Scene([replace(result, fit=regions)], range(7), {})
    assert len(scene.figure.axes) == 1
    assert heads(scene, 6) == heads(Scene([result], range(7), {}), 6)
