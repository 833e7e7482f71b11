"""Names of functions of the user's, `net.py:build`, where a config has a name of gdrun's else."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import PydanticCustomError

# Keys whose value may name a function of the user's.
OWN_CODE = ("model", "loss")
DEFAULT_MODEL = "perceptron"
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_REFERENCE = re.compile(r"(?P<place>[^\0\n]+):(?P<name>[A-Za-z_]\w*)")


def is_own(value: Any) -> bool:
    """Whether the value of a key names a function of the user's, and nothing of gdrun's."""
    return isinstance(value, str) and ":" in value


def name_or_function(names: Sequence[str]) -> Callable[[Any], str]:
    """A check of a value that is one of some names, or `file.py:name`, or `module:name`."""

    def check(value: Any) -> str:
        if isinstance(value, str) and value in names:
            return value
        if isinstance(value, str) and re.search(r"\.py:?$", value):
            raise ValueError("Input should be FILE.py:NAME, with the name of the function")
        if is_own(value):
            match = _REFERENCE.fullmatch(value)
            if match is None or not (is_file(match["place"]) or _MODULE.fullmatch(match["place"])):
                raise ValueError("Input should be FILE.py:NAME or package.module:NAME")
            return f"{_absolute(match['place'])}:{match['name']}"
        wanted = ", ".join(f"'{name}'" for name in names)
        raise PydanticCustomError(
            "literal_error", "Input should be {expected} or FILE.py:NAME", {"expected": wanted}
        )

    return check


def function_name(value: Any) -> Any:
    """The name of a function without its place, which may be another; or what else a value is."""
    return value[value.rindex(":") :] if is_own(value) else value


def own_function(value: Any) -> str:
    """A check of a value that names a function of the user's."""
    if not is_own(value):
        raise ValueError("Input should be FILE.py:NAME or package.module:NAME")
    return name_or_function(())(value)


def beside(config: Path, reference: str) -> str:
    """A reference that a config holds, its file relative to the config."""
    place, _, name = reference.rpartition(":")
    if not is_file(place) or Path(place).parts[:1] == ("~",):
        return reference
    return f"{config.parent / place}:{name}"


def _absolute(place: str) -> str:
    """An absolute path, so that a saved config names the same file from any directory."""
    if not is_file(place):
        return place
    try:
        return str(Path(place).expanduser().absolute())
    except (RuntimeError, UnicodeError):
        raise ValueError("Input should be the path of a file of a known user") from None


def is_file(place: str) -> bool:
    """Whether the part before the colon is a file, and not a module of a package."""
    return place.endswith(".py") or "/" in place or "\\" in place
