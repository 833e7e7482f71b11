"""The rows that a network is trained on and judged by, wherever they are."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property

import torch

from gdrun.data.rows import Rows, take
from gdrun.data.standardize import Scaling
from gdrun.errors import DataError
from gdrun.text import count

# Of so many rows, evenly spread, a fingerprint is taken.
FINGERPRINT_ROWS = 2**16


@dataclass(frozen=True)
class Dataset:
    """Training and validation rows as the network sees them.

    Attributes:
        x, y: (N, D) and (N, O), float32: in memory, or read from a file as they are indexed.
        x_val, y_val: (V, D) and (V, O); V = 0 without a validation split.
        features, target: the columns' names.
        x_scaling, y_scaling: how to get back to original units; None where nothing was scaled.
        title: what the data is, in a few words.
        left_out: columns of the file that are no features, for want of numbers or a name.
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
    left_out: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """N, the number of training rows."""
        return len(self.x)

    def to(self, device: torch.device) -> "Dataset":
        """The same data with its rows on a device."""
        names = ("x", "y", "x_val", "y_val")
        return replace(self, **{name: getattr(self, name).to(device) for name in names})

    @cached_property
    def fingerprint(self) -> str:
        """A hash that tells whether these are the rows of an earlier day, as far as a sample can.

        Of small data every number counts; of more, `FINGERPRINT_ROWS` rows evenly spread.
        """
        digest = hashlib.sha256()
        for rows in (self.x, self.y, self.x_val, self.y_val):
            digest.update(repr(tuple(rows.shape)).encode())
            digest.update(take(rows, spread(len(rows), FINGERPRINT_ROWS)).cpu().numpy().tobytes())
        return digest.hexdigest()


def spread(rows: int, most: int) -> torch.Tensor:
    """Numbers of at most so many of 0 … rows − 1, evenly spread, the first and last among them."""
    chosen = min(rows, most)
    return torch.arange(chosen) * (rows - 1) // max(1, chosen - 1)


def rows_held_out(rows: int, val_fraction: float) -> int:
    """How many rows a fraction holds out for validation: at least one, if it is above 0.

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
