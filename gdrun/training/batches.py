"""The rows of an epoch in the order of their visit, batch by batch, and large batches in chunks.

A batch of more rows than a chunk goes through the network chunk by chunk: what is in flight then
fits the processor's cache, and memory doesn't grow with the batch.
"""

from collections.abc import Iterator
from itertools import repeat

import torch
from torch import Tensor

from gdrun.data.order import visiting_order
from gdrun.data.rows import Rows, take
from gdrun.training.models import Problem
from gdrun.training.state import Plan

# Small batches are gathered in blocks of about this many numbers (16 MB).
BLOCK_NUMBERS = 2**22

# (R, C, D) and (R, C, O) rows that go through the network together, their share of the batch's
# rows, and whether they complete it. Mostly that is the whole batch: C = B, share 1.
Piece = tuple[Tensor, Tensor, float, bool]


def chunks(first: int, end: int, chunk: int) -> Iterator[tuple[int, int, float, bool]]:
    """Cut a batch: from which row to which, their share of it, and whether they complete it."""
    for start in range(first, end, chunk):
        stop = min(start + chunk, end)
        yield start, stop, (stop - start) / (end - first), stop == end


def pieces(problem: Problem, plan: Plan, epoch: int, skip: int = 0) -> Iterator[Piece]:
    """The batches of an epoch (from 1) after the first `skip`, in pieces."""
    x, y = problem.data.x, problem.data.y
    lanes, size = len(plan.lanes), plan.batch_size
    order = visiting_order(plan.sampling, len(x), [lane.seed for lane in plan.lanes], epoch)
    used = min(len(x), plan.updates_per_epoch(len(x)) * size)

    def rows(source: Rows, start: int, stop: int) -> Tensor:
        if order is None:
            return source[start:stop].expand(lanes, -1, -1)
        return take(source, order(start, stop))

    chunk = problem.rows_at_once(lanes)
    if size > chunk:
        for first in range(skip * size, used, size):
            for start, stop, share, completes in chunks(first, min(first + size, used), chunk):
                yield rows(x, start, stop), rows(y, start, stop), share, completes
        return
    numbers_per_batch = lanes * size * (x.shape[1] + y.shape[1])
    batches = max(1, min(1024, BLOCK_NUMBERS // numbers_per_batch))
    block = size * batches
    # What is skipped of a block is gathered too: where a batch lies in memory can move last bits.
    skipped, unwanted = divmod(skip, batches)
    for start in range(skipped * block, used, block):
        stop = min(start + block, used)
        xs, ys = (torch.split(rows(t, start, stop), size, dim=1) for t in (x, y))
        yield from zip(xs[unwanted:], ys[unwanted:], repeat(1.0), repeat(True), strict=False)
        unwanted = 0
