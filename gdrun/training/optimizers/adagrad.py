"""Adagrad: each gradient divided by the root of the sum of all squares before it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.training.models.model import Params


@dataclass(frozen=True)
class Adagrad:
    """The rule of `torch.optim.Adagrad`, with its options (Duchi et al. 2011, sec. 1).

    Update t, from 1, is

        g ← ∇loss(w) + weight_decay · w
        s ← s + g²    from initial_accumulator_value on
        w ← w − lr / (1 + (t − 1) · lr_decay) · g / (√s + eps)

    That is the paper's rule for the diagonal of its matrix; `lr_decay` is PyTorch's.
    """

    lr_decay: float = 0.0
    weight_decay: float = 0.0
    initial_accumulator_value: float = 0.0
    eps: float = 1e-10

    @property
    def buffers(self) -> int:
        """The sum of squares."""
        return 1

    @property
    def start(self) -> float:
        """That of the sum."""
        return self.initial_accumulator_value

    @property
    def is_adaptive(self) -> bool:
        """By the sum of the squares."""
        return True

    @property
    def ridge(self) -> float:
        """The weight decay is part of the gradient."""
        return self.weight_decay

    def stability_limit(self, lr: float) -> float:
        """2 / lr, as of plain gradient descent."""
        return 2 / lr

    def divisors(self, buffers: Sequence[Params], factors: Sequence[Tensor]) -> Params:
        """(√s + eps) (1 + (t − 1) · lr_decay)."""
        scale = self._scale(buffers)
        for decay in factors:
            scale = tuple(torch._foreach_div(scale, decay))
        return scale

    def _scale(self, buffers: Sequence[Params]) -> Params:
        """√s + eps."""
        (squares,) = buffers
        scale = torch._foreach_sqrt(squares)
        torch._foreach_add_(scale, self.eps)
        return tuple(scale)

    def factors(self, updates: Tensor) -> Sequence[Tensor]:
        """1 / (1 + (t − 1) · lr_decay), if there is any."""
        return (1 / (1 + (updates - 1) * self.lr_decay),) if self.lr_decay else ()

    def move(
        self,
        weights: Params,
        buffers: Sequence[Params],
        lr: Params,
        g: Params,
        factors: Sequence[Tensor],
    ) -> None:
        """As above."""
        (squares,) = buffers
        if self.weight_decay:
            g = torch._foreach_add(g, weights, alpha=self.weight_decay)
        torch._foreach_addcmul_(squares, g, g)
        step = torch._foreach_div(g, self._scale(buffers))
        for decay in factors:
            torch._foreach_mul_(step, decay)
        torch._foreach_addcmul_(weights, step, lr, value=-1)
