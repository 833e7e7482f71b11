"""A target as the numbers of its classes: 0, 1, … in the order of their names or values.

The classes are those of the training rows. Shapes: N rows, K classes.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gdrun.errors import DataError, excerpt
from gdrun.text import count, listed

MAX_CLASSES = 1000
# More different numbers than this, and more than a share of the rows, are those of a quantity.
MANY_VALUES, MANY_SHARE = 20, 0.25
# Of so many rows with so few different whole numbers, a target may well be meant as classes.
FEW_VALUES, ENOUGH_ROWS = 10, 20
REGRESSION = "this looks like a regression: loss: mse"


@dataclass(frozen=True)
class Classes:
    """The classes of a target.

    Attributes:
        names: K of them.
        values: what stands for each in the data, ascending, (K,), in 64 bits.
    """

    names: tuple[str, ...]
    values: Tensor

    def numbers(self, values: Tensor) -> Tensor:
        """What stands for classes in the data → their numbers, from 0."""
        return torch.searchsorted(self.values, values.double())


def find_classes(
    target: str,
    train: Iterable[Tensor],
    held_out: Iterable[Tensor],
    labels: Sequence[str] | None = None,
) -> Classes:
    """The classes of the training rows, which come in pieces, as do the others.

    Args:
        target: the name of the column.
        train: values of the training rows; with labels, their positions among these.
        held_out: those of the validation rows.
        labels: the texts of the column, sorted; None of a column of numbers.

    Raises:
        DataError: there is but one class, a validation row has one of its own, or numbers aren't
            whole, or far too many to be classes.
    """
    name = excerpt(target)
    values, rows = _distinct(train, name)
    if len(values) == 1:
        only = _named(values, labels)[0]
        raise DataError(
            f"the target {name} is {only} in all {count(rows, 'training row')}: there is but one "
            "class, and nothing to tell apart"
        )
    if labels is None and len(values) > max(MANY_VALUES, MANY_SHARE * rows):
        raise DataError(
            f"the target {name} has {len(values):,} different numbers in "
            f"{count(rows, 'training row')}, too many for classes",
            REGRESSION,
        )
    others, _ = _distinct(held_out, name)
    unseen = others[~torch.isin(others, values)]
    if len(unseen):
        shown = listed([excerpt(each) for each in _named(unseen, labels)])
        raise DataError(
            f"the target {name}: no training row is of a class that validation rows have: {shown}",
            "another data.seed draws other validation rows; a smaller data.val_fraction fewer",
        )
    return Classes(_named(values, labels), values)


def refuse_several(targets: Sequence[str]) -> None:
    """Refuse to classify by more than one target.

    Raises:
        DataError: there are several.
    """
    if len(targets) > 1:
        names = listed([excerpt(name) for name in targets])
        raise DataError(
            f"a loss of classes is for one target, and there are {len(targets):,}: {names}",
            "name one of them, or learn them as quantities: loss: mse",
        )


def target_notes(target: str, values: Tensor) -> Iterator[str]:
    """What the user should know of a quantity's values in the training rows, (N, 1)."""
    found, name = _unique(values), excerpt(target)
    if len(found) == 1:
        yield (
            f"the target {name} is {found.item():g} in all {count(len(values), 'training row')}: "
            "there is nothing to learn"
        )
    elif (
        len(values) >= ENOUGH_ROWS
        and len(found) <= FEW_VALUES
        and bool((found == found.round()).all())
    ):
        losses = "bce or cross_entropy" if len(found) == 2 else "cross_entropy"
        yield (
            f"the target {name} is one of {len(found)} whole numbers; if they stand for classes: "
            f"loss: {losses}"
        )


def _distinct(pieces: Iterable[Tensor], name: str) -> tuple[Tensor, int]:
    """The different values, ascending, in 64 bits, and how many rows there are.

    Raises:
        DataError: one isn't a whole number, or they are more than classes may be.
    """
    found, rows = torch.empty(0, dtype=torch.float64), 0
    for piece in pieces:
        own = _unique(piece)
        broken = own[own != own.round()]
        if len(broken):
            raise DataError(
                f"the target {name} holds {broken[0].item():g}, and classes are whole numbers or "
                "texts",
                REGRESSION,
            )
        found, rows = _unique(torch.cat([found, own])), rows + len(piece)
        if len(found) > MAX_CLASSES:
            raise DataError(
                f"the target {name} has more than {MAX_CLASSES:,} different values, too many for "
                "classes",
                REGRESSION,
            )
    return found, rows


def _unique(values: Tensor) -> Tensor:
    return torch.from_numpy(np.unique(values.double().numpy()))


def _named(values: Tensor, labels: Sequence[str] | None) -> tuple[str, ...]:
    whole = [int(value) for value in values.tolist()]
    return tuple(labels[value] if labels is not None else str(value) for value in whole)
