"""What ranks that share the runs of a group tell each other: which are taken, and how they go."""

import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

from gdrun.experiment.distributed.notes import Notes
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure

REPORT_SECONDS = 0.5  # between two reports to rank 0
POLL_SECONDS = 0.1
NEXT, ENDED, PROGRESS, STOP = "next", "ended", "progress", "stop"  # in the store


class Board:
    """The board of a group, as one of the ranks sees it.

    Everything that is pickled there is written and read by processes of the same command.

    Args:
        notes: where it is.
        names: of the runs, the first to be taken first.
    """

    def __init__(self, notes: Notes, names: list[str]) -> None:
        self._notes, self._names = notes, names
        self._looked = self._asked = 0.0
        self._is_stopped = False
        self._failed: set[str] = set()

    def taken(self) -> Iterator[str]:
        """The runs that this rank takes, as long as some are left and nobody has asked to stop."""
        while not self._is_stopped:
            number = self._notes.count(NEXT)
            if number >= len(self._names):
                return
            yield self._names[number]

    def stops(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """Whether to stop: a rank has been asked to, or has failed, as far as is known by now."""

        def asked() -> bool:
            if stop() and not self._is_stopped:
                self._notes.say(STOP, "")
                self._is_stopped = True
            if not self._is_stopped and time.monotonic() - self._looked > POLL_SECONDS:
                self._looked = time.monotonic()
                self._is_stopped = self._notes.has_said(STOP)
            return self._is_stopped

        return asked

    def report(self, progress: RunProgress) -> None:
        """Show rank 0 how far a run of this rank is."""
        self._notes.say(f"{PROGRESS}/{self._notes.rank}", pickle.dumps(progress).hex())

    def end(self, name: str, failure: Failure | None = None) -> None:
        """Note that a run has ended, or failed."""
        self._notes.say(f"{ENDED}/{name}", pickle.dumps(failure).hex())

    def has_ended(self, name: str) -> bool:
        """Whether a run has ended, and not failed."""
        return self._notes.has_said(f"{ENDED}/{name}") and name not in self._failed

    def news(self) -> Iterator[RunProgress | Failure]:
        """How far other ranks are, and what has failed there since this was asked last."""
        if time.monotonic() - self._asked < REPORT_SECONDS:
            return
        self._asked = time.monotonic()
        for rank in range(1, self._notes.size):
            if progress := self._found(f"{PROGRESS}/{rank}"):
                yield progress
        yield from self.failures()

    def failures(self) -> Iterator[Failure]:
        """What has failed on other ranks since this was asked last."""
        for name in self._names:
            if name not in self._failed and (failure := self._found(f"{ENDED}/{name}")):
                self._failed.add(name)
                yield failure

    def _found(self, key: str) -> Any:
        text = self._notes.word(key)
        return pickle.loads(bytes.fromhex(text)) if text else None
