"""The rows that a network is trained and evaluated on, in memory or in files."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch

from gdrun.data.fingerprint import ALL_ROWS, fingerprint, is_small, sampled_fingerprint
from gdrun.data.own.find import OwnFunction
from gdrun.data.preprocessing.record import (
    InputColumn,
    Missing,
    Preprocessing,
    Scale,
    as_they_are,
)
from gdrun.data.preprocessing.standardize import Scaling
from gdrun.data.rows import HostRows, Rows, in_memory, moved
from gdrun.errors import DataError
from gdrun.text import count, listed


@dataclass(frozen=True)
class Dataset:
    """Training and validation rows as the network sees them.

    Attributes:
        x, y: (N, D) and (N, T), float32: in memory, or read as they are indexed.
        x_val, y_val: (V, D) and (V, T); V = 0 without a validation split.
        features, target: the columns' names; of several targets, all in one text.
        x_scaling, y_scaling: how x and y were standardised; None if they weren't.
        title: what the data is, in a few words.
        notes: what was assumed of the file, and what of it was left out.
        classes: the names of the classes whose numbers are the target; empty in a regression.
        targets: the names of the columns of y where there are several.
        code: the function of the user's that it came from, if it did.
        inputs: the columns of the data that the features were made of.
        missing: what becomes of rows with missing cells.
    """

    x: Rows
    y: Rows
    x_val: Rows
    y_val: Rows
    features: tuple[str, ...]
    target: str
    x_scaling: Scaling | None
    y_scaling: Scaling | None
    title: str
    notes: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    code: OwnFunction | None = None
    inputs: tuple[InputColumn, ...] = ()
    missing: Missing = "drop"

    @classmethod
    def without_rows(cls, found: Preprocessing, title: str) -> "Dataset":
        """Data of which nothing is known but what was learned of its training rows."""
        x, y = torch.empty(0, len(found.features)), torch.empty(0, len(found.targets))
        return cls(
            x=x,
            y=y,
            x_val=x,
            y_val=y,
            features=found.features,
            target=in_words(found.targets),
            targets=several(found.targets),
            x_scaling=found.x_scale.scaling if found.x_scale else None,
            y_scaling=found.y_scale.scaling if found.y_scale else None,
            title=title,
            classes=found.classes,
            inputs=found.inputs,
            missing=found.missing,
        )

    @cached_property
    def rows(self) -> int:
        """N, the number of training rows."""
        return len(self.x)

    @cached_property
    def sorted_by(self) -> str | None:
        """A column that the training rows are sorted by; None if there is none.

        Rows in large files aren't looked at.
        """
        for rows, names in ((self.y, self.targets or (self.target,)), (self.x, self.features)):
            values = in_memory(rows)
            if values is None:
                continue
            for column, name in enumerate(names):
                steps = values[:, column].diff()
                if steps.any() and ((steps >= 0).all() or (steps <= 0).all()):
                    return name
        return None

    def to(self, device: torch.device) -> "Dataset":
        """The same data with its rows on a device, or read to it where they don't fit."""
        x, y, x_val, y_val = moved(self._parts, device)
        notes = self.notes
        if isinstance(x, HostRows) and not isinstance(self.x, HostRows):
            notes = (*notes, f"the rows don't fit {device}: they are moved there batch by batch")
        return replace(self, x=x, y=y, x_val=x_val, y_val=y_val, notes=notes)

    @property
    def preprocessing(self) -> Preprocessing:
        """What other rows need before the network can be given them."""
        return Preprocessing(
            inputs=self.inputs or as_they_are(self.features),
            targets=self.targets or (self.target,),
            classes=self.classes,
            missing=self.missing,
            x_scale=Scale.of(self.x_scaling),
            y_scale=Scale.of(self.y_scaling),
        )

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all rows, which tells whether these are those of an earlier run."""
        return fingerprint(self._parts)

    def is_as(self, saved: str) -> bool:
        """Whether these are the rows of a fingerprint, which may be that of an older gdrun."""
        if self.is_sampled(saved):
            return saved == sampled_fingerprint(self._parts)
        return saved == self.fingerprint

    def is_sampled(self, saved: str) -> bool:
        """Whether a fingerprint covers only a sample of so many rows."""
        return not saved.startswith(ALL_ROWS) and not is_small(self._parts)

    @property
    def _parts(self) -> tuple[Rows, ...]:
        return self.x, self.y, self.x_val, self.y_val


def in_words(targets: tuple[str, ...]) -> str:
    """The names of targets as one text."""
    return listed(targets) if len(targets) > 1 else targets[0]


def several(targets: tuple[str, ...]) -> tuple[str, ...]:
    """The names of targets where they are several, and else none."""
    return targets if len(targets) > 1 else ()


def rows_held_out(rows: int, val_fraction: float) -> int:
    """How many rows are held out for validation: at least one, if the fraction is above 0.

    Raises:
        DataError: no row is left to train on.
    """
    held_out = max(1, round(rows * val_fraction)) if val_fraction else 0
    if held_out >= rows:
        raise DataError(
            f"data.val_fraction: {val_fraction:g} of {count(rows, 'row')} leaves none to train on",
            "choose a smaller val_fraction or add rows",
        )
    return held_out
