"""A `.npz` file: a zip file of arrays, which are loaded into memory.

Anybody may have made it: a header says how large an array will be before anything of it is
unpacked, and nothing more than that is.
"""

import math
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from gdrun.config.parts.data import NpzData
from gdrun.data.dataset import Dataset
from gdrun.data.given.arrays import Arrays, load_arrays
from gdrun.errors import DataError, did_you_mean, excerpt, one_line, unreadable
from gdrun.text import listed, visible

MAX_BYTES = 2**30  # of an array, unpacked
MAX_FILE_BYTES = 2**32
HEADERS = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
USE_NPY = ".npy files are read in pieces, however large they are: data.source: npy"


def load_npz(config: NpzData, classify: bool, on_progress: Callable[[str], None]) -> Dataset:
    """Read x and y, and x_val and y_val where they are there.

    Args:
        config: the file, and how to split and scale its rows.
        classify: whether y is of classes, and not a quantity.
        on_progress: called with a message on what is read.

    Raises:
        DataError: the file can't be read, or doesn't hold finite numbers of fitting shapes.
    """
    path = config.path
    on_progress(f"reading {visible(path.name)}")
    with _opened(path) as (file, known):
        for key, name in (("x", config.x), ("y", config.y)):
            _refuse_unknown(path, name, known, f" (data.{key})")
        for one, other in (("x_val", "y_val"), ("y_val", "x_val")):
            if one in known and other not in known:
                raise DataError(f"{path}: has an array {one}, but no {other}")
        x, y = (_array(file, path, name) for name in (config.x, config.y))
        x_val, y_val = (
            _array(file, path, name) if name in known else None for name in ("x_val", "y_val")
        )
    names = (config.x, config.y, "x_val", "y_val")
    arrays = Arrays(x, y, x_val, y_val, str(path), names)
    return load_arrays(config, arrays, classify, path.name)


def read_array(path: Path, name: str) -> NDArray[Any]:
    """One of the arrays of a file.

    Raises:
        DataError: the file can't be read, or has no such array.
    """
    with _opened(path) as (file, known):
        _refuse_unknown(path, name, known)
        return _array(file, path, name)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[zipfile.ZipFile, set[str]]]:
    """A file, and the names of its arrays.

    Raises:
        DataError: it can't be read.
    """
    with _errors(path):
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise DataError(f"data.path: {path} is not a regular file")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"data.path: {path} is too large for memory", USE_NPY)
        with zipfile.ZipFile(path) as file:
            yield file, {name.removesuffix(".npy") for name in file.namelist()}


def _refuse_unknown(path: Path, name: str, known: set[str], key: str = "") -> None:
    """Refuse the name of an array that a file doesn't have.

    Raises:
        DataError: it is one.
    """
    if name not in known:
        shown = listed(sorted(map(excerpt, known)), 20) if known else "none"
        raise DataError(
            f"{path}: has no array {excerpt(name)!r}{key}",
            *did_you_mean(name, known),
            f"its arrays: {shown}",
        )


def _array(file: zipfile.ZipFile, path: Path, name: str) -> NDArray[Any]:
    """An array of a file, if it isn't too large."""
    members = set(file.namelist())
    with file.open(f"{name}.npy" if f"{name}.npy" in members else name) as member:
        version = npy_format.read_magic(member)
        if version not in HEADERS:
            raise ValueError(f"array {name}: format {version} isn't known")
        shape, is_fortran, dtype = HEADERS[version](member)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject:
            raise DataError(
                f"{path}: {excerpt(name)} holds objects of Python, expected numbers",
                "they could run any code when they are read; save numbers instead",
            )
        if size > MAX_BYTES:
            raise DataError(
                f"{path}: {excerpt(name)} has {size / 1e6:,.0f} MB, of shape {shape}; arrays of "
                f".npz files are read up to {MAX_BYTES / 1e6:,.0f} MB",
                USE_NPY,
            )
        content = _exactly(member, size)
    values = np.frombuffer(content, dtype) if size else np.empty(math.prod(shape), dtype)
    return values.reshape(shape, order="F" if is_fortran else "C")


def _exactly(member: IO[bytes], size: int) -> bytes:
    """So many bytes, and no more, after which the checksum is compared."""
    content = member.read(size)
    if len(content) < size or member.read(1):
        raise ValueError("an array has another size than its header says")
    return content


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """What reading raises, as a DataError."""
    try:
        yield
    except (DataError, MemoryError):
        raise
    except OSError as error:
        raise unreadable("data.path", path, error.strerror or error) from None
    except Exception as error:  # what is raised depends on where a file is damaged
        raise DataError(
            f"data.path: {path} is not a .npz file of arrays: {excerpt(one_line(error), 200)}",
            "numpy.savez writes one: numpy.savez('data.npz', x=x, y=y)",
        ) from None
