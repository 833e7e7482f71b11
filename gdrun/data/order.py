"""The order in which an epoch visits the rows: a pure function of (seed, epoch), never a stream.

So a run can be resumed at any epoch without saved state, a lane visits the rows as it would alone,
and the order is the same on every device. Random numbers are those of SplitMix64.

Shapes: E epochs, R lanes, N rows, P positions.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from gdrun.config.schema import Sampling
from gdrun.data.splitmix64 import mix, random_numbers, splitmix64, stream_keys

# Up to this many rows are sorted by random numbers; more are permuted by a formula, without memory.
SORTED_ROWS = 2**20
ROUNDS = 6
CACHED_NUMBERS = 2**15  # random numbers of 8 bytes that a processor works on at a time
GPU_NUMBERS = 2**24  # and a GPU
AHEAD_NUMBERS = 2**18  # in the orders that are drawn together (2 MB)
AHEAD_EPOCHS = 64

CPU = torch.device("cpu")

Order = Callable[[int, int], Tensor]


class Orders:
    """The orders of the rows in epochs, one lane per seed; short ones are drawn several at a time.

    Drawing one alone takes a processor a tenth of a millisecond, however few its rows, and a GPU
    a dozen kernels.
    """

    def __init__(
        self, sampling: Sampling, rows: int, seeds: Sequence[int], device: torch.device = CPU
    ) -> None:
        self._how = sampling, rows, seeds
        self._device = device
        most = AHEAD_NUMBERS // (rows * len(seeds))
        self._most = max(1, min(most, AHEAD_EPOCHS))
        self._epochs = range(0)
        self._drawn: Tensor | None = None

    def of(self, epoch: int) -> Order | None:
        """That of an epoch, as from `visiting_order`; on the device, unless rows are too many."""
        sampling, rows, seeds = self._how
        in_parts = sampling == "replacement" and self._most == 1 and self._device.type == "cpu"
        if sampling == "sequential" or rows > SORTED_ROWS or in_parts:
            return visiting_order(sampling, rows, seeds, epoch)
        if epoch not in self._epochs:
            self._drawn = None  # before there are others in memory
            # At first of one epoch, and then of ever more: a short training needs no more.
            count = min(2 * len(self._epochs) or 1, self._most)
            self._epochs = range(epoch, epoch + count)
            self._drawn = visiting_orders(sampling, rows, seeds, self._epochs, self._device)
        assert self._drawn is not None
        drawn = self._drawn[epoch - self._epochs.start]
        return lambda start, stop: drawn[:, start:stop]


def visiting_order(sampling: Sampling, rows: int, seeds: Sequence[int], epoch: int) -> Order | None:
    """The order of the rows in an epoch, one lane per seed; None stands for 0, 1, …, N − 1.

    `reshuffle` is a random permutation for each lane, `replacement` N independent draws.

    Returns:
        A function of positions that gives row numbers: (start, stop) → (R, stop − start).
    """
    if sampling == "sequential":
        return None
    if sampling == "replacement":
        return lambda start, stop: _drawn(rows, stream_keys(seeds, [epoch]), start, stop)[0]
    if rows <= SORTED_ROWS:
        order = _shuffled(rows, stream_keys(seeds, [epoch]))[0]
        return lambda start, stop: order[:, start:stop]
    keys = random_numbers(seeds, epoch, torch.arange(ROUNDS))
    return lambda start, stop: permuted(torch.arange(start, stop), rows, keys)


def visiting_orders(
    sampling: Sampling,
    rows: int,
    seeds: Sequence[int],
    epochs: Sequence[int],
    device: torch.device = CPU,
) -> Tensor | None:
    """The whole orders of several epochs, of at most `SORTED_ROWS` rows each: (E, R, N)."""
    if sampling == "sequential":
        return None
    keys = stream_keys(seeds, epochs).to(device)
    return _drawn(rows, keys) if sampling == "replacement" else _shuffled(rows, keys)


def _drawn(rows: int, keys: Tensor, start: int = 0, stop: int | None = None) -> Tensor:
    """Independent draws from one position to another: (…) → (…, stop − start)."""
    positions = torch.arange(start, rows if stop is None else stop, device=keys.device)
    return _of_each_stream(keys, positions, lambda numbers: (numbers & (2**63 - 1)) % rows)


def _shuffled(rows: int, keys: Tensor) -> Tensor:
    """Random permutations: (…) → (…, N).

    No two numbers of a stream are equal, since `mix` is a bijection: any way of sorting gives the
    same order.
    """
    sort = ARGSORT.get(keys.device.type, torch.argsort)
    return _of_each_stream(keys, torch.arange(rows, device=keys.device), sort)


def _argsort_of_numpy(numbers: Tensor) -> Tensor:
    """On a processor several times as fast as PyTorch's."""
    return torch.from_numpy(np.argsort(numbers.numpy(), axis=-1))


ARGSORT = {"cpu": _argsort_of_numpy}  # by the type of device, where it isn't PyTorch's


def _of_each_stream(
    keys: Tensor, positions: Tensor, function: Callable[[Tensor], Tensor]
) -> Tensor:
    """A function of the random numbers of each stream: (…), (P,) → (…, P).

    So many streams are taken at a time that their numbers stay in a processor's cache, or leave a
    GPU memory for other things.
    """
    found = torch.empty(keys.numel(), len(positions), dtype=torch.int64, device=keys.device)
    cached = CACHED_NUMBERS if keys.device.type == "cpu" else GPU_NUMBERS
    at_once = max(1, cached // max(1, len(positions)))
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
