"""A CSV file that grows by whole rows and knows what it holds, so that it can be gone on with."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gdrun.errors import DataError
from gdrun.storage.atomic import open_plain

BUFFERED = 2**16  # characters, at most, before they are handed to the operating system
READ_BYTES = 2**20


@dataclass(frozen=True)
class FileDigest:
    """What a file held at some time: so many bytes, with this SHA-256."""

    size: int
    sha256: str


class RowFile:
    """Appends rows, handing whole ones alone to the operating system."""

    def __init__(self, path: Path, first_line: str, kept: FileDigest | None = None) -> None:
        """Begin a file with its first line, or cut one back to what a mark says it held.

        Raises:
            OSError: it can't be written.
            DataError: the file no longer holds what the mark says; it is left alone.
        """
        self.path = path
        self._rows: list[str] = []
        self._buffered = 0
        self._size = 0
        self._digest = hashlib.sha256()
        if kept:
            self._digest = check(path, kept)
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
        """Append rows; they are written when there are enough of them, or at the next `flush`."""
        self._rows.append(rows)
        self._buffered += len(rows)
        if self._buffered > BUFFERED:
            self.flush()

    def flush(self) -> None:
        """Hand all rows so far to the operating system: all of them, or none.

        Raises:
            OSError: they can't be written, or the file was removed meanwhile.
        """
        data = "".join(self._rows).encode()
        # Forgotten first: what is stopped in the middle is cut at the next start, never repeated.
        self._rows.clear()
        self._buffered = 0
        if not os.fstat(self._descriptor).st_nlink:
            raise FileNotFoundError(2, "was removed while it was being written", str(self.path))
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            error.filename = str(self.path)
            raise
        self._digest.update(data)
        self._size += len(data)

    def mark(self) -> FileDigest:
        """Write what is buffered, wait for the disk, and say what the file holds."""
        self.flush()
        os.fsync(self._descriptor)
        return FileDigest(self._size, self._digest.hexdigest())

    def close(self) -> None:
        """Write what is buffered and close the file."""
        try:
            self.flush()
        finally:
            os.close(self._descriptor)


def check(path: Path, mark: FileDigest, *, whole: bool = False) -> "hashlib._Hash":
    """Whether a file still begins with what a mark says, or is the `whole` of it: the hash of it.

    Raises:
        OSError: the file can't be read.
        DataError: it doesn't.
    """
    digest = hashlib.sha256()
    left = mark.size
    if not path.exists():
        raise DataError(f"{path}: is missing", "put it back as it was, or start a new run")
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        while left and (block := file.read(min(left, READ_BYTES))):
            digest.update(block)
            left -= len(block)
        more = whole and bool(file.read(1))
    if left or more or digest.hexdigest() != mark.sha256:
        what = f"is {left:,} bytes shorter than" if left else "is not what"
        raise DataError(
            f"{path}: {what} gdrun left it: it was changed since, and is left alone",
            "put the file back as it was, or start a new run",
        )
    return digest


def kept_lines(path: Path, mark: FileDigest) -> Iterator[str]:
    """The lines below the header of what a file held at a mark.

    Raises:
        OSError: the file can't be read.
    """
    left = mark.size
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        for number, line in enumerate(file):
            left -= len(line)
            if left < 0:
                return
            if number:
                yield line.decode()
