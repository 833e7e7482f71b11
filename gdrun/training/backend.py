"""What the ways of executing updates have in common: stretches of them, that the engine books."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from gdrun.training.models import Params, Problem
from gdrun.training.state import Plan, TrainState

# A stretch takes no more seconds than this, about, so that whoever consumes `train` can act.
SEGMENT_SECONDS = 0.1


class Weights(NamedTuple):
    """What an update moves: weights and momentum buffers, (R, …) each; no buffers: empty."""

    params: Params
    velocity: Params


class Losses(NamedTuple):
    """Mean losses over all training and all validation rows of each lane; None: no such rows."""

    train: list[float]
    val: list[float] | list[None]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive updates of one epoch, or of several whole ones.

    Attributes:
        losses: (U, R) the batch loss before each update, on the processor; U may be 0.
        weights: as they stand after them.
        seconds: training time.
        ends: the losses at the ends of the epochs that they end, where they are known; all that
            are due of several epochs, none of which is the last, nor has a loss that isn't finite.
    """

    losses: Tensor
    weights: Weights
    seconds: float
    ends: Sequence[Losses | None] = ()


# How updates are executed: one by one, or many as one program. Stretches go on from where the state
# is, epoch after epoch, for as long as they are asked for; the first has no updates where that is
# the end of an epoch that isn't closed yet.
Execute = Callable[[Problem, Plan, TrainState], Iterator[Chunk]]
