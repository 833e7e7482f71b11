"""Updates on a GPU as CUDA graphs: what one launches is recorded once, and replayed from then on.

A small update is some dozens of kernels that take a microsecond or two each. Launched one by one
from Python they wait for it; a graph is launched at once.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any

import torch
from torch import Tensor

from gdrun.training.models.model import Params
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.optimizers.step import Step, make_step

RECORDED_AFTER = 3  # updates one by one, in which PyTorch's libraries prepare themselves
MOST_NUMBERS = 2**20  # in the rows of a batch: larger ones keep a GPU busy, and aren't copied


def make_graphed_step(
    losses_of: Callable[..., Tensor],
    optimizer: Optimizer,
    weights: Params,
    buffers: Sequence[Params],
    lr: Tensor,
    factors: Iterator[Sequence[Tensor]] | None = None,
) -> Step:
    """What `make_step` makes, from graphs where batches are small; the arguments are the same.

    All updates of a small batch read it from the same place in memory, recorded or not: so the bits
    of the results don't depend on when a training is stopped and resumed.
    """
    now: list[Tensor] = []
    if factors is not None:
        first = next(factors)
        factors = chain([first], factors)
        now = [factor.clone() for factor in first]
    own = None if factors is None else repeat(now)
    step = make_step(losses_of, optimizer, weights, buffers, lr, own)
    pool = torch.cuda.graph_pool_handle()
    small: dict[torch.Size, _SmallBatch] = {}

    def graphed_step(
        x: Tensor, y: Tensor, share: float = 1.0, completes: bool = True
    ) -> Tensor | None:
        if factors is not None and completes:
            torch._foreach_copy_(now, list(next(factors)))
        if share < 1 or x.numel() > MOST_NUMBERS:
            return step(x, y, share, completes)
        if x.shape not in small:
            small[x.shape] = _SmallBatch(step, x, y, pool)
        return small[x.shape](x, y)

    return graphed_step


class _SmallBatch:
    """The update of batches of one shape, (R, B, D) and (R, B, O)."""

    def __init__(self, step: Step, x: Tensor, y: Tensor, pool: Any) -> None:
        self._step, self._pool = step, pool
        self._rows = tuple(torch.empty(t.shape, dtype=t.dtype, device=t.device) for t in (x, y))
        self._taken = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._loss = x

    def __call__(self, x: Tensor, y: Tensor) -> Tensor | None:
        torch._foreach_copy_(self._rows, (x, y))
        if self._graph is None:
            self._taken += 1
            if self._taken <= RECORDED_AFTER:
                return self._step(*self._rows)
            self._record()
        assert self._graph
        self._graph.replay()
        return self._loss.clone()

    def _record(self) -> None:
        """Record an update, which takes none."""
        torch.cuda.synchronize()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph, pool=self._pool):
            loss = self._step(*self._rows)
        assert loss is not None
        self._loss = loss
