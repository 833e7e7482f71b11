"""Loads the data of a config as tensors: the sources, the validation split, standardisation.

Shapes: N training rows, V validation rows, D features (none: 0), O = 1 target.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.config.parts.data import CsvData, DataConfig, NpyData
from gdrun.data.classes import find_classes, target_notes
from gdrun.data.dataset import Dataset, rows_held_out
from gdrun.data.files.npy import load_npy
from gdrun.data.generated import generate
from gdrun.data.standardize import Scaling, fit_scaling, refuse_overflow
from gdrun.text import visible


def load_data(
    config: DataConfig,
    *,
    classify: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
) -> Dataset:
    """Read or generate the rows of a config, split and scaled, on the CPU.

    Args:
        config: the source, and how to split and scale its rows.
        classify: whether the target is of classes, and not a quantity.
        on_progress: called with a message on how far a long reading is.

    Raises:
        DataError: the file can't be read or used.
    """
    match config:
        case NpyData():
            return load_npy(config, classify, on_progress)
        case CsvData():
            return _load_csv(config, classify, on_progress)
        case _:
            made = generate(config)
            rows = split(len(made.y), config.val_fraction, config.seed)
            target = _Target(made.target, made.y.squeeze(1).double(), classify)
            return _dataset(config, made.x, target, rows, made.features, made.title)


@dataclass(frozen=True)
class _Target:
    """The target of all rows.

    Attributes:
        name: of the column.
        values: (N,) in 64 bits; with labels, the positions among these.
        classify: whether it is of classes.
        labels: the texts of the column, sorted; None of a column of numbers.
        may_be_constant: whether numbers that are all the same are no mistake.
    """

    name: str
    values: Tensor
    classify: bool
    labels: tuple[str, ...] | None = None
    may_be_constant: bool = False


def _load_csv(config: CsvData, classify: bool, on_progress: Callable[[str], None]) -> Dataset:
    """Read a CSV file.

    Raises:
        DataError: the file can't be read or used.
    """
    # Only those who read CSV files pay for that.
    from gdrun.data.encode import encode, sorted_labels
    from gdrun.tables.table import Categories, read_table

    on_progress(f"reading {visible(config.path.name)}")
    table = read_table(config, classify=classify)
    name = table.target.name
    if isinstance(table.target, Categories):
        labels, values = sorted_labels(table.target)
        target = _Target(name, torch.from_numpy(values), classify, labels)
    else:
        numbers = torch.from_numpy(table.target.values)
        target = _Target(name, numbers, classify, may_be_constant=True)
    train, held_out = split(len(target.values), config.val_fraction, config.seed)
    x, features, notes = encode(
        table, train.numpy(), held_out.numpy(), keep_constant=config.shape is not None
    )
    notes = (*table.notes, *notes)
    return _dataset(config, x, target, (train, held_out), features, config.path.name, notes)


def _dataset(
    config: DataConfig,
    x: Tensor,
    target: _Target,
    rows: tuple[Tensor, Tensor],
    features: tuple[str, ...],
    title: str,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Rows in memory, split into training and validation rows, and scaled if they are to be."""
    train, held_out = rows
    x_scaling = y_scaling = None
    if config.standardize and features:
        x_scaling = fit_scaling([x[train]], features, keep_constant=config.shape is not None)
        x = x_scaling.apply(x)
    classes: tuple[str, ...] = ()
    if target.classify:
        found = find_classes(
            target.name, [target.values[train]], [target.values[held_out]], target.labels
        )
        y, classes = found.numbers(target.values).unsqueeze(1), found.names
    else:
        y = target.values.unsqueeze(1)
        notes = (*notes, *target_notes(target.name, y[train]))
        if config.standardize:
            y_scaling = _scaling_of(target, y[train])
            y = y_scaling.apply(y)
    x, y = x.float(), y.float()
    for columns, names in ((x, features), (y, (target.name,))):
        refuse_overflow(columns, names)
    return Dataset(
        x=x[train],
        y=y[train],
        x_val=x[held_out],
        y_val=y[held_out],
        features=features,
        target=target.name,
        x_scaling=x_scaling,
        y_scaling=y_scaling,
        title=title,
        notes=notes,
        classes=classes,
    )


def _scaling_of(target: _Target, y: Tensor) -> Scaling:
    """That of its training rows, (N, 1); a target that may be constant then keeps its unit."""
    if target.may_be_constant and (y == y[0]).all():
        return Scaling(y[0], torch.ones_like(y[0]))
    return fit_scaling([y], (target.name,))


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
