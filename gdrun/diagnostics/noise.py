"""The noise of gradients: how many rows a batch takes until its gradient is mostly that of all.

These are the two scales of McCandlish et al. 2018, "An empirical model of large-batch training",
sec. 2.2. With G the gradient of the train loss, H its Hessian and Σ the covariance of the gradients
of single rows (with 1/N),

    B_simple = tr Σ / |G|²        B_noise = tr(H Σ) / GᵀHG
"""

import math
from dataclasses import dataclass

import torch

from gdrun.diagnostics.derivatives import LaneLoss


@dataclass(frozen=True)
class GradientNoise:
    """The gradient of the train loss, and how those of single rows vary about it.

    Attributes:
        squared_norm: |G|².
        variance: tr Σ.
    """

    squared_norm: float
    variance: float

    @property
    def simple_scale(self) -> float:
        """B_simple; infinite at a minimum, where there is no gradient."""
        return self.variance / self.squared_norm if self.squared_norm else math.inf

    def of_batch(self, batch_size: int) -> float:
        """The variance of the gradient of so many rows that are drawn at random, tr Σ / B."""
        return self.variance / batch_size


def gradient_noise(loss: LaneLoss) -> GradientNoise:
    """The noise at the weights of a lane, by the gradients of all rows.

    tr Σ = mean |g_i|² − |G|², which is computed in 64 bits.
    """
    squares, rows = 0.0, 0
    total = torch.zeros_like(loss.weights, dtype=torch.float64)
    for gradients in loss.row_gradients():
        squares += float(gradients.square().sum())
        total += gradients.sum(0)
        rows += len(gradients)
    squared_norm = float((total / rows).square().sum())
    return GradientNoise(squared_norm, max(0.0, squares / rows - squared_norm))


def curved_scale(loss: LaneLoss) -> float:
    """B_noise, by one product with the Hessian for each row.

    tr(H Σ) = mean g_iᵀ H g_i − GᵀHG. Not known, NaN, where the gradient climbs no curvature.
    """
    gradient = loss.gradient()
    along = float(gradient @ loss.hessian_product(gradient))
    total, rows = 0.0, 0
    for gradients in loss.row_gradients():
        total += sum(float(own @ loss.hessian_product(own)) for own in gradients)
        rows += len(gradients)
    return (total / rows - along) / along if along > 0 else math.nan
