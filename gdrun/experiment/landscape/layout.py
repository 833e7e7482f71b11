"""How the weights of a run at the ends of epochs lie in a file of bounded size.

A header says how many lanes and weights there are, and how many epochs lie between two records.
Then comes a record for each of their multiples, and one for the last epoch of a run that has ended
at another: its number, the weights of all lanes one after the other as 32-bit floats, and a hash.

How many epochs lie between two records follows from how many the run has, and is a power of two. So
a run with more epochs has the records of a shorter one, or every second of them and so on, and one
that is extended ends with the bytes of one that never stopped.

Shapes: R lanes, P weights of a lane.
"""

import hashlib
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from gdrun.text import size

MOST_BYTES = 2**26  # of the file (64 MiB)
MAGIC = b"gdrun weights 1\n"
NUMBERS = struct.Struct("<QQQ")  # epochs between records, lanes, weights of a lane
EPOCH = struct.Struct("<Q")
HASH_BYTES = 8
HEADER_BYTES = len(MAGIC) + NUMBERS.size + HASH_BYTES


def hashed(content: bytes) -> bytes:
    """The content with its hash behind it."""
    return content + hashlib.blake2b(content, digest_size=HASH_BYTES).digest()


@dataclass(frozen=True)
class Layout:
    """What a file holds.

    Attributes:
        every: epochs from one record to the next.
        lanes, parameters: R and P.
    """

    every: int
    lanes: int
    parameters: int

    @property
    def header(self) -> bytes:
        """The beginning of the file."""
        return hashed(MAGIC + NUMBERS.pack(self.every, self.lanes, self.parameters))

    @property
    def record_bytes(self) -> int:
        """How much a record takes."""
        return EPOCH.size + 4 * self.lanes * self.parameters + HASH_BYTES

    def bytes_of(self, epochs: int) -> int:
        """How large the file of a run of so many epochs is."""
        last = epochs % self.every > 0
        return HEADER_BYTES + (epochs // self.every + 1 + last) * self.record_bytes

    def record(self, epoch: int, weights: NDArray[np.float32]) -> bytes:
        """The record of an epoch; weights (R, P)."""
        return hashed(EPOCH.pack(epoch) + weights.astype("<f4", copy=False).tobytes())


def layout_for(epochs: int, lanes: int, parameters: int) -> Layout:
    """How the weights of so many epochs are kept: all of them, or as many as there is room for.

    Raises:
        ConfigError: there is no room for the first and the last ones.
    """
    record = Layout(1, lanes, parameters).record_bytes
    most = (MOST_BYTES - HEADER_BYTES) // record
    if most < 2:
        raise ConfigError(
            f"trajectory: the weights of an epoch take {size(record)}, and the file has at most "
            f"{size(MOST_BYTES)}",
            "leave it out: gdrun landscape trains a run again to know its weights",
        )
    every = 1
    while epochs // every + 2 > most:  # epoch 0 and the last one, too
        every *= 2
    return Layout(every, lanes, parameters)


def is_sound(content: bytes) -> bool:
    """Whether the hash at the end of some content is its own."""
    return hashed(content[:-HASH_BYTES]) == content


def kept_every(config: RunConfig, parameters: int) -> int | None:
    """Weights are kept at the ends of the multiples of this many epochs; None: they aren't kept.

    Raises:
        ConfigError: they are too many to be kept.
    """
    if not config.trajectory:
        return None
    return layout_for(config.epochs, len(config.lr) * config.seeds, parameters).every
