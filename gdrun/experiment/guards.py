"""What PyTorch raises when memory is short, as the error that says so."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


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
