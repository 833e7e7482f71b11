"""One update of stochastic gradient descent, for all lanes at once."""

from collections.abc import Callable

import torch
from torch import Tensor

from gdrun.gradients import lane_gradients
from gdrun.models import Params, Problem
from gdrun.state import Plan, TrainState

Step = Callable[[Tensor, Tensor, float, bool], Tensor | None]


def make_step(problem: Problem, plan: Plan, state: TrainState) -> Step:
    """One update in place: (R, B, D), (R, B, O) → the batch losses before it, (R,).

    The rule is that of `torch.optim.SGD` (Sutskever et al. 2013 in PyTorch's variant, where lr
    scales the velocity), lane by lane:

        g ← ∇loss(w) + weight_decay · w
        v ← momentum · v + g,   g ← g + momentum · v  if nesterov  else  v
        w ← w − lr · g

    A batch may come in pieces: each with its share of the batch's rows, by which its gradient is
    weighted and added up. Only the piece that completes the batch moves the weights; for the others
    None is returned.
    """
    weights = state.params
    # The same memory seen as leaves of the autograd graph: `weights` can then move unrecorded.
    leaves = tuple(w.detach().requires_grad_() for w in weights)
    lr = torch.tensor([lane.lr for lane in plan.lanes]).view(-1, 1, 1).to(weights[0])
    lrs = (lr,) * len(weights)
    ones = torch.ones_like(lr).flatten()
    summed: Params = ()
    loss = torch.zeros_like(ones)

    def step(x: Tensor, y: Tensor, share: float, completes: bool) -> Tensor | None:
        if share == 1.0:
            losses = problem.losses(leaves, x, y)
            descend(lane_gradients(losses, leaves, ones))
            return losses.detach()
        return accumulate(x, y, share, completes)

    def accumulate(x: Tensor, y: Tensor, share: float, completes: bool) -> Tensor | None:
        nonlocal summed, loss
        losses = problem.losses(leaves, x, y)
        g = lane_gradients(losses, leaves, ones * share)
        if summed:
            torch._foreach_add_(summed, g)
            loss += losses.detach() * share
        else:
            summed, loss = g, losses.detach() * share
        if not completes:
            return None
        g, summed = summed, ()
        descend(g)
        return loss

    def descend(g: Params) -> None:
        if plan.weight_decay:
            g = torch._foreach_add(g, weights, alpha=plan.weight_decay)
        if plan.momentum:
            torch._foreach_mul_(state.velocity, plan.momentum)
            torch._foreach_add_(state.velocity, g)
            v = state.velocity
            g = torch._foreach_add(g, v, alpha=plan.momentum) if plan.nesterov else v
        torch._foreach_addcmul_(weights, g, lrs, value=-1)

    return step
