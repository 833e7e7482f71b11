"""The update of a program as C functions, which updates.c calls.

What an update does is written in `gdrun.training` alone: by a model, a loss and an optimizer. Here
it is traced for one lane and turned into two functions: `gradient` of some rows, and `descend`.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import torch
from torch import Tensor

from gdrun.compiler.arrays import Array, Index, in_memory
from gdrun.compiler.codegen import UnknownOperationError, function
from gdrun.compiler.spec import ProgramSpec
from gdrun.compiler.trace import trace
from gdrun.compiler.writer import Code
from gdrun.training.optimizers.step import lane_gradients
from gdrun.training.problem import mean_losses

GRADIENT = (
    "const real *restrict w, const real *restrict x, const real *restrict y, real share, "
    "real *restrict g, real *restrict loss, real *restrict work"
)
DESCEND = (
    "real *restrict w, real *restrict v, real lr, const float *restrict factors, "
    "const real *restrict g, real *restrict work"
)


@lru_cache(maxsize=64)
def unknown_operation(spec: ProgramSpec) -> str | None:
    """The first operation of the user's functions that has no counterpart in C; None if all have.

    What gdrun's own networks and losses consist of isn't looked at.
    """
    if not spec.has_own_code:
        return None
    try:
        functions(spec)
    except UnknownOperationError as error:
        return str(error)
    return None


@lru_cache(maxsize=64)
def functions(spec: ProgramSpec) -> str:
    """The text of functions.h: all C that is particular to a program.

    Raises:
        UnknownOperationError: an operation of the update has no counterpart in C.
        Exception: PyTorch has changed something private to it, or how it executes an update.
    """
    gradients = [_gradient(spec, rows) for rows in spec.chunks]
    descent = _descent(spec)
    cases = "".join(
        f"    case {rows}:\n        gradient_{rows}(w, x, y, share, g, loss, work);\n"
        "        break;\n"
        for rows in spec.chunks
    )
    constants = {
        "PARAMETERS": spec.model.parameters,
        "BUFFERS": spec.optimizer.buffers,
        "FACTORS": spec.factors,
        "FEATURES": spec.model.inputs,
        "TARGETS": spec.targets,
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

    Shapes: w and g (P,), x (B, D), y (B, T).
    """
    params = spec.model.init([0])
    shapes = [tensor.shape for tensor in params]
    x, y = torch.zeros(1, rows, spec.model.inputs), torch.zeros(1, rows, spec.targets)

    def gradient(*inputs: Tensor) -> Sequence[Tensor]:
        *params, x, y, share = inputs
        leaves = tuple(w.requires_grad_() for w in params)
        losses = mean_losses(spec.model, spec.loss, leaves, x, y)
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
    """How the gradient moves the weights and buffers of one lane: w and g are (P,), v (K, P)."""
    optimizer, shape = spec.optimizer, (1, 1, spec.model.parameters)
    own_factors = max(0, spec.factors - 1)  # the first is that of lr

    def move(*inputs: Tensor) -> Sequence[Tensor]:
        weights, *rest = inputs
        buffers, (lr, g, *factors) = rest[: optimizer.buffers], rest[optimizer.buffers :]
        optimizer.move((weights,), [(buffer,) for buffer in buffers], (lr,), (g,), factors)
        return weights, *buffers

    moved = [in_memory("w", shape), *_consecutive("v", [torch.Size(shape)] * optimizer.buffers)]
    factors = [Array((1, 1, 1), _factor(k)) for k in range(own_factors)]
    return function(
        Code(spec.lanes, spec.width),
        f"descend({DESCEND})",
        trace(
            move,
            [
                *(torch.zeros(shape) for _ in moved),
                torch.ones(1, 1, 1),
                torch.ones(shape),
                *(torch.ones(1, 1, 1) for _ in factors),
            ],
        ),
        [*moved, Array((1, 1, 1), lambda _: "lr"), in_memory("g", shape), *factors],
        # Written in place: the trace has each new value after all uses of the old one.
        moved,
    )


def _factor(number: int) -> Callable[[Index], str]:
    """The expression of a factor, the same for all lanes."""
    return lambda _: f"R(factors[{number}])"
