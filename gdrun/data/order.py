"""The order in which an epoch visits the rows: a pure function of (seed, epoch), never a stream.

So a run can be resumed at any epoch without saved state, a lane visits the rows as it would alone,
and the order is the same on every device. Random numbers are those of SplitMix64 (Steele, Lea &
Flood 2014, "Fast splittable pseudorandom number generators", fig. 14 and 15), whose finaliser also
mixes seed and epoch into the key of the epoch's stream, so that neighbouring seeds and epochs are
unrelated.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from gdrun.config.schema import Sampling

# As signed 64-bit integers, which torch multiplies modulo 2^64.
GOLDEN_GAMMA = 0x9E3779B97F4A7C15 - 2**64
MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
MIX_2 = 0x94D049BB133111EB - 2**64

# Up to this many rows are sorted by random numbers; more are permuted by a formula, without memory.
SORTED_ROWS = 2**20
ROUNDS = 6
CACHED_NUMBERS = 2**15  # random numbers of 8 bytes that are worked on at a time

Order = Callable[[int, int], Tensor]


def visiting_order(sampling: Sampling, rows: int, seeds: Sequence[int], epoch: int) -> Order | None:
    """The order of the rows in an epoch, one lane per seed; None stands for 0, 1, …, N − 1.

    `reshuffle` is a random permutation for each lane, `replacement` N independent draws.

    Returns:
        A function of positions that gives row numbers: (start, stop) → (R, stop − start).
    """
    if sampling == "sequential":
        return None
    if sampling == "replacement":
        return lambda start, stop: _drawn(rows, _keys(seeds, [epoch]), start, stop)[0]
    if rows <= SORTED_ROWS:
        order = _shuffled(rows, _keys(seeds, [epoch]))[0]
        return lambda start, stop: order[:, start:stop]
    keys = random_numbers(seeds, epoch, torch.arange(ROUNDS))
    return lambda start, stop: permuted(torch.arange(start, stop), rows, keys)


def visiting_orders(
    sampling: Sampling, rows: int, seeds: Sequence[int], epochs: Sequence[int]
) -> Tensor | None:
    """The whole orders of several epochs, of at most `SORTED_ROWS` rows each: (E, R, N)."""
    if sampling == "sequential":
        return None
    keys = _keys(seeds, epochs)
    return _drawn(rows, keys) if sampling == "replacement" else _shuffled(rows, keys)


def _drawn(rows: int, keys: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
    """Independent draws from one position to another: (…) → (…, stop − start)."""
    positions = torch.arange(start, rows if stop is None else stop)
    return _of_each_stream(keys, positions, lambda numbers: (numbers & (2**63 - 1)) % rows)


def _shuffled(rows: int, keys: Tensor) -> Tensor:
    """Random permutations: (…) → (…, N).

    No two numbers of a stream are equal, since `mix` is a bijection: any way of sorting gives the
    same order. numpy's is several times as fast as PyTorch's.
    """

    def sort(numbers: Tensor) -> Tensor:
        return torch.from_numpy(np.argsort(numbers.numpy(), axis=-1))

    return _of_each_stream(keys, torch.arange(rows), sort)


def _of_each_stream(
    keys: Tensor, positions: Tensor, function: Callable[[Tensor], Tensor]
) -> Tensor:
    """A function of the random numbers of each stream: (…), (P,) → (…, P).

    So many streams are taken at a time that their numbers stay in the processor's cache.
    """
    found = torch.empty(keys.numel(), len(positions), dtype=torch.int64)
    at_once = max(1, CACHED_NUMBERS // max(1, len(positions)))
    pieces = (torch.split(tensor, at_once) for tensor in (found, keys.flatten()))
    for places, part in zip(*pieces, strict=True):
        places[:] = function(splitmix64(part.unsqueeze(1), positions))
    return found.view(*keys.shape, len(positions))


def permuted(positions: Tensor, rows: int, keys: Tensor) -> Tensor:
    """Permutations of 0 … rows − 1, one per key, at some positions: (P,), (R, rounds) → (R, P).

    A Feistel network permutes the numbers of as many bits as `rows` has (Luby & Rackoff 1988, with
    SplitMix64's finaliser as the round function); it is applied again to a result beyond `rows`
    until it is below (cycle walking: Black & Rogaway 2002, sec. 3).
    """
    bits = max(2, (rows - 1).bit_length())
    numbers = positions.expand(len(keys), -1).clone()
    lanes = torch.arange(len(keys)).unsqueeze(1).expand_as(numbers)
    outside = torch.ones_like(numbers, dtype=torch.bool)
    while outside.any():
        numbers[outside] = _feistel(numbers[outside], keys[lanes[outside]].unbind(-1), bits)
        outside = numbers >= rows
    return numbers


def _feistel(numbers: Tensor, keys: Sequence[Tensor], bits: int) -> Tensor:
    """A permutation of the numbers with `bits` bits, by keys of each number's own."""
    low = bits // 2
    for key in keys:
        high = bits - low
        left, right = numbers >> low, numbers & (2**low - 1)
        left = left ^ (mix(right + key) & (2**high - 1))
        numbers, low = right << high | left, high
    return numbers


def random_numbers(seeds: Sequence[int], epoch: int, positions: Tensor) -> Tensor:
    """64 random bits for positions in an epoch: (P,) → (R, P) signed integers."""
    return splitmix64(_keys(seeds, [epoch])[0].unsqueeze(1), positions)


def _keys(seeds: Sequence[int], epochs: Sequence[int]) -> Tensor:
    """The keys of the streams of random numbers of epochs, (E, R)."""
    mixed = mix(torch.tensor(seeds, dtype=torch.int64) + GOLDEN_GAMMA)
    return mix(mixed + torch.tensor(epochs, dtype=torch.int64).unsqueeze(1))


def splitmix64(keys: Tensor, positions: Tensor) -> Tensor:
    """SplitMix64 at positions (from 0) of each key's stream: (…, 1), (P,) → (…, P)."""
    return mix(keys + (positions + 1) * GOLDEN_GAMMA)


def mix(z: Tensor) -> Tensor:
    """SplitMix64's finaliser, a bijection of 64-bit words in which each bit affects all others."""
    z = (z ^ _shift(z, 30)) * MIX_1
    z = (z ^ _shift(z, 27)) * MIX_2
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; torch's `>>` keeps the sign."""
    return torch.bitwise_and(z >> bits, 2 ** (64 - bits) - 1)
