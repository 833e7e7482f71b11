"""The words about a picture of the loss: what it shows, and that it may show nothing."""

import math

import pytest
import torch

from gdrun.analysis.landscape import (
    end_in_words,
    far_from_plane,
    sentences,
    share,
    shows_nothing,
)
from gdrun.diagnostics.plane import principal_plane, random_share
from gdrun.results.landscape import Curvature, Landscape, PathEnd, PlanePath

END = PathEnd(1e-6, 1.0, Curvature(0, 0, 2, 0.5, 3.0, 1e-6))


def path(*plane_losses: float, name: str = "sgd") -> PlanePath:
    count = len(plane_losses)
    places = [float(k) for k in range(count)]
    losses = [2.0] * count
    return PlanePath(name, 0, 0.1, 0, range(count), places, places, losses, plane_losses, END)


def landscape(
    first: float, second: float, random: float, *paths: PlanePath, parameters: int = 31
) -> Landscape:
    grid, losses = [-1.0, 1.0], [[1.0, 2.0], [3.0, 4.0]]
    return Landscape(grid, grid, losses, paths, parameters, (first, second), random)


@pytest.mark.parametrize(
    ("first", "second", "random", "nothing"),
    [
        (0.61, 0.15, 0.76, True),
        (0.40, 0.20, 0.76, True),
        (0.66, 0.15, 0.76, True),
        (0.70, 0.14, 0.76, False),
        (0.90, 0.08, 0.76, False),
        (0.90, 0.08, 0.98, True),
    ],
)
def test_a_plane_that_explains_no_more_than_of_random_walks_is_said_to_show_nothing(
    first: float, second: float, random: float, nothing: bool
) -> None:
    found = landscape(first, second, random, path(2.0, 2.0))
    assert shows_nothing(found) == nothing
    said = [*sentences(found)]
    assert any("shows nothing" in line for line in said) == nothing
    assert f"{100 * random:.1f} % of that of a random walk of as many" in said[0]


@pytest.mark.parametrize("weights", [20, 31, 2000])
@pytest.mark.parametrize("points", [30, 101])
def test_of_a_simulated_walk_it_is_said(points: int, weights: int) -> None:
    said = []
    for seed in range(10):
        steps = torch.randn(points, weights, generator=torch.Generator().manual_seed(seed))
        walk = steps.cumsum(0)
        _, shares = principal_plane(walk)
        expected = random_share([walk])
        said.append(shows_nothing(landscape(*shares, expected, path(2.0), parameters=weights)))
    assert sum(said) >= 8
    straight = torch.arange(float(points))[:, None] * torch.ones(weights) + steps
    _, shares = principal_plane(straight)
    expected = random_share([straight])
    assert not shows_nothing(landscape(*shares, expected, path(2.0), parameters=weights))


def test_two_weights_are_shown_as_they_are_however_they_moved() -> None:
    walk = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).cumsum(0)
    _, shares = principal_plane(walk)
    assert not shows_nothing(landscape(*shares, random_share([walk]), path(2.0), parameters=2))


def test_a_plane_far_from_the_paths_is_said_with_by_how_much() -> None:
    near, far = path(2.0, 2.1, 2.15), path(2.0, 3.0, 4.0, name="full")
    found = landscape(0.9, 0.05, 0.7, near, far)
    assert far_from_plane(found) == [far]
    assert far.difference == pytest.approx(0.5)
    (line,) = [line for line in sentences(found) if "isn't where" in line]
    assert line.endswith("its loss beside a point is off by 50 % of that of full")
    assert not [s for s in sentences(landscape(0.9, 0.05, 0.7, near)) if "isn't where" in s]
    infinite = path(2.0, math.inf, math.inf)
    assert infinite.difference == math.inf
    assert [*sentences(landscape(0.9, 0.05, 0.7, infinite))]


def test_shares_close_to_all_are_told_apart_from_all() -> None:
    assert [share(part) for part in (0.5, 0.998, 0.9996, 0.99995, 1.0)] == [
        "50.0 %", "99.8 %", "99.96 %", "99.9950 %", "100.0 %",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("gradient", "counts", "words"),
    [
        (0.5, (1, 0, 2), "not stationary, and so neither a minimum nor a saddle"),
        (1e-4, (1, 0, 2), "a saddle, with 1 direction down"),
        (1e-4, (0, 2, 1), "a minimum that is flat in 2 directions, as far as they tell"),
        (1e-4, (0, 0, 3), "a minimum"),
    ],
)
def test_only_without_a_gradient_a_point_is_a_saddle(
    gradient: float, counts: tuple[int, int, int], words: str
) -> None:
    said = end_in_words(PathEnd(gradient, 1.0, Curvature(*counts, -1.0, 3.0, 1e-6)))
    assert said.startswith(f"{words}: gradient ")
    negative, zero, positive = counts
    assert f"of 3 eigenvalues {negative} negative, {zero} zero (up to 1.00e-06)" in said
    assert f"and {positive} positive, from -1 to 3" in said


def test_without_eigenvalues_that_is_said() -> None:
    said = end_in_words(PathEnd(0.5, 0.0, None))
    assert said == ("not stationary: gradient 0.5; eigenvalues: too many weights to compute all")
