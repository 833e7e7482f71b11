"""Stochastic gradient descent, with momentum, Nesterov's too, and weight decay."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.training.models.model import Params


@dataclass(frozen=True)
class SGD:
    """The rule of `torch.optim.SGD`, with its options.

    That is Sutskever et al. 2013 in PyTorch's variant, where lr scales the velocity v:

        g ← ∇loss(w) + weight_decay · w
        v ← momentum · v + g,   g ← g + momentum · v  if nesterov  else  v
        w ← w − lr · g
    """

    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    @property
    def buffers(self) -> int:
        """The velocity, if there is momentum."""
        return int(self.momentum > 0)

    @property
    def start(self) -> float:
        """At rest."""
        return 0.0

    @property
    def is_adaptive(self) -> bool:
        """All weights move at one pace."""
        return False

    @property
    def ridge(self) -> float:
        """The weight decay is part of the gradient."""
        return self.weight_decay

    def stability_limit(self, lr: float) -> float:
        """2 (1 + momentum) / lr, with Nesterov's 2 (1 + momentum) / ((1 + 2 momentum) lr).

        With m for momentum, τ = 1 + m − lr λ and δ = m; Nesterov's are τ = (1 + m) (1 − lr λ) and
        δ = m (1 − lr λ) (Cohen et al. 2021, "Gradient descent on neural networks typically occurs
        at the edge of stability", app. B).
        """
        limit = 2 * (1 + self.momentum) / lr
        return limit / (1 + 2 * self.momentum) if self.nesterov else limit

    def divisors(self, buffers: Sequence[Params], factors: Sequence[Tensor]) -> None:
        """None."""

    def factors(self, updates: Tensor) -> Sequence[Tensor]:  # noqa: ARG002
        """None."""
        return ()

    def move(
        self,
        weights: Params,
        buffers: Sequence[Params],
        lr: Params,
        g: Params,
        factors: Sequence[Tensor],  # noqa: ARG002
    ) -> None:
        """As above."""
        if self.weight_decay:
            g = torch._foreach_add(g, weights, alpha=self.weight_decay)
        if self.momentum:
            (velocity,) = buffers
            torch._foreach_mul_(velocity, self.momentum)
            torch._foreach_add_(velocity, g)
            g = torch._foreach_add(g, velocity, alpha=self.momentum) if self.nesterov else velocity
        torch._foreach_addcmul_(weights, g, lr, value=-1)
