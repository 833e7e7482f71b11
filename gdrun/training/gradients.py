"""The gradient of every lane's loss in one backward pass, without the checks of the public call.

`torch.autograd.grad` spends more than a tenth of an update at batch 1 on checking its arguments,
and importing a symbolic algebra package to do so. What it calls in the end is private to PyTorch,
and so used here alone, for the range of versions that gdrun declares; where it is missing, the
public call takes over.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gdrun.training.models import Params

_run_backward: Callable[..., Any] | None = getattr(
    getattr(torch.autograd.Variable, "_execution_engine", None), "run_backward", None
)


def gradients_by_public_call(losses: Tensor, leaves: Params, ones: Tensor) -> Params:
    """∂(Σ_r losses_r)/∂leaf of each leaf; lanes share no weight, so each gets its own gradient.

    Args:
        losses: (R,) computed from the leaves.
        leaves: (R, …) each, requiring gradients.
        ones: (R,) what the gradient of each loss is multiplied by.
    """
    return torch.autograd.grad((losses * ones).sum(), leaves)


def _gradients_by_engine(losses: Tensor, leaves: Params, ones: Tensor) -> Params:
    assert _run_backward is not None
    # (outputs, their gradients, keep graph, create graph, inputs); all inputs are reached.
    gradients: Params = _run_backward(
        (losses,), (ones,), False, False, leaves, allow_unreachable=False, accumulate_grad=False
    )
    return gradients


lane_gradients = gradients_by_public_call if _run_backward is None else _gradients_by_engine
