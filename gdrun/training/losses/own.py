"""A loss of the user's: a function of the outputs and targets of some rows.

Shapes: R lanes, B rows, O outputs, T columns of the target.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gdrun.data.own.find import OwnFunction
from gdrun.errors import ConfigError
from gdrun.training.losses.loss import OfQuantities

CHECKED_ROWS = 4


@dataclass(frozen=True)
class OwnLoss(OfQuantities):
    """A function (B, O), (B, T) → losses of the rows, (B,) or (B, ·), of which the mean is taken.

    A row's loss must not depend on other rows: batches are cut into chunks, and those of several
    lanes are put together.
    """

    function: OwnFunction

    @property
    def name(self) -> str:
        """As in a config."""
        return self.function.name

    def __call__(self, outputs: Tensor, y: Tensor) -> Tensor:
        """(R, B, O) and (R, B, T) → (R, B, ·)."""
        lanes, rows = outputs.shape[:2]
        losses: Tensor = self.function(outputs.flatten(0, 1), y.flatten(0, 1))
        return losses.view(lanes, rows, -1)

    def check(self, targets: int) -> None:
        """Try it on a few rows of noise.

        Raises:
            ConfigError: it returns something else than a loss of each row, or one of a row that
                depends on others.
            UserCodeError: it raises an exception.
        """
        generator = torch.Generator().manual_seed(0)
        outputs, y = (
            torch.randn(2, CHECKED_ROWS, self.outputs(targets), generator=generator)
            .requires_grad_()
            .unbind()
        )
        found = self.function(outputs, y.detach())
        said = f"loss: {self.name}"
        wanted = f"expected a tensor of {CHECKED_ROWS} losses, one of each row"
        if not isinstance(found, Tensor):
            raise ConfigError(f"{said} returns {type(found).__name__}; {wanted}")
        if found.ndim < 1 or len(found) != CHECKED_ROWS:
            shape = tuple(found.shape)
            hint = 'losses of PyTorch give one of each row with reduction="none"'
            raise ConfigError(f"{said} returns a tensor of shape {shape}; {wanted}", hint)
        if not found.requires_grad:
            raise ConfigError(f"{said} has no gradient: it doesn't depend on the outputs")
        single = [self.function(outputs[k : k + 1], y[k : k + 1]) for k in range(CHECKED_ROWS)]
        if not torch.allclose(torch.cat(single), found, rtol=1e-4, atol=1e-5, equal_nan=True):
            raise ConfigError(
                f"{said}: the loss of a row depends on other rows, which are others in each chunk",
                "compute it row by row; the mean over the rows is taken by gdrun",
            )
