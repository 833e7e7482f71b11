"""Gradients of rows and products with the Hessian are those of PyTorch's autograd, one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from gdrun.config.read import configure
from gdrun.diagnostics import derivatives
from gdrun.diagnostics.derivatives import LaneLoss, Work, finish
from gdrun.diagnostics.noise import GradientNoise, gradient_noise, noise_scale
from gdrun.diagnostics.sharpness import sharpness
from gdrun.experiment.plan.make import plan_experiment

NETWORKS = """
from torch import nn

def build(features, outputs):
    return nn.Sequential(nn.Linear(features, 4), nn.LayerNorm(4), nn.SiLU(), nn.Linear(4, outputs))

def convolution(features, outputs):
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Flatten(), nn.Linear(72, outputs))
"""
CASES: list[dict[str, Any]] = [
    {"preset": "diabetes", "hidden_size": []},
    {"preset": "diabetes", "hidden_size": [5], "loss": "half_mse"},
    {"preset": "diabetes", "hidden_size": [4, 3], "activation": "tanh", "loss": "huber"},
    {"preset": "diabetes", "hidden_size": [4], "activation": "gelu"},
    {"preset": "diabetes", "hidden_size": [4], "activation": "sigmoid", "loss": "l1"},
    {"preset": "moons", "hidden_size": [4], "activation": "tanh"},
    {"preset": "digits", "hidden_size": [2]},
    {"preset": "mean_estimation"},
    {"preset": "diabetes", "model": "net.py:build"},
    {"preset": "digits", "model": "net.py:convolution", "data": {"shape": [1, 8, 8]}},
]


def lane_loss(preset: str, seed: int = 0, **settings: Any) -> LaneLoss:
    config = configure(preset, {**settings, "seed": seed})
    (run,) = plan_experiment("full", config).runs
    return LaneLoss(run.problem, tuple(p[0] for p in run.problem.model.init([seed])))


def noise_of(loss: LaneLoss) -> GradientNoise:
    return finish(gradient_noise(loss))


def curved_scale(loss: LaneLoss) -> float:
    return finish(noise_scale(loss, finish(gradient_noise(loss, finish(loss.hessian()))))).value


def mean_loss(loss: LaneLoss, rows: slice = slice(None)) -> Any:
    """The mean loss over rows as a function of the weights, without the code that is tested."""
    data = loss.problem.data
    x, y = (torch.as_tensor(each[:])[rows] for each in (data.x, data.y))

    def function(weights: Tensor) -> Tensor:
        at, params = 0, []
        for tensor in loss.params:
            size = tensor.numel()
            params.append(weights[at : at + size].reshape(1, *tensor.shape))
            at += size
        outputs = loss.problem.model(tuple(params), x.unsqueeze(0))
        return loss.problem.loss(outputs, y.unsqueeze(0)).mean()

    return function


@pytest.fixture(autouse=True)
def networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NETWORKS)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("rows_at_once", [50, None])
def test_gradients_are_autograds(
    case: dict[str, Any], rows_at_once: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = lane_loss(**case)
    if rows_at_once:
        monkeypatch.setattr(derivatives, "PIECE_NUMBERS", rows_at_once * len(loss.weights))
    weights = loss.weights.clone().requires_grad_()
    (expected,) = torch.autograd.grad(mean_loss(loss)(weights), weights)
    torch.testing.assert_close(finish(loss.gradient()).float(), expected, rtol=1e-4, atol=1e-6)
    rows = torch.cat(list(loss.row_gradients()))
    assert rows.shape == (loss.problem.data.rows, len(weights))
    torch.testing.assert_close(rows.mean(0).float(), expected, rtol=1e-4, atol=1e-6)
    for row in (0, 7, loss.problem.data.rows - 1):
        own = mean_loss(loss, slice(row, row + 1))
        (single,) = torch.autograd.grad(own(weights), weights)
        torch.testing.assert_close(rows[row].float(), single, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("case", [c for c in CASES if c["preset"] != "digits"], ids=str)
def test_the_hessian_is_autograds(case: dict[str, Any]) -> None:
    loss = lane_loss(**case)
    expected = torch.autograd.functional.hessian(  # type: ignore[no-untyped-call]
        mean_loss(loss), loss.weights
    )
    assert isinstance(expected, Tensor)
    torch.testing.assert_close(finish(loss.hessian()).float(), expected, rtol=1e-3, atol=1e-5)
    vector = torch.randn(len(loss.weights), generator=torch.Generator().manual_seed(1))
    product = finish(loss.hessian_product(vector)).float()
    torch.testing.assert_close(product, expected @ vector, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("case", [c for c in CASES if c["preset"] != "digits"], ids=str)
def test_noise_is_that_of_the_covariance_of_rows(case: dict[str, Any]) -> None:
    loss = lane_loss(**case)
    rows = torch.cat(list(loss.row_gradients())).numpy()
    covariance = np.cov(rows.T, bias=True).reshape(rows.shape[1], -1)
    gradient = rows.mean(0)
    found = noise_of(loss)
    assert found.squared_norm == pytest.approx(gradient @ gradient, rel=1e-6)
    assert found.variance == pytest.approx(np.trace(covariance), rel=1e-6)
    assert found.simple_scale == pytest.approx(np.trace(covariance) / (gradient @ gradient))
    assert found.of_batch(7, len(rows), replaced=True) == pytest.approx(np.trace(covariance) / 7)
    hessian = finish(loss.hessian()).numpy()
    along = gradient @ hessian @ gradient
    expected = np.trace(hessian @ covariance) / along if along > 0 else np.nan
    assert curved_scale(loss) == pytest.approx(expected, rel=1e-3, abs=1e-4, nan_ok=True)


@pytest.mark.parametrize("case", [c for c in CASES if c["preset"] != "digits"], ids=str)
def test_lanczos_finds_the_largest_eigenvalue_within_the_error_it_states(
    case: dict[str, Any],
) -> None:
    loss = lane_loss(**case)
    values = torch.linalg.eigvalsh(finish(loss.hessian()))
    for tolerance in (1e-2, 1e-3, 1e-5):
        found = finish(sharpness(loss, tolerance=tolerance))
        slack = 1e-5 * float(values.abs().max())
        assert abs(found.value - float(values[-1])) <= found.error + slack
    exact = finish(sharpness(loss, finish(loss.hessian())))
    assert exact.value == pytest.approx(float(values[-1]), rel=1e-6, abs=1e-7)
    assert exact.error == 0


def test_the_largest_eigenvalue_is_not_the_largest_in_size() -> None:
    class Quadratic(LaneLoss):
        """½ wᵀ diag(3, 1, −5) w."""

        def hessian_products(self, vectors: Tensor) -> Work[Tensor]:
            yield
            return torch.tensor([3.0, 1.0, -5.0], dtype=torch.float64) * vectors

    loss = lane_loss("article", hidden_size=[])
    own = Quadratic(loss.problem, (torch.zeros(3),))
    assert finish(sharpness(own, tolerance=1e-9)).value == pytest.approx(3)
    assert finish(sharpness(own, finish(own.hessian()))).value == pytest.approx(3)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("rows", [4, 64])
def test_orthogonal_rows_have_a_noise_scale_of_d_minus_1_at_any_weights(
    rows: int, seed: int
) -> None:
    loss = lane_loss("hadamard", seed=seed, data={"rows": rows})
    assert noise_of(loss).simple_scale == pytest.approx(rows - 1, rel=1e-3)
    assert curved_scale(loss) == pytest.approx(rows - 1, rel=1e-3)
    assert finish(sharpness(loss)).value == pytest.approx(1, rel=1e-5)


def test_normal_features_have_the_noise_scale_of_theory() -> None:
    """x ~ N(0, I_d), label noise σ²: d + 1 + d σ² / |w − w*|² (in expectation over rows)."""
    features, sigma, rows = 6, 0.7, 100_000
    draw = np.random.default_rng(0)
    x = draw.standard_normal((rows, features))
    wanted = draw.standard_normal(features)
    y = x @ wanted + sigma * draw.standard_normal(rows)
    from gdrun.config.read import configured

    settings = {"data": (x, y), "standardize": False, "hidden_size": [], "loss": "half_mse"}
    (run,) = plan_experiment("full", configured(None, settings)).runs
    weights = torch.tensor(wanted - 1.0, dtype=torch.float32).reshape(features, 1)
    noise = noise_of(LaneLoss(run.problem, (weights, torch.zeros(1, 1))))
    # The bias is one more weight, whose feature is always 1.
    error = features * 1.0 + sigma**2
    expected = features + 1 + (features * sigma**2 + error) / features
    assert noise.simple_scale == pytest.approx(expected, rel=0.02)
