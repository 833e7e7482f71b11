"""One process at a time in a run's directory: a lock that dies with its process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from gdrun.errors import ConfigError

LOCK = ".lock"
# A reader holds the lock for a moment to see whether it is free.
PATIENCE_SECONDS = 0.5


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a run or group while `with` lasts.

    Raises:
        ConfigError: another process holds it.
        OSError: the lock can't be made.
    """
    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=PATIENCE_SECONDS)
    except Timeout:
        raise ConfigError(
            f"{directory}: another process is training it",
            "wait for it to end, or stop it; nothing was changed",
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_locked(directory: Path) -> bool:
    """Whether a process is at work on a run or group.

    Raises:
        OSError: that can't be found out.
    """
    if not (directory / LOCK).exists():
        return False
    try:
        with FileLock(directory / LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True
