"""The rows of an epoch in visiting order: batch by batch, and large batches in chunks.

A large batch goes through the network chunk by chunk: its activations then fit the processor's
cache, and memory doesn't grow with the batch.

Shapes: R lanes, B batch rows, C rows of a chunk, D features, O outputs.
"""

from collections.abc import Iterator
from itertools import repeat

import torch
from torch import Tensor

from gdrun.data.order import visiting_order
from gdrun.data.rows import Rows, take
from gdrun.training.problem import Problem
from gdrun.training.ranks import ALONE, Ranks
from gdrun.training.state import Plan

# Small batches are gathered in blocks of about this many numbers (16 MB).
BLOCK_NUMBERS = 2**22

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


def chunks(problem: Problem, plan: Plan, epoch: int, skip: int = 0) -> Iterator[Chunk]:
    """The batches of an epoch (from 1) after the first `skip`, in chunks.

    Where their rows are divided among ranks, what this one has of them.
    """
    x, y = problem.data.x, problem.data.y
    seeds = [lane.seed for lane in plan.own_lanes]
    lanes, size, ranks = len(seeds), plan.batch_size, plan.division.by_rows
    order = visiting_order(plan.sampling, len(x), seeds, epoch)
    used = min(len(x), plan.updates_per_epoch(len(x)) * size)

    def rows(source: Rows, start: int, stop: int) -> Tensor:
        if order is None:
            return source[start:stop].expand(lanes, -1, -1)
        return take(source, order(start, stop))

    chunk_rows = problem.rows_at_once(lanes)
    if size > chunk_rows or ranks.size > 1:
        for first in range(skip * size, used, size):
            end = min(first + size, used)
            for start, stop, share, completes in cut(first, end, chunk_rows, ranks):
                yield rows(x, start, stop), rows(y, start, stop), share, completes
        return
    numbers_per_batch = lanes * size * (x.shape[1] + y.shape[1])
    batches = max(1, min(1024, BLOCK_NUMBERS // numbers_per_batch))
    block = size * batches
    # Skipped batches of a block are gathered, too: the place of a batch in memory can move last
    # bits.
    skipped, unwanted = divmod(skip, batches)
    for start in range(skipped * block, used, block):
        stop = min(start + block, used)
        xs, ys = (torch.split(rows(t, start, stop), size, dim=1) for t in (x, y))
        yield from zip(xs[unwanted:], ys[unwanted:], repeat(1.0), repeat(True), strict=False)
        unwanted = 0
