"""Fingerprints of rows: a hash of every number, by which a run knows its data again.

Up to `SAMPLE_ROWS` rows have the hash that an older gdrun gave them. Of more rows that gdrun hashed
a sample; today's fingerprint of them covers all and begins with `ALL_ROWS`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor

from gdrun.data.rows import FileRows, Rows, blocks, in_memory, spread, take

SAMPLE_ROWS = 2**16  # at most, evenly spread, in a sample
ALL_ROWS = "all:"


def fingerprint(parts: Sequence[Rows]) -> str:
    """A hash that sequences of rows share only if all their numbers are equal, in order.

    Rows of a file have been hashed as they were first read.
    """
    if is_small(parts):
        return sampled_fingerprint(parts)
    digest = hashlib.sha256()
    for rows in parts:
        own = hashlib.sha256()
        held = in_memory(rows)
        if held is not None:
            for _ in hashed(blocks(held), own):
                pass
        numbers = rows.hash if isinstance(rows, FileRows) else own.hexdigest()
        digest.update(f"{tuple(rows.shape)} {numbers}\n".encode())
    return ALL_ROWS + digest.hexdigest()


def sampled_fingerprint(parts: Sequence[Rows]) -> str:
    """The hash that an older gdrun took: of `SAMPLE_ROWS` rows of each part, evenly spread."""
    digest = hashlib.sha256()
    for rows in parts:
        digest.update(repr(tuple(rows.shape)).encode())
        digest.update(take(rows, spread(len(rows), SAMPLE_ROWS)).cpu().numpy().tobytes())
    return digest.hexdigest()


def is_small(parts: Sequence[Rows]) -> bool:
    """Whether a sample of the rows holds all of them, and they are in memory."""
    return all(in_memory(rows) is not None and len(rows) <= SAMPLE_ROWS for rows in parts)


def hashed(pieces: Iterable[Tensor], digest: "hashlib._Hash") -> Iterator[Tensor]:
    """The same pieces of rows; their numbers go into a hash on the way."""
    for piece in pieces:
        digest.update(piece.cpu().numpy().tobytes())
        yield piece
