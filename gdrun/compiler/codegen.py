"""A traced computation as a C function.

Elementwise results aren't stored: their expressions are inlined where they are used, unless they
are used several times. Sums and matrix products are stored in memory.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gdrun.compiler.arrays import (
    Array,
    Index,
    expanded,
    in_memory,
    selected,
    squeezed,
    transposed,
    unsqueezed,
)
from gdrun.compiler.matmul import product
from gdrun.compiler.trace import Operation, Trace, Value
from gdrun.compiler.writer import Code

# Elementwise operations by the operators and functions of numbers.h.
ELEMENTWISE = {
    "abs": "absolute({0})",
    "add": "({0} + {1})",
    "clamp_min": "larger({0}, {1})",
    "div": "({0} / {1})",
    "erf": "error_function({0})",
    "eq": "({0} == {1})",
    "exp": "exponential({0})",
    "gt": "({0} > {1})",
    "le": "({0} <= {1})",
    "log": "logarithm({0})",
    "log1p": "logarithm_of_1_plus({0})",
    "lt": "({0} < {1})",
    "maximum": "larger({0}, {1})",
    "mul": "({0} * {1})",
    "neg": "(-{0})",
    "relu": "rectified({0})",
    "reciprocal": "(1 / {0})",
    "rsqrt": "(1 / square_root({0}))",
    "rsub": "({1} - {0})",
    "sgn": "sign({0})",
    "sigmoid": "sigmoid({0})",
    "sqrt": "square_root({0})",
    "sub": "({0} - {1})",
    "tanh": "hyperbolic_tangent({0})",
    "where": "pick({0}, {1}, {2})",
}
POWERS = {0.5: "square_root({0})", 1: "({0})", 2: "({0} * {0})", 3: "({0} * {0} * {0})"}
RESHAPES = frozenset({"view", "_unsafe_view", "reshape", "clone"})
SUM = "R(0)", "{0} += {1};"  # where a sum begins, and how it goes on
COMPARISONS = frozenset({"eq", "gt", "le", "lt"})  # what these give is no number
VIEWS: dict[str, Callable[..., Array]] = {
    "conj_physical": lambda array: array,
    "alias": lambda array: array,
    "detach": lambda array: array,
    "expand": expanded,
    "select": selected,
    "squeeze": squeezed,
    "t": lambda array: transposed(array, 0, 1),
    "transpose": transposed,
    "unsqueeze": unsqueezed,
}


class UnknownOperationError(Exception):
    """An operation has no counterpart in C; its name."""


def function(
    code: Code,
    head: str,
    trace: Trace,
    inputs: Sequence[Array],
    outputs: Sequence[Array],
) -> tuple[str, int]:
    """A trace as a C function, and how many `real` it needs at its parameter `work`.

    Args:
        code: empty.
        head: the function's name and parameters.
        trace: what it computes.
        inputs: the arrays that it reads, in the order of the trace's inputs.
        outputs: the arrays that it writes, in the order of the trace's outputs.

    Raises:
        UnknownOperationError: an operation has no counterpart in C.
    """
    arrays = dict(zip(trace.inputs, inputs, strict=True))
    places = dict(zip(trace.outputs, outputs, strict=True))
    uses = trace.uses()
    for operation in trace.operations:
        place = places.get(operation.result)
        if any(isinstance(a, Value) and a not in arrays for a in operation.arguments):
            raise UnknownOperationError(f"{operation.name} with a tensor that is no weight")
        try:
            result = _result(code, operation, arrays, place)
        except (KeyError, TypeError, ValueError):  # not known at all, or not with such arguments
            raise UnknownOperationError(operation.name) from None
        if place and result is not place:
            result = code.store(result, place)
        elif _is_worth_storing(operation, result, uses.get(operation.result, 0)):
            result = code.store(result)
        arrays[operation.result] = result
    for value, place in places.items():
        if value in trace.inputs:
            code.store(arrays[value], place)
    return code.function(head)


def _is_worth_storing(operation: Operation, result: Array, uses: int) -> bool:
    """Whether a result, used so often, is put in memory."""
    is_number = operation.name not in COMPARISONS
    return uses > 1 and is_number and not result.stored and math.prod(result.shape) > 1


def _result(
    code: Code, operation: Operation, arrays: Mapping[Value, Array], place: Array | None
) -> Array:
    """The result of an operation, stored at its place only if it has to be stored anyway."""
    name, shape = operation.name, operation.shape
    arguments: list[Any] = [arrays[a] if isinstance(a, Value) else a for a in operation.arguments]
    if name in VIEWS:
        return VIEWS[name](*arguments)
    if name == "scalar_tensor":
        return Array((), lambda _: _constant(arguments[0]))
    if name == "arange":
        return Array(shape, lambda index: f"R({index[0]})")
    if name in ("sum", "mean") and len(arguments) == 1:
        arguments.append(range(len(arguments[0].shape)))
    if name in ("sum", "mean", "amax"):
        return _reduction(code, *arguments, kind=name, place=place)
    if name in RESHAPES:
        return _reshaped(code, arguments[0], shape)
    if name in ("mm", "addmm"):
        bias, a, b = arguments if name == "addmm" else (None, *arguments)
        return _matrix_product(code, a, b, bias, place)
    if name in ("bmm", "baddbmm"):
        bias, a, b = arguments if name == "baddbmm" else (None, *arguments)
        return _product(code, a, b, bias, place)
    if name == "pow":
        return _elementwise(POWERS[arguments[1]], shape, arguments)
    return _elementwise(ELEMENTWISE[name], shape, arguments)


def _elementwise(pattern: str, shape: tuple[int, ...], arguments: Sequence[Any]) -> Array:
    """An expression of the arguments' elements, which are broadcast to a shape."""
    operands = [expanded(a, shape) if isinstance(a, Array) else a for a in arguments]

    def at(index: Index) -> str:
        elements = (a.at(index) if isinstance(a, Array) else _constant(a) for a in operands)
        return pattern.format(*elements)

    return Array(shape, at)


