"""Whole lines of an open file, in blocks of bounded size."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

BLOCK_BYTES = 2**17  # its cells stay in the cache of a processor
MAX_ROW_BYTES = 512  # a row has at most twenty cells, and none of more than 24 characters
OnRead = Callable[[int], None]  # called with how many bytes were read


class BadRowError(ValueError):
    """A line isn't a row of the run.

    Args:
        line: its number, from 1.
    """

    def __init__(self, line: int) -> None:
        self.line = line
        super().__init__(f"line {line}")


def read_header(file: BinaryIO) -> bytes:
    """The first line of a file, or as much of it as a header may hold; the file is behind it."""
    return file.readline(MAX_ROW_BYTES)


def whole_lines(
    file: BinaryIO,
    *,
    first_line: int = 2,
    end: int | None = None,
    block_bytes: int = BLOCK_BYTES,
    on_read: OnRead = lambda _: None,
) -> Iterator[bytes]:
    """Whole lines from where a file is, many at a time; what is behind the last line break is not.

    Args:
        file: the file.
        first_line: the number of the next line.
        end: the position to stop at; None is the end of the file.
        block_bytes: how many bytes are read at once.
        on_read: called after each time.

    Raises:
        BadRowError: a line is longer than any row.
        OSError: the file can't be read.
    """
    left = None if end is None else end - file.tell()
    rest = b""
    while block := file.read(block_bytes if left is None else min(block_bytes, left)):
        left = None if left is None else left - len(block)
        on_read(len(block))
        whole = block.rfind(b"\n") + 1
        if whole:
            lines = rest + block[:whole]
            first_line += lines.count(b"\n")
            yield lines
            rest = block[whole:]
        else:
            rest += block
        if len(rest) > MAX_ROW_BYTES:
            raise BadRowError(first_line)
