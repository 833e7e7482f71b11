"""Losses of real-valued targets, output by output."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from gdrun.training.losses.loss import OfQuantities

LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": F.mse_loss,
    # Huber's loss is half the square up to delta; halving `mse_loss` would be one more operation.
    "half_mse": partial(F.huber_loss, delta=math.inf),
    "l1": F.l1_loss,
    "huber": F.huber_loss,
}


@dataclass(frozen=True)
class Regression(OfQuantities):
    """One of `LOSSES`, by its name."""

    name: str

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(R, B, T) and (R, B, T) → the losses of each row and output, (R, B, T)."""
        return LOSSES[self.name](outputs, y, reduction="none")
