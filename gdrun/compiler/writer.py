"""Lines of a C function: statements, loops over indices, and buffers."""

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from gdrun.compiler.arrays import Array, in_memory

# A function with larger buffers takes them from its caller, not from the stack (64 KB).
MAX_STACK_FLOATS = 2**14


class Code:
    """The body of one C function, written line by line.

    Args:
        lanes: floats in a `real`, one of each lane.
        width: floats in a vector register.
    """

    def __init__(self, lanes: int, width: int) -> None:
        self.lanes, self.width = lanes, width
        self._buffers: list[int] = []
        self._lines: list[str] = []
        self._depth = 1

    def emit(self, line: str) -> None:
        """Add a line at the present indentation."""
        self._lines.append("    " * self._depth + line)

    @contextmanager
    def block(self) -> Iterator[None]:
        """Put what is emitted meanwhile in braces."""
        with self._braces("{"):
            yield

    @contextmanager
    def loops(self, shape: Sequence[int], names: str = "ijkl") -> Iterator[list[str]]:
        """Loops over all indices of a shape, the last axis innermost; none for axes of length 1.

        What is emitted meanwhile is their body.
        """
        index = ["0" if length == 1 else name for length, name in zip(shape, names, strict=False)]
        with ExitStack() as open_loops:
            for length, name in zip(shape, index, strict=True):
                if name != "0":
                    head = f"for (int {name} = 0; {name} < {length}; {name}++) {{"
                    open_loops.enter_context(self._braces(head))
            yield index

    @contextmanager
    def steps(
        self, name: str, start: str, end: int, step: int = 1, most: int | None = None
    ) -> Iterator[None]:
        """A loop over an index from a start to an end, or over at most so many indices."""
        within = f" && {name} < {start} + {most}" if most else ""
        with self._braces(
            f"for (int {name} = {start}; {name} < {end}{within}; {name} += {step}) {{"
        ):
            yield

    @contextmanager
    def _braces(self, head: str) -> Iterator[None]:
        self.emit(head)
        self._depth += 1
        yield
        self._depth -= 1
        self.emit("}")

    def buffer(self, shape: Sequence[int]) -> Array:
        """Memory of the function's own for an array."""
        self._buffers.append(max(1, math.prod(shape)))
        return in_memory(f"t{len(self._buffers)}", shape)

    def store(self, array: Array, place: Array | None = None) -> Array:
        """Put an array's elements in memory: at a place, or in a new buffer."""
        stored = place or self.buffer(array.shape)
        with self.loops(array.shape) as index:
            self.emit(f"{stored.at(index)} = {array.at(index)};")
        return stored

    def function(self, head: str) -> tuple[str, int]:
        """The whole function, and how many `real` it needs at its parameter `work`."""
        size, declarations = 0, []
        on_stack = sum(self._buffers) * self.lanes <= MAX_STACK_FLOATS
        for k, length in enumerate(self._buffers, start=1):
            if on_stack:
                declarations.append(f"    real t{k}[{length}] __attribute__((aligned(64)));")
            else:
                declarations.append(f"    real *restrict t{k} = work + {size};")
                size += -(-length // 16) * 16
        lines = [f"static inline void {head}", "{", *declarations, *self._lines, "}", ""]
        return "\n".join(lines), size
