"""SplitMix64: 64 random bits for each position of a stream, without those before it.

The generator is that of Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators",
fig. 14 and 15. Its finaliser also mixes seed and epoch into the key of the epoch's stream, so that
neighbouring seeds and epochs are unrelated.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

# As signed 64-bit integers, which torch multiplies modulo 2^64.
GOLDEN_GAMMA = 0x9E3779B97F4A7C15 - 2**64
MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
MIX_2 = 0x94D049BB133111EB - 2**64


def random_numbers(seeds: Sequence[int], epoch: int, positions: Tensor) -> Tensor:
    """64 random bits for positions in an epoch: (P,) → (R, P) signed integers."""
    return splitmix64(stream_keys(seeds, [epoch])[0].unsqueeze(1), positions)


def stream_keys(seeds: Sequence[int], epochs: Sequence[int]) -> Tensor:
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
