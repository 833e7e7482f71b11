"""One update of stochastic gradient descent, for all lanes at once."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.training.gradients import lane_gradients
from gdrun.training.models import Params

Step = Callable[..., Tensor | None]


@dataclass(frozen=True)
class SGD:
    """How a gradient moves the weights, as in `torch.optim.SGD`; the learning rate is apart."""

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0


def make_step(
    losses_of: Callable[..., Tensor], rule: SGD, weights: Params, velocity: Params, lr: Tensor
) -> Step:
    """One update in place: (R, B, D), (R, B, O) → the batch losses before it, (R,).

    The rule is that of `torch.optim.SGD` (Sutskever et al. 2013 in PyTorch's variant, where lr
    scales the velocity), lane by lane:

        g ← ∇loss(w) + weight_decay · w
        v ← momentum · v + g,   g ← g + momentum · v  if nesterov  else  v
        w ← w − lr · g

    A batch may come in pieces: each with its share of the batch's rows, by which its gradient is
    weighted and added up. Only the piece that completes the batch moves the weights; for the others
    None is returned.

    Args:
        losses_of: the mean loss of each lane over a batch, as in `models.mean_losses`.
        rule: how.
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
            descend(rule, weights, velocity, lrs, lane_gradients(losses, leaves, ones))
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
        descend(rule, weights, velocity, lrs, g)
        return loss

    return step


def descend(rule: SGD, weights: Params, velocity: Params, lr: Tensor, g: Params) -> None:
    """Move weights and velocity by the gradient g of their loss, each (R, …); lr is (R, 1, 1)."""
    if rule.weight_decay:
        g = torch._foreach_add(g, weights, alpha=rule.weight_decay)
    if rule.momentum:
        torch._foreach_mul_(velocity, rule.momentum)
        torch._foreach_add_(velocity, g)
        g = torch._foreach_add(g, velocity, alpha=rule.momentum) if rule.nesterov else velocity
    torch._foreach_addcmul_(weights, g, (lr,) * len(weights), value=-1)
