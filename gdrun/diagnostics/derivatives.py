"""Derivatives of the train loss of one lane: its gradient, those of rows, Hessian products.

All rows count alike, in pieces that fit into memory. Weights are one vector here, so that gradients
are, too: those of the lane, one tensor after the other. Sums over rows are in 64 bits.

What takes long is work that can be interrupted: a generator that pauses after each piece, and
returns the result. `finish` goes through with it.

Shapes: P weights, N rows, B rows at a time, D features, T targets, K vectors.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.func import grad, vmap

from gdrun.data.rows import blocks, take
from gdrun.training.computing import computing
from gdrun.training.models.model import Params
from gdrun.training.models.own import OwnNetwork
from gdrun.training.problem import Problem

PIECE_NUMBERS = 2**22  # of gradients of rows, or of Hessian products, at a time (16 MB)
MOST_VECTORS = 64  # that the Hessian is multiplied by at a time

T = TypeVar("T")
Work = Generator[None, None, T]


def finish(work: Generator[Any, None, T]) -> T:
    """The result of some work, without a pause."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result


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

    def gradient_of(self, x: Tensor, y: Tensor) -> Tensor:
        """The gradient of the mean loss of some rows, (P,)."""
        gradient: Tensor = grad(self.of_rows)(self.weights, x, y)
        return gradient

    def gradient(self) -> Work[Tensor]:
        """∇L, (P,)."""
        total = yield from self._mean_over_rows(1, lambda x, y: self.gradient_of(x, y)[None])
        return total[0]

    def row_gradients(self) -> Iterator[Tensor]:
        """The gradients of the losses of single rows, (B, P), some at a time, in 64 bits."""

        def of_row(x: Tensor, y: Tensor) -> Tensor:
            return self.gradient_of(x[None], y[None])

        for x, y in self._pieces(self.rows_in_piece):
            with computing(self.problem.work(1, len(x))):
                gradients = self._each(of_row, x, y)
            yield in_64_bits(gradients)

    @property
    def rows_in_piece(self) -> int:
        """How many rows have their gradients computed at a time, as memory has it."""
        return max(1, min(PIECE_NUMBERS // len(self.weights), self.problem.rows_at_once(1)))

    def batch_gradients(self, numbers: Tensor) -> Iterator[Tensor]:
        """The gradients of batches of rows, given by their numbers (K, B), likewise: (…, P)."""
        data, batch = self.problem.data, numbers.shape[1]
        most = min(PIECE_NUMBERS // len(self.weights), self.problem.rows_at_once(1) // batch)
        for some in torch.split(numbers, max(1, most)):
            with computing(self.problem.work(1, some.numel())):
                gradients = self._each(self.gradient_of, take(data.x, some), take(data.y, some))
            yield in_64_bits(gradients)

    def hessian_products(self, vectors: Tensor) -> Work[Tensor]:
        """H v of each of the vectors, (K, P) → (K, P): the gradient of ∇L · v.

        Backwards twice, as not all losses of PyTorch have derivatives forwards (Pearlmutter 1994,
        "Fast exact multiplication by the Hessian").
        """
        most = max(1, min(MOST_VECTORS, PIECE_NUMBERS // len(self.weights)))
        products = []
        for some in torch.split(vectors.to(self.weights), most):

            def of_piece(x: Tensor, y: Tensor, some: Tensor = some) -> Tensor:
                def along(vector: Tensor) -> Tensor:
                    def slope(weights: Tensor) -> Tensor:
                        gradient: Tensor = grad(self.of_rows)(weights, x, y)
                        return gradient @ vector

                    product: Tensor = grad(slope)(self.weights)
                    return product

                return self._each(along, some)

            products.append((yield from self._mean_over_rows(len(some), of_piece)))
        return torch.cat(products)

    def hessian_product(self, vector: Tensor) -> Work[Tensor]:
        """H v, (P,), for one vector (P,)."""
        products = yield from self.hessian_products(vector[None])
        return products[0]

    def hessian(self) -> Work[Tensor]:
        """H, (P, P): for few weights only."""
        matrix = yield from self.hessian_products(torch.eye(len(self.weights)))
        return (matrix + matrix.T) / 2

    def _each(self, function: Callable[..., Tensor], *rows: Tensor) -> Tensor:
        """A function of each of some rows: of all at once, where the network allows it."""
        model: Any = self.problem.model
        if isinstance(model, OwnNetwork) and not model.is_batched:
            return torch.stack([function(*row) for row in zip(*rows, strict=True)])
        results: Tensor = vmap(function)(*rows)
        return results

    def _mean_over_rows(
        self, vectors: int, of_piece: Callable[[Tensor, Tensor], Tensor]
    ) -> Work[Tensor]:
        """The mean of vectors (K, P) over all rows, each piece of rows weighted by its size."""
        total: Tensor | None = None
        for x, y in self._pieces(self.problem.rows_at_once(vectors)):
            with computing(self.problem.work(vectors, len(x))):
                part = in_64_bits(of_piece(x, y)) * len(x)
                total = part if total is None else total + part
            yield
        assert total is not None  # there is a row at least
        return total / self.problem.data.rows

    def _pieces(self, size: int) -> Iterator[tuple[Tensor, Tensor]]:
        data = self.problem.data
        return zip(blocks(data.x, size), blocks(data.y, size), strict=True)


def in_64_bits(tensor: Tensor) -> Tensor:
    """The same numbers in 64 bits; on the processor if the device hasn't as many."""
    return (tensor.cpu() if tensor.device.type == "mps" else tensor).double()
