"""How many directions curve down, how many up, and how many not at all."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from gdrun.diagnostics.derivatives import LaneLoss, Work
from gdrun.diagnostics.spectrum import curvature
from tests.problems import make_problem


@dataclass(frozen=True)
class Quadratic:
    """½ wᵀ H w with known eigenvalues, in place of a network's loss."""

    matrix: Tensor

    @property
    def weights(self) -> Tensor:
        return torch.zeros(len(self.matrix))

    def hessian(self) -> Work[Tensor]:
        yield
        return self.matrix


def with_eigenvalues(values: list[float], noise: float = 0.0) -> Quadratic:
    generator = torch.Generator().manual_seed(0)
    size = len(values)
    basis, _ = torch.linalg.qr(torch.randn(size, size, generator=generator).double())
    matrix = basis @ torch.diag(torch.tensor(values).double()) @ basis.T
    errors = noise * torch.randn(size, size, generator=generator).double()
    return Quadratic(matrix + (errors + errors.T) / 2)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_saddle_is_counted_at_any_scale(scale: float) -> None:
    values = [-2.0, -0.001, 0.0, 0.0, 0.0, 0.5, 3.0, 10.0]
    loss = with_eigenvalues([scale * value for value in values], noise=1e-7 * scale)
    found = curvature(loss)  # type: ignore[arg-type]
    assert found
    assert (found.negative, found.zero, found.positive) == (2, 3, 3)
    assert found.lowest == pytest.approx(-2 * scale, rel=1e-4)
    assert found.highest == pytest.approx(10 * scale, rel=1e-4)
    assert 0 < found.tolerance < 1e-4 * scale


def test_a_loss_without_curvature_is_flat_everywhere() -> None:
    found = curvature(with_eigenvalues([0.0, 0.0, 0.0]))  # type: ignore[arg-type]
    assert found
    assert (found.negative, found.zero, found.positive) == (0, 3, 0)


def test_more_weights_than_are_affordable_have_no_count() -> None:
    assert curvature(with_eigenvalues([1.0, 2.0, 3.0]), most=2) is None  # type: ignore[arg-type]


def test_a_linear_model_with_a_feature_that_is_never_there_is_flat_along_its_weight() -> None:
    problem = make_problem(rows=30, features=3, hidden=())
    problem.data.x[:][:, 1] = 0.0
    params = tuple(tensor[0] for tensor in problem.model.init([0]))
    found = curvature(LaneLoss(problem, params))
    assert found
    assert (found.negative, found.zero, found.positive) == (0, 1, 3)
    x = torch.cat([problem.data.x[:], torch.ones(30, 1)], 1).double()
    values = torch.linalg.eigvalsh(2 * x.T @ x / 30)
    assert found.highest == pytest.approx(float(values[-1]), rel=1e-5)


def test_two_linear_layers_have_a_saddle_where_both_are_zero() -> None:
    """f = v w x has the Hessian [[0, −c], [−c, 0]] at 0, c = 2 mean(x y): one up, one down."""
    problem = make_problem(rows=30, features=1, hidden=(1,), activation="gelu")
    params = tuple(torch.zeros_like(tensor[0]) for tensor in problem.model.init([0]))
    found = curvature(LaneLoss(problem, params))
    assert found
    # gelu(a) = a / 2 + … at 0; the output's bias is the third direction that curves, the hidden one
    # is coupled to v as w is: [[0, -p, -q], [-p, 0, 0], [-q, 0, 0]] has one down, one up, one flat.
    assert (found.negative, found.zero, found.positive) == (1, 1, 2)
