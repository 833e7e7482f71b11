"""The rows of an epoch in visiting order: batch by batch, and large batches in chunks.

A large batch goes through the network chunk by chunk: its activations then fit the processor's
cache, and memory doesn't grow with the batch.

Shapes: R lanes, B batch rows, C rows of a chunk, D features, O outputs.
"""

from collections.abc import Iterator
from itertools import repeat

import torch
from torch import Tensor

from gdrun.data.order import CPU, Order, Orders
from gdrun.data.rows import Rows, take
from gdrun.training.problem import Problem
from gdrun.training.ranks import ALONE, Ranks
from gdrun.training.state import Plan

# Small batches are gathered in blocks of about this many numbers (16 MB), and of so many batches.
BLOCK_NUMBERS = 2**22
BLOCK_BATCHES = 2**10

# (R, C, D) and (R, C, O) rows that go through the network together, their share of the batch's
# rows, and whether they complete it. Mostly that is the whole batch: C = B, share 1.
Chunk = tuple[Tensor, Tensor, float, bool]


def cut(
    first: int, end: int, rows: int, ranks: Ranks = ALONE
) -> Iterator[tuple[int, int, float, bool]]:
    """Cut what a rank has of a batch: from which row to which, their share, whether they end it.

    A rank that has no row of the batch gets one cut, of none.
    """
    own = range(first, end)[ranks.own(end - first)]
    for start in range(own.start, max(own.stop, own.start + 1), rows):
        stop = min(start + rows, own.stop)
        yield start, stop, (stop - start) / (end - first), stop == own.stop


class Batches:
    """The batches of a plan, epoch after epoch.

    Where their rows are divided among ranks, what this one has of them.

    Attributes:
        numbers: how many a batch has, over all lanes of the rank that has the most of these.
    """

    def __init__(self, problem: Problem, plan: Plan) -> None:
        self._x, self._y = problem.data.x, problem.data.y
        self._size, self._ranks = plan.batch_size, plan.division.by_rows
        seeds = [lane.seed for lane in plan.own_lanes]
        self._lanes, rows = len(seeds), len(self._x)
        most = plan.division.most  # as all ranks know it
        on_gpu = isinstance(self._x, Tensor) and self._x.device.type == "cuda"
        self._orders = Orders(plan.sampling, rows, seeds, self._x.device if on_gpu else CPU)
        self._used = min(rows, plan.updates_per_epoch(rows) * self._size)
        self._chunk_rows = problem.rows_at_once(most)
        self.numbers = problem.numbers_in(most, self._size)

    @property
    def are_whole(self) -> bool:
        """Whether batches aren't cut into chunks."""
        return self._size <= self._chunk_rows and self._ranks.size == 1

    def chunks(self, epoch: int, skip: int = 0) -> Iterator[Chunk]:
        """The batches of an epoch (from 1) after the first `skip`, in chunks."""
        if self.are_whole:
            for xs, ys, unwanted in self.blocks(epoch, skip):
                batches = (torch.split(t, self._size, dim=1)[unwanted:] for t in (xs, ys))
                yield from zip(*batches, repeat(1.0), repeat(True), strict=False)
            return
        order = self._orders.of(epoch)
        for first in range(skip * self._size, self._used, self._size):
            end = min(first + self._size, self._used)
            for start, stop, share, completes in cut(first, end, self._chunk_rows, self._ranks):
                x, y = (self._rows(source, order, start, stop) for source in (self._x, self._y))
                yield x, y, share, completes

    def blocks(
        self, epoch: int, skip: int = 0, most: int = BLOCK_BATCHES
    ) -> Iterator[tuple[Tensor, Tensor, int]]:
        """Whole batches of an epoch (from 1), of which several are gathered at once.

        Yields:
            The rows of at most so many, (R, M, D) and (R, M, O), and how many of the first
            batches among them are to be skipped. These are gathered, too: the place of a batch in
            memory can move last bits.
        """
        order = self._orders.of(epoch)
        batches = max(1, min(most, BLOCK_NUMBERS // self.numbers))
        block = self._size * batches
        skipped, unwanted = divmod(skip, batches)
        for start in range(skipped * block, self._used, block):
            stop = min(start + block, self._used)
            x, y = (self._rows(source, order, start, stop) for source in (self._x, self._y))
            yield x, y, unwanted
            unwanted = 0

    def _rows(self, source: Rows, order: Order | None, start: int, stop: int) -> Tensor:
        """Those that are visited from one position to another, (R, stop − start, …)."""
        if order is None:
            return source[start:stop].expand(self._lanes, -1, -1)
        return take(source, order(start, stop))
