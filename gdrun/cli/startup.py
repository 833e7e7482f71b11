"""Loading large libraries, or many runs: fast, and only where it can go well."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gdrun.errors import ConfigError


def require_current_directory() -> None:
    """Check that the current directory exists: without one, PyTorch ends the process.

    Raises:
        ConfigError: it was removed.
    """
    try:
        Path.cwd()
    except OSError:
        raise ConfigError(
            "the current directory was removed", "change to one that exists: cd ~"
        ) from None


@contextmanager
def loading() -> Iterator[None]:
    """Import large libraries, or read many runs, while `with` lasts, without garbage collection.

    What that makes stays anyway. It is frozen afterwards, so that no later collection looks at it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
