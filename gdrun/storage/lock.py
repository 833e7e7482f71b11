"""One process at a time in a run's directory: a lock that dies with its process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gdrun.errors import ConfigError, OutputError

LOCK = ".lock"
# A reader holds the lock for a moment to see whether it is free.
PATIENCE_SECONDS = 0.5


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a run or group while `with` lasts.

    Raises:
        ConfigError: another process holds it.
        OutputError: the lock can't be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=PATIENCE_SECONDS)
    except OSError as error:
        if not isinstance(error, Timeout):
            raise OutputError(f"{lock.lock_file}: can't be locked: {error.strerror}") from None
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
    from filelock import FileLock, Timeout

    try:
        with FileLock(directory / LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True
