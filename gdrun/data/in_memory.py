"""Rows in memory become a data set: the validation split, standardisation, classes.

Shapes: N rows, D features (none: 0), T targets.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.config.parts.data import Data
from gdrun.data.classes import find_classes, target_notes
from gdrun.data.dataset import Dataset, in_words, rows_held_out, several
from gdrun.data.preprocessing.record import InputColumn, features_of
from gdrun.data.preprocessing.standardize import fit_scaling, refuse_overflow


@dataclass(frozen=True)
class Target:
    """The targets of all rows.

    Attributes:
        names: of the columns.
        values: (N, T) in 64 bits; with labels, the positions among these.
        classify: whether it is of classes; there is one column then.
        labels: the texts of the column, sorted; None of a column of numbers.
    """

    names: tuple[str, ...]
    values: Tensor
    classify: bool
    labels: tuple[str, ...] | None = None


def dataset_of(
    config: Data,
    x: Tensor,
    target: Target,
    rows: tuple[Tensor, Tensor],
    inputs: tuple[InputColumn, ...],
    title: str,
    notes: tuple[str, ...] = (),
) -> Dataset:
    """Rows in memory, split into training and validation rows, and scaled if they are to be."""
    train, held_out = rows
    features = features_of(inputs)
    x_scaling = y_scaling = None
    if config.standardize and features:
        x_scaling = fit_scaling([x[train]], features, keep_constant=config.shape is not None)
        x = x_scaling.apply(x)
    classes: tuple[str, ...] = ()
    y = target.values
    if target.classify:
        found = find_classes(target.names[0], [y[train]], [y[held_out]], target.labels)
        y, classes = found.numbers(y), found.names
    else:
        for name, column in zip(target.names, y[train].T, strict=True):
            notes = (*notes, *target_notes(name, column.unsqueeze(1)))
        if config.standardize:
            y_scaling = fit_scaling([y[train]], target.names, keep_constant=True)
            y = y_scaling.apply(y)
    x, y = x.float(), y.float()
    for columns, names in ((x, features), (y, target.names)):
        refuse_overflow(columns, names)
    return Dataset(
        x=x[train],
        y=y[train],
        x_val=x[held_out],
        y_val=y[held_out],
        features=features,
        inputs=inputs,
        target=in_words(target.names),
        targets=several(target.names),
        x_scaling=x_scaling,
        y_scaling=y_scaling,
        title=title,
        notes=notes,
        classes=classes,
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
