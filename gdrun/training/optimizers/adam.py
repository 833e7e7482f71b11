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

    @property
    def is_adaptive(self) -> bool:
        """By the mean of the square."""
        return True

    @property
    def ridge(self) -> float:
        """The weight decay is part of the gradient."""
        return self.weight_decay

    def stability_limit(self, lr: float) -> float:
        """2 (1 + b₁) / ((1 − b₁) lr): τ = 1 + b₁ − lr (1 − b₁) λ, δ = b₁ (Cohen et al. 2022)."""
        mean = self.betas[0]
        return 2 * (1 + mean) / ((1 - mean) * lr)

    def divisors(self, buffers: Sequence[Params], factors: Sequence[Tensor]) -> Params:
        """(1 − b₁ᵗ) (√(s / (1 − b₂ᵗ)) + eps)."""
        of_mean, _ = factors
        return tuple(torch._foreach_div(self._scale(buffers, factors), of_mean))

    def _scale(self, buffers: Sequence[Params], factors: Sequence[Tensor]) -> Params:
        """√(s / (1 − b₂ᵗ)) + eps; with `amsgrad` of the largest s."""
        _, *squares = buffers
        scale = torch._foreach_sqrt(squares[-1])
        torch._foreach_mul_(scale, factors[1])
        torch._foreach_add_(scale, self.eps)
        return tuple(scale)

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
        (beta1, beta2), (of_mean, _) = self.betas, factors
        mean, square, *largest = buffers
        torch._foreach_mul_(mean, beta1)
        torch._foreach_add_(mean, g, alpha=1 - beta1)
        torch._foreach_mul_(square, beta2)
        torch._foreach_addcmul_(square, g, g, value=1 - beta2)
        for peak in largest:
            torch._foreach_maximum_(peak, square)
        step = torch._foreach_div(mean, self._scale(buffers, factors))
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

    @property
    def ridge(self) -> float:
        """The weight decay is no part of the gradient."""
        return 0.0

    def stability_limit(self, lr: float) -> float:
        """(2 − lr · weight_decay) (1 + b₁) / ((1 − b₁) lr).

        The decay d makes τ = 1 − lr d − lr (1 − b₁) λ + b₁ and δ = (1 − lr d) b₁.
        """
        return super().stability_limit(lr) * (1 - lr * self.weight_decay / 2)

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
