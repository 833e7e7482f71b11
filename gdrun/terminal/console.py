"""Where output goes, which may be gone: `head` has seen enough, the terminal was closed."""

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from gdrun.text import visible


class _Outlet:
    """A standard stream as it is now; what can't be written to it is dropped.

    Of stdout that is so for a reader that left; stderr, which tells of progress, may fail in any
    way without a run being any the worse for it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._gone = False

    @property
    def _stream(self) -> TextIO | None:
        stream = getattr(sys, self._name)  # None where it was closed before
        # While a live view is shown, Rich puts a proxy there that writes to a console.
        real: TextIO | None = getattr(stream, "rich_proxied_file", stream)
        return real

    def write(self, text: str) -> int:
        self._try("write", text)
        return len(text)

    def flush(self) -> None:
        self._try("flush")

    def _try(self, action: str, *arguments: str) -> None:
        if self._stream is not None and not self._gone:
            try:
                getattr(self._stream, action)(*arguments)
            except OSError as error:
                self._drop(error)

    def _drop(self, error: OSError) -> None:
        self._gone = True
        # What is buffered still is written when Python ends; it goes nowhere then.
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
        if self._name == "stdout" and not isinstance(error, BrokenPipeError):
            raise error

    def isatty(self) -> bool:
        stream = self._stream
        return stream is not None and not self._gone and stream.isatty()

    def fileno(self) -> int:
        stream = self._stream
        if stream is None:
            raise OSError("closed")
        return stream.fileno()

    @property
    def encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or "utf-8"


_STDOUT, _STDERR = _Outlet("stdout"), _Outlet("stderr")


def console(*, stderr: bool = False, **options: Any) -> Console:
    """A console as gdrun writes to; a run goes on when its reader is gone."""
    outlet: Any = _STDERR if stderr else _STDOUT
    return Console(file=outlet, highlight=False, **options)


def table_console() -> Console:
    """The console of stdout for tables, which in a file or a pipe needn't be narrow."""
    out = console()
    if not out.is_terminal:
        out.width = max(out.width, 120)
    return out


def write(text: str) -> None:
    """Write to stdout as it is, for programs.

    Raises:
        OSError: it can't be written, though somebody reads it.
    """
    _STDOUT.write(text)
    _STDOUT.flush()


def complain(problems: Iterable[str], hints: Iterable[str]) -> None:
    """Say on stderr what went wrong, and what to do about it."""
    messages = console(stderr=True, soft_wrap=True)
    for kind, style, lines in (("error", "bold red", problems), ("hint", "bold cyan", hints)):
        for line in lines:
            messages.print(Text.assemble((f"{kind}: ", style), visible(line)))


def close() -> None:
    """Write what is still buffered, so that Python finds nothing to complain of at its end.

    Raises:
        OSError: stdout can't be written, though somebody reads it.
    """
    _STDERR.flush()
    _STDOUT.flush()
