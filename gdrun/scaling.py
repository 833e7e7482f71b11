"""Standardisation: the mean and deviation of columns, taken in one pass over blocks of rows."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.errors import DataError
from gdrun.labels import count


@dataclass(frozen=True)
class Scaling:
    """The affine map between original and standardised columns: z = (v − mean) / deviation."""

    mean: Tensor
    deviation: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """Original units → standardised, (…, columns) both."""
        return (values - self.mean) / self.deviation

    def invert(self, values: Tensor) -> Tensor:
        """Standardised → original units, (…, columns) both."""
        return values * self.deviation + self.mean


def fit_scaling(blocks: Iterable[Tensor], names: tuple[str, ...]) -> Scaling:
    """Mean and deviation (with 1/N, so that the scaled variance is 1) of columns, in 64 bits.

    Blocks of rows, (n, columns) each, are put together by the pairwise update of Chan, Golub &
    LeVeque (1983, "Algorithms for computing the sample variance", eq. 2.1).

    Raises:
        DataError: a column is constant, so that there is nothing to scale it by.
    """
    rows = 0
    mean = squares = torch.zeros(len(names), dtype=torch.float64)
    low = torch.full_like(mean, torch.inf)
    high = -low
    for block in blocks:
        values, more = block.double(), len(block)
        own_variance, own_mean = torch.var_mean(values, dim=0, correction=0)
        own_low, own_high = values.aminmax(dim=0)
        shift, total = own_mean - mean, rows + more
        squares = squares + own_variance * more + shift.square() * (rows * more / total)
        mean = mean + shift * (more / total)
        low, high, rows = torch.minimum(low, own_low), torch.maximum(high, own_high), total
    constant = (low == high).tolist()
    if any(constant):
        raise DataError(
            [
                f"data.standardize: column {name!r} is constant ({value:g}) in the "
                f"{count(rows, 'training row')} and can't be scaled to unit variance"
                for name, value, same in zip(names, low.tolist(), constant, strict=True)
                if same
            ],
            "leave it out of data.features, or set data.standardize to false",
        )
    scaling = Scaling(mean, (squares / rows).sqrt())
    refuse_overflow(scaling.deviation.unsqueeze(0), names)
    return scaling


def refuse_overflow(values: Tensor, names: tuple[str, ...]) -> None:
    """Refuse columns, (n, columns), that hold infinities.

    Raises:
        DataError: one does.
    """
    finite = values.isfinite().all(dim=0).tolist()
    too_large = [name for name, fits in zip(names, finite, strict=True) if not fits]
    if too_large:
        raise DataError(
            [f"column {name!r} holds numbers too large for 32-bit floats" for name in too_large],
            "measure it in a larger unit",
        )
