"""Where output goes, which may be gone: a reader that has seen enough, such as `head`."""

import os
import sys
from contextlib import suppress
from typing import Any

from rich.console import Console


class _PatientConsole(Console):
    """A console that falls silent, rather than ending the program, when nobody reads it."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        _discard(self.stderr)


def console(**options: Any) -> Console:
    """A console as gdrun writes to; a run goes on when its reader is gone."""
    return _PatientConsole(highlight=False, **options)


def write(text: str) -> None:
    """Write to stdout as it is, for programs."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(stderr=False)


def close() -> None:
    """Write what is still buffered, so that Python finds nothing to complain of at its end."""
    for stderr in (False, True):
        try:
            (sys.stderr if stderr else sys.stdout).flush()
        except BrokenPipeError:
            _discard(stderr)
        except ValueError:  # closed by whoever started us
            pass


def _discard(stderr: bool) -> None:
    """Let everything that is still written go nowhere."""
    stream = sys.stderr if stderr else sys.stdout
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
