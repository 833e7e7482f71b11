"""Loads the data of a config as tensors: the sources, the validation split, standardisation.

Shapes: N training rows, V validation rows, D features (none: 0), O = 1 target.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gdrun.config.parts.data import CsvData, DataConfig, NpyData
from gdrun.data.dataset import Dataset, rows_held_out
from gdrun.data.generated import generate
from gdrun.data.npy import load_npy
from gdrun.data.standardize import Scaling, fit_scaling, refuse_overflow
from gdrun.errors import excerpt
from gdrun.text import count, visible


def load_data(config: DataConfig, on_progress: Callable[[str], None] = lambda _: None) -> Dataset:
    """Read or generate the rows of a config, split and scaled, on the CPU.

    Args:
        config: the source, and how to split and scale its rows.
        on_progress: called with a message on how far a long reading is.

    Raises:
        DataError: the file can't be read or used.
    """
    match config:
        case NpyData():
            return load_npy(config, on_progress)
        case CsvData():
            return _load_csv(config, on_progress)
        case _:
            made = generate(config)
            rows = split(len(made.y), config.val_fraction, config.seed)
            return _dataset(config, made.x, made.y, rows, made.features, made.target, made.title)


def _load_csv(config: CsvData, on_progress: Callable[[str], None]) -> Dataset:
    """Read a CSV file. A target that never varies keeps its unit, and a note says so.

    Raises:
        DataError: the file can't be read or used.
    """
    # Only those who read CSV files pay for that.
    from gdrun.data.encode import encode
    from gdrun.tables.table import read_table

    on_progress(f"reading {visible(config.path.name)}")
    table = read_table(config)
    name, y = table.target.name, torch.from_numpy(table.target.values).unsqueeze(1)
    train, held_out = split(len(y), config.val_fraction, config.seed)
    x, features, notes = encode(table, train.numpy(), held_out.numpy())
    notes = (*table.notes, *notes)
    scaling = None
    if config.standardize and (y[train] == y[train][0]).all():
        scaling = Scaling(y[train][0], torch.ones_like(y[0]))
        constant = f"is {y[train][0].item():g} in all {count(len(train), 'training row')}"
        notes = (*notes, f"the target {excerpt(name)} {constant}: there is nothing to learn")
    rows, title = (train, held_out), config.path.name
    return _dataset(config, x, y, rows, features, name, title, notes, scaling)


def _dataset(
    config: DataConfig,
    x: Tensor,
    y: Tensor,
    rows: tuple[Tensor, Tensor],
    features: tuple[str, ...],
    target: str,
    title: str,
    notes: tuple[str, ...] = (),
    y_scaling: Scaling | None = None,
) -> Dataset:
    """Rows in memory, split into training and validation rows, and scaled if they are to be."""
    train, held_out = rows
    x_scaling = None
    if config.standardize:
        if features:
            x_scaling = fit_scaling([x[train]], features)
            x = x_scaling.apply(x)
        y_scaling = y_scaling or fit_scaling([y[train]], (target,))
        y = y_scaling.apply(y)
    x, y = x.float(), y.float()
    for columns, names in ((x, features), (y, (target,))):
        refuse_overflow(columns, names)
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
        notes=notes,
    )


def split(rows: int, val_fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Row numbers for training and validation, each in the order of the data.

    The validation rows are the first of `torch.randperm` under `torch.manual_seed(seed)`; a
    fraction above 0 holds out at least one row.

    Raises:
        DataError: no row is left to train on.
    """
    held_out = rows_held_out(rows, val_fraction)
    shuffled = torch.randperm(rows, generator=torch.Generator().manual_seed(seed))
    return shuffled[held_out:].sort().values, shuffled[:held_out].sort().values
