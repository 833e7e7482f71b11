"""What to train next, as it is typed: a command, or a call where Python gave the rows."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from gdrun.results.description import Description
from gdrun.results.file_names import CONFIG
from gdrun.text import exact

Value = int | float | str | Sequence[float]


def next_command(
    about: Description,
    command: str,
    directory: Path | None,
    options: Mapping[str, Value],
    *,
    resume: bool = False,
) -> str:
    """How to train again with the config of a run or group, and some keys of it changed.

    Args:
        about: what was trained on what.
        command: `sweep`, or a method.
        directory: of the run or group; None of results in memory, whose config only the user has.
        options: by the key of the config.
        resume: whether that is resumed, where it can be.
    """
    if about.is_given or directory is None:
        return _call(command, directory, options)
    start = ["--resume", str(directory)] if resume else ["--config", str(directory / CONFIG)]
    typed = (f"--{key.replace('_', '-')} {_typed(value)}" for key, value in options.items())
    return " ".join([f"gdrun {command}", shlex.join(start), *typed])


def _call(command: str, directory: Path | None, options: Mapping[str, Value]) -> str:
    """A call in Python, which is given the rows once more; `…` stands for what it was given."""
    method = "" if command in ("sweep", "compare") else f'"{command}", '
    function = command if command in ("sweep", "compare") else "train"
    given = [repr(str(directory / CONFIG)), "data=data"] if directory else ["…"]
    keys = ", ".join(f"{key}={_in_python(value)}" for key, value in options.items())
    arguments = ", ".join([*given, *([keys] if keys else [])])
    return f"gdrun.{function}({method}{arguments})"


def _in_python(value: Value) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return _typed(value) if isinstance(value, int | float) else f"[{_typed(value)}]"


def _typed(value: Value) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return str(value) if isinstance(value, int) else exact(value)
    return ",".join(map(_typed, value))
