"""Data larger than memory: `.npy` files whose rows are read as they are needed.

Rows are converted, scaled and checked block by block as they are read, so that gdrun itself holds
one block; the operating system caches as much of the file as memory allows. Small files are loaded.
The first pass checks all numbers, finds their scale and hashes them.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gdrun.config.parts.data import NpyData
from gdrun.data.classes import Classes, find_classes, refuse_several, target_notes
from gdrun.data.dataset import Dataset, in_words, rows_held_out, several
from gdrun.data.files.npy_file import NpyFile
from gdrun.data.fingerprint import hashed
from gdrun.data.given.arrays import column_names
from gdrun.data.preprocessing.record import as_they_are
from gdrun.data.preprocessing.standardize import Scaling, fit_scaling, refuse_overflow
from gdrun.data.rows import FileRows, Holdout, blocks, original_blocks
from gdrun.errors import DataError, one_line, unreadable
from gdrun.text import visible

MAX_LOADED_NUMBERS = 2**26  # of an array that is loaded (256 MB as float32)


def load_npy(config: NpyData, classify: bool, on_progress: Callable[[str], None]) -> Dataset:
    """Open x and y, hold out validation rows, and standardise.

    Args:
        config: the files, and how to split and scale them.
        classify: whether y is of classes, and not a quantity.
        on_progress: called with a message on how far the reading is.

    Raises:
        DataError: a file can't be read, or doesn't hold finite numbers of the right shape.
    """
    x, y = open_npy(config.x, "data.x"), open_npy(config.y, "data.y")
    if len(x) != len(y):
        raise DataError(
            f"data.x and data.y: {config.x} has {len(x):,} rows, {config.y} has {len(y):,}",
            "both need one row per sample",
        )
    features, targets = column_names("x", x.shape[1]), column_names("y", y.shape[1])
    if classify:
        refuse_several(targets)
    held = rows_held_out(len(x), config.val_fraction)
    if len(x) * held >= 2**62:  # the draw computes with 64 bits
        raise DataError(
            f"data.val_fraction: {held:,} of {len(x):,} rows are too many to hold out",
            "choose a smaller val_fraction",
        )
    holdout = Holdout(len(x), held, config.seed) if held else None
    read = partial(_read, holdout, on_progress)
    keep = config.shape is not None
    train_x, val_x, x_scaling = read(
        x, features, standardize=config.standardize, keep_constant=keep
    )
    train_y, val_y, y_scaling = read(
        y, targets, standardize=config.standardize and not classify, keep_constant=True
    )
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    if classify:
        found = find_classes("y", blocks(train_y), blocks(val_y))
        classes = found.names
        train_y, val_y = _classified(train_y, found), _classified(val_y, found)
    elif isinstance(train_y, Tensor):
        original = y_scaling.invert(train_y) if y_scaling else train_y
        for name, column in zip(targets, original.T, strict=True):
            notes = (*notes, *target_notes(name, column.unsqueeze(1)))
    return Dataset(
        x=train_x,
        y=train_y,
        x_val=val_x,
        y_val=val_y,
        features=features,
        inputs=as_they_are(features),
        target=in_words(targets),
        targets=several(targets),
        x_scaling=x_scaling,
        y_scaling=y_scaling,
        title=config.x.name,
        notes=notes,
        classes=classes,
    )


def _classified(rows: Tensor | FileRows, classes: Classes) -> Tensor | FileRows:
    """Rows of a target as the numbers of its classes."""
    if isinstance(rows, Tensor):
        return classes.numbers(rows).float()
    return replace(rows, classes=classes)


def open_npy(path: Path, key: str) -> NpyFile:
    """A file of rows; messages call it by its key.

    Raises:
        DataError: it can't be read, or holds no rows of numbers.
    """
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{key}: {path} is not a regular file")
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise unreadable(key, path, error.strerror or error) from None
    except DataError:
        raise
    except Exception as error:  # what numpy raises depends on where a header is damaged
        if "mmap length" in str(error):
            raise DataError(
                f"{key}: {path} is cut short", "copy it again, or make it again"
            ) from None
        raise DataError(
            f"{key}: {path} is not a .npy file of numbers: {one_line(error)}",
            "numpy.save writes one",
        ) from None
    if not isinstance(array, np.memmap) or array.dtype.kind not in "biuf" or array.ndim > 2:
        held = f"{array.dtype} of shape {array.shape}" if hasattr(array, "dtype") else "several"
        raise DataError(
            f"{key}: {path} holds {held}, expected numbers of shape (rows, columns) or (rows,)"
        )
    if not array.size or not array.ndim:
        raise DataError(f"{key}: {path} holds no rows")
    try:
        return NpyFile(path, array)
    except OSError as error:
        raise unreadable(key, path, error.strerror) from None


def _read(
    holdout: Holdout | None,
    on_progress: Callable[[str], None],
    file: NpyFile,
    names: tuple[str, ...],
    *,
    standardize: bool,
    keep_constant: bool,
) -> tuple[Tensor | FileRows, Tensor | FileRows, Scaling | None]:
    """Training rows, validation rows and their scaling; every number is checked and hashed."""
    train, val = FileRows(file, holdout), FileRows(file, holdout, held=True)
    digests = hashlib.sha256(), hashlib.sha256()
    of_train, of_val = (
        hashed(_checked(rows, names, on_progress), digest)
        for rows, digest in zip((train, val), digests, strict=True)
    )
    scaling = None
    if standardize:
        # Training rows can't overflow: a standardised value is at most the root of their number.
        scaling = fit_scaling(of_train, names, keep_constant=keep_constant)
    else:
        for block in of_train:
            refuse_overflow(block.float(), names)
    for block in of_val:
        scaled = scaling.apply(block.double()) if scaling else block
        refuse_overflow(scaled.float(), names)
    train, val = (
        replace(rows, scaling=scaling, hash=digest.hexdigest())
        for rows, digest in zip((train, val), digests, strict=True)
    )
    if math.prod(file.shape) <= MAX_LOADED_NUMBERS:
        return _loaded(train), _loaded(val), scaling
    return train, val, scaling


def _loaded(rows: FileRows) -> Tensor:
    """Rows of a file in memory."""
    found, start = torch.empty(rows.shape), 0
    for block in blocks(rows):
        found[start : start + len(block)] = block
        start += len(block)
    return found


def _checked(
    rows: FileRows, names: tuple[str, ...], on_progress: Callable[[str], None]
) -> Iterator[Tensor]:
    """The rows in original units, block by block; raises at a number that isn't finite."""
    path = rows.file.path
    done, reported = 0, -1
    for block in original_blocks(rows):
        percent = 100 * done // len(rows)
        if percent > reported:
            on_progress(f"reading {visible(path.name)}: {percent} %")
            reported = percent
        # The sum is quick to compute, and finite only if all numbers are.
        if not math.isfinite(block.sum()) and len(bad := (~block.isfinite()).nonzero()):
            row, column = bad[0].tolist()
            number = int(rows.numbers(torch.tensor([done + row])))
            raise DataError(
                f"{path}, row {number} (from 0), column {names[column]!r}: expected a finite "
                f"number, got {block[row, column].item():g}",
                "correct or remove these rows",
            )
        done += len(block)
        yield block
