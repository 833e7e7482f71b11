"""A CSV file that grows by whole rows, with a hash of its content, so that it can be resumed."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gdrun.config.foreign import Natural, Sha256
from gdrun.errors import DataError
from gdrun.logs.lines import read_header, whole_lines
from gdrun.storage.atomic import append, open_plain

MAX_BUFFERED = 2**16  # characters that are kept before they go to the operating system
READ_BYTES = 2**20


@dataclass(frozen=True)
class FileDigest:
    """What a file held at some time: its first `size` bytes have this SHA-256."""

    size: Natural
    sha256: Sha256


class RowFile:
    """A CSV file that rows are appended to; the operating system gets whole rows only."""

    def __init__(self, path: Path, first_line: str, kept: FileDigest | None = None) -> None:
        """Begin a file with its first line, or cut one back to what it `kept` at an earlier time.

        Raises:
            OSError: it can't be written.
            DataError: the file no longer begins with what it kept; it is left alone.
        """
        self.path = path
        self._rows: list[str] = []
        self._buffered = 0
        self._size = 0
        self._digest = hashlib.sha256()
        if kept:
            self._digest = verify(path, kept)
            self._size = kept.size
        self._descriptor = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.ftruncate(self._descriptor, self._size)
            if not kept:
                self.add(first_line)
                self.flush()
        except BaseException:
            os.close(self._descriptor)
            raise

    def add(self, rows: str) -> None:
        """Append rows; they are written once there are enough of them, or by `flush`."""
        self._rows.append(rows)
        self._buffered += len(rows)
        if self._buffered > MAX_BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Hand the rows so far to the operating system: all of them, or none.

        Raises:
            OSError: they can't be written, or the file was removed.
        """
        data = "".join(self._rows).encode()
        # Dropped first, so that an interrupted write is never repeated: what it left in the file is
        # cut off when the run is resumed.
        self._rows.clear()
        self._buffered = 0
        append(self._descriptor, data, self.path, self._size)
        self._digest.update(data)
        self._size += len(data)

    def digest(self) -> FileDigest:
        """Write what is buffered, wait for the disk, and return what the file holds."""
        self.flush()
        os.fsync(self._descriptor)
        return FileDigest(self._size, self._digest.hexdigest())

    def close(self) -> None:
        """Write what is buffered and close the file."""
        try:
            self.flush()
        finally:
            os.close(self._descriptor)


def verify(path: Path, digest: FileDigest, *, whole: bool = False) -> "hashlib._Hash":
    """Check that a file begins with what a digest says, or is the `whole` of it; return the hash.

    Raises:
        OSError: the file can't be read.
        DataError: it holds something else, or less.
    """
    found = hashlib.sha256()
    left = digest.size
    if not path.exists():
        raise DataError(f"{path}: is missing", "put it back as it was, or start a new run")
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        while left and (block := file.read(min(left, READ_BYTES))):
            found.update(block)
            left -= len(block)
        more = whole and bool(file.read(1))
    if left or more or found.hexdigest() != digest.sha256:
        what = f"is {left:,} bytes shorter than" if left else "is not what"
        raise DataError(
            f"{path}: {what} gdrun left: it was changed since, and is left alone",
            "put the file back as it was, or start a new run",
        )
    return found


def kept_lines(path: Path, digest: FileDigest) -> Iterator[bytes]:
    """The lines below the header, many at a time, as far as a digest covers the file.

    Raises:
        BadRowError: a line is longer than any row.
        OSError: the file can't be read.
    """
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        read_header(file)
        yield from whole_lines(file, end=digest.size)
