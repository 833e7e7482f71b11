"""What a network is to a training.

Shapes: R lanes, B batch rows, D features, O outputs. Every lane has its own weights, stacked along
the leading axis; lanes never interact, so one autograd pass gives each its own gradient.
"""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor, nn

Params = tuple[Tensor, ...]


class Model(Protocol):
    """A network, the same for every lane. Equal ones have equal hashes and representations."""

    @property
    def inputs(self) -> int:
        """D, the features that it takes."""

    @property
    def outputs(self) -> int:
        """O."""

    @property
    def parameters(self) -> int:
        """The number of weights and biases of one lane."""

    @property
    def layers(self) -> int:
        """How many layers have weights."""

    @property
    def activations(self) -> int:
        """How many numbers a row is on its way through the network, itself included."""

    @property
    def widest(self) -> int:
        """How many of these the widest layer has."""

    def init(self, seeds: Sequence[int]) -> Params:
        """Initial weights, one lane per seed: (R, …) each."""

    def __call__(self, params: Params, x: Tensor) -> Tensor:
        """Outputs of all lanes: (R, B, D) → (R, B, O)."""

    def module(self, params: Params) -> nn.Module:
        """A module of its own, (B, D) → (B, O), with the weights of one lane: (…) each."""

    def __str__(self) -> str:
        """What it is, in a few words."""
