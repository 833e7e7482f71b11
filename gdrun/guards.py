"""What the system and PyTorch raise when disk or memory is short, as errors that say so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from gdrun.errors import OutputError


@contextmanager
def output_errors(directory: Path | None, what: str) -> Iterator[None]:
    """Say which file couldn't be read or written, whichever `what` says.

    Raises:
        OutputError: one couldn't.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{error.filename or directory}: can't be {what}: {error.strerror}"
        ) from error


@contextmanager
def memory_errors() -> Iterator[None]:
    """PyTorch reports that memory is short in ways of its own.

    Raises:
        MemoryError: memory is short.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(str(error)) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise MemoryError("PyTorch " + str(error)[str(error).index("can't") :]) from error
