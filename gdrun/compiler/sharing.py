"""Which statements of a function threads can execute without waiting for each other.

Where threads share an update, each executes its part of the outermost loop of every statement, and
what is no loop is left to the first of them. They wait where a statement touches what others may
have written, or writes what others may still read.
"""

import re
from collections.abc import Sequence

# An element in memory: the name of its array, which an offset may follow, and the index.
ELEMENT = re.compile(r"\b([a-z]\w*)(?: \+ \d+\))*\[([^\]]*)\]")
ASSIGNMENT = re.compile(r"(.*?) \+?= (.*);")

Element = tuple[str, str]


def parts(statements: Sequence[Sequence[str]]) -> list[list[str]]:
    """The lines of consecutive statements between which nobody has to wait."""
    found: list[list[str]] = []
    since: list[_Statement] = []  # the statements since all have waited
    for lines in statements:
        statement = _Statement(lines)
        if not found or any(statement.needs(earlier) for earlier in since):
            found.append([])
            since = []
        found[-1] += lines
        since.append(statement)
    return found


class _Statement:
    """What a statement loops over, and the elements that it writes and reads."""

    def __init__(self, lines: Sequence[str]) -> None:
        self._loops = [line for line in lines if line.strip().startswith(("for ", "if "))]
        self._written, self._read = set[Element](), set[Element]()
        for line in lines:
            if found := ASSIGNMENT.fullmatch(line.strip()):
                self._written.update(ELEMENT.findall(found[1]))
                self._read.update(ELEMENT.findall(found[2]))

    def needs(self, earlier: "_Statement") -> bool:
        """Whether a thread's part of it may need more of an earlier one than its own part."""
        common = _arrays(self._read) & _arrays(earlier._written)
        common |= _arrays(self._written) & _arrays(earlier._read)
        if self._loops != earlier._loops:
            return bool(common)
        elements = self._written | self._read | earlier._written | earlier._read
        return any(len({i for name, i in elements if name == array}) > 1 for array in common)


def _arrays(elements: set[Element]) -> set[str]:
    return {array for array, _ in elements}
