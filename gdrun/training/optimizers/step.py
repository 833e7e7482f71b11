"""One update of all lanes at once: the gradient of a batch, and what an optimizer makes of it.

Shapes: R lanes, B batch rows, D features, O outputs.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from gdrun.training.models.model import Params
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.ranks import ALONE, Ranks

Step = Callable[..., Tensor | None]


def make_step(
    losses_of: Callable[..., Tensor],
    optimizer: Optimizer,
    weights: Params,
    buffers: Sequence[Params],
    lr: Tensor,
    factors: Iterator[Tensor] | None = None,
    ranks: Ranks = ALONE,
) -> Step:
    """One update in place: (R, B, D), (R, B, O) → the batch losses before it, (R,).

    A batch may come in chunks: each with its share of the batch's rows, by which its gradient is
    weighted before it is added up. Only the chunk that completes the batch moves the weights; for
    the others None is returned.

    Args:
        losses_of: the mean loss of each lane over a batch, as in `problem.mean_losses`.
        optimizer: how a gradient moves the weights.
        weights: (R, …) each, moved by every update.
        buffers: those of the optimizer, each like the weights; moved, too.
        lr: (R,), the learning rate of each lane.
        factors: of one update after the other, (1 + F): that of the learning rates, and those of
            the optimizer. None where the first is always one, and there are no others.
        ranks: among which the rows of a batch are divided, to share 0 where there are too few.
    """
    # The same memory seen as leaves of the autograd graph: `weights` can then move unrecorded.
    leaves = tuple(w.detach().requires_grad_() for w in weights)
    lrs = tuple(lr.view(-1, *[1] * (w.ndim - 1)) for w in weights)
    ones = torch.ones_like(lr)
    summed: Params = ()
    loss = torch.zeros_like(lr)

    def descend(g: Params) -> None:
        if factors is None:
            optimizer.move(weights, buffers, lrs, g, ())
        else:
            of_lr, *own = next(factors).unbind()
            optimizer.move(weights, buffers, torch._foreach_mul(lrs, of_lr), g, own)

    def step(x: Tensor, y: Tensor, share: float = 1.0, completes: bool = True) -> Tensor | None:
        if not share:  # none of the batch's rows is this rank's
            return accumulate(tuple(map(torch.zeros_like, weights)), 0 * ones, completes)
        losses = losses_of(leaves, x, y)
        if completes and not summed and ranks.size == 1:
            descend(lane_gradients(losses, leaves, ones))
            return losses.detach()
        g = lane_gradients(losses, leaves, ones * share)
        return accumulate(g, losses.detach() * share, completes)

    def accumulate(g: Params, losses: Tensor, completes: bool) -> Tensor | None:
        nonlocal summed, loss
        if summed:
            torch._foreach_add_(summed, g)
            loss += losses
        else:
            summed, loss = g, losses
        if not completes:
            return None
        g, summed = summed, ()
        ranks.sum(*g, loss)
        descend(g)
        return loss

    return step


# `torch.autograd.grad` spends more than a tenth of an update at batch 1 on checking its arguments,
# and on importing a symbolic algebra package to do so. What it calls in the end is private to
# PyTorch, and so used here alone, for the range of versions that gdrun declares; where it is
# missing, the public call takes over.
_run_backward: Callable[..., Any] | None = getattr(
    getattr(torch.autograd.Variable, "_execution_engine", None), "run_backward", None
)


def gradients_by_public_call(losses: Tensor, leaves: Params, ones: Tensor) -> Params:
    """∂(Σ_r losses_r)/∂leaf of each leaf; lanes share no weight, so each gets its own gradient.

    Args:
        losses: (R,) computed from the leaves.
        leaves: (R, …) each, requiring gradients.
        ones: (R,) factors of the losses.
    """
    return torch.autograd.grad((losses * ones).sum(), leaves)


def _gradients_by_engine(losses: Tensor, leaves: Params, ones: Tensor) -> Params:
    assert _run_backward is not None
    # (outputs, their gradients, keep graph, create graph, inputs); all inputs are reached.
    gradients: Params = _run_backward(
        (losses,), (ones,), False, False, leaves, allow_unreachable=False, accumulate_grad=False
    )
    return gradients


lane_gradients = gradients_by_public_call if _run_backward is None else _gradients_by_engine
