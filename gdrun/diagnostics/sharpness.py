"""The sharpness of the train loss: the largest eigenvalue of its Hessian.

Exact for few weights; else by Lanczos' method, which needs products with the Hessian alone, and
whose Ritz values tell how far they may be off.

Shapes: P weights.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.diagnostics.derivatives import LaneLoss, Work, in_64_bits
from gdrun.diagnostics.noise import Estimated

EXACT = 512  # weights up to which all eigenvalues are computed
TOLERANCE = 1e-3  # of the eigenvalue, relative to the largest in size
# Of Lanczos' method: products with the Hessian, and numbers of the vectors that are kept (256 MB).
MOST_PRODUCTS, KEPT_NUMBERS = 100, 2**25
# It isn't trusted before: a random start may have next to nothing of the direction that is sought.
FEWEST_PRODUCTS = 15

Operator = Callable[[Tensor], Work[Tensor]]  # a symmetric matrix times a vector, (P,) → (P,)


@dataclass(frozen=True)
class Preconditioner:
    """What an adaptive optimizer makes of a Hessian: D⁻¹ (H + ridge).

    Its eigenvalues are those of D^(−½) (H + ridge) D^(−½), which is symmetric.

    Attributes:
        divisors: D, (P,), by which it divides each weight's gradient.
        ridge: what weight decay adds to the Hessian.
    """

    divisors: Tensor
    ridge: float

    def of_matrix(self, hessian: Tensor) -> Tensor:
        """That of a whole Hessian, (P, P)."""
        scale = self._scale
        decayed = hessian.cpu() + self.ridge * torch.eye(len(scale), dtype=torch.float64)
        return scale[:, None] * decayed * scale

    def of_operator(self, product: Operator) -> Operator:
        """That of products with a Hessian."""
        scale = self._scale

        def own(vector: Tensor) -> Work[Tensor]:
            scaled = scale * vector
            multiplied = yield from product(scaled)
            return scale * (multiplied.cpu() + self.ridge * scaled)

        return own

    @property
    def _scale(self) -> Tensor:
        return in_64_bits(self.divisors).cpu().rsqrt()


def sharpness(
    loss: LaneLoss,
    hessian: Tensor | None = None,
    preconditioner: Preconditioner | None = None,
    tolerance: float = TOLERANCE,
) -> Work[Estimated]:
    """The largest eigenvalue at the weights of a lane: the largest, not the largest in size.

    Args:
        loss: of the lane.
        hessian: all of it, from which the eigenvalue is exact; else it is by Lanczos' method.
        preconditioner: what is applied to the Hessian before.
        tolerance: how far Lanczos' may be off, relative to the eigenvalue that is largest in size.
    """
    if hessian is not None:
        matrix = preconditioner.of_matrix(hessian) if preconditioner else hessian
        return Estimated(float(torch.linalg.eigvalsh(matrix)[-1]), 0.0)
    product: Operator = loss.hessian_product
    if preconditioner:
        product = preconditioner.of_operator(product)
    return (yield from largest_eigenvalue(product, len(loss.weights), tolerance))


def largest_eigenvalue(product: Operator, size: int, tolerance: float) -> Work[Estimated]:
    """Lanczos' method with full reorthogonalisation, from a random start that is always the same.

    A Ritz value is no further from an eigenvalue than β_k |s_k|, the norm of its residual (Parlett
    1998, "The symmetric eigenvalue problem", sec. 13.2): the error that is told. That this is the
    largest one is as good as sure after some products, but isn't proved.
    """
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(size, dtype=torch.float64, generator=generator)
    basis = [vector / vector.norm()]
    diagonal: list[float] = []
    beside: list[float] = []
    value, error = 0.0, float("inf")
    for k in range(min(size, MOST_PRODUCTS, max(2, KEPT_NUMBERS // size))):
        product_of_last = (yield from product(basis[-1])).cpu()
        diagonal.append(float(product_of_last @ basis[-1]))
        known = torch.stack(basis)
        rest = product_of_last
        for _ in range(2):  # once isn't enough in finite precision
            rest = rest - known.T @ (known @ rest)
        norm = float(rest.norm())
        matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
        if beside:
            off = torch.diag(torch.tensor(beside, dtype=torch.float64), 1)
            matrix = matrix + off + off.T
        values, vectors = torch.linalg.eigh(matrix)
        value, error = float(values[-1]), norm * abs(float(vectors[-1, -1]))
        largest = float(values.abs().max())
        is_close = error <= tolerance * largest and k + 1 >= FEWEST_PRODUCTS
        if is_close or norm <= 1e-12 * largest:
            break
        beside.append(norm)
        basis.append(rest / norm)
    return Estimated(value, error)
