"""Derivatives of the train loss of one lane: its gradient, those of rows, Hessian products.

All rows count alike, in pieces that fit into memory. Weights are one vector here, so that gradients
are, too: those of the lane, one tensor after the other.

Shapes: P weights, N rows, B rows at a time, D features, T targets.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.func import grad, vmap

from gdrun.data.rows import blocks
from gdrun.training.models.model import Params
from gdrun.training.problem import Problem
from gdrun.training.threads import threads_for

PIECE_NUMBERS = 2**22  # of gradients of rows at a time (16 MB)


@dataclass(frozen=True)
class LaneLoss:
    """The train loss of one lane as a function of its weights.

    Attributes:
        problem: the rows, the network and the loss.
        params: the weights at which derivatives are taken, (…) each.
    """

    problem: Problem
    params: Params

    @cached_property
    def weights(self) -> Tensor:
        """The weights as one vector, (P,)."""
        return torch.cat([tensor.flatten() for tensor in self.params])

    def of_rows(self, weights: Tensor, x: Tensor, y: Tensor) -> Tensor:
        """The mean loss of some rows, (B, D) and (B, T), at weights (P,); ()."""
        parts = torch.split(weights, [tensor.numel() for tensor in self.params])
        params = tuple(
            part.view(1, *tensor.shape) for part, tensor in zip(parts, self.params, strict=True)
        )
        return self.problem.losses(params, x.unsqueeze(0), y.unsqueeze(0)).squeeze(0)

    def gradient(self) -> Tensor:
        """∇L, (P,), in 64 bits."""
        return self._mean_over_rows(lambda x, y: grad(self.of_rows)(self.weights, x, y))

    def row_gradients(self) -> Iterator[Tensor]:
        """The gradients of the losses of single rows, (B, P), some at a time, in 64 bits."""

        def of_row(x: Tensor, y: Tensor) -> Tensor:
            gradient: Tensor = grad(self.of_rows)(self.weights, x.unsqueeze(0), y.unsqueeze(0))
            return gradient

        size = max(1, PIECE_NUMBERS // len(self.weights))
        for x, y in self._pieces(size):
            with threads_for(self.problem.work(1, len(x))):
                gradients = vmap(of_row)(x, y).double()
            yield gradients

    def hessian_product(self, vector: Tensor) -> Tensor:
        """H v, (P,), in 64 bits, for a vector (P,): the gradient of ∇L · v.

        Backwards twice, as not all losses of PyTorch have derivatives forwards (Pearlmutter 1994,
        "Fast exact multiplication by the Hessian").
        """
        along = vector.to(self.weights.dtype)

        def of_piece(x: Tensor, y: Tensor) -> Tensor:
            def slope(weights: Tensor) -> Tensor:
                gradient: Tensor = grad(self.of_rows)(weights, x, y)
                return gradient @ along

            product: Tensor = grad(slope)(self.weights)
            return product

        return self._mean_over_rows(of_piece)

    def hessian(self) -> Tensor:
        """H, (P, P), in 64 bits: for few weights only."""
        size = len(self.weights)
        columns = [self.hessian_product(unit) for unit in torch.eye(size)]
        matrix = torch.stack(columns)
        return (matrix + matrix.T) / 2

    def _mean_over_rows(self, of_piece: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        total = torch.zeros(len(self.weights), dtype=torch.float64, device=self.weights.device)
        for x, y in self._pieces(self.problem.rows_at_once(1)):
            with threads_for(self.problem.work(1, len(x))):
                total += of_piece(x, y).double() * len(x)
        return total / self.problem.data.rows

    def _pieces(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        data = self.problem.data
        return zip(blocks(data.x, size), blocks(data.y, size), strict=True)
