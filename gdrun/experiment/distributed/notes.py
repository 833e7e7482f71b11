"""What ranks leave word of for each other, in a store that the launcher keeps.

It outlives any of them: what a rank has left there can be read when it is gone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch.distributed.distributed_c10d import Store

from gdrun.errors import RankError, one_line

T = TypeVar("T")


@dataclass(frozen=True)
class Notes:
    """The store, as one of the ranks uses it.

    Attributes:
        rank: which it is.
        size: how many there are.
        store: what all of them write to and read.
    """

    rank: int
    size: int
    store: Store

    def say(self, key: str, text: str) -> None:
        """Leave word in the store.

        Raises:
            RankError: the store is gone.
        """
        self._in_store(lambda: self.store.set(key, text))

    def has_said(self, key: str) -> bool:
        """Whether any rank has left word.

        Raises:
            RankError: the store is gone.
        """
        return self._in_store(lambda: self.store.check([key]))

    def word(self, key: str) -> str:
        """The word that was left last; none if nobody has.

        Raises:
            RankError: the store is gone.
        """
        return self._in_store(lambda: word_in(self.store, key))

    def count(self, key: str) -> int:
        """How often this was asked before, by any rank.

        Raises:
            RankError: the store is gone.
        """
        return self._in_store(lambda: self.store.add(key, 1)) - 1

    def _in_store(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except RuntimeError as error:
            others = [k for k in range(self.size) if k != self.rank]
            raise RankError(
                "the process that keeps the ranks together is gone, and rank 0 with it perhaps: "
                + one_line(error),
                lost=others,
            ) from error


def word_in(store: Store, key: str) -> str:
    """What a store holds under a key; nothing where that is missing, which `get` would wait for."""
    return store.get(key).decode() if store.check([key]) else ""
