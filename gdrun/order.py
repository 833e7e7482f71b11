"""The order in which an epoch visits the rows: a pure function of (seed, epoch), never a stream.

Nothing has to be remembered to go on from any epoch, a lane visits the rows as it would alone, and
every device agrees. Random numbers are those of SplitMix64 (Steele, Lea & Flood 2014, "Fast
splittable pseudorandom number generators", fig. 14 and 15), whose finaliser also mixes seed and
epoch into the key of the epoch's stream, so that neighbouring seeds and epochs are unrelated.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gdrun.config import Sampling

# Python's integers as the signed 64 bits that torch multiplies modulo 2^64.
GOLDEN_GAMMA = 0x9E3779B97F4A7C15 - 2**64
MIX_1 = 0xBF58476D1CE4E5B9 - 2**64
MIX_2 = 0x94D049BB133111EB - 2**64


def visiting_order(
    sampling: Sampling, rows: int, seeds: Sequence[int], epoch: int
) -> Tensor | None:
    """Row numbers in the order of their visit, (R, N), one lane a seed; None for 0, 1, …, N − 1.

    `reshuffle` gives each lane a uniformly random permutation, `replacement` N independent draws.
    """
    if sampling == "sequential":
        return None
    numbers = random_numbers(seeds, epoch, rows)
    if sampling == "replacement":
        return (numbers & (2**63 - 1)) % rows
    return numbers.argsort(dim=1, stable=True)


def random_numbers(seeds: Sequence[int], epoch: int, count: int) -> Tensor:
    """The 64 random bits of row 0, 1, …, count − 1 in an epoch, (R, count) signed integers."""
    keys = mix(mix(torch.tensor(seeds, dtype=torch.int64) + GOLDEN_GAMMA) + epoch)
    return splitmix64(keys.unsqueeze(1), count)


def splitmix64(keys: Tensor, count: int) -> Tensor:
    """The first `count` outputs of SplitMix64 started at each key, (…, 1) → (…, count)."""
    return mix(keys + torch.arange(1, count + 1) * GOLDEN_GAMMA)


def mix(z: Tensor) -> Tensor:
    """SplitMix64's finaliser, a bijection of 64-bit words in which each bit moves all others."""
    z = (z ^ _shift(z, 30)) * MIX_1
    z = (z ^ _shift(z, 27)) * MIX_2
    return z ^ _shift(z, 31)


def _shift(z: Tensor, bits: int) -> Tensor:
    """Logical shift to the right; torch's own keeps the sign."""
    return torch.bitwise_and(z >> bits, 2 ** (64 - bits) - 1)
