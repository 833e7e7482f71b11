"""Loading libraries without looking again and again for garbage in what they leave."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Import large libraries in here: what they make is there to stay, and is set apart.

    Python would go through all of it several times meanwhile, and whenever it collects later.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
