"""Files of a run, read and written safely: replaced in one step, links refused."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gdrun.errors import DataError, OutputError, limit_hints

# Flags that only some systems have. Windows lacks the first two; links there need special rights.
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
NO_WAIT = getattr(os, "O_NONBLOCK", 0)
BINARY = getattr(os, "O_BINARY", 0)


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a path beside a file to write to, and rename it over the file if `with` ends well.

    A reader finds the old file or the new one, never half of one; a link is replaced, not followed.
    `durable` waits until the disk has the content, so that a power failure leaves no empty file.

    Raises:
        OSError: it can't be written or renamed; the old file stays, and nothing is left beside it.
    """
    partial = path.with_name(f"{path.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        yield partial
        if durable:
            flush_to_disk(partial)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def open_plain(path: Path, flags: int) -> int:
    """Open a regular file without following a link, and return its descriptor.

    Raises:
        OSError: it can't be opened; ELOOP where it is a link or no regular file.
    """
    descriptor = os.open(path, flags | NO_FOLLOW | NO_WAIT | BINARY, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ELOOP, "is not a regular file", str(path))
    return descriptor


def append(descriptor: int, data: bytes, path: Path, size: int) -> None:
    """Append data to a file of so many bytes that is open: all of it, or none.

    Raises:
        OSError: it can't be written, or the file was removed.
    """
    if not os.fstat(descriptor).st_nlink:
        raise FileNotFoundError(2, "was removed while it was being written", str(path))
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        error.filename = str(path)
        raise


def read_plain(path: Path, most: int) -> bytes:
    """The content of a regular file of at most so many bytes, read without following a link.

    Raises:
        DataError: it is larger; no more than that is read, as it may grow meanwhile.
        OSError: it can't be read; ELOOP where it is a link or no regular file.
    """
    with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read(most + 1) if size <= most else b""
    size = max(size, len(content))
    if size > most:
        raise DataError(
            f"{path}: is damaged: {size:,} bytes, more than the {most:,} that gdrun would write"
        )
    return content


def flush_to_disk(path: Path) -> None:
    """Wait until the disk holds a file, or the names in a directory (no effect on Windows)."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        if os.name == "nt":  # where directories can't be opened
            return
        raise
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def output_errors(directory: Path | None, what: str) -> Iterator[None]:
    """Turn an OSError inside `with` into an error that names the file.

    Args:
        directory: named if the error names no file.
        what: what was tried: `read` or `written`.

    Raises:
        OutputError: a file couldn't be read or written.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{error.filename or directory}: can't be {what}: {error.strerror}", *limit_hints(error)
        ) from error
