"""Rows in, tensors out: the data sources, the validation split and standardisation.

Shapes: N training rows, V validation rows, D features, O = 1 target.
"""

from dataclasses import dataclass, replace
from typing import assert_never

import torch
from torch import Tensor

from gdrun.config import CsvData, DataConfig, QuadraticData
from gdrun.csvtable import read_table
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


@dataclass(frozen=True)
class Dataset:
    """Training and validation rows as the network sees them.

    Attributes:
        x, y: (N, D) and (N, O), float32.
        x_val, y_val: (V, D) and (V, O); V = 0 without a validation split.
        features, target: the columns' names.
        x_scaling, y_scaling: how to get back to original units; None where nothing was scaled.
        title: what the data is, in a few words.
        left_out: columns of the file that are no features, for want of numbers or a name.
    """

    x: Tensor
    y: Tensor
    x_val: Tensor
    y_val: Tensor
    features: tuple[str, ...]
    target: str
    x_scaling: Scaling | None
    y_scaling: Scaling | None
    title: str
    left_out: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """N, the number of training rows."""
        return len(self.x)

    def to(self, device: torch.device) -> "Dataset":
        """The same data with its rows on a device."""
        names = ("x", "y", "x_val", "y_val")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})


def load_data(config: DataConfig) -> Dataset:
    """Read or make the rows that a config asks for, split and scaled, on the CPU.

    Raises:
        DataError: the file can't be read or used.
    """
    features: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    match config:
        case QuadraticData():
            x, y = quadratic(config.rows, config.noise, config.seed)
            features, target = ("x",), "y"
            title = f"y = x² + {config.noise:g}·U[0, 1)" if config.noise else "y = x²"
        case CsvData():
            table = read_table(config.path, config.target, config.features)
            x = torch.tensor(table.x, dtype=torch.float64)
            y = torch.tensor(table.y, dtype=torch.float64).unsqueeze(1)
            features, target, left_out = table.features, config.target, table.left_out
            title = config.path.name
        case _:
            assert_never(config)
    train, held_out = split(len(x), config.val_fraction, config.seed)
    x_scaling = y_scaling = None
    if config.standardize:
        x_scaling = fit_scaling(x[train], features)
        y_scaling = fit_scaling(y[train], (target,))
        x, y = x_scaling.apply(x), y_scaling.apply(y)
    x, y = x.float(), y.float()
    for columns, names in ((x, features), (y, (target,))):
        _refuse_overflow(columns, names)
    return Dataset(
        x=x[train],
        y=y[train],
        x_val=x[held_out],
        y_val=y[held_out],
        features=features,
        target=target,
        x_scaling=x_scaling,
        y_scaling=y_scaling,
        title=title,
        left_out=left_out,
    )


def _refuse_overflow(columns: Tensor, names: tuple[str, ...]) -> None:
    finite = columns.isfinite().all(dim=0).tolist()
    too_large = [name for name, fits in zip(names, finite, strict=True) if not fits]
    if too_large:
        raise DataError(
            [f"column {name!r} holds numbers too large for 32-bit floats" for name in too_large],
            "measure it in a larger unit",
        )


def quadratic(rows: int, noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """The article's data, (rows, 1) each: x = linspace(−1, 1), y = x² + noise · U[0, 1).

    The noise is what `torch.manual_seed(seed); torch.rand(rows, 1)` gives.
    """
    x = torch.linspace(-1, 1, rows).unsqueeze(1)
    uniform = torch.rand(x.shape, generator=torch.Generator().manual_seed(seed))
    return x, x.pow(2) + noise * uniform


def split(rows: int, val_fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Row numbers for training and validation, each in the order of the data.

    The validation rows are the first of `torch.randperm` under `torch.manual_seed(seed)`; a
    fraction above 0 holds out at least one row.

    Raises:
        DataError: no row is left to train on.
    """
    held_out = max(1, round(rows * val_fraction)) if val_fraction else 0
    if held_out >= rows:
        raise DataError(
            f"data.val_fraction: {val_fraction:g} of {count(rows, 'row')} leaves none to train on",
            "choose a smaller val_fraction or add rows",
        )
    shuffled = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    return shuffled[held_out:].sort().values, shuffled[:held_out].sort().values


def fit_scaling(columns: Tensor, names: tuple[str, ...]) -> Scaling:
    """Mean and deviation (with 1/N, so that the scaled variance is 1) of each column.

    Raises:
        DataError: a column is constant, so that there is nothing to scale it by.
    """
    constant = (columns == columns[0]).all(dim=0)
    if constant.any():
        raise DataError(
            [
                f"data.standardize: column {name!r} is constant ({value:g}) in the "
                f"{count(len(columns), 'training row')} and can't be scaled to unit variance"
                for name, value, same in zip(names, columns[0].tolist(), constant, strict=True)
                if same
            ],
            "leave it out of data.features, or set data.standardize to false",
        )
    scaling = Scaling(columns.mean(dim=0), columns.std(dim=0, unbiased=False))
    _refuse_overflow(scaling.deviation.unsqueeze(0), names)
    return scaling
