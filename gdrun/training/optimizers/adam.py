"""Adam and AdamW: each weight at a pace of its own, by running means of its gradient."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.training.models.model import Params


@dataclass(frozen=True)
class Adam:
    """The rule of `torch.optim.Adam`, with its options (Kingma & Ba 2015, algorithm 1).

    Update t, from 1, of betas (b₁, b₂) is

        g ← ∇loss(w) + weight_decay · w
        m ← b₁ · m + (1 − b₁) · g
        s ← b₂ · s + (1 − b₂) · g²
        w ← w − lr · m / (1 − b₁ᵗ) / (√(s / (1 − b₂ᵗ)) + eps)

    With `amsgrad`, the largest s so far is in the place of s (Reddi et al. 2018). It is the largest
    before it is divided by 1 − b₂ᵗ, as in PyTorch; in that paper nothing is divided.
    """

    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    amsgrad: bool = False

    @property
    def buffers(self) -> int:
        """The means of the gradient and of its square and, with `amsgrad`, the largest of these."""
        return 3 if self.amsgrad else 2

    @property
    def start(self) -> float:
        """What the factors make up for."""
        return 0.0

    def factors(self, updates: Tensor) -> Sequence[Tensor]:
        """1 / (1 − b₁ᵗ) and 1 / √(1 − b₂ᵗ): the means begin at zero, and are too small at first."""
        first, second = (1 - beta**updates for beta in self.betas)
        return 1 / first, second.rsqrt()

    def move(
        self,
        weights: Params,
        buffers: Sequence[Params],
        lr: Params,
        g: Params,
        factors: Sequence[Tensor],
    ) -> None:
        """As above."""
        if self.weight_decay:
            g = torch._foreach_add(g, weights, alpha=self.weight_decay)
        self._descend(weights, buffers, lr, g, factors)

    def _descend(
        self,
        weights: Params,
        buffers: Sequence[Params],
        lr: Params,
        g: Params,
        factors: Sequence[Tensor],
    ) -> None:
        """The last three lines of the rule."""
        (beta1, beta2), (of_mean, of_deviation) = self.betas, factors
        mean, square, *largest = buffers
        torch._foreach_mul_(mean, beta1)
        torch._foreach_add_(mean, g, alpha=1 - beta1)
        torch._foreach_mul_(square, beta2)
        torch._foreach_addcmul_(square, g, g, value=1 - beta2)
        for peak in largest:
            torch._foreach_maximum_(peak, square)
            square = peak
        scale = torch._foreach_sqrt(square)
        torch._foreach_mul_(scale, of_deviation)
        torch._foreach_add_(scale, self.eps)
        step = torch._foreach_div(mean, scale)
        torch._foreach_mul_(step, of_mean)
        torch._foreach_addcmul_(weights, step, lr, value=-1)


@dataclass(frozen=True)
class AdamW(Adam):
    """The rule of `torch.optim.AdamW`: Adam with decoupled decay (Loshchilov & Hutter 2019).

    The decay is no part of the gradient, and so of none of its means. Before them,

        w ← w − lr · weight_decay · w

    The paper scales the decay by the schedule alone; in PyTorch it is by the learning rate, too.
    """

    weight_decay: float = 0.01

    def move(
        self,
        weights: Params,
        buffers: Sequence[Params],
        lr: Params,
        g: Params,
        factors: Sequence[Tensor],
    ) -> None:
        """As above, then as Adam."""
        if self.weight_decay:
            torch._foreach_addcmul_(weights, weights, lr, value=-self.weight_decay)
        self._descend(weights, buffers, lr, g, factors)
