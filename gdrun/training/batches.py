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
from gdrun.training.state import Plan

# Small batches are gathered in blocks of about this many numbers (16 MB).
BLOCK_NUMBERS = 2**22

# (R, C, D) and (R, C, O) rows that go through the network together, their share of the batch's
# rows, and whether they complete it. Mostly that is the whole batch: C = B, share 1.
Chunk = tuple[Tensor, Tensor, float, bool]


def cut(first: int, end: int, rows: int) -> Iterator[tuple[int, int, float, bool]]:
    """Cut a batch: from which row to which, their share of it, and whether they complete it."""
    for start in range(first, end, rows):
        stop = min(start + rows, end)
        yield start, stop, (stop - start) / (end - first), stop == end


def chunks(problem: Problem, plan: Plan, epoch: int, skip: int = 0) -> Iterator[Chunk]:
    """The batches of an epoch (from 1) after the first `skip`, in chunks."""
    x, y = problem.data.x, problem.data.y
    lanes, size = len(plan.lanes), plan.batch_size
    order = visiting_order(plan.sampling, len(x), [lane.seed for lane in plan.lanes], epoch)
    used = min(len(x), plan.updates_per_epoch(len(x)) * size)

    def rows(source: Rows, start: int, stop: int) -> Tensor:
        if order is None:
            return source[start:stop].expand(lanes, -1, -1)
        return take(source, order(start, stop))

    chunk_rows = problem.rows_at_once(lanes)
    if size > chunk_rows:
        for first in range(skip * size, used, size):
            for start, stop, share, completes in cut(first, min(first + size, used), chunk_rows):
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
