"""Losses of classes, which a target has by their numbers; the accuracy goes with them.

Shapes: R lanes, B rows, K classes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from gdrun.training.losses.loss import Metric


def _is_likeliest(outputs: Tensor, y: Tensor) -> Tensor:
    """Whether a row's class, (R, B, 1), has the largest of its outputs, (R, B, K)."""
    return (outputs.argmax(-1, keepdim=True) == y).squeeze(-1).float()


def _is_right_sign(outputs: Tensor, y: Tensor) -> Tensor:
    """Whether the output, (R, B, 1), is above 0 for class 1 alone."""
    return ((outputs > 0) == (y > 0.5)).squeeze(-1).float()


ACCURACY = Metric("accuracy", _is_likeliest)
BINARY_ACCURACY = Metric("accuracy", _is_right_sign)


@dataclass(frozen=True)
class CrossEntropy:
    """The cross-entropy of the classes of rows and the softmax of K outputs z.

    For a row of class c it is

        −log softmax(z)_c = log Σ_k exp(z_k − max z) − (z_c − max z)

    which doesn't overflow (Blanchard, Higham & Higham 2021, "Accurately computing the log-sum-exp
    and softmax functions", eq. 1.3).
    """

    classes: int

    @property
    def name(self) -> str:
        """As in a config."""
        return "cross_entropy"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The accuracy: the share of rows whose class has the largest output."""
        return (ACCURACY,)

    def outputs(self, targets: int) -> int:  # noqa: ARG002
        """An output for each class."""
        return self.classes

    def probabilities(self, outputs: Tensor) -> Tensor | None:
        """The softmax of the outputs, (…, K)."""
        return F.softmax(outputs, dim=-1)

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(R, B, K) and class numbers (R, B, 1) → the losses of the rows, (R, B, 1)."""
        own = y == torch.arange(self.classes, dtype=y.dtype, device=y.device)
        log_p = F.log_softmax(outputs, dim=-1)
        return -torch.where(own, log_p, 0.0).sum(-1, keepdim=True)


@dataclass(frozen=True)
class BinaryCrossEntropy:
    """The cross-entropy of classes 0 and 1 and the sigmoid of one output z.

    For a row of class y it is log(1 + exp(−z)) where y is 1, and log(1 + exp(z)) where y is 0. With
    the sign in front of z nothing is subtracted, so that it is accurate and never below 0.
    """

    @property
    def name(self) -> str:
        """As in a config."""
        return "bce"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The accuracy: the share of rows whose output is above 0 for class 1 alone."""
        return (BINARY_ACCURACY,)

    def outputs(self, targets: int) -> int:  # noqa: ARG002
        """One."""
        return 1

    def probabilities(self, outputs: Tensor) -> Tensor | None:
        """The sigmoid of the output, for class 1, and of its negative, for class 0; (…, 2)."""
        return torch.sigmoid(torch.cat([-outputs, outputs], dim=-1))

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(R, B, 1) and class numbers (R, B, 1) → the losses of the rows, (R, B, 1)."""
        return F.softplus((1 - 2 * y) * outputs)
