"""The noise of gradients by batches of two sizes, as large trainings measure it on their way.

It checks the noise that is computed from the gradients of single rows by quite another way.
"""

from dataclasses import dataclass

import torch

from gdrun.diagnostics.derivatives import LaneLoss, Work

SMALL, LARGE = 64, 8  # batches of each size: so many small ones have the rows of one large one


@dataclass(frozen=True)
class TwoBatches:
    """Estimates without bias of |G|² and tr Σ; a ratio of means estimates B_simple.

    Attributes:
        squared_norm: |G|², below zero by chance where the gradient is small.
        variance: tr Σ.
    """

    squared_norm: float
    variance: float


def two_batches(loss: LaneLoss, draws: torch.Generator) -> Work[TwoBatches]:
    """Both estimates, by the mean squared norms of gradients of random batches.

    As E|G_B|² = |G|² + tr Σ / B, batches of sizes s and b give (McCandlish et al. 2018, app. A.1)

        |G|² = (b |G_b|² − s |G_s|²) / (b − s)      tr Σ = (|G_s|² − |G_b|²) / (1/s − 1/b)

    Rows are drawn with replacement, so that Σ is the covariance of all rows, with 1/N.
    """
    rows = loss.problem.data.rows
    large = max(2, min(rows, loss.problem.rows_at_once(1)))
    small = max(1, large // SMALL)
    means = []
    for batches, size in ((SMALL, small), (LARGE, large)):
        numbers = torch.randint(rows, (batches, size), generator=draws)
        squares = 0.0
        for gradients in loss.batch_gradients(numbers):
            squares += float(gradients.square().sum())
            yield
        means.append(squares / batches)
    of_small, of_large = means
    return TwoBatches(
        squared_norm=(large * of_large - small * of_small) / (large - small),
        variance=(of_small - of_large) / (1 / small - 1 / large),
    )
