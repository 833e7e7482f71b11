"""A mapped `.npy` file whose rows are copied out of it, and that may be cut short meanwhile.

Whoever touches memory behind the end of a mapped file is ended by a signal, SIGBUS, and no check
before rules that out. So the system copies the rows: consecutive ones by `pread`, others through a
pipe. For the system, missing memory is an error. That costs next to nothing for narrow rows, while
a `pread` for each of them would take ten times as long.
"""

import ctypes
import errno
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdrun.errors import DataError, limit_hints

Array = NDArray[np.generic]

# Rows near each other are read with what lies between them, up to so many bytes for each.
SPAN_BYTES_PER_ROW = 2**10
MAX_SPAN_BYTES = 2**24
MAX_PIECES = 1024  # that the system takes at once


class NpyFile:
    """The numbers of a file as rows, (N, C).

    Attributes:
        path: of the file.
        shape: (N, C).
    """

    def __init__(self, path: Path, mapped: "np.memmap[tuple[int, ...], np.dtype[np.generic]]"):
        """Take what `numpy.load` has mapped.

        Raises:
            OSError: the file can't be opened.
        """
        self.path = path
        self._array = np.asarray(mapped).reshape(len(mapped), -1)
        self.shape = (len(self._array), self._array.shape[1])
        self._start, self._end = mapped.offset, mapped.offset + mapped.nbytes
        self._descriptor = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def __len__(self) -> int:
        return self.shape[0]

    def rows(self, start: int, stop: int) -> Array:
        """Consecutive rows, (stop − start, C).

        Raises:
            DataError: the file was cut short, or can't be read.
        """
        return self._copied(np.array([start]), max(0, stop - start))

    def take(self, numbers: NDArray[np.int64]) -> Array:
        """Rows by their numbers, (n,) → (n, C).

        Raises:
            DataError: the file was cut short, or can't be read.
        """
        if not len(numbers):
            return self.rows(0, 0)
        low, high = int(numbers.min()), int(numbers.max())
        span = (high + 1 - low) * self._array.strides[0]
        if span <= min(MAX_SPAN_BYTES, len(numbers) * SPAN_BYTES_PER_ROW):
            return self.rows(low, high + 1)[numbers - low]
        return self._copied(numbers, 1)

    def _copied(self, firsts: NDArray[np.int64], count: int) -> Array:
        """So many consecutive rows from each of several on."""
        array = self._array
        with self._errors():
            if array.flags.c_contiguous:
                return self._read(array, firsts, count).reshape(-1, array.shape[1])
            columns = [self._read(column, firsts, count) for column in array.T]
            return np.stack(columns, axis=1)

    def _read(self, array: Array, firsts: NDArray[np.int64], count: int) -> Array:
        """The same of an array without gaps, flat."""
        if os.name == "nt":  # no pipe is needed, as Windows cuts no file short that is mapped
            return np.concatenate([array[first : first + count].ravel() for first in firsts])
        places, size = array.ctypes.data + firsts * array.strides[0], count * array.strides[0]
        if len(places) == 1:
            at = self._start + int(places[0]) - self._array.ctypes.data
            return np.frombuffer(self._bytes(at, size), array.dtype)
        found = np.frombuffer(_copied_memory(places, size), array.dtype)
        # In the last page of a file that was cut short there are zeros now.
        if self._is_cut_short():
            raise _missing()
        return found

    def _bytes(self, at: int, size: int) -> bytes:
        """So many bytes of the file."""
        found: list[bytes] = []
        while size:
            part = os.pread(self._descriptor, size, at)
            if not part:
                raise _missing()
            found.append(part)  # mostly all: no more than two gigabytes are read at once
            at, size = at + len(part), size - len(part)
        return b"".join(found)

    def _is_cut_short(self) -> bool:
        return os.fstat(self._descriptor).st_size < self._end

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if self._is_cut_short():
                raise DataError(
                    f"{self.path}: was cut short while it was read", "put the file back as it was"
                ) from None
            raise DataError(
                f"{self.path}: can't be read: {error.strerror}", *limit_hints(error)
            ) from None


def _missing() -> OSError:
    return OSError(errno.EFAULT, os.strerror(errno.EFAULT))


def _copied_memory(places: NDArray[np.int64], size: int) -> bytes:
    """The memory at several places, so many bytes each, copied by the system.

    Raises:
        OSError: EFAULT where there is no memory; no pipe can be made.
    """
    pieces = np.empty((len(places), 2), dtype=np.uintp)  # struct iovec
    pieces[:, 0], pieces[:, 1] = places, size
    writev, found = _writev(), list[bytes]()
    done, total = 0, size * len(places)
    output, entrance = os.pipe()
    try:
        os.set_blocking(entrance, False)  # it takes what fits
        while done < total:
            piece, inside = divmod(done, size)
            pieces[piece] = places[piece] + inside, size - inside
            at, left = pieces[piece:].ctypes.data, min(MAX_PIECES, len(places) - piece)
            written = writev(entrance, at, left)
            if written < 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
            while written:
                found.append(os.read(output, written))
                written -= len(found[-1])
                done += len(found[-1])
    finally:
        os.close(output)
        os.close(entrance)
    return b"".join(found)


@cache
def _writev() -> Callable[[int, int, int], int]:
    """The system's `writev`: (descriptor, pieces, how many) → how many bytes it took, or −1."""
    function = ctypes.CDLL(None, use_errno=True).writev
    function.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    function.restype = ctypes.c_ssize_t
    return function
