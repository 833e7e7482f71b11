"""Whether all threads or one execute the updates of a call: what was faster when it was last tried.

Threads that share an update wait for each other many times in it. On a machine with other work,
where one of them may not be running, all of them can take several times as long as one.
"""

# Calls after which what was slower is tried again, and how often that may double.
RETRY, MOST_RETRY = 8, 128


class ThreadChoice:
    """The number of threads of one call after the other; the results don't depend on it.

    Args:
        most: the threads that there are.
    """

    def __init__(self, most: int) -> None:
        self._seconds = {most: 0.0, 1: 0.0}  # of an update; 0: to be tried
        self._is_first = True
        self._until_retry = self._retry = RETRY

    @property
    def threads(self) -> int:
        """Those of the next call."""
        faster, *slower = self._ranking()
        return slower[0] if slower and self._until_retry == 0 else faster

    def _ranking(self) -> list[int]:
        return sorted(self._seconds, key=lambda threads: self._seconds[threads])

    def took(self, threads: int, seconds: float) -> None:
        """Note the seconds of an update in a call with so many threads."""
        if self._is_first:  # memory that is touched for the first time takes most of it
            self._is_first = False
            return
        self._seconds[threads] = seconds
        if self._until_retry > 0:
            self._until_retry -= 1
            return
        is_faster = self._ranking()[0] == threads
        self._retry = RETRY if is_faster else min(2 * self._retry, MOST_RETRY)
        self._until_retry = self._retry
