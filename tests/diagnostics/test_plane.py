"""The plane that is closest to points, and what it would explain of random walks."""

import math

import pytest
import torch
from torch import Tensor

from gdrun.diagnostics.plane import (
    Plane,
    principal_plane,
    random_share,
    random_walk_shares,
)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(3, 2), (20, 5), (5, 20), (40, 40), (101, 31)])
def test_directions_and_shares_are_those_of_the_singular_values(shape: tuple[int, int]) -> None:
    points = drawn(*shape) + 3
    plane, shares = principal_plane(points)
    offsets = points.double() - points.double().mean(0)
    _, values, vectors = torch.linalg.svd(offsets, full_matrices=False)
    parts = values.square() / values.square().sum()
    assert shares == pytest.approx(parts[:2].tolist())
    assert torch.allclose((plane.directions @ vectors[:2].T).abs(), torch.eye(2).double())
    assert torch.allclose(plane.directions @ plane.directions.T, torch.eye(2).double())
    for direction in plane.directions:
        assert direction[direction.abs().argmax()] > 0


def test_what_lies_in_a_plane_is_explained_whole_and_found_at_its_places() -> None:
    places = drawn(30, 2, seed=1).double()
    given = Plane(drawn(9).double(), drawn(2, 9, seed=2).double())
    points = given.weights(places)
    assert torch.allclose(given.places(points), places)
    plane, shares = principal_plane(points)
    assert sum(shares) == pytest.approx(1.0)
    assert torch.allclose(plane.weights(plane.places(points)), points)


def test_of_a_line_the_second_direction_is_any_other() -> None:
    points = torch.outer(torch.arange(5.0), torch.tensor([0.0, 3.0, 4.0]))
    plane, shares = principal_plane(points)
    assert shares[0] == pytest.approx(1.0)
    assert shares[1] == pytest.approx(0.0, abs=1e-12)
    assert torch.allclose(plane.directions[0], torch.tensor([0, 0.6, 0.8]).double())
    assert plane.directions[1].tolist() == pytest.approx([1, 0, 0])


def test_two_points_have_a_plane_too() -> None:
    plane, shares = principal_plane(torch.tensor([[0.0, 0.0], [0.0, 2.0]]))
    assert shares[0] == pytest.approx(1)
    assert plane.centre.tolist() == [0, 1]
    assert plane.places(torch.tensor([0.0, 2.0])).tolist() == pytest.approx([1, 0])


def test_one_weight_or_one_point_has_none() -> None:
    with pytest.raises(ValueError, match="two weights"):
        principal_plane(torch.zeros(4, 1))
    with pytest.raises(ValueError, match="all the same"):
        principal_plane(torch.ones(4, 3))


# ------------------------------------------------------------------------------- random walks


@pytest.mark.parametrize("points", [2, 3, 7, 50, 400])
def test_the_shares_of_a_random_walk_are_the_eigenvalues_of_its_expected_products(
    points: int,
) -> None:
    steps = torch.arange(points, dtype=torch.float64)
    centred = torch.eye(points, dtype=torch.float64) - 1 / points
    expected = centred @ torch.minimum(steps[:, None], steps[None, :]) @ centred
    values = torch.linalg.eigvalsh(expected).flip(0)[:-1]
    shares = random_walk_shares(points)
    assert sum(shares) == pytest.approx(1.0)
    assert shares == pytest.approx((values / values.sum()).tolist(), abs=1e-7)


def test_the_shares_tend_to_those_of_antognini_and_sohl_dickstein() -> None:
    for k, share in enumerate(random_walk_shares(100_000)[:3], start=1):
        assert share == pytest.approx(6 / (math.pi * k) ** 2, rel=1e-6)
    assert sum(random_walk_shares(100_000)[:2]) == pytest.approx(0.7599, abs=1e-4)


def test_a_simulated_walk_in_many_dimensions_has_these_shares() -> None:
    walk = drawn(101, 20_000).cumsum(0)
    _, shares = principal_plane(walk)
    assert shares == pytest.approx(random_walk_shares(101)[:2], rel=0.01)


def test_one_path_is_compared_with_one_walk_whatever_its_steps() -> None:
    for points in (2, 3, 60):
        expected = sum(random_walk_shares(points)[:2])
        assert random_share([100 * drawn(points, 4)]) == pytest.approx(expected)


def test_several_paths_are_compared_with_as_many_walks_from_their_starts() -> None:
    walks = []
    for seed, (points, step) in enumerate(((100, 1.0), (100, 0.5), (50, 2.0))):
        moves = step * drawn(points, 20_000, seed=seed)
        walks.append(torch.cat([torch.zeros(1, 20_000), moves]).cumsum(0))
    apart = [walk + 10 * drawn(20_000, seed=9 + k) for k, walk in enumerate(walks)]
    for paths in (walks, apart):
        _, shares = principal_plane(torch.cat(paths))
        assert random_share(paths) == pytest.approx(sum(shares), rel=0.01)
    assert random_share(walks) < sum(random_walk_shares(100)[:2])


def test_paths_that_do_not_move_have_all_of_nothing_explained() -> None:
    assert random_share([torch.ones(1, 3)]) == 1.0
