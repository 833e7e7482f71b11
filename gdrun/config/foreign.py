"""What files of a run may hold: types with bounds, and the first mistake of a file in words.

Anybody may have written or changed such a file, so nothing in it is converted or taken on trust.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
)
from pydantic_core import ErrorDetails

from gdrun.config.explain import expected
from gdrun.config.parts.kinds import KINDS
from gdrun.config.schema import RunConfig
from gdrun.config.values import MAX_COUNT
from gdrun.errors import excerpt
from gdrun.text import visible

MAX_INTEGER = 2**63 - 1
MAX_TEXT = 10_000_000  # characters: a command line may be some megabytes
MAX_SHORT = 1_000
MAX_SECONDS = 1e12
MAX_TIME = 40


class Facts(BaseModel):
    """What a file says; keys of a newer gdrun are passed over."""

    model_config = ConfigDict(frozen=True, defer_build=True)


def _text(most: int) -> Callable[[Any], str]:
    """A check that gives the text as a terminal can show it."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise ValueError(f"Input should be text of at most {most:,} characters")
        return visible(value)

    return check


def _time(value: Any) -> datetime:
    try:
        if isinstance(value, str) and len(value) <= MAX_TIME:
            return datetime.fromisoformat(value).astimezone()
    except (ValueError, OverflowError, OSError):  # of a year that the system can't convert
        pass
    raise ValueError("Input should be a time such as 2026-01-31T12:00:00+00:00")


def _size_as_key(value: Any) -> int:
    """A size as JSON writes it where it is a key."""
    if not isinstance(value, str) or not re.fullmatch(r"[1-9][0-9]{0,15}", value):
        raise ValueError("Input should be a whole number of at least 1")
    return int(value)


def _sha256(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("Input should be a SHA-256 of 64 hexadecimal digits")
    return value


def _column(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
        raise ValueError("Input should be the name of a column, of small letters")
    return value


def _fingerprint(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"([a-z]{1,9}:)?[0-9a-f]{64}", value):
        raise ValueError("Input should be a SHA-256, behind a colon what it covers")
    return value


# Text is kept as a terminal can show it: it may be printed as it is.
Text = Annotated[str, PlainValidator(_text(MAX_TEXT))]
ShortText = Annotated[str, PlainValidator(_text(MAX_SHORT))]
Time = Annotated[datetime, PlainValidator(_time)]  # in local time
SizeAsKey = Annotated[int, PlainValidator(_size_as_key)]
Sha256 = Annotated[str, PlainValidator(_sha256)]
MetricColumn = Annotated[str, PlainValidator(_column)]  # a further column of `epochs.csv`
Fingerprint = Annotated[str, PlainValidator(_fingerprint)]  # of data
# Where one of these has a default, it is written `= Field(default=0)`: with `= 0`, pydantic 2.10
# would give it to all fields of the type.
Natural = Annotated[int, Field(strict=True, ge=0, le=MAX_INTEGER)]
Size = Annotated[int, Field(strict=True, ge=0, le=MAX_COUNT)]
PositiveSize = Annotated[int, Field(strict=True, ge=1, le=MAX_COUNT)]
Real = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Rate = Annotated[Real, Field(gt=0)]
Seconds = Annotated[Real, Field(ge=0, le=MAX_SECONDS)]
YesNo = Annotated[bool, Field(strict=True)]


def saved_config(values: Any) -> RunConfig:
    """The config that any version of gdrun saved, without the keys that only others know.

    Raises:
        ValidationError: it is damaged.
    """
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        unknown = [each["loc"] for each in error.errors() if each["type"] == "extra_forbidden"]
        if not unknown:
            raise
    return RunConfig.model_validate(_without(values, unknown))


def _without(values: Mapping[str, Any], places: list[tuple[int | str, ...]]) -> dict[str, Any]:
    """A config without keys at some places; it is two levels deep."""
    kept = {key: dict(own) if isinstance(own, dict) else own for key, own in values.items()}
    for *above, key in places:
        del (kept[str(above[0])] if above else kept)[str(key)]
    return kept


def _checked(values: Any) -> Any:
    saved_config(values)
    return values


# As it is written: of a thousand runs that are listed, few configs are looked at.
SavedConfig = Annotated[Mapping[str, Any], PlainValidator(_checked)]


def first_mistake(error: ValidationError) -> str:
    """The first mistake of a file: which key, what was expected, what came; how many follow."""
    mistakes = error.errors(include_url=False)
    more = len(mistakes) - 1
    return _in_words(mistakes[0]) + (f"; and {more:,} more" if more else "")


def _in_words(details: ErrorDetails) -> str:
    label = _label(details["loc"])
    if details["type"] == "missing":
        return f"{label}: is missing"
    if details["type"] == "union_tag_invalid":
        came = excerpt(details["ctx"]["tag"])
        kinds = KINDS[str(details["loc"][-1])]
        return f"{label}.{kinds.key}: must be one of {', '.join(kinds.models)}, got {came!r}"
    return f"{label}: {expected(details)}"


def _label(location: tuple[int | str, ...]) -> str:
    """A place as `lanes[0].lr`; the kind that pydantic adds to the keys of some sections isn't."""
    label = ""
    for above, part in zip([None, *location], location, strict=False):
        if (kinds := KINDS.get(str(above))) and part in kinds.models:
            continue
        name = excerpt(str(part))
        label += f"[{name}]" if isinstance(part, int) else f".{name}" if label else name
    return label.removesuffix(".[key]")
