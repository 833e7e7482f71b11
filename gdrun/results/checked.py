"""A known answer, and what this installation has given for it."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class CheckedAnswer:
    """A known answer, and what each engine has given for it.

    Attributes:
        what, source, why: in words: what it is, where it and its tolerance come from.
        expected, tolerance: the number, and by how much it may differ.
        measured: by engine.
    """

    what: str
    source: str
    why: str
    expected: float
    tolerance: float
    measured: Mapping[str, float]

    @property
    def failed(self) -> tuple[str, ...]:
        """The engines that have given another number."""
        return tuple(
            engine
            for engine, value in self.measured.items()
            if not abs(value - self.expected) <= self.tolerance
        )
