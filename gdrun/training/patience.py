"""The validation loss of lanes: when it was lowest, and whether patience with a lane runs out.

Shapes: R lanes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from gdrun.training.models.model import Params


@dataclass
class BestEpochs:
    """The epoch with the lowest validation loss of each lane, as far as it was evaluated.

    Attributes:
        losses: the lowest; infinite if none was finite.
        epochs: when that was.
        params: the weights then, (R, …) each; empty without validation rows.
        stopped_at: per lane, the update after which patience ran out, or None.
    """

    losses: list[float]
    epochs: list[int]
    params: Params = ()
    stopped_at: list[int | None] = field(default_factory=list)

    @classmethod
    def none_yet(cls, lanes: int, params: Params = ()) -> "BestEpochs":
        """Before anything was evaluated; `params` are copied, if they are kept."""
        none: list[int | None] = [None] * lanes
        return cls([math.inf] * lanes, [0] * lanes, tuple(p.clone() for p in params), none)

    def note(
        self, epoch: int, val_losses: Sequence[float | None], taking_part: Sequence[bool]
    ) -> list[int]:
        """Note the losses of an epoch; the lanes whose loss was never lower before."""
        improved = [
            lane
            for lane, loss in enumerate(val_losses)
            if taking_part[lane]
            and loss is not None
            and math.isfinite(loss)
            and loss < self.losses[lane]
        ]
        for lane in improved:
            self.losses[lane], self.epochs[lane] = val_losses[lane] or 0.0, epoch
        return improved

    def keep(self, lanes: Sequence[int], params: Sequence[torch.Tensor]) -> None:
        """Keep the weights of some lanes, (R, …) each of all, as those of their best epoch."""
        if lanes and self.params:
            where = torch.tensor(lanes, device=params[0].device)
            for own, now in zip(self.params, params, strict=True):
                own[where] = now[where]

    def stop(self, epoch: int, update: int, patience: int, taking_part: Sequence[bool]) -> bool:
        """Stop the lanes with which patience runs out at the end of an epoch; whether one did."""
        stopped = [
            lane
            for lane, best in enumerate(self.epochs)
            if taking_part[lane] and patience and epoch - best >= patience
        ]
        for lane in stopped:
            self.stopped_at[lane] = update
        return bool(stopped)

    def fits(self, other: "BestEpochs", epoch: int) -> bool:
        """Whether it is of as many lanes as another, and of no later epoch; weights may be lacking.

        An older gdrun kept none.
        """
        shapes = [(p.shape, p.dtype) for p in self.params]
        lanes = len(other.losses)
        return (
            shapes in ([], [(p.shape, p.dtype) for p in other.params])
            and len(self.losses) == len(self.epochs) == len(self.stopped_at) == lanes
            and all(each <= epoch for each in self.epochs)
        )

    def clone(self) -> "BestEpochs":
        """A copy that shares nothing."""
        params = tuple(p.clone() for p in self.params)
        return BestEpochs(list(self.losses), list(self.epochs), params, list(self.stopped_at))
