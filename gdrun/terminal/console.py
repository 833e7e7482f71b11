"""stdout and stderr, whose reader may leave early: `head` has read enough, a terminal is closed."""

import json
import os
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from gdrun.storage.manifest import to_json
from gdrun.text import unseen, visible


class _Stream:
    """A standard stream, looked up at each use; once its reader has left, output is dropped.

    Any other failure of stdout is an error. stderr only shows progress, so a run continues however
    it fails.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._gone = False

    @property
    def _stream(self) -> TextIO | None:
        stream = getattr(sys, self._name)  # None where it was closed before
        # While a live view is shown, Rich replaces it by a proxy that writes to a console.
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
        # Python writes what is still buffered when it ends; then it goes nowhere.
        with suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, self.fileno())
            os.close(null)
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


_STDOUT, _STDERR = _Stream("stdout"), _Stream("stderr")


def console(*, stderr: bool = False, **options: Any) -> Console:
    """A console on stdout or stderr; a run continues when the reader has left."""
    stream: Any = _STDERR if stderr else _STDOUT
    return Console(file=stream, highlight=False, **options)


def has_width(out: Console) -> bool:
    """Whether lines must fit a width: that of a terminal, or $COLUMNS."""
    columns = os.environ.get("COLUMNS", "")
    return out.is_terminal or (columns.isdecimal() and int(columns) > 0)


def table_console() -> Console:
    """The console on stdout for tables, which are wide in a file or a pipe without $COLUMNS."""
    out = console()
    if not has_width(out):
        out.width = max(out.width, 120)
    return out


def write(text: str) -> None:
    """Write text to stdout unchanged.

    Raises:
        OSError: it can't be written, though there is a reader.
    """
    _STDOUT.write(text)
    _STDOUT.flush()


def write_json(content: Mapping[str, Any]) -> None:
    """Write JSON to stdout; what would steer a terminal is escaped, which programs read the same.

    Raises:
        OSError: as `write`.
    """
    text = to_json(content)
    for char in unseen(text) - {"\n"}:  # of the layout; in strings, it is escaped already
        text = text.replace(char, json.dumps(char)[1:-1])
    write(text)


def complain(problems: Iterable[str], hints: Iterable[str]) -> None:
    """Print on stderr what went wrong, and what to do about it."""
    messages = console(stderr=True, soft_wrap=True)
    for kind, style, lines in (("error", "bold red", problems), ("hint", "bold cyan", hints)):
        for line in lines:
            messages.print(Text.assemble((f"{kind}: ", style), visible(line)))


def close() -> None:
    """Write what is still buffered, so that Python doesn't fail to when it ends.

    Raises:
        OSError: stdout can't be written, though there is a reader.
    """
    _STDERR.flush()
    _STDOUT.flush()
