"""The update of a program as C functions, which updates.c calls.

What an update does is written in `gdrun.training` alone: by a model, a loss and an optimizer. Here
it is traced for one lane and turned into two functions: `gradient` of some rows, and `descend`.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain

import torch
from torch import Tensor

from gdrun.compiler.arrays import Array, Index, in_memory
from gdrun.compiler.codegen import UnknownOperationError, function
from gdrun.compiler.spec import MANY_CHUNKS, ProgramSpec
from gdrun.compiler.trace import trace
from gdrun.compiler.writer import BLOCK, Code
from gdrun.training.optimizers.step import lane_gradients
from gdrun.training.problem import mean_losses

GRADIENT = (
    "const real *restrict w, const real *restrict x, const real *restrict y, real share, "
    "real *restrict g, real *restrict loss, real *restrict work, struct member me"
)
DESCEND = (
    "real *restrict w, real *restrict v, real lr, const float *restrict factors, "
    "const real *restrict g, real *restrict work, struct member me"
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
        f"    case {rows}:\n        gradient_{rows}(w, x, y, share, g, loss, work, me);\n"
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
        "SHARED": int(spec.shared),
        "BLOCK": BLOCK,
        "MANY_CHUNKS": MANY_CHUNKS,
        "WORK": max(work for _, work in (*gradients, descent)),
    }
    return "\n".join(
        [
            *(f"#define {name} {value}" for name, value in constants.items()),
            "",
            *(text for text, _ in gradients),
            f"static inline void gradient(int64_t rows, {GRADIENT.replace('restrict ', '')})\n"
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
    code = Code(spec.lanes, spec.width, spec.shared)
    return function(
        code,
        f"gradient_{rows}({GRADIENT})",
        trace(gradient, [*params, x, y, torch.ones(1)]),
        [
            *_consecutive(code, "w", shapes, is_const=True),
            *(in_memory("x", x.shape), in_memory("y", y.shape), share),
        ],
        [in_memory("loss", (1,)), *_consecutive(code, "g", shapes)],
    )


def _consecutive(
    code: Code,
    pointer: str,
    shapes: Sequence[Sequence[int]],
    is_const: bool = False,
) -> list[Array]:
    """Arrays that lie one after the other in memory, the first at a pointer.

    Where threads share the function each has a name of its own, by which it is known that what is
    written into one isn't in another.
    """
    arrays, start = [], 0
    for number, shape in enumerate(shapes):
        place = f"({pointer} + {start})" if start else pointer
        if code.shared:
            place = code.pointer(f"{pointer}{number}", place, is_const)
        arrays.append(in_memory(place, shape))
        start += math.prod(shape)
    return arrays


def _descent(spec: ProgramSpec) -> tuple[str, int]:
    """How the gradient moves the weights and buffers of one lane: w and g are (P,), v (K, P).

    They are one row of numbers; where threads share them, matrices, of which each thread moves what
    it has computed the gradient of.
    """
    optimizer, shapes = spec.optimizer, [(1, 1, spec.model.parameters)]
    if spec.shared:
        shapes = [(1, 1, *tensor.shape[1:]) for tensor in spec.model.init([0])]
    own_factors = max(0, spec.factors - 1)  # the first is that of lr
    count = len(shapes)

    def move(*inputs: Tensor) -> Sequence[Tensor]:
        weights, rest = inputs[:count], inputs[count:]
        moved = [rest[k * count : (k + 1) * count] for k in range(optimizer.buffers + 1)]
        (*buffers, g), (lr, *factors) = moved, rest[(optimizer.buffers + 1) * count :]
        optimizer.move(weights, buffers, (lr,) * count, g, factors)
        return *weights, *chain(*buffers)

    code = Code(spec.lanes, spec.width, spec.shared)
    moved = [
        *_consecutive(code, "w", shapes),
        *_consecutive(code, "v", shapes * optimizer.buffers),
    ]
    gradients = _consecutive(code, "g", shapes, is_const=True)
    factors = [Array((1, 1, 1), _factor(k)) for k in range(own_factors)]
    numbers = torch.ones(1, 1, 1)
    return function(
        code,
        f"descend({DESCEND})",
        trace(
            move,
            [
                *(torch.zeros(array.shape) for array in moved),
                *(torch.ones(array.shape) for array in gradients),
                *(numbers.clone() for _ in (1, *factors)),
            ],
        ),
        [*moved, *gradients, Array((1, 1, 1), lambda _: "lr"), *factors],
        # Written in place: the trace has each new value after all uses of the old one.
        moved,
    )


def _factor(number: int) -> Callable[[Index], str]:
    """The expression of a factor, the same for all lanes."""
    return lambda _: f"R(factors[{number}])"
