"""The sharpness of the train loss: the largest eigenvalue of its Hessian.

Exact for few weights; else by Lanczos' method, which needs products with the Hessian alone, and
whose Ritz values tell how far they may be off.
"""

from dataclasses import dataclass

import torch

from gdrun.diagnostics.derivatives import LaneLoss

EXACT = 512  # weights up to which all eigenvalues are computed
TOLERANCE = 1e-3  # of the eigenvalue, relative
MOST_PRODUCTS = 100


@dataclass(frozen=True)
class Sharpness:
    """The largest eigenvalue.

    Attributes:
        value: it, the largest one and not the largest in size.
        error: by how much it may be off.
        products: products with the Hessian that it took.
    """

    value: float
    error: float
    products: int


def sharpness(loss: LaneLoss, exact: int = EXACT, tolerance: float = TOLERANCE) -> Sharpness:
    """The largest eigenvalue of the Hessian at the weights of a lane.

    Args:
        loss: of the lane.
        exact: the number of weights up to which it is computed from all entries.
        tolerance: how far else it may be off, relative to the largest in size.
    """
    size = len(loss.weights)
    if size <= exact:
        values = torch.linalg.eigvalsh(loss.hessian())
        return Sharpness(float(values[-1]), 0.0, size)
    return _by_lanczos(loss, tolerance)


def _by_lanczos(loss: LaneLoss, tolerance: float) -> Sharpness:
    """Lanczos' method with full reorthogonalisation, from a random start that is always the same.

    A Ritz value is no further from an eigenvalue than β_k |s_k|, the norm of its residual (Parlett
    1998, "The symmetric eigenvalue problem", sec. 13.2).
    """
    size = len(loss.weights)
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(size, dtype=torch.float64, generator=generator).to(loss.weights.device)
    basis = [vector / vector.norm()]
    diagonal: list[float] = []
    beside: list[float] = []
    value, error = 0.0, float("inf")
    for k in range(min(size, MOST_PRODUCTS)):
        product = loss.hessian_product(basis[-1])
        diagonal.append(float(product @ basis[-1]))
        known = torch.stack(basis)
        for _ in range(2):  # once isn't enough in finite precision
            product = product - known.T @ (known @ product)
        norm = float(product.norm())
        matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
        if beside:
            off = torch.diag(torch.tensor(beside, dtype=torch.float64), 1)
            matrix = matrix + off + off.T
        values, vectors = torch.linalg.eigh(matrix)
        value, error = float(values[-1]), norm * abs(float(vectors[-1, -1]))
        largest = float(values.abs().max())
        if error <= tolerance * largest or norm <= 1e-12 * largest:
            return Sharpness(value, error, k + 1)
        beside.append(norm)
        basis.append(product / norm)
    return Sharpness(value, error, len(diagonal))
