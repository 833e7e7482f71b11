"""The noise of gradients: how many rows a batch takes until its gradient is mostly that of all.

These are the two scales of McCandlish et al. 2018, "An empirical model of large-batch training",
sec. 2.2. With G the gradient of the train loss, H its Hessian and Σ the covariance of the gradients
of single rows (with 1/N),

    B_simple = tr Σ / |G|²        B_noise = tr(H Σ) / GᵀHG

Shapes: P weights, N rows, B rows at a time, K draws.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.diagnostics.derivatives import LaneLoss, Work

DRAWS, FEWEST_DRAWS = 32, 4  # of random signs, from which tr(H Σ) is estimated
DRAWN_NUMBERS = 2**25  # of all draws together (128 MB)


@dataclass(frozen=True)
class GradientNoise:
    """The gradient of the train loss, and how those of single rows vary about it.

    Attributes:
        gradient: G, (P,).
        variance: tr Σ.
        along: tr(H Σ), or None if no Hessian was given.
        drawn: (K, P), vectors whose covariance is Σ.
    """

    gradient: Tensor
    variance: float
    along: float | None
    drawn: Tensor

    @property
    def squared_norm(self) -> float:
        """|G|²."""
        return float(self.gradient.square().sum())

    @property
    def simple_scale(self) -> float:
        """B_simple; infinite at a minimum, where there is no gradient."""
        return self.variance / self.squared_norm if self.squared_norm else math.inf

    def of_batch(self, batch_size: int, rows: int, *, replaced: bool) -> float:
        """The variance of the gradient of a batch about G.

        It is tr Σ / B of B rows that are drawn one by one, and `replaced`; of rows that are all
        different, (N − B) / (N − 1) times that, which is none of all rows (Cochran 1977, theorem
        2.2).
        """
        share = 1.0 if replaced or rows == 1 else (rows - batch_size) / (rows - 1)
        return share * self.variance / batch_size


@dataclass(frozen=True)
class Estimated:
    """A number, and by how much it may be off: its standard error, or a bound; 0 if it is exact."""

    value: float
    error: float


def gradient_noise(
    loss: LaneLoss, hessian: Tensor | None = None, signs: torch.Generator | None = None
) -> Work[GradientNoise]:
    """The noise at the weights of a lane, by the gradients of all rows.

    tr Σ = mean |g_i|² − |G|², in 64 bits; and likewise tr(H Σ) = mean g_iᵀ H g_i − GᵀHG. Where H is
    too large to be had, random `signs` z_i make vectors Σ z_i (g_i − G) / √N, whose covariance is Σ
    (Hutchinson 1990); they are drawn where `signs` are given.
    """
    size, rows = len(loss.weights), loss.problem.data.rows
    draws = max(FEWEST_DRAWS, min(DRAWS, DRAWN_NUMBERS // size)) if signs else 0
    total = drawn = torch.zeros(())
    squares, along, sums = 0.0, 0.0, torch.zeros(draws, 1)
    for k, gradients in enumerate(loss.row_gradients()):
        squares += float(gradients.square().sum())
        total = gradients.sum(0) if k == 0 else total + gradients.sum(0)
        if hessian is not None:
            along += float(((gradients @ hessian) * gradients).sum())
        if signs:
            z = torch.randint(0, 2, (draws, len(gradients)), generator=signs) * 2.0 - 1.0
            z = z.to(gradients.device, gradients.dtype)
            part = (z @ gradients).float()
            drawn = part if k == 0 else drawn + part
            sums = sums.to(z) + z.sum(1, keepdim=True)
        yield
    mean = total / rows
    variance = max(0.0, squares / rows - float(mean.square().sum()))
    if hessian is not None:
        along = along / rows - float(mean @ hessian @ mean)
    drawn = (drawn - sums.float() * mean.float()) / math.sqrt(rows) if signs else drawn
    return GradientNoise(mean, variance, None if hessian is None else along, drawn)


def variance_in_order(
    loss: LaneLoss, noise: GradientNoise, batch_size: int, batches: int
) -> Work[float]:
    """The mean squared distance from G of the gradients of the batches that rows make in order.

    Args:
        loss: of the lane.
        noise: at its weights.
        batch_size: rows of each; the last may have fewer.
        batches: how many of them there are in an epoch.
    """
    total, of_batch = 0.0, torch.zeros_like(noise.gradient)
    row = rows = done = 0  # of all, of this batch, and batches
    for gradients in loss.row_gradients():
        ends = tuple(range(batch_size - row % batch_size, len(gradients), batch_size))
        for part in torch.tensor_split(gradients, ends):
            of_batch += part.sum(0)
            rows += len(part)
            row += len(part)
            if done < batches and (rows == batch_size or row == loss.problem.data.rows):
                total += float((of_batch / rows - noise.gradient).square().sum())
                of_batch, rows, done = torch.zeros_like(of_batch), 0, done + 1
        yield
    return total / batches


def noise_scale(loss: LaneLoss, noise: GradientNoise) -> Work[Estimated]:
    """B_noise, exact where the noise was measured with the Hessian, and else by its draws.

    Not known, NaN, where the gradient climbs no curvature.
    """
    gradient = noise.gradient
    curvature = float(gradient @ (yield from loss.hessian_product(gradient)))
    if curvature <= 0:
        return Estimated(math.nan, math.nan)
    if noise.along is not None:
        return Estimated(noise.along / curvature, 0.0)
    products = yield from loss.hessian_products(noise.drawn)
    each = (noise.drawn.double() * products).sum(1)
    error = float(each.std()) / math.sqrt(len(each))
    return Estimated(float(each.mean()) / curvature, error / curvature)
