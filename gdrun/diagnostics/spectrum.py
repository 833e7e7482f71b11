"""The kind of a point of the train loss: how its Hessian curves, and how steep the loss is there.

At a saddle the gradient is zero, and the loss curves down along some directions: as many as the
Hessian has negative eigenvalues. Where there is a gradient, these numbers say how the loss curves,
and nothing else.
"""

import torch

from gdrun.diagnostics.derivatives import LaneLoss, finish
from gdrun.diagnostics.sharpness import EXACT
from gdrun.results.landscape import Curvature


def curvature(loss: LaneLoss, most: int = EXACT) -> Curvature | None:
    """The signs of all eigenvalues of the Hessian; None of more weights than `most`.

    None, too, where they aren't finite.

    What is no larger than the tolerance counts as zero: P ε |λ|max with P weights and ε = 2⁻²³.
    Gradients are computed in 32 bits, and an entry of the Hessian is typically off by some ε times
    the largest ones. An eigenvalue is then off by no more than the norm of these errors (Weyl's
    inequality: Golub & Van Loan 2013, "Matrix computations", theorem 8.1.5), which is at most P
    times the largest of them. `numpy.linalg.matrix_rank` tells zeros by the same bound. What counts
    as zero may be small.
    """
    size = len(loss.weights)
    if size > most:
        return None
    hessian = finish(loss.hessian())
    if not hessian.isfinite().all():
        return None
    values = torch.linalg.eigvalsh(hessian)
    tolerance = size * torch.finfo(torch.float32).eps * float(values.abs().max())
    negative, positive = int((values < -tolerance).sum()), int((values > tolerance).sum())
    return Curvature(
        negative=negative,
        zero=size - negative - positive,
        positive=positive,
        lowest=float(values[0]),
        highest=float(values[-1]),
        tolerance=tolerance,
    )
