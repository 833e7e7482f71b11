"""Everything that gdrun tells a user went wrong, as one small tree.

    GdrunError
    ├── ConfigError    the request is wrong: a key, a value, a flag, a config file, a run's name
    ├── DataError      the data file is wrong: a column, a cell, no rows
    └── OutputError    results can't be written where they were asked for

A message says which key or line, what was expected and what came; `hints` say what to do. The
command line turns any of them into text and an exit code in one place, `gdrun.cli.app.main`. That a
lane diverged or a run was interrupted is no error but a status: see `gdrun.results.events`.
"""

import difflib
from collections.abc import Iterable, Sequence

LONGEST_NAME = 100  # characters of a name that may be misspelt


class GdrunError(Exception):
    """A failure that the user can act on.

    Args:
        problems: one line for each thing that is wrong.
        hints: what to do about it, a line each.
    """

    def __init__(self, problems: str | Iterable[str], *hints: str) -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        self.hints = hints
        super().__init__("\n".join((*self.problems, *hints)))


class ConfigError(GdrunError):
    """The request is wrong: a key, a value, a flag, a config file, a run's name."""


class DataError(GdrunError):
    """The data file is wrong: a column, a cell, no rows."""


class OutputError(GdrunError):
    """Results can't be written where they were asked for."""


def unreadable(key: str, path: object, reason: object) -> DataError:
    """That a data file, named by a key of the config, can't be read."""
    return DataError(
        f"{key}: {path} can't be read: {reason}",
        "a relative path in a config file is relative to that file, in --set to where you are",
    )


def in_words(error: Exception) -> tuple[Sequence[str], Sequence[str]]:
    """What is to be said of a failure: what went wrong, a line each, and what to do about it."""
    match error:
        case GdrunError():
            return error.problems, error.hints
        case MemoryError():
            hint = "fewer rows, lanes or hidden units need less"
            return [f"not enough memory: {one_line(error)}"], [hint]
        case OSError():
            return [f"{error.filename or 'output'}: {error.strerror}"], []
    hint = "this is a defect of gdrun; GDRUN_DEBUG=1 shows where it happened"
    return [f"unexpected {type(error).__name__}: {one_line(error)}"], [hint]


def one_line(error: BaseException) -> str:
    """What an exception that isn't of gdrun says, without its line breaks."""
    return " ".join(str(error).split())


def excerpt(text: str, length: int = 60) -> str:
    """Text from outside, cut to what a message has room for."""
    return text if len(text) <= length else text[: length - 1] + "…"


def first_of(mistakes: Sequence[str], total: int, noun: str, shown: int = 5) -> list[str]:
    """The first mistakes of a kind, and how many there are beside."""
    more = total - min(shown, len(mistakes))
    return [*mistakes[:shown], *([f"… and {more:,} more such {noun}s"] if more else [])]


def did_you_mean(name: str, known: Iterable[str], prefix: tuple[str, ...] = ()) -> list[str]:
    """A hint that names the closest of the known names, or none."""
    if len(name) > LONGEST_NAME:  # comparing takes the product of the lengths
        return []
    by_lower = {key.lower(): key for key in known if len(key) <= LONGEST_NAME}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return [
        f"{'.'.join((*prefix, name))}: did you mean {'.'.join((*prefix, by_lower[match]))}?"
        for match in matches
    ]
