"""What an optimizer is to a training.

Shapes: R lanes, U updates. A factor is a number that depends on the time alone; F of them.
"""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from gdrun.training.models.model import Params


class Optimizer(Protocol):
    """A rule that moves weights. Equal ones have equal hashes and representations.

    How sharp a loss it tolerates is told for a gradient H w + ridge · w of a constant matrix, in
    full batches. Each eigenvalue of that matrix is a recurrence by itself, which contracts where
    its roots lie within the unit circle: for z² − τ z + δ, where |τ| < 1 + δ and |δ| < 1 (Jury
    1962). An adaptive rule divides gradients weight by weight, by D: its matrix is D⁻¹ (H + ridge),
    with D as it stands (Cohen et al. 2022, "Adaptive gradient methods at the edge of stability").
    """

    @property
    def buffers(self) -> int:
        """How many numbers it keeps of each weight from one update to the next."""

    @property
    def start(self) -> float:
        """What these numbers are before the first update."""

    @property
    def is_adaptive(self) -> bool:
        """Whether it divides gradients weight by weight."""

    @property
    def ridge(self) -> float:
        """What weight decay adds to each eigenvalue of the Hessian."""

    def stability_limit(self, lr: float) -> float:
        """The eigenvalue from which on a direction isn't stable at a learning rate."""

    def divisors(self, buffers: Sequence[Params], factors: Sequence[Tensor]) -> Params | None:
        """D after an update, by the buffers and the factors of that update, like the weights.

        None of a rule that isn't adaptive.
        """

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
