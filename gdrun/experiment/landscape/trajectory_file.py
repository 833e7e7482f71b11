"""The file with the weights of a run at the ends of epochs: written as it is trained, and read.

Whoever reads it takes nothing on trust: it may be damaged, or anybody's.

Shapes: R lanes, P weights of a lane.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gdrun.errors import DataError
from gdrun.experiment.landscape import layout as layouts
from gdrun.experiment.landscape.layout import EPOCH, HEADER_BYTES, MAGIC, NUMBERS, Layout, is_sound
from gdrun.results.file_names import TRAJECTORY
from gdrun.storage.atomic import append, open_plain, read_plain, replacing

TRAINED_AGAIN = "without the file, gdrun landscape trains the run again"


class TrajectoryFile:
    """The file while a run is trained: records are appended."""

    def __init__(self, directory: Path, layout: Layout, begun_at: int | None = None) -> None:
        """Begin a file or, of a run that is resumed, cut it back to the epoch that it begins at.

        Raises:
            DataError: what is there isn't what the run left; it is left alone.
            OSError: it can't be read or written.
        """
        self.path, self.layout = directory / TRAJECTORY, layout
        content = layout.header
        if begun_at is not None:
            kept = kept_records(directory, layout, begun_at)
            content += b"".join(layout.record(*record) for record in kept)
            with replacing(self.path) as partial:
                partial.write_bytes(content)
        self._size = len(content)
        self._descriptor = open_plain(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            os.ftruncate(self._descriptor, 0 if begun_at is None else self._size)
            if begun_at is None:
                os.write(self._descriptor, content)
        except BaseException:
            os.close(self._descriptor)
            raise

    def add(self, epoch: int, weights: NDArray[np.float32]) -> None:
        """Append the weights of all lanes at the end of an epoch, (R, P).

        Raises:
            OSError: they can't be written, or the file was removed.
        """
        append(self._descriptor, self.layout.record(epoch, weights), self.path, self._size)
        self._size += self.layout.record_bytes

    def flush(self) -> None:
        """Wait until the disk has all records so far."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def kept_records(
    directory: Path, layout: Layout, begun_at: int
) -> list[tuple[int, NDArray[np.float32]]]:
    """The epochs until one, as many as are kept now, and the weights at their ends, (R, P).

    Raises:
        DataError: the file is damaged, or lacks one of them.
        OSError: it can't be read.
    """
    path = directory / TRAJECTORY
    found = dict(read_records(path, layout.lanes, layout.parameters, whole=False))
    wanted = range(0, begun_at + 1, layout.every)
    if lacking := [epoch for epoch in wanted if epoch not in found]:
        raise DataError(
            f"{path}: is damaged: lacks the weights of epoch {lacking[0]:,}",
            f"put it back as it was, or remove it: {TRAINED_AGAIN}",
        )
    return [(epoch, found[epoch]) for epoch in wanted]


def read_records(
    path: Path, lanes: int, parameters: int, *, whole: bool
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The epochs of a file, rising, and the weights at their ends, (R, P).

    Args:
        path: the file.
        lanes: how many the run has.
        parameters: how many weights each of them has.
        whole: whether the run has ended; else the last record may not be complete yet.

    Raises:
        DataError: it is damaged, or of another run.
        OSError: it can't be read.
    """
    content = read_plain(path, layouts.MOST_BYTES)
    hints = (f"put it back as it was, or remove it: {TRAINED_AGAIN}",)
    start = content[:HEADER_BYTES]
    if len(start) < HEADER_BYTES or not start.startswith(MAGIC) or not is_sound(start):
        raise DataError(f"{path}: is damaged, or no file of weights of gdrun", *hints)
    layout = Layout(*NUMBERS.unpack_from(start, len(MAGIC)))
    if (layout.lanes, layout.parameters) != (lanes, parameters) or not layout.every:
        raise DataError(
            f"{path}: is of another run: has {layout.lanes:,} lanes of {layout.parameters:,} "
            f"weights, not {lanes:,} of {parameters:,}",
            *hints,
        )
    number, rest = divmod(len(content) - HEADER_BYTES, layout.record_bytes)
    if rest and whole:
        raise DataError(f"{path}: is damaged: ends within a record", *hints)
    for k in range(number):
        at = HEADER_BYTES + k * layout.record_bytes
        record = content[at : at + layout.record_bytes]
        (epoch,) = EPOCH.unpack_from(record)
        after = epoch - (k - 1) * layout.every
        in_order = epoch == k * layout.every or (k == number - 1 and 0 < after < layout.every)
        if not is_sound(record) or not in_order:
            raise DataError(f"{path}: is damaged in record {k + 1:,}", *hints)
        numbers = np.frombuffer(record, "<f4", lanes * parameters, EPOCH.size)
        yield epoch, numbers.astype(np.float32).reshape(lanes, parameters)
