"""What a compiled program depends on, and so which one executes a plan's updates."""

from dataclasses import dataclass

import torch

from gdrun.training.models import Network, Problem
from gdrun.training.sgd import SGD
from gdrun.training.state import Plan

# Floats in a vector, by what PyTorch calls the processor's capability.
WIDTHS = {"AVX512": 16, "AVX2": 8}
OTHER_WIDTH = 4
# Up to so many units in a layer, vectors of lanes are faster than vectors of units.
NARROW = 64
# Numbers in flight when rows go through the network, of all lanes computed together; or as many as
# there are weights, whose gradients are added up after each piece.
PIECE_NUMBERS = 2**12
MOST_NUMBERS = 2**26  # where rows at a time are asked for
ROUND = 4  # rows, that sums are in registers for at a time


@dataclass(frozen=True)
class ProgramSpec:
    """Everything that a compiled program depends on.

    Attributes:
        network, loss_name: what is minimised.
        rule: how a gradient moves the weights.
        rows: how many go through the network at a time, at most.
        pieces: how many do.
        lanes: are computed together, as one vector.
        width: floats in a vector.
    """

    network: Network
    loss_name: str
    rule: SGD
    rows: int
    pieces: tuple[int, ...]
    lanes: int
    width: int


def spec_for(problem: Problem, plan: Plan) -> ProgramSpec:
    """The program that executes a plan's updates."""
    network = problem.network
    width = WIDTHS.get(torch.backends.cpu.get_cpu_capability(), OTHER_WIDTH)
    # A vector of lanes costs little more than one of them.
    together = 2 * len(plan.lanes) > width and max(network.sizes) <= NARROW
    lanes = width if together else 1
    rows = _piece(problem, plan.batch_size, lanes)
    sizes = {plan.batch_size, plan.last_batch(problem.data.rows)}
    pieces = {piece for size in sizes for piece in (min(size, rows), size % rows) if piece}
    return ProgramSpec(
        network=network,
        loss_name=problem.loss_name,
        rule=plan.rule,
        rows=rows,
        pieces=tuple(sorted(pieces)),
        lanes=lanes,
        width=width,
    )


def _piece(problem: Problem, batch: int, lanes: int) -> int:
    """How many rows of a batch go through the network at a time: as asked for, or what pays."""
    a_row = lanes * sum(problem.network.sizes)
    if problem.chunk_rows:
        return min(batch, problem.chunk_rows, max(1, MOST_NUMBERS // a_row))
    numbers = max(PIECE_NUMBERS, lanes * problem.network.parameters)
    most = -(-numbers // (a_row * ROUND)) * ROUND
    equal = -(-batch // -(-batch // most))
    return min(batch, -(-equal // ROUND) * ROUND)
