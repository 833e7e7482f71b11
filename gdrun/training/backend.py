"""The interface between the loop and the ways of executing updates, its backends."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gdrun.training.models.model import Params
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState


@dataclass(frozen=True, slots=True)
class Updates:
    """Consecutive updates that were executed: U of one epoch (E = 1), or all U of each of E epochs.

    Attributes:
        losses: (E, U, R) the batch loss before each update, on the processor; U may be 0. Where
            lanes are divided among ranks, those of this one.
        seconds: training time.
        params: weights at each of the ends: (ends, R, …) each. Empty where the weights of the state
            were moved in place.
        buffers: those of the optimizer, each likewise.
        ends: after how many of the updates that is: at the end of each epoch, where a loss within
            one is due, and after the last. Empty if `params` are: the only end is after the last.
    """

    losses: Tensor
    seconds: float
    params: Params = ()
    buffers: tuple[Params, ...] = ()
    ends: Sequence[int] = ()


def with_all_losses(plan: Plan, executed: Updates) -> Updates:
    """Updates with the losses of all lanes, and the time of the rank that took longest.

    Ranks among which rows are divided have waited for each other in each update.
    """
    if plan.division.by_lanes.size == 1:
        return executed
    own = executed.losses
    seconds = own.new_full((1, own.shape[-1]), executed.seconds)
    found = plan.division.gather(torch.cat([own.flatten(0, 1), seconds]))
    losses = found[:-1].view(*own.shape[:2], -1)
    return replace(executed, losses=losses, seconds=found[-1].max().item())


@dataclass(frozen=True)
class Backend:
    """A way to execute updates. It turns weights and batches into losses and weights, no more.

    Attributes:
        execute: executes the updates that follow a state, epoch after epoch, for as long as more
            are requested; in portions of about so many seconds. Each update after which a loss is
            due within an epoch is an end of a portion, or one of its ends.
        stacks_epochs: whether a portion may hold several epochs. The weights at their ends are then
            evaluated together, as if all were lanes.
    """

    execute: Callable[[Problem, Plan, TrainState, float], Iterator[Updates]]
    stacks_epochs: bool
