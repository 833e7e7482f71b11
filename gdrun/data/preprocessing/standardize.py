"""Standardisation: mean and deviation of columns, computed in one pass over blocks of rows."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.errors import DataError, excerpt, first_of
from gdrun.text import count


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


def fit_scaling(
    blocks: Iterable[Tensor], names: tuple[str, ...], *, keep_constant: bool = False
) -> Scaling:
    """Mean and deviation (with 1/N, so that the scaled variance is 1) of columns, in 64 bits.

    Columns that never vary are 0 then if they are kept, as if their deviation were 1.

    Blocks of rows, (n, columns) each, are combined by the pairwise update of Chan, Golub & LeVeque
    (1983, "Algorithms for computing the sample variance", eq. 2.1).

    Raises:
        DataError: a column is constant and not kept, or varies too little to be scaled.
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
    deviation = (squares / rows).sqrt()
    if keep_constant:
        mean, deviation = mean.where(low != high, low), deviation.where(low != high, 1.0)
    scaling = Scaling(mean, deviation)
    unscalable = [
        f"data.standardize: column {excerpt(name)!r} "
        + (f"is constant ({value:g})" if same else f"varies too little around {value:g}")
        + f" in the {count(rows, 'training row')} and can't be scaled to unit variance"
        for name, value, same, deviation in zip(
            names, low.tolist(), (low == high).tolist(), scaling.deviation.tolist(), strict=True
        )
        if (same and not keep_constant) or deviation == 0  # as the square of 1e-200 is
    ]
    if unscalable:
        raise DataError(
            first_of(unscalable, len(unscalable), "column"),
            "leave it out of data.features, or set data.standardize to false",
        )
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
            first_of(
                [
                    f"column {excerpt(name)!r} holds numbers too large for 32-bit floats"
                    for name in too_large
                ],
                len(too_large),
                "column",
            ),
            "measure them in a larger unit",
        )
