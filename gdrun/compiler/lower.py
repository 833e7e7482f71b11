"""The update of a program as C functions, which updates.c calls.

What an update does is written in `gdrun.training.sgd` and `gdrun.training.models` alone. Here it is
traced for one lane and turned into two functions: `gradient` of some rows, and `descend`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gdrun.compiler.arrays import Array, in_memory
from gdrun.compiler.codegen import function
from gdrun.compiler.spec import ProgramSpec
from gdrun.compiler.trace import trace
from gdrun.compiler.writer import Code
from gdrun.training.models import mean_losses
from gdrun.training.sgd import descend, lane_gradients

GRADIENT = (
    "const real *restrict w, const real *restrict x, const real *restrict y, real share, "
    "real *restrict g, real *restrict loss, real *restrict work"
)
DESCEND = "real *restrict w, real *restrict v, real lr, const real *restrict g, real *restrict work"


def functions(spec: ProgramSpec) -> str:
    """The text of functions.h: all C that is particular to a program.

    Raises:
        Exception: PyTorch has changed something private to it, or how it executes an update.
    """
    gradients = [_gradient(spec, rows) for rows in spec.chunks]
    descent = _descent(spec)
    cases = "".join(
        f"    case {rows}:\n        gradient_{rows}(w, x, y, share, g, loss, work);\n"
        "        break;\n"
        for rows in spec.chunks
    )
    sizes = spec.network.sizes
    constants = {
        "PARAMETERS": spec.network.parameters,
        "FEATURES": sizes[0],
        "OUTPUTS": sizes[-1],
        "ROWS": spec.rows,
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


def _gradient(spec: ProgramSpec, rows: int) -> tuple[str, int]:
    """The mean loss over B rows of one lane, and its gradient times the rows' share of the batch.

    Shapes: w and g (P,), x (B, D), y (B, O).
    """
    network = spec.network
    params = network.init([0])
    shapes = [tensor.shape for tensor in params]
    x, y = torch.zeros(1, rows, network.sizes[0]), torch.zeros(1, rows, network.sizes[-1])

    def gradient(*inputs: Tensor) -> Sequence[Tensor]:
        *params, x, y, share = inputs
        leaves = tuple(w.requires_grad_() for w in params)
        losses = mean_losses(network, spec.loss_name, leaves, x, y)
        return (losses.detach(), *lane_gradients(losses, leaves, share))

    share = Array((1,), lambda _: "share")
    return function(
        Code(spec.lanes, spec.width),
        f"gradient_{rows}({GRADIENT})",
        trace(gradient, [*params, x, y, torch.ones(1)]),
        [*_consecutive("w", shapes), in_memory("x", x.shape), in_memory("y", y.shape), share],
        [in_memory("loss", (1,)), *_consecutive("g", shapes)],
    )


def _consecutive(pointer: str, shapes: Sequence[torch.Size]) -> list[Array]:
    """Arrays that lie one after the other in memory, the first at a pointer."""
    arrays, start = [], 0
    for shape in shapes:
        arrays.append(in_memory(f"({pointer} + {start})" if start else pointer, shape))
        start += shape.numel()
    return arrays


def _descent(spec: ProgramSpec) -> tuple[str, int]:
    """How the gradient moves the weights (and velocity) of one lane: w, v and g are (P,)."""
    optimizer, shape = spec.optimizer, (1, 1, spec.network.parameters)
    names = ["w", "v"] if optimizer.momentum else ["w"]

    def move(*inputs: Tensor) -> Sequence[Tensor]:
        weights, *velocity, lr, g = inputs
        descend(optimizer, (weights,), tuple(velocity), lr, (g,))
        return weights, *velocity

    moved = [in_memory(name, shape) for name in names]
    return function(
        Code(spec.lanes, spec.width),
        f"descend({DESCEND})",
        trace(move, [*(torch.zeros(shape) for _ in names), torch.ones(1, 1, 1), torch.ones(shape)]),
        [*moved, Array((1, 1, 1), lambda _: "lr"), in_memory("g", shape)],
        # Written in place: the trace has each new value after all uses of the old one.
        moved,
    )
