"""Whether all threads or one execute the updates of a call: as was faster when both were tried.

Threads that share an update wait for each other many times in it. On a machine with other work,
where one of them may not be running, all of them can take several times as long as one.
"""

import math

PAYS = 0.95  # of the time of one thread, at most, that all of them may take
# Seconds by one thread after which all are tried again, and how many these may become.
RETRY, MOST_RETRY = 0.1, 12.8


class ThreadChoice:
    """The number of threads of one call after the other; the results don't depend on it.

    Args:
        most: the threads that there are.
    """

    def __init__(self, most: int) -> None:
        self._most, self._chosen = most, 1
        self._pace = {1: math.inf, most: math.inf}  # seconds of an update, in the last call
        # The first call touches memory for the first time, which takes most of it.
        self._trial = [1, most, 1] if most > 1 else []
        self._until_retry = self._retry = RETRY

    @property
    def is_trial(self) -> bool:
        """Whether the next call is there to find out, and had better be short."""
        return bool(self._trial)

    @property
    def threads(self) -> int:
        """Those of the next call."""
        return self._trial[0] if self._trial else self._chosen

    def took(self, threads: int, updates: int, seconds: float) -> None:
        """Note the seconds of a call of so many updates, with so many threads."""
        pace = self._pace[threads] = seconds / updates
        if self._trial:
            self._trial.pop(0)
            if not self._trial:
                self._choose(self._retry * 2)
        elif threads > 1:
            if pace > self._pace[1]:  # one has been faster
                self._choose(self._retry)
        else:
            self._until_retry -= seconds
            if self._until_retry <= 0 and self._most > 1:
                self._trial = [self._most, 1]

    def _choose(self, retry: float) -> None:
        """Choose the faster, and when to try again whether more threads than one are."""
        pays = self._pace[self._most] < PAYS * self._pace[1]
        self._chosen = self._most if pays else 1
        self._retry = RETRY if pays else min(retry, MOST_RETRY)
        self._until_retry = self._retry
