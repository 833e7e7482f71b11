"""Rows that are looked for in a file: found by halving it, since its epochs and updates ascend."""

import os
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import BinaryIO

from gdrun.logs.columns import KEY
from gdrun.logs.lines import MAX_ROW_BYTES, whole_lines
from gdrun.logs.rows import key_of
from gdrun.results.events import Lane, Series
from gdrun.results.rows.log_rows import EPOCH_COLUMNS
from gdrun.results.run import Reached

EPOCH = KEY  # the place of the epoch in the rows of both files
NEAR_BYTES = 2**12  # between two places that are no longer halved, but read
BLOCK_BYTES = 2**14
UPDATES, SAMPLES, SECONDS, TRAIN_LOSS = map(
    EPOCH_COLUMNS.index, ("updates", "samples", "seconds", "train_loss")
)


def first_at_most(
    file: BinaryIO, target: float, between: Mapping[Lane, tuple[int, int]], series: Series
) -> dict[Lane, Reached]:
    """When lanes' train losses were first at or below a target, each after an epoch up to another.

    The file is an `epochs.csv` that has been read before: what was known of its rows still holds.

    Raises:
        ValueError, IndexError: a row isn't one of a run; the file was changed.
        OSError: it can't be read.
    """
    places = {lane: place for place, lane in enumerate(series.lanes)}
    coming = deque(sorted(between, key=lambda lane: between[lane][0]))
    sought: list[Lane] = []
    found: dict[Lane, Reached] = {}
    above: dict[Lane, int] = {}  # after which update the loss was last seen above the target
    for first, last in _joined(between):
        file.seek(_offset_of(file, first))
        for epoch, lines in _epochs(file, len(series.lanes)):
            if epoch > last:
                break
            while coming and between[coming[0]][0] < epoch:
                sought.append(coming.popleft())
            for lane in sought:
                start = ",".join(key_of(series, lane)).encode() + b","
                # Its place, if no lane has left.
                near = lines[places[lane] : places[lane] + 1]
                near = near if near and near[0].startswith(start) else lines
                cells = next((own.split(b",") for own in near if own.startswith(start)), [])
                if not cells or not cells[TRAIN_LOSS]:
                    continue
                updates = int(cells[UPDATES])
                if float(cells[TRAIN_LOSS]) > target:
                    above[lane] = updates
                else:
                    counts = updates, int(cells[SAMPLES]), float(cells[SECONDS])
                    found[lane] = Reached(*counts, above.get(lane, 0))
            sought = [lane for lane in sought if lane not in found and between[lane][1] > epoch]
    return found


def _joined(between: Mapping[Lane, tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The first and last epochs of what has to be read, without what would be read twice."""
    first = last = -1
    for after, until in sorted(between.values()):
        if after > last:
            if last >= 0:
                yield first, last
            first = after + 1
        last = max(last, until)
    yield first, last


def _epochs(file: BinaryIO, lanes: int) -> Iterator[tuple[int, list[bytes]]]:
    """The epochs from where a file is, each with its lines."""
    lines: list[bytes] = []
    for block in chain(whole_lines(file, block_bytes=BLOCK_BYTES), [b""]):
        lines += block.splitlines()
        start = 0
        # At the end of the file, what is left is complete.
        while len(lines) - start > lanes or (not block and start < len(lines)):
            epoch, end = _epoch_of(lines[start]), min(start + lanes, len(lines))
            if _epoch_of(lines[end - 1]) != epoch:  # some lanes have left
                end = bisect_right(lines, epoch, start, end, key=_epoch_of)
            yield epoch, lines[start:end]
            start = end
        del lines[:start]


def _epoch_of(line: bytes) -> int:
    return int(line.split(b",", EPOCH + 1)[EPOCH])


def last_update(file: BinaryIO, series: Series, lane: Lane, epoch: int) -> tuple[int, float] | None:
    """The last logged update of a lane that left in some epoch, with its loss; None without one.

    The file is a `steps.csv`. From its last row on, the lane is missing among those of an update.

    Raises:
        ValueError, IndexError: a row isn't one of a run.
        OSError: it can't be read.
    """
    key = b"\n" + ",".join(key_of(series, lane)).encode() + b","
    start, end = (_offset_of(file, number) - 1 for number in (epoch, epoch + 1))
    # It holds all rows of at least one update.
    window = 2 * (len(series.lanes) + 1) * MAX_ROW_BYTES
    while end - start > window:
        middle = (start + end) // 2
        file.seek(middle)
        if key in file.read(min(window, end - middle)):
            start = middle
        else:
            end = middle
    file.seek(start)
    text = file.read(end + window - start)
    at = text.rfind(key, 0, end - start + len(key))
    if at < 0:
        return None
    cells = text[at + 1 : text.index(b"\n", at + 1)].split(b",")
    return int(cells[EPOCH + 1]), float(cells[EPOCH + 2])


def _offset_of(file: BinaryIO, epoch: int) -> int:
    """Where the first row of an epoch begins, or of the next one that there is; else the end."""
    file.seek(0)
    low = len(file.readline(MAX_ROW_BYTES))  # the beginning of a row, at or before the one sought
    high = size = os.fstat(file.fileno()).st_size
    while high - low > NEAR_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        text = file.read(2 * MAX_ROW_BYTES)
        start = text.index(b"\n") + 1
        if b"\n" in text[start:] and _epoch_of(text[start:]) < epoch:
            low = middle + start
        else:
            high = middle
    file.seek(low)
    for block in whole_lines(file, block_bytes=BLOCK_BYTES):
        for line in block.splitlines(keepends=True):
            if _epoch_of(line) >= epoch:
                return low
            low += len(line)
    return min(low, size)
