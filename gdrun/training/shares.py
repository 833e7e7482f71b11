"""A state whose lanes are divided among ranks: what of it is this rank's, and the whole again."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from gdrun.training.state import Plan, TrainState


def own_share(plan: Plan, whole: TrainState) -> TrainState:
    """What this rank moves: the state, or a copy with the weights of its own lanes alone."""
    if plan.division.by_lanes.size == 1:
        return whole
    return _with_tensors(whole, lambda tensor: tensor[plan.division.own]).clone()


def whole_state(plan: Plan, own: TrainState) -> TrainState:
    """The state of all lanes, from what all ranks have of it; all of them call this together."""
    return _with_tensors(own, lambda tensor: plan.division.gather(tensor, axis=0))


def _with_tensors(state: TrainState, function: Callable[[Tensor], Tensor]) -> TrainState:
    """A state with other weights and buffers, and other weights of the best epochs."""
    best = replace(state.best, params=tuple(map(function, state.best.params)))
    return replace(
        state,
        params=tuple(map(function, state.params)),
        buffers=tuple(tuple(map(function, buffer)) for buffer in state.buffers),
        best=best,
    )
