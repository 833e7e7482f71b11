"""Rows of numbers: a tensor, or rows that are read as needed, from a file or to another device.

Shapes: N rows, C columns, R lanes.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gdrun.data.classes import Classes
from gdrun.data.files.npy_file import NpyFile
from gdrun.data.preprocessing.standardize import Scaling
from gdrun.data.splitmix64 import random_numbers

READ_NUMBERS = 2**18  # that are read at once where all rows are read in order (1 MB)
MOST_SHARE = 0.8  # of a device's free memory, for rows; the rest is for weights and activations


@dataclass(frozen=True)
class Holdout:
    """Which rows of a file are held out for validation: a formula, in constant memory.

    The N rows are divided into V strata of consecutive rows, as equal as possible, and one row of
    each is drawn (stratified sampling: Cochran 1977, ch. 5A). So both parts keep the order of the
    file, and the validation rows of a sorted file cover it evenly.

    Attributes:
        rows: N.
        held: V < N, how many are held out; N · V < 2^62.
        seed: of the draws.
    """

    rows: int
    held: int
    seed: int

    def validation(self, numbers: Tensor) -> Tensor:
        """Numbers of validation rows (0 … V − 1) → numbers of rows of the file."""
        start = numbers * self.rows // self.held
        stop = (numbers + 1) * self.rows // self.held
        drawn = random_numbers([self.seed], 0, numbers.flatten()).view(numbers.shape)
        return start + (drawn & (2**63 - 1)) % (stop - start)

    def training(self, numbers: Tensor) -> Tensor:
        """Numbers of training rows (0 … N − V − 1) → numbers of rows of the file.

        ⌊jM/V⌋ training rows, M = N − V, lie before stratum j: row k is in the last with that ≤ k.
        """
        rest = self.rows - self.held
        stratum = ((numbers + 1) * self.held + rest - 1) // rest - 1
        row = stratum * self.rows // self.held + numbers - stratum * rest // self.held
        return row + (row >= self.validation(stratum))


@dataclass(frozen=True)
class FileRows:
    """Rows of a file that are converted, scaled and moved to a device when they are read.

    Indexed like a tensor (N, C) by a slice or by row numbers of any shape (…) → float32 (…, C).

    Attributes:
        file: (rows of the file, C).
        holdout: which rows are held out for validation; None if none are.
        held: whether these are the rows held out.
        scaling: how values are standardised; None leaves them as they are.
        classes: those whose numbers stand for the values; None of quantities.
        device: where the rows that are read go to.
        hash: of all their numbers in original units, once they have been read.

    Reading raises a DataError where the file was cut short.
    """

    file: NpyFile
    holdout: Holdout | None = None
    held: bool = False
    scaling: Scaling | None = None
    classes: Classes | None = None
    device: torch.device = torch.device("cpu")  # noqa: RUF009 (immutable)
    hash: str = ""

    def __len__(self) -> int:
        if self.holdout is None:
            return 0 if self.held else len(self.file)
        return self.holdout.held if self.held else self.holdout.rows - self.holdout.held

    @property
    def shape(self) -> tuple[int, int]:
        """(N, C)."""
        return len(self), self.file.shape[1]

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        values = self.original(index)
        if self.scaling:
            values = values.double().sub_(self.scaling.mean).div_(self.scaling.deviation)
        if self.classes:
            values = self.classes.numbers(values)
        return values.float().to(self.device)

    def original(self, index: slice | Tensor) -> Tensor:
        """Rows in original units, copied from the file: float32 where that is exact, or float64."""
        if isinstance(index, slice):
            start, stop, _ = index.indices(len(self))
            if self.holdout is None:
                return _as_tensor(self.file.rows(start, stop))
            index = torch.arange(start, stop)
        numbers = self.numbers(index)
        values = _as_tensor(self.file.take(numbers.flatten().numpy()))
        return values.view(*numbers.shape, values.shape[1])

    def numbers(self, index: Tensor) -> Tensor:
        """Numbers of these rows → numbers of rows of the file."""
        if self.holdout is None:
            return index
        return self.holdout.validation(index) if self.held else self.holdout.training(index)

    def to(self, device: torch.device) -> "FileRows":
        """The same rows, read to a device."""
        return replace(self, device=device)


@dataclass(frozen=True)
class HostRows:
    """Rows in the machine's memory that are moved to a device when they are read.

    Indexed like a tensor (N, C) by a slice or by row numbers of any shape (…) → (…, C).

    Attributes:
        values: (N, C), on the processor.
        device: where the rows that are read go to.
    """

    values: Tensor
    device: torch.device

    def __len__(self) -> int:
        return len(self.values)

    @property
    def shape(self) -> tuple[int, int]:
        """(N, C)."""
        return len(self), self.values.shape[1]

    def __getitem__(self, index: slice | Tensor) -> Tensor:
        return self.values[index].to(self.device)

    def to(self, device: torch.device) -> "HostRows":
        """The same rows, read to a device."""
        return replace(self, device=device)


Rows = Tensor | FileRows | HostRows


def in_memory(rows: Rows) -> Tensor | None:
    """The values of rows that are in memory, wherever they are read to; None of those in a file."""
    match rows:
        case FileRows():
            return None
        case HostRows():
            return rows.values
        case _:
            return rows


def moved(parts: Sequence[Rows], device: torch.device) -> list[Rows]:
    """Rows on a device; all that are in memory stay there if they would fill it."""
    held = sum(rows.nbytes for rows in parts if isinstance(rows, Tensor) and rows.device != device)
    if held <= MOST_SHARE * free_bytes(device):
        return [rows.to(device) for rows in parts]
    return [
        HostRows(rows, device) if isinstance(rows, Tensor) else rows.to(device) for rows in parts
    ]


def free_bytes(device: torch.device) -> float:
    """How much memory of a device is free, as far as it has one of its own."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else math.inf


def take(rows: Rows, numbers: Tensor) -> Tensor:
    """Rows by their numbers: (…) → (…, C), on the device of the rows."""
    return rows[numbers.to(rows.device) if isinstance(rows, Tensor) else numbers.cpu()]


def spread(rows: int, limit: int) -> Tensor:
    """At most `limit` of the row numbers 0 … rows − 1, evenly spread, with the first and last."""
    chosen = min(rows, limit)
    return torch.arange(chosen) * (rows - 1) // max(1, chosen - 1)


def blocks(rows: Rows, size: int | None = None) -> Iterator[Tensor]:
    """All rows in order, `size` at a time; by default about `READ_NUMBERS` numbers."""
    for part in _slices(rows, size):
        yield rows[part]


def original_blocks(rows: FileRows) -> Iterator[Tensor]:
    """All rows of a file in order and in original units, about `READ_NUMBERS` numbers at a time."""
    for part in _slices(rows, None):
        yield rows.original(part)


def _slices(rows: Rows, size: int | None) -> Iterator[slice]:
    # Of narrow rows, the row numbers take more memory than the rows.
    size = size or max(1, READ_NUMBERS // max(16, rows.shape[1]))
    for start in range(0, len(rows), size):
        yield slice(start, start + size)


def _as_tensor(values: NDArray[np.generic]) -> Tensor:
    """A copy as 32-bit floats if that is exact, else as 64-bit floats."""
    exact = np.can_cast(values.dtype, np.float32)
    # PyTorch's own memory is aligned, which can affect the last bits of results.
    return torch.tensor(values.astype(np.float32 if exact else np.float64, copy=False))
