"""The rows of an epoch in the order of their visit, batch by batch."""

from collections.abc import Iterator

import torch
from torch import Tensor

from gdrun.models import Problem
from gdrun.order import visiting_order
from gdrun.state import Plan

# Batches are gathered, and rows evaluated, in blocks of about this many numbers (16 MB).
BLOCK_NUMBERS = 2**22


def batches(
    problem: Problem, plan: Plan, epoch: int, skip: int = 0
) -> Iterator[tuple[Tensor, Tensor]]:
    """The batches of an epoch (from 1) after the first `skip`: (R, B, D) and (R, B, O) each."""
    x, y = problem.data.x, problem.data.y
    lanes, size = len(plan.lanes), plan.batch_size
    order = visiting_order(plan.sampling, len(x), [lane.seed for lane in plan.lanes], epoch)
    used = min(len(x), plan.updates_per_epoch(len(x)) * size)
    numbers_per_batch = lanes * size * (x.shape[1] + y.shape[1])
    block = size * max(1, min(1024, BLOCK_NUMBERS // numbers_per_batch))
    for start in range(skip * size, used, block):
        rows = slice(start, min(start + block, used))
        if order is None:
            xs, ys = (t[rows].expand(lanes, -1, -1) for t in (x, y))
        else:
            index = order[:, rows].to(x.device)
            xs, ys = x[index], y[index]
        yield from zip(torch.split(xs, size, dim=1), torch.split(ys, size, dim=1), strict=True)
