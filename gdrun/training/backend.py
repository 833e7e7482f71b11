"""What the ways of executing updates have in common: chunks of updates, which the loop books."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from gdrun.training.models import Params, Problem
from gdrun.training.state import Plan, TrainState


@dataclass(frozen=True, slots=True)
class Chunk:
    """Consecutive updates: U of one epoch (E = 1), or all of E epochs with U updates each.

    Attributes:
        losses: (E, U, R) the batch loss before each update, on the processor; U may be 0.
        seconds: training time.
        params: weights after each of the E epochs, or after the last update if that is within an
            epoch: (E, R, …) each. Empty where the weights of the state were moved in place.
        velocity: the momentum buffers, likewise; empty without momentum, too.
    """

    losses: Tensor
    seconds: float
    params: Params = ()
    velocity: Params = ()


@dataclass(frozen=True)
class Backend:
    """A way to execute updates. It turns weights and batches into losses and weights, no more.

    Attributes:
        chunks: executes the updates that follow a state, epoch after epoch, for as long as chunks
            are requested; each takes about so many seconds.
        stacks_epochs: whether a chunk may hold several epochs. The weights at their ends are then
            evaluated together, as if all were lanes.
    """

    chunks: Callable[[Problem, Plan, TrainState, float], Iterator[Chunk]]
    stacks_epochs: bool
