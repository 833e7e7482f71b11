"""One update of stochastic gradient descent, for all lanes at once.

Shapes: R lanes, B batch rows, D features, O outputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gdrun.training.models import Params

Step = Callable[..., Tensor | None]


@dataclass(frozen=True)
class SGD:
    """The optimizer, with the options of `torch.optim.SGD`; learning rates belong to the lanes."""

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0


def make_step(
    losses_of: Callable[..., Tensor], optimizer: SGD, weights: Params, velocity: Params, lr: Tensor
) -> Step:
    """One update in place: (R, B, D), (R, B, O) → the batch losses before it, (R,).

    A batch may come in chunks: each with its share of the batch's rows, by which its gradient is
    weighted before it is added up. Only the chunk that completes the batch moves the weights; for
    the others None is returned.

    Args:
        losses_of: the mean loss of each lane over a batch, as in `models.mean_losses`.
        optimizer: how a gradient moves the weights.
        weights: (R, …) each, moved by every update.
        velocity: like the weights, moved too; empty without momentum.
        lr: (R,), the learning rate of each lane.
    """
    # The same memory seen as leaves of the autograd graph: `weights` can then move unrecorded.
    leaves = tuple(w.detach().requires_grad_() for w in weights)
    lrs = lr.view(-1, 1, 1)
    ones = torch.ones_like(lr)
    summed: Params = ()
    loss = torch.zeros_like(lr)

    def step(x: Tensor, y: Tensor, share: float = 1.0, completes: bool = True) -> Tensor | None:
        losses = losses_of(leaves, x, y)
        if completes and not summed:
            descend(optimizer, weights, velocity, lrs, lane_gradients(losses, leaves, ones))
            return losses.detach()
        return accumulate(losses, share, completes)

    def accumulate(losses: Tensor, share: float, completes: bool) -> Tensor | None:
        nonlocal summed, loss
        g = lane_gradients(losses, leaves, ones * share)
        if summed:
            torch._foreach_add_(summed, g)
            loss += losses.detach() * share
        else:
            summed, loss = g, losses.detach() * share
        if not completes:
            return None
        g, summed = summed, ()
        descend(optimizer, weights, velocity, lrs, g)
        return loss

    return step


def descend(optimizer: SGD, weights: Params, velocity: Params, lr: Tensor, g: Params) -> None:
    """Move weights and velocity by the gradient g of their loss, each (R, …); lr is (R, 1, 1).

    The rule is that of `torch.optim.SGD` (Sutskever et al. 2013 in PyTorch's variant, where lr
    scales the velocity), lane by lane:

        g ← ∇loss(w) + weight_decay · w
        v ← momentum · v + g,   g ← g + momentum · v  if nesterov  else  v
        w ← w − lr · g
    """
    if optimizer.weight_decay:
        g = torch._foreach_add(g, weights, alpha=optimizer.weight_decay)
    if optimizer.momentum:
        torch._foreach_mul_(velocity, optimizer.momentum)
        torch._foreach_add_(velocity, g)
        g = (
            torch._foreach_add(g, velocity, alpha=optimizer.momentum)
            if optimizer.nesterov
            else velocity
        )
    torch._foreach_addcmul_(weights, g, (lr,) * len(weights), value=-1)


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
