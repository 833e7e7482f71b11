"""The interface between the loop and the ways of executing updates, its backends."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor

from gdrun.training.models import Params, Problem
from gdrun.training.state import Plan, TrainState


@dataclass(frozen=True, slots=True)
class Updates:
    """Consecutive updates that were executed: U of one epoch (E = 1), or all U of each of E epochs.

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
        execute: executes the updates that follow a state, epoch after epoch, for as long as more
            are requested; in portions of about so many seconds.
        stacks_epochs: whether a portion may hold several epochs. The weights at their ends are then
            evaluated together, as if all were lanes.
    """

    execute: Callable[[Problem, Plan, TrainState, float], Iterator[Updates]]
    stacks_epochs: bool
