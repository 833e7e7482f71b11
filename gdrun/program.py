"""A program: many updates in one call of a function in C, made from those of `gdrun.sgd`.

What an update does is written nowhere else: it is recorded as PyTorch executes it, for a network
alone, and turned into C.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gdrun.carrays import Array, in_memory
from gdrun.ccode import Code
from gdrun.cfunctions import function
from gdrun.gradients import lane_gradients
from gdrun.models import Network, Problem, mean_losses
from gdrun.recording import record
from gdrun.sgd import Rule, descend
from gdrun.state import Plan

# Floats in a vector, by what PyTorch calls the processor's capability.
WIDTHS = {"AVX512": 16, "AVX2": 8}
OTHER_WIDTH = 4
# Up to so many units in a layer, vectors of lanes are faster than vectors of units.
NARROW = 64
# Numbers in flight when rows go through the network, of all lanes computed together; or as many as
# there are weights, whose gradients are added up after each piece.
PIECE_NUMBERS = 2**12
ROUND = 4  # rows, that sums are in registers for at a time


@dataclass(frozen=True)
class Program:
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
    rule: Rule
    rows: int
    pieces: tuple[int, ...]
    lanes: int
    width: int


def program_for(problem: Problem, plan: Plan) -> Program:
    """The program that executes a plan's updates."""
    network = problem.network
    width = WIDTHS.get(torch.backends.cpu.get_cpu_capability(), OTHER_WIDTH)
    # A vector of lanes costs little more than one of them.
    together = 2 * len(plan.lanes) > width and max(network.sizes) <= NARROW
    lanes = width if together else 1
    rows = _piece(problem, plan.batch_size, lanes)
    sizes = {plan.batch_size, last_batch(plan, problem.data.rows)}
    pieces = {piece for size in sizes for piece in (min(size, rows), size % rows) if piece}
    return Program(
        network=network,
        loss_name=problem.loss_name,
        rule=plan.rule,
        rows=rows,
        pieces=tuple(sorted(pieces)),
        lanes=lanes,
        width=width,
    )


def _piece(problem: Problem, batch: int, lanes: int) -> int:
    """How many rows of a batch go through the network at a time, in pieces as equal as can be."""
    numbers = max(PIECE_NUMBERS, lanes * problem.network.parameters)
    most = problem.chunk_rows or numbers // (lanes * sum(problem.network.sizes))
    pieces = -(-batch // max(ROUND, most))
    rows = -(-batch // pieces)
    return min(batch, rows + -rows % ROUND) if problem.chunk_rows is None else min(batch, most)


def last_batch(plan: Plan, rows: int) -> int:
    """How many rows the last batch of an epoch has."""
    before = (plan.updates_per_epoch(rows) - 1) * plan.batch_size
    return min(plan.batch_size, rows - before)


def functions(program: Program) -> str:
    """What is particular to a program, for updates.c."""
    gradients = [_gradient(program, rows) for rows in program.pieces]
    cases = "".join(
        f"    case {rows}:\n        gradient_{rows}(w, x, y, share, g, loss, work);\n"
        "        break;\n"
        for rows in program.pieces
    )
    sizes = program.network.sizes
    constants = {
        "PARAMETERS": program.network.parameters,
        "FEATURES": sizes[0],
        "OUTPUTS": sizes[-1],
        "ROWS": program.rows,
        "WORK": max(work for _, work in gradients),
    }
    return "\n".join(
        [
            *(f"#define {name} {value}" for name, value in constants.items()),
            "",
            *(text for text, _ in gradients),
            f"static inline void gradient(int64_t rows, {GRADIENT})\n"
            f"{{\n    switch (rows) {{\n{cases}    }}\n}}\n",
            _descent(program),
        ]
    )


GRADIENT = (
    "const real *restrict w, const real *restrict x, const real *restrict y, real share, "
    "real *restrict g, real *restrict loss, real *restrict work"
)
DESCEND = "real *restrict w, real *restrict v, real lr, const real *restrict g"


def _gradient(program: Program, rows: int) -> tuple[str, int]:
    """The gradient of the loss over some rows of one lane, times their share of the batch."""
    network = program.network
    shapes = [
        shape
        for inputs, outputs in pairwise(network.sizes)
        for shape in ((1, inputs, outputs), (1, 1, outputs))
    ]
    x, y = torch.zeros(1, rows, network.sizes[0]), torch.zeros(1, rows, network.sizes[-1])

    def gradient(*given: Tensor) -> Sequence[Tensor]:
        *params, x, y, share = given
        leaves = tuple(w.requires_grad_() for w in params)
        losses = mean_losses(network, program.loss_name, leaves, x, y)
        return (losses.detach(), *lane_gradients(losses, leaves, share))

    given = [*map(torch.zeros, shapes), x, y, torch.ones(1)]
    places = [in_memory("x", x.shape), in_memory("y", y.shape), Array((1,), lambda _: "share")]
    return function(
        Code(program.lanes, program.width),
        f"gradient_{rows}({GRADIENT})",
        record(gradient, given),
        [*_side_by_side("w", shapes), *places],
        [in_memory("loss", (1,)), *_side_by_side("g", shapes)],
    )


def _side_by_side(pointer: str, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Arrays one after the other from a pointer on."""
    found, start = [], 0
    for shape in shapes:
        found.append(in_memory(f"({pointer} + {start})" if start else pointer, shape))
        start += torch.Size(shape).numel()
    return found


def _descent(program: Program) -> str:
    """How the gradient moves all weights of a lane, which are a row of numbers."""
    rule, numbers = program.rule, (1, 1, program.network.parameters)
    names = ["w", "v"] if rule.momentum else ["w"]

    def move(*given: Tensor) -> Sequence[Tensor]:
        weights, *velocity, lr, g = given
        descend(rule, (weights,), tuple(velocity), lr, (g,))
        return weights, *velocity

    rows = [in_memory(name, numbers) for name in names]
    text, _ = function(
        Code(program.lanes, program.width),
        f"descend({DESCEND})",
        record(
            move, [*(torch.zeros(numbers) for _ in names), torch.ones(1, 1, 1), torch.ones(numbers)]
        ),
        [*rows, Array((1, 1, 1), lambda _: "lr"), in_memory("g", numbers)],
        # Each is moved when all that it was needed for is worked out, as it was when recorded.
        rows,
    )
    return text
