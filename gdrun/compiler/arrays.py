"""Tensors as C expressions: stored in memory, or computed where an element is used.

An index holds one C expression per axis, "0" along axes of length one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Index = Sequence[str]


@dataclass(frozen=True)
class Array:
    """A tensor in the generated C.

    Attributes:
        shape: its lengths, outermost axis first.
        at: an index → the C expression of that element.
        pointer: the C expression of its first element's address; None: it isn't in memory.
        strides: elements of memory from one index to the next along each axis.
    """

    shape: tuple[int, ...]
    at: Callable[[Index], str]
    pointer: str | None = None
    strides: tuple[int, ...] = ()

    @property
    def stored(self) -> bool:
        """Whether it is in memory."""
        return self.pointer is not None

    def contiguous_along(self, axis: int) -> bool:
        """Whether consecutive elements along an axis are adjacent in memory."""
        return self.stored and self.strides[axis] == 1


def in_memory(pointer: str, shape: Sequence[int]) -> Array:
    """A row-major array that starts at a pointer."""
    strides, step = [], 1
    for length in reversed(shape):
        strides.append(step)
        step *= length
    return strided(pointer, tuple(shape), tuple(reversed(strides)))


def strided(pointer: str, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """An array that starts at a pointer, with a stride for each axis."""

    def at(index: Index) -> str:
        terms = [
            i if stride == 1 else f"({i}) * {stride}"
            for i, stride in zip(index, strides, strict=True)
            if i != "0" and stride
        ]
        return f"{pointer}[{' + '.join(terms) or '0'}]"

    return Array(shape, at, pointer, strides)


def transposed(array: Array, first: int, second: int) -> Array:
    """A view with two axes exchanged."""
    order = list(range(len(array.shape)))
    order[first], order[second] = order[second], order[first]
    shape = tuple(array.shape[axis] for axis in order)
    if array.pointer is not None:
        return strided(array.pointer, shape, tuple(array.strides[axis] for axis in order))
    return Array(shape, lambda index: array.at([index[axis] for axis in order]))


def unsqueezed(array: Array, axis: int) -> Array:
    """A view with one more axis, of length one."""
    axis %= len(array.shape) + 1
    shape = (*array.shape[:axis], 1, *array.shape[axis:])
    if array.pointer is not None:
        strides = (*array.strides[:axis], 0, *array.strides[axis:])
        return strided(array.pointer, shape, strides)
    return Array(shape, lambda index: array.at([*index[:axis], *index[axis + 1 :]]))


def selected(array: Array, axis: int, position: int) -> Array:
    """A view of one position along an axis, which it lacks."""
    axis %= len(array.shape)
    position %= array.shape[axis]
    shape = (*array.shape[:axis], *array.shape[axis + 1 :])
    if array.pointer is not None:
        offset = position * array.strides[axis]
        pointer = f"({array.pointer} + {offset})" if offset else array.pointer
        return strided(pointer, shape, (*array.strides[:axis], *array.strides[axis + 1 :]))
    return Array(shape, lambda i: array.at([*i[:axis], str(position), *i[axis:]]))


def squeezed(array: Array, axes: int | Sequence[int]) -> Array:
    """A view without some axes, as far as they are of length one."""
    given = [axes] if isinstance(axes, int) else axes
    for axis in sorted((axis % len(array.shape) for axis in given), reverse=True):
        array = selected(array, axis, 0) if array.shape[axis] == 1 else array
    return array


def expanded(array: Array, shape: Sequence[int]) -> Array:
    """A view repeated along new leading axes and axes of length one; −1 keeps a length."""
    new = len(shape) - len(array.shape)
    lengths = (1,) * new + array.shape
    result = tuple(own if n == -1 else n for n, own in zip(shape, lengths, strict=True))
    if array.pointer is not None:
        steps = (0,) * new + array.strides
        strides = tuple(0 if n == 1 else step for n, step in zip(lengths, steps, strict=True))
        return strided(array.pointer, result, strides)

    def at(index: Index) -> str:
        pairs = zip(index[new:], array.shape, strict=True)
        return array.at(["0" if length == 1 else i for i, length in pairs])

    return Array(result, at)
