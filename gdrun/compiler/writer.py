"""Lines of a C function: statements, loops over indices, and buffers."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain

from gdrun.compiler.arrays import Array, in_memory
from gdrun.compiler.sharing import parts

ALONE = "if (me.number == me.count - 1)"  # one thread does what can't be shared
# A function with larger buffers takes them from its caller, not from the stack (64 KB).
MAX_STACK_FLOATS = 2**14
# Loops that are at least so long are shared by threads in blocks, the same ones in all such loops:
# most of what a thread reads, it has written itself, and has in its cache.
WIDE, BLOCK = 128, 64


class Code:
    """The body of one C function, written line by line.

    Args:
        lanes: floats in a `real`, one of each lane.
        width: floats in a vector register.
        shared: whether threads share its outermost loops; the head of the function must end with
            the parameter `struct member me`.
    """

    def __init__(self, lanes: int, width: int, shared: bool = False) -> None:
        self.lanes, self.width, self.shared = lanes, width, shared
        self._buffers: list[int] = []
        self._declarations: dict[str, None] = {}
        self._statements: list[list[str]] = []  # the lines of each
        self._depth, self._is_one = 1, False

    def emit(self, line: str) -> None:
        """Add a line at the present indentation."""
        if self._depth == 1:
            self._begin()
            line = f"{ALONE} {line}" if self.shared else line
        self._statements[-1].append("    " * self._depth + line)

    def _begin(self) -> None:
        if not self._is_one:
            self._statements.append([])

    @contextmanager
    def one_statement(self) -> Iterator[None]:
        """Say that no thread needs what others write of what is emitted meanwhile."""
        self._begin()
        self._is_one = True
        yield
        self._is_one = False

    @contextmanager
    def block(self, is_shared: bool = True) -> Iterator[None]:
        """Put what is emitted meanwhile in braces; left to one thread if it isn't shared."""
        alone = self.shared and (self._depth == 1 or not is_shared)
        with self._braces(f"{ALONE} {{" if alone else "{"):
            yield

    @contextmanager
    def loops(
        self,
        shape: Sequence[int],
        names: str = "ijkl",
        shared: Sequence[int] | None = None,
        block: int | None = None,
    ) -> Iterator[list[str]]:
        """Loops over all indices of a shape, the last axis innermost; none for axes of length 1.

        What is emitted meanwhile is their body.

        Args:
            shape: how many there are along each axis.
            names: of the indices.
            shared: the axes of which threads may share one; by default all of outermost loops.
            block: what a thread's part begins at a multiple of, if its axis doesn't say it.
        """
        index = ["0" if length == 1 else name for length, name in zip(shape, names, strict=False)]
        axes = [axis for axis, name in enumerate(index) if name != "0"]
        may_share = axes if self._depth == 1 and shared is None else shared or ()
        chosen = self._shared_axis(shape, [axis for axis in axes if axis in may_share])
        with ExitStack() as open_loops:
            for axis in axes:
                start, end = "0", str(shape[axis])
                if axis == chosen:
                    size = block or (BLOCK if axis == axes[-1] else _block(shape[axis]))
                    start, end = self._part(shape[axis], size)
                open_loops.enter_context(self._loop(index[axis], start, end))
            yield index

    def _part(self, length: int, block: int) -> tuple[str, str]:
        """Where a thread's part of a loop begins and ends; found once, before all loops."""
        names = f"begin_{length}_{block}", f"end_{length}_{block}"
        for name, function in zip(names, ("begin_of", "end_of"), strict=True):
            self._declarations[f"    const int {name} = {function}(me, {length}, {block});"] = None
        return names

    def _shared_axis(self, shape: Sequence[int], axes: Sequence[int]) -> int | None:
        """The last axis where that is long (units), the first of several otherwise (rows)."""
        if not self.shared or not axes:
            return None
        return axes[-1] if shape[axes[-1]] >= WIDE else axes[0]

    @contextmanager
    def steps(
        self, name: str, start: str, end: int, step: int = 1, most: int | None = None
    ) -> Iterator[None]:
        """A loop over an index from a start to an end, or over at most so many indices."""
        within = f" && {name} < {start} + {most}" if most else ""
        stop = str(end)
        if self.shared and self._depth == 1:
            start, stop = self._part(end, _block(end, step))
        with self._loop(name, start, stop + within, f"{name} += {step}"):
            yield

    @contextmanager
    def _loop(self, name: str, start: str, end: str, go_on: str = "") -> Iterator[None]:
        with self._braces(f"for (int {name} = {start}; {name} < {end}; {go_on or name + '++'}) {{"):
            yield

    @contextmanager
    def _braces(self, head: str) -> Iterator[None]:
        if self._depth == 1:
            self._begin()
        self._statements[-1].append("    " * self._depth + head)
        self._depth += 1
        yield
        self._depth -= 1
        self._statements[-1].append("    " * self._depth + "}")

    def buffer(self, shape: Sequence[int]) -> Array:
        """Memory of the function's own for an array."""
        self._buffers.append(max(1, math.prod(shape)))
        return in_memory(f"t{len(self._buffers)}", shape)

    def pointer(self, name: str, expression: str, is_const: bool = False) -> str:
        """The name of a pointer of the function's own, by which it alone accesses an array."""
        const = "const " if is_const else ""
        self._declarations[f"    {const}real *restrict {name} = {expression};"] = None
        return name

    def store(self, array: Array, place: Array | None = None) -> Array:
        """Put an array's elements in memory: at a place, or in a new buffer."""
        stored = place or self.buffer(array.shape)
        with self.loops(array.shape) as index:
            self.emit(f"{stored.at(index)} = {array.at(index)};")
        return stored

    def function(self, head: str) -> tuple[str, int]:
        """The whole function, and how many `real` it needs at its parameter `work`."""
        size, declarations = 0, [*self._declarations]
        on_stack = not self.shared and sum(self._buffers) * self.lanes <= MAX_STACK_FLOATS
        for k, length in enumerate(self._buffers, start=1):
            if on_stack:
                declarations.append(f"    real t{k}[{length}] __attribute__((aligned(64)));")
            else:
                declarations.append(f"    real *restrict t{k} = work + {size};")
                size += -(-length // 16) * 16
        if not self.shared:
            return _function(head, [*declarations, *chain.from_iterable(self._statements)]), size
        # A function for each part: what it may keep in registers, others neither read nor write.
        name, parameters = head.removesuffix(")").split("(", 1)
        arguments = ", ".join(each.split()[-1].lstrip("*") for each in parameters.split(","))
        functions, calls = [], list[str]()
        for k, lines in enumerate(parts(self._statements), start=1):
            functions.append(_function(f"{name}_{k}({parameters})", [*declarations, *lines]))
            calls += ["    meet(me);"] * (k > 1) + [f"    {name}_{k}({arguments});"]
        whole = _function(head.replace("restrict ", ""), calls)
        return "\n".join([*functions, whole]), size


def _block(length: int, least: int = 4) -> int:
    """What the parts of a loop begin at multiples of: of the rows in registers, at `least`."""
    return BLOCK if length >= WIDE else least


def _function(head: str, lines: Sequence[str]) -> str:
    return "\n".join([f"static inline void {head}", "{", *lines, "}", ""])
