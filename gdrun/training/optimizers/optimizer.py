"""What an optimizer is to a training.

Shapes: R lanes, U updates. A factor is a number that depends on the time alone; F of them.
"""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from gdrun.training.models.model import Params


class Optimizer(Protocol):
    """A rule that moves weights. Equal ones have equal hashes and representations."""

    @property
    def buffers(self) -> int:
        """How many numbers it keeps of each weight from one update to the next."""

    @property
    def start(self) -> float:
        """What these numbers are before the first update."""

    def factors(self, updates: Tensor) -> Sequence[Tensor]:
        """The factors of updates with such numbers, from 1: (U,), in 64 bits, → (U,) each."""

    def move(
        self,
        weights: Params,
        buffers: Sequence[Params],
        lr: Params,
        g: Params,
        factors: Sequence[Tensor],
    ) -> None:
        """Move weights and buffers in place, lane by lane.

        Args:
            weights: (R, …) each.
            buffers: each like the weights.
            lr: the learning rates, (R, 1, …): for each of the weights as many axes as it has.
            g: the gradient of the loss, like the weights.
            factors: those of this update, of one element each.
        """
