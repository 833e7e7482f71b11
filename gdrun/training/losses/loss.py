"""What a loss is to a training, and the metrics that go with it.

Shapes: R lanes, B rows, O outputs, T columns of the target.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """What is measured over all rows beside the loss, without being minimised.

    Attributes:
        name: a word that is part of the names of its columns, as `train_accuracy` has it.
        of_rows: outputs (R, B, O) and targets (R, B, T) → numbers of each row, (R, B), whose mean
            over all rows it is.
    """

    name: str
    of_rows: Callable[[Tensor, Tensor], Tensor]

    @property
    def columns(self) -> tuple[str, str]:
        """Its columns in `epochs.csv`: over the training and over the validation rows."""
        return f"train_{self.name}", f"val_{self.name}"


class Loss(Protocol):
    """A loss. Equal ones have equal hashes and representations."""

    @property
    def name(self) -> str:
        """As in a config."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is measured beside it."""

    def outputs(self, targets: int) -> int:
        """O, the outputs that a network needs for T columns of the target."""

    def probabilities(self, outputs: Tensor) -> Tensor | None:
        """Those of the K classes, (…, O) → (…, K); None of quantities."""

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        """Losses of each row, (R, B, ·), of which the mean is taken.

        Args:
            outputs: (R, B, O), of the network.
            y: (R, B, T), the targets.
        """


class OfQuantities:
    """What losses of real-valued targets have in common."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """None."""
        return ()

    def outputs(self, targets: int) -> int:
        """One output for each column of the target."""
        return targets

    def probabilities(self, outputs: Tensor) -> Tensor | None:  # noqa: ARG002
        """None: there are no classes."""
        return None
