"""Consoles that keep what is printed."""

import io

from rich.console import Console


def console(**more: object) -> Console:
    """A console of 100 columns whose output is kept."""
    return Console(file=io.StringIO(), width=100, **more)  # type: ignore[arg-type]


def text(of: Console) -> str:
    """What was printed."""
    assert isinstance(of.file, io.StringIO)
    return of.file.getvalue()
