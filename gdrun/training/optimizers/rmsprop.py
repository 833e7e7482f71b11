"""RMSprop: each gradient divided by the running root mean square of those before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.training.models.model import Params


@dataclass(frozen=True)
class RMSprop:
    """The rule of `torch.optim.RMSprop`, with its options (Tieleman & Hinton 2012, lecture 6.5).

        g ← ∇loss(w) + weight_decay · w
        s ← alpha · s + (1 − alpha) · g²
        d ← √s + eps
        w ← w − lr · g / d

    With `centered`, m is the running mean of g itself, and d = √(s − m²) + eps (Graves 2013). With
    `momentum`, v ← momentum · v + g / d moves the weights in the place of g / d. As in PyTorch, eps
    is added to the root; others add it below the root.

    Where s − m² is below zero by rounding, it counts as zero; PyTorch takes its root, which is NaN.
    """

    alpha: float = 0.99
    eps: float = 1e-8
    weight_decay: float = 0.0
    momentum: float = 0.0
    centered: bool = False

    @property
    def buffers(self) -> int:
        """The mean square; with `centered` the mean, with `momentum` the velocity."""
        return 1 + self.centered + (self.momentum > 0)

    @property
    def start(self) -> float:
        """Nothing was seen."""
        return 0.0

    @property
    def is_adaptive(self) -> bool:
        """By the mean of the square."""
        return True

    @property
    def ridge(self) -> float:
        """The weight decay is part of the gradient."""
        return self.weight_decay

    def stability_limit(self, lr: float) -> float:
        """2 (1 + momentum) / lr, as of heavy ball."""
        return 2 * (1 + self.momentum) / lr

    def divisors(self, buffers: Sequence[Params], factors: Sequence[Tensor]) -> Params:  # noqa: ARG002
        """√s + eps, or √(s − m²) + eps."""
        square, *others = buffers
        if self.centered:
            mean, *_ = others
            variance = torch._foreach_addcmul(square, mean, mean, value=-1)
            torch._foreach_clamp_min_(variance, 0)
            square = tuple(variance)
        scale = torch._foreach_sqrt(square)
        torch._foreach_add_(scale, self.eps)
        return tuple(scale)

    def factors(self, updates: Tensor) -> Sequence[Tensor]:  # noqa: ARG002
        """None: that the means begin at zero isn't made up for."""
        return ()

    def move(
        self,
        weights: Params,
        buffers: Sequence[Params],
        lr: Params,
        g: Params,
        factors: Sequence[Tensor],
    ) -> None:
        """As above."""
        square, *others = buffers
        if self.weight_decay:
            g = torch._foreach_add(g, weights, alpha=self.weight_decay)
        torch._foreach_mul_(square, self.alpha)
        torch._foreach_addcmul_(square, g, g, value=1 - self.alpha)
        if self.centered:
            mean, *others = others
            torch._foreach_mul_(mean, self.alpha)
            torch._foreach_add_(mean, g, alpha=1 - self.alpha)
        step = torch._foreach_div(g, self.divisors(buffers, factors))
        for velocity in others:
            torch._foreach_mul_(velocity, self.momentum)
            torch._foreach_add_(velocity, step)
            step = velocity
        torch._foreach_addcmul_(weights, step, lr, value=-1)
