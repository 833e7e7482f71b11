"""Lines of C: loops over indices, and arrays that are put in memory."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gdrun.compiler.arrays import Array, in_memory

# Numbers of a lane that are kept on the stack; more are put where the caller says (64 KB).
STACK_NUMBERS = 2**14


class Code:
    """The lines of one C function.

    Args:
        lanes: how many numbers a `real` has.
        width: how many floats the processor computes with at a time.
    """

    def __init__(self, lanes: int, width: int) -> None:
        self.lanes, self.width = lanes, width
        self.buffers: list[int] = []
        self._lines: list[str] = []
        self._depth = 1

    def say(self, line: str) -> None:
        """Add a line."""
        self._lines.append("    " * self._depth + line)

    @contextmanager
    def block(self, head: str = "") -> Iterator[None]:
        """What is said meanwhile, in braces after a head."""
        self.say(f"{head} {{".strip())
        self._depth += 1
        yield
        self._depth -= 1
        self.say("}")

    @contextmanager
    def loops(self, shape: Sequence[int], names: str = "ijkl") -> Iterator[list[str]]:
        """Loops over all indices of a shape, the last axis innermost; none along axes of one."""
        index = ["0" if length == 1 else name for length, name in zip(shape, names, strict=False)]
        for length, name in zip(shape, index, strict=True):
            if name != "0":
                self.say(f"for (int {name} = 0; {name} < {length}; {name}++) {{")
                self._depth += 1
        yield index
        for name in index:
            if name != "0":
                self._depth -= 1
                self.say("}")

    def buffer(self, shape: Sequence[int]) -> Array:
        """Memory for an array."""
        self.buffers.append(max(1, math.prod(shape)))
        return in_memory(f"t{len(self.buffers)}", shape)

    def keep(self, array: Array, place: Array | None = None) -> Array:
        """An array put in memory."""
        kept = place or self.buffer(array.shape)
        with self.loops(array.shape) as index:
            self.say(f"{kept.at(index)} = {array.at(index)};")
        return kept

    def function(self, head: str) -> tuple[str, int]:
        """The whole function, and how many numbers it takes to `work` with."""
        start, found = 0, [f"static inline void {head}", "{"]
        on_the_stack = sum(self.buffers) * self.lanes <= STACK_NUMBERS
        for k, numbers in enumerate(self.buffers, start=1):
            if on_the_stack:
                found.append(f"    real t{k}[{numbers}] __attribute__((aligned(64)));")
            else:
                found.append(f"    real *restrict t{k} = work + {start};")
                start += -(-numbers // 16) * 16
        return "\n".join([*found, *self._lines, "}", ""]), start
