"""A recorded computation as a function in C.

Operations number by number are worked out where their results are asked for, once or for each that
asks; sums and products of matrices are put in memory.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gdrun.compiler.arrays import Array, Index, expanded, in_memory, transposed, unsqueezed
from gdrun.compiler.matmul import product
from gdrun.compiler.trace import Operation, Recording, Value
from gdrun.compiler.writer import Code

# Number by number, in the words of numbers.h.
NUMBERS = {
    "abs": "absolute({0})",
    "add": "({0} + {1})",
    "div": "({0} / {1})",
    "erf": "error_function({0})",
    "exp": "exponential({0})",
    "gt": "({0} > {1})",
    "le": "({0} <= {1})",
    "lt": "({0} < {1})",
    "mul": "({0} * {1})",
    "neg": "(-{0})",
    "relu": "rectified({0})",
    "rsub": "({1} - {0})",
    "sgn": "sign({0})",
    "sigmoid": "sigmoid({0})",
    "sub": "({0} - {1})",
    "tanh": "hyperbolic_tangent({0})",
    "where": "pick({0}, {1}, {2})",
}
VIEWS: dict[str, Callable[..., Array]] = {
    "conj_physical": lambda array: array,
    "detach": lambda array: array,
    "expand": expanded,
    "transpose": transposed,
    "unsqueeze": unsqueezed,
}


def function(
    code: Code,
    head: str,
    recording: Recording,
    inputs: Sequence[Array],
    outputs: Sequence[Array],
) -> tuple[str, int]:
    """What was recorded as a C function, and how many numbers it takes to `work` with.

    Args:
        code: no lines yet.
        head: its name and parameters.
        recording: what it computes.
        inputs: what it finds them by, in their order.
        outputs: where it puts them.

    Raises:
        KeyError: an operation has no counterpart in C.
    """
    arrays = dict(zip(recording.inputs, inputs, strict=True))
    places = dict(zip(recording.outputs, outputs, strict=True))
    uses = recording.uses()
    for operation in recording.operations:
        place = places.get(operation.result)
        found = _result(code, operation, arrays, place)
        asked_for = uses.get(operation.result, 0)
        if place and found is not place:
            found = code.keep(found, place)
        elif asked_for > 1 and not found.stored and math.prod(found.shape) > 1:
            found = code.keep(found)
        arrays[operation.result] = found
    for value, place in places.items():
        if value in recording.inputs:
            code.keep(arrays[value], place)
    return code.function(head)


def _result(
    code: Code, operation: Operation, arrays: Mapping[Value, Array], place: Array | None
) -> Array:
    name, shape = operation.name, operation.shape
    arguments: list[Any] = [arrays[a] if isinstance(a, Value) else a for a in operation.arguments]
    if name in VIEWS:
        return VIEWS[name](*arguments)
    if name == "scalar_tensor":
        return Array((), lambda _: _number(arguments[0]))
    if name in ("sum", "mean"):
        return _summed(code, *arguments, mean=name == "mean", place=place)
    if name in ("bmm", "baddbmm"):
        first, a, b = arguments if name == "baddbmm" else (None, *arguments)
        return _product(code, a, b, first, place)
    if name == "pow" and arguments[1] == 2:
        name, arguments = "mul", [arguments[0]] * 2
    return _numbers(NUMBERS[name], shape, arguments)


def _numbers(pattern: str, shape: tuple[int, ...], arguments: Sequence[Any]) -> Array:
    """An operation number by number."""
    wide = [expanded(a, shape) if isinstance(a, Array) else a for a in arguments]

    def at(index: Index) -> str:
        return pattern.format(*(a.at(index) if isinstance(a, Array) else _number(a) for a in wide))

    return Array(shape, at)


def _product(code: Code, a: Array, b: Array, first: Array | None, place: Array | None) -> Array:
    """First + a b."""
    if a.shape[2] != 1:
        a, b = (array if array.stored else code.keep(array) for array in (a, b))
        return product(code, a, b, first, place)
    shape = (1, a.shape[1], b.shape[2])  # a column times a row
    numbers = _numbers("({0} * {1})", shape, [a, b])
    return _numbers("({0} + {1})", shape, [first, numbers]) if first else numbers


def _summed(
    code: Code,
    array: Array,
    axes: Sequence[int],
    keepdim: bool = False,
    *,
    mean: bool,
    place: Array | None,
) -> Array:
    """Sums or means along axes."""
    gone = [axis % len(array.shape) for axis in axes]
    kept = [1 if axis in gone else n for axis, n in enumerate(array.shape)]
    summed = [n if axis in gone else 1 for axis, n in enumerate(array.shape)]
    shape = kept if keepdim else [n for axis, n in enumerate(kept) if axis not in gone]
    out = place or code.buffer(shape)
    assert out.pointer is not None
    sums = in_memory(out.pointer, kept)
    scale = f" / {math.prod(summed)}" if mean else ""
    # Where neighbours are summed each for itself, all of them at a time.
    if kept[-1] > 1:
        code.keep(_numbers("R(0)", tuple(kept), []), sums)
        with code.loops(array.shape) as index:
            own = ["0" if axis in gone else i for axis, i in enumerate(index)]
            code.say(f"{sums.at(own)} += {array.at(index)};")
        if mean:
            code.keep(_numbers(f"{{0}}{scale}", tuple(kept), [sums]), sums)
    else:
        with code.loops(kept) as own, code.block():
            code.say("real sum = R(0);")
            with code.loops(summed, "uvwx") as along:
                both = [
                    a if axis in gone else o
                    for axis, (a, o) in enumerate(zip(along, own, strict=True))
                ]
                code.say(f"sum += {array.at(both)};")
            code.say(f"{sums.at(own)} = sum{scale};")
    return out


def _number(value: float) -> str:
    """A constant."""
    if math.isinf(value):
        return "R(INFINITY)" if value > 0 else "R(-INFINITY)"
    return f"R({float(value)!r})"
