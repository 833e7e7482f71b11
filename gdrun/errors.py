"""The errors that gdrun reports to a user, as one small tree.

    GdrunError
    ├── ConfigError    the request is wrong: a key, a value, a flag, a config file, a run's name
    ├── DataError      the data file is wrong: a column, a cell, no rows
    ├── OutputError    a file of a run can't be written or read
    ├── RankError      another process of the same training is lost
    └── UserCodeError  a function of the user's, named in the config, raised an exception

A message says which key or line, what was expected and what came; `hints` say what to do. The
command line turns them into text and an exit code in one place, `gdrun.cli.app.main`. A diverged
lane and an interrupted run are no errors: they have a status, see `gdrun.results.events`.
"""

import difflib
import errno
from collections.abc import Iterable, Sequence

NO_THREAD = "can't start new thread"  # what Python says in a RuntimeError
MAX_NAME_LENGTH = 100  # characters of a name that hints are looked up for


class GdrunError(Exception):
    """A failure that the user can act on.

    Args:
        problems: one line for each thing that is wrong.
        hints: what to do about it, one line each.
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
    """A file of a run can't be written or read."""


class RankError(GdrunError):
    """Another process of the same training is lost, and so the training ends.

    Args:
        problems: which, and why as far as is known.
        hints: as of any error.
        lost: the ranks that give no answer any more.
    """

    def __init__(
        self, problems: str | Iterable[str], *hints: str, lost: Iterable[int] = ()
    ) -> None:
        self.lost = frozenset(lost)
        super().__init__(problems, *hints)


class GdrunWarning(UserWarning):
    """What a caller in Python should know: what was assumed, and what was left out."""


class UserCodeError(GdrunError):
    """A function of the user's, named in the config, raised an exception.

    Args:
        problem: which, and what it raised.
        hints: as of any error.
        trace: its traceback, as far as it is the user's.
    """

    def __init__(self, problem: str, *hints: str, trace: str) -> None:
        self.trace = trace
        super().__init__(problem, *hints)


def unreadable(key: str, path: object, reason: object) -> DataError:
    """The error that a data file, named by a key of the config, can't be read."""
    return DataError(
        f"{key}: {path} can't be read: {reason}",
        "a relative path is relative to its config file, or in --set to the current directory",
    )


def in_words(error: Exception) -> tuple[Sequence[str], Sequence[str]]:
    """A failure in words: what went wrong, and what to do about it, one line each."""
    match error:
        case UserCodeError():
            return [*error.trace.splitlines(), *error.problems], error.hints
        case GdrunError():
            return error.problems, error.hints
        case MemoryError():
            hint = "use fewer rows, lanes or hidden units"
            return [f"not enough memory: {one_line(error)}"], [hint]
        case OSError():
            return [f"{error.filename or 'output'}: {error.strerror}"], limit_hints(error)
        case RuntimeError() if limit_hints(error):
            return [one_line(error)], limit_hints(error)
    hint = "this is a defect of gdrun; GDRUN_DEBUG=1 shows where it happened"
    return [f"unexpected {type(error).__name__}: {one_line(error)}"], [hint]


def limit_hints(error: Exception) -> list[str]:
    """What to do about an error where a limit of the system is reached; empty for any other."""
    code = error.errno if isinstance(error, OSError) else None
    if code in (errno.EMFILE, errno.ENFILE):
        return ["the system allows too few open files: ulimit -n shows and sets how many"]
    if code == errno.EAGAIN or NO_THREAD in str(error):
        return [
            "the system allows too few processes and threads: ulimit -u shows and sets how many"
        ]
    return []


def one_line(error: BaseException) -> str:
    """The message of an exception, without line breaks."""
    return " ".join(str(error).split())


def excerpt(text: str, length: int = 60) -> str:
    """Text from outside, cut to a length that fits into a message."""
    return text if len(text) <= length else text[: length - 1] + "…"


def first_of(mistakes: Sequence[str], total: int, noun: str, shown: int = 5) -> list[str]:
    """The first `shown` mistakes of a kind, and how many more there are."""
    more = total - min(shown, len(mistakes))
    return [*mistakes[:shown], *([f"… and {more:,} more such {noun}s"] if more else [])]


def did_you_mean(name: str, known: Iterable[str], prefix: tuple[str, ...] = ()) -> list[str]:
    """A hint that names the closest of the known names, or none."""
    if len(name) > MAX_NAME_LENGTH:  # a comparison takes the product of the lengths
        return []
    by_lower = {key.lower(): key for key in known if len(key) <= MAX_NAME_LENGTH}
    matches = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return [
        f"{'.'.join((*prefix, name))}: did you mean {'.'.join((*prefix, by_lower[match]))}?"
        for match in matches
    ]
