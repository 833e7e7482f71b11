"""Losses on a plane are those of the network; random directions are as long as its filters."""

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from gdrun.diagnostics import surface as surfaces
from gdrun.diagnostics.filters import filter_axes, random_plane
from gdrun.diagnostics.plane import Plane
from gdrun.diagnostics.surface import as_params, as_vectors, losses_at, surface
from gdrun.training.models.model import Params
from tests.problems import make_problem, perceptron_of


def of_lane(params: Params, lane: int = 0) -> Params:
    return tuple(tensor[lane] for tensor in params)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_vectors_are_the_weights_one_after_the_other() -> None:
    problem = make_problem(features=2, hidden=(5, 3))
    params = problem.model.init([0, 1, 2])
    vectors = as_vectors(params)
    assert vectors.shape == (3, problem.model.parameters)
    again = as_params(vectors, of_lane(params))
    assert all(torch.equal(a, b) for a, b in zip(params, again, strict=True))


@pytest.mark.parametrize("together", [1, 300, 2**21])
def test_losses_are_those_of_a_module_on_all_rows(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surfaces, "TOGETHER_NUMBERS", together)
    problem = make_problem(rows=30, features=2, hidden=(4,))
    params = problem.model.init(range(9))
    parts: list[float] = []
    found = losses_at(problem, of_lane(params), as_vectors(params), parts.append)
    data = problem.data
    for lane, loss in enumerate(found):
        outputs = perceptron_of(problem).module(of_lane(params, lane))(data.x[:]).detach()
        assert loss == pytest.approx(float(nn.functional.mse_loss(outputs, data.y[:])), rel=1e-5)
    assert parts[-1] == 1.0
    assert parts == sorted(parts)


@pytest.mark.parametrize("together", [1, 500, 2**21])
def test_the_grid_has_a_row_for_each_y_and_a_loss_for_each_x(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surfaces, "TOGETHER_NUMBERS", together)
    problem = make_problem(rows=30, features=2, hidden=(4,))
    like = of_lane(problem.model.init([0]))
    size = problem.model.parameters
    plane = Plane(as_vectors(problem.model.init([0]))[0].double(), drawn(2, size).double())
    xs, ys = [-1.0, 0.0, 0.5, 2.0], [-0.5, 0.0, 1.0]
    losses = surface(problem, like, plane, xs, ys)
    assert [len(row) for row in losses] == [4, 4, 4]
    for (j, y), (i, x) in product(enumerate(ys), enumerate(xs)):
        vector = plane.centre + x * plane.directions[0] + y * plane.directions[1]
        (alone,) = losses_at(problem, like, vector.float().unsqueeze(0))
        assert losses[j][i] == pytest.approx(alone, rel=1e-5)


def test_a_loss_that_overflows_is_infinite() -> None:
    problem = make_problem()
    params = problem.model.init([0])
    vectors = 1e30 * as_vectors(params)
    assert losses_at(problem, of_lane(params), vectors) == [float("inf")]


# ------------------------------------------------------------------------------------- filters


def test_filters_of_a_perceptron_are_the_weights_into_each_unit_and_biases_stay() -> None:
    problem = make_problem(features=3, hidden=(5, 4))
    params = of_lane(problem.model.init([3]))
    plane = random_plane(problem.model, params, seed=1)
    assert torch.equal(plane.centre, torch.cat([p.double().flatten() for p in params]))
    for direction in plane.directions:
        parts = of_lane(as_params(direction.unsqueeze(0), params))
        for k, (part, own) in enumerate(zip(parts, params, strict=True)):
            if k % 2:
                assert not part.any()
                continue
            for unit in range(own.shape[1]):  # weights are (in, out)
                norm = sum(float(number) ** 2 for number in own[:, unit]) ** 0.5
                assert float(part[:, unit].norm()) == pytest.approx(norm, rel=1e-5)


def test_filters_of_other_networks_are_along_the_first_axis() -> None:
    class Other:
        """Any model but a perceptron."""

    params = (drawn(4, 2, 3, 3), drawn(4), drawn(5, 4, seed=1), drawn(5, seed=2))
    model = Other()
    assert filter_axes(model, params) == [0, None, 0, None]  # type: ignore[arg-type]
    plane = random_plane(model, params, seed=0)  # type: ignore[arg-type]
    for direction in plane.directions:
        parts = of_lane(as_params(direction.unsqueeze(0), params))
        for part, own in zip(parts, params, strict=True):
            for one, other in zip(part, own, strict=True):
                expected = float(other.norm()) if own.dim() > 1 else 0.0
                assert float(one.norm()) == pytest.approx(expected, rel=1e-5)


def test_a_unit_without_weights_does_not_move() -> None:
    problem = make_problem(features=3, hidden=(5,))
    params = of_lane(problem.model.init([0]))
    params[0][:, 2] = 0.0
    plane = random_plane(problem.model, params, seed=0)
    first = plane.directions[:, : params[0].numel()].view(2, *params[0].shape)
    assert not first[:, :, 2].any()
    assert first[:, :, 1].all()


def test_the_seed_alone_decides() -> None:
    problem = make_problem(features=3)
    params = of_lane(problem.model.init([0]))
    one, same, other = (random_plane(problem.model, params, seed) for seed in (4, 4, 5))
    assert torch.equal(one.directions, same.directions)
    assert not torch.allclose(one.directions, other.directions)


def test_biases_alone_have_no_plane() -> None:
    problem = make_problem(features=0, hidden=())
    with pytest.raises(ValueError, match="besides its biases"):
        random_plane(problem.model, of_lane(problem.model.init([0])), seed=0)
