"""Loading large libraries fast."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Import large libraries while `with` lasts, without garbage collection.

    What they make stays anyway. It is frozen afterwards, so that no later collection looks at it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
