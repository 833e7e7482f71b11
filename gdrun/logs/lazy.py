"""A table of a run that is read when one of its columns is first needed."""

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence


class LazyTable(Mapping[str, "array[float]"]):
    """The columns of one lane, read together with those of its neighbours."""

    def __init__(self, read: Callable[[], Sequence[Mapping[str, "array[float]"]]], lane: int):
        self._read = read
        self._lane = lane

    def __getitem__(self, name: str) -> "array[float]":
        return self._read()[self._lane][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._read()[self._lane])

    def __len__(self) -> int:
        return len(self._read()[self._lane])