def _product(code: Code, a: Array, b: Array, bias: Array | None, place: Array | None) -> Array:
    """Bias + a b: (1, M, K), (1, K, N) → (1, M, N)."""
    if a.shape[2] != 1:
        a, b = (array if array.stored else code.store(array) for array in (a, b))
        return product(code, a, b, bias, place)
    shape = (1, a.shape[1], b.shape[2])  # a column times a row is elementwise
    outer = _elementwise("({0} * {1})", shape, [a, b])
    return _elementwise("({0} + {1})", shape, [bias, outer]) if bias else outer


def _matrix_product(
    code: Code, a: Array, b: Array, bias: Array | None, place: Array | None
) -> Array:
    """Bias + a b: (M, K), (K, N) → (M, N)."""
    batch_bias = expanded(bias, (1, a.shape[0], b.shape[1])) if bias else None
    as_batch = in_memory(place.pointer, (1, *place.shape)) if place and place.pointer else None
    found = _product(code, unsqueezed(a, 0), unsqueezed(b, 0), batch_bias, as_batch)
    return place if as_batch and found is as_batch and place else selected(found, 0, 0)


def _reshaped(code: Code, array: Array, shape: tuple[int, ...]) -> Array:
    """The same elements, in their order, with other axes."""
    if in_memory("", array.shape).strides != array.strides or not array.stored:
        array = code.store(array)
    assert array.pointer is not None
    return in_memory(array.pointer, shape)


def _reduction(
    code: Code,
    array: Array,
    axes: Sequence[int],
    keepdim: bool = False,
    *,
    kind: str,
    place: Array | None,
) -> Array:
    """Sums, means or largest elements along axes."""
    reduced = [axis % len(array.shape) for axis in axes]
    kept = [1 if axis in reduced else n for axis, n in enumerate(array.shape)]
    summed = [n if axis in reduced else 1 for axis, n in enumerate(array.shape)]
    shape = kept if keepdim else [n for axis, n in enumerate(kept) if axis not in reduced]
    out = place or code.buffer(shape)
    assert out.pointer is not None
    found = in_memory(out.pointer, kept)
    scale = f" / {math.prod(summed)}" if kind == "mean" else ""
    first, add = ("R(-INFINITY)", "{0} = larger({0}, {1});") if kind == "amax" else SUM
    if kept[-1] > 1:  # sums that are adjacent in memory grow together, as vectors
        free = [axis for axis, n in enumerate(kept) if n > 1]
        with code.one_statement():
            code.store(_elementwise(first, tuple(kept), []), found)
            with code.loops(array.shape, shared=free) as index:
                target = ["0" if axis in reduced else i for axis, i in enumerate(index)]
                code.emit(add.format(found.at(target), array.at(index)))
            if scale:
                code.store(_elementwise(f"{{0}}{scale}", tuple(kept), [found]), found)
    else:
        with code.loops(kept) as target, code.block():
            code.emit(f"real sum = {first};")
            with code.loops(summed, "uvwx") as along:
                index = [
                    a if axis in reduced else t
                    for axis, (a, t) in enumerate(zip(along, target, strict=True))
                ]
                code.emit(add.format("sum", array.at(index)))
            code.emit(f"{found.at(target)} = sum{scale};")
    return out


def _constant(value: float) -> str:
    if math.isinf(value):
        return "R(INFINITY)" if value > 0 else "R(-INFINITY)"
    return f"R({float(value)!r})"
