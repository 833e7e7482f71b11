"""The update of a program in C.

What an update does is written in `gdrun.training.sgd` and `gdrun.training.models` alone: it is
recorded as PyTorch executes it, for one lane, and turned into functions in C that updates.c calls.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gdrun.compiler.arrays import Array, in_memory
from gdrun.compiler.codegen import function
from gdrun.compiler.spec import ProgramSpec
from gdrun.compiler.trace import record
from gdrun.compiler.writer import Code
from gdrun.training.gradients import lane_gradients
from gdrun.training.models import mean_losses
from gdrun.training.sgd import descend

GRADIENT = (
    "const real *restrict w, const real *restrict x, const real *restrict y, real share, "
    "real *restrict g, real *restrict loss, real *restrict work"
)
DESCEND = "real *restrict w, real *restrict v, real lr, const real *restrict g, real *restrict work"


def functions(program: ProgramSpec) -> str:
    """What is particular to a program, as updates.c includes it.

    Raises:
        Exception: PyTorch has changed what is private to it, or what it records of an update.
    """
    gradients = [_gradient(program, rows) for rows in program.pieces]
    descent = _descent(program)
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
        "WORK": max(work for _, work in (*gradients, descent)),
    }
    return "\n".join(
        [
            *(f"#define {name} {value}" for name, value in constants.items()),
            "",
            *(text for text, _ in gradients),
            f"static inline void gradient(int64_t rows, {GRADIENT})\n"
            f"{{\n    switch (rows) {{\n{cases}    }}\n}}\n",
            descent[0],
        ]
    )


def _gradient(program: ProgramSpec, rows: int) -> tuple[str, int]:
    """The gradient of the loss over some rows of one lane, times their share of the batch."""
    network = program.network
    params = network.init([0])
    shapes = [tensor.shape for tensor in params]
    x, y = torch.zeros(1, rows, network.sizes[0]), torch.zeros(1, rows, network.sizes[-1])

    def gradient(*given: Tensor) -> Sequence[Tensor]:
        *params, x, y, share = given
        leaves = tuple(w.requires_grad_() for w in params)
        losses = mean_losses(network, program.loss_name, leaves, x, y)
        return (losses.detach(), *lane_gradients(losses, leaves, share))

    given = [*params, x, y, torch.ones(1)]
    places = [in_memory("x", x.shape), in_memory("y", y.shape), Array((1,), lambda _: "share")]
    return function(
        Code(program.lanes, program.width),
        f"gradient_{rows}({GRADIENT})",
        record(gradient, given),
        [*_side_by_side("w", shapes), *places],
        [in_memory("loss", (1,)), *_side_by_side("g", shapes)],
    )


def _side_by_side(pointer: str, shapes: Sequence[torch.Size]) -> list[Array]:
    """Arrays one after the other from a pointer on."""
    found, start = [], 0
    for shape in shapes:
        found.append(in_memory(f"({pointer} + {start})" if start else pointer, shape))
        start += shape.numel()
    return found


def _descent(program: ProgramSpec) -> tuple[str, int]:
    """How the gradient moves all weights of a lane, which are a row of numbers."""
    rule, numbers = program.rule, (1, 1, program.network.parameters)
    names = ["w", "v"] if rule.momentum else ["w"]

    def move(*given: Tensor) -> Sequence[Tensor]:
        weights, *velocity, lr, g = given
        descend(rule, (weights,), tuple(velocity), lr, (g,))
        return weights, *velocity

    rows = [in_memory(name, numbers) for name in names]
    return function(
        Code(program.lanes, program.width),
        f"descend({DESCEND})",
        record(
            move, [*(torch.zeros(numbers) for _ in names), torch.ones(1, 1, 1), torch.ones(numbers)]
        ),
        [*rows, Array((1, 1, 1), lambda _: "lr"), in_memory("g", numbers)],
        # Each is moved when all that it was needed for is worked out, as it was when recorded.
        rows,
    )
