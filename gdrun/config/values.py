"""The values that a config may hold: numbers within bounds, lists, ranges, columns of a file.

A range such as `log:0.001:1:7` is seven numbers from 0.001 to 1.
"""

import codecs
import math
import re
from numbers import Real
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    StrictBool,
)
from pydantic_core import PydanticCustomError

# PyTorch takes 64 bits, and a product of counts must fit into a float.
MAX_COUNT = 10**15
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
MAX_NUMBERS = 1000  # in a range
MIN_GROWTH = 1e-3  # of updates, from one evaluation to the next
EXPECTED = "a range such as log:0.001:1:7 or lin:0.1:0.5:5 (from, to, how many)"


def is_range(text: str) -> bool:
    """Whether a text has the form of a range."""
    return ":" in text


def expand(text: str) -> tuple[float, ...]:
    """The numbers of a range, evenly spaced (`lin`) or with a constant ratio (`log`).

    Those between the two ends are rounded to three digits.

    >>> expand("log:0.001:1:7")
    (0.001, 0.00316, 0.01, 0.0316, 0.1, 0.316, 1.0)

    Raises:
        ValueError: it isn't a range.
    """
    try:
        scale, *parts = text.split(":")
        first, last, count = float(parts[0]), float(parts[1]), int(parts[2])
        sound = len(parts) == 3 and math.isfinite(first) and math.isfinite(last)
        sound &= scale == "lin" or (scale == "log" and min(first, last) > 0)
    except (ValueError, IndexError):
        sound = False
    if not sound:
        raise ValueError(f"Input should be {EXPECTED}") from None
    if not 2 <= count <= MAX_NUMBERS:
        raise ValueError(
            f"Input should be a range of 2 to {MAX_NUMBERS:,} numbers, got {count:,} of them"
        )
    shares = [k / (count - 1) for k in range(1, count - 1)]
    if scale == "log":
        low, high = math.log(first), math.log(last)
        between = [math.exp(low + (high - low) * share) for share in shares]
    else:
        between = [first * (1 - share) + last * share for share in shares]
    numbers = (first, *(float(f"{number:.3g}") for number in between), last)
    if not all(map(math.isfinite, numbers)):  # one was rounded up beyond the largest float
        raise ValueError(f"Input should be {EXPECTED}")
    return numbers


def _number(value: Any) -> Any:
    """Refuse what Python accepts as a number but isn't written as one: true, text."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError("Input should be a number")
    return value.item() if hasattr(value, "item") else value  # of a numpy number


def _text(value: Any) -> Any:
    if not isinstance(value, str | Path) or value == "" or "\0" in str(value):
        raise ValueError("Input should be the path of a file")
    return value


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except (RuntimeError, UnicodeError):
        raise ValueError("Input should be the path of a file of a known user") from None


def _several(value: Any) -> Any:
    """Read one value as a list of one."""
    if hasattr(value, "tolist"):  # an array of numpy or torch
        value = value.tolist()
    return tuple(value) if isinstance(value, list | tuple | range) else (value,)


def _sizes(value: Any) -> Any:
    """Read `1,8,8` as a list, too."""
    is_listed = isinstance(value, str) and re.fullmatch(r"\d{1,9}(\s*,\s*\d{1,9})*", value.strip())
    return _several([int(part) for part in value.split(",")] if is_listed else value)


def _pair(value: Any) -> Any:
    """Refuse what isn't a list of two."""
    values = _several(value)
    if len(values) != 2:
        raise ValueError("Input should be a list of two numbers")
    return values


def _rates(value: Any) -> Any:
    """Read a range as its numbers."""
    return _several(expand(value) if isinstance(value, str) and is_range(value) else value)


def _unless_auto(value: Any) -> Any:
    """Read `auto` as None."""
    return None if isinstance(value, str) and value == "auto" else value


def _grid(value: Any) -> Any:
    """Read `auto` as None, and a range as its numbers."""
    value = _unless_auto(value)
    return None if value is None else _rates(value)


def _batch_sizes(value: Any) -> Any:
    """Read `auto` as None, and a range as whole numbers without repeats."""
    if isinstance(value, str) and is_range(value):
        return tuple(dict.fromkeys(map(round, expand(value))))
    return _grid(value)


def _batch_size(value: Any) -> int | Literal["full"]:
    if isinstance(value, str) and value == "full":
        return "full"
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not 1 <= value < math.inf or value != int(value):
        raise ValueError("Input should be a whole number of at least 1, or full")
    if value > MAX_COUNT:
        raise ValueError(f"Input should be less than or equal to {MAX_COUNT}")
    return int(value)


def _all_differ(values: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
    repeated = [value for k, value in enumerate(values or ()) if value in (values or ())[:k]]
    if repeated:
        raise ValueError(f"Input should be a list without repeats, got {repeated[0]} twice")
    return values


def _column_name(value: Any) -> Any:
    """Read a number as the text of a column's name."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else value


def _columns_to_predict(value: Any) -> Any:
    """Read a list of one column as that column."""
    names = tuple(map(_column_name, _several(value)))
    if not names:
        raise ValueError("Input should be a column or a list of columns")
    if not all(isinstance(name, str) for name in names):
        raise PydanticCustomError("string_type", "Input should be a valid string")
    if not all(names):
        raise ValueError("Input should be a name")
    return names[0] if len(names) == 1 else _all_differ(names)


def _categorical(value: Any) -> Any:
    """Read `all`, or names of columns."""
    if isinstance(value, str) and value == "all":
        return value
    names = tuple(map(_column_name, _several(value)))
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError("Input should be all or a list of columns")
    return names


def _delimiter(value: Any) -> Any:
    """Read `auto` as None, and a delimiter by its name."""
    value = _unless_auto(value)
    if value is None:
        return None
    value = DELIMITERS.get(value, value) if isinstance(value, str) else value
    if not isinstance(value, str) or len(value) != 1 or value in '"\r\n\0':
        raise ValueError(f"Input should be auto, {', '.join(DELIMITERS)} or another character")
    return value


def _comment(value: Any) -> Any:
    """Read `auto` as None, and `none` as no mark."""
    value = _unless_auto(value)
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value) <= 4 or not value.isprintable():
        raise ValueError("Input should be auto, none, or what a comment begins with, such as #")
    return "" if value == "none" else value


def _encoding(value: Any) -> Any:
    """Read `auto` as None, and an encoding by one of its names."""
    value = _unless_auto(value)
    if value is None:
        return None
    try:
        codec = codecs.lookup(value)
        "".encode(codec.name)  # not all codecs are of text
    except (LookupError, TypeError, ValueError):
        raise ValueError(
            "Input should be auto or an encoding such as utf-8, latin-1 or utf-16"
        ) from None
    return codec.name


def _auto(value: Any) -> Any:
    """Read `auto` as None."""
    if value == "auto":
        return None
    if isinstance(value, str) or value is None:
        raise ValueError("Input should be auto or a whole number")
    return value


def _no_tiny_growth(value: float) -> float:
    if 0 < value < MIN_GROWTH:
        raise ValueError(f"Input should be auto, 0, or a share from {MIN_GROWTH} to 1")
    return value


def _one_or_several(values: tuple[Any, ...] | None) -> Any:
    if values is None:
        return "auto"
    return values[0] if len(values) == 1 else list(values)


def _networks_as_written(values: tuple[tuple[int, ...], ...] | None) -> Any:
    return "auto" if values is None else [_one_or_several(value) for value in values]


Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_number)]
Integer = Annotated[int, BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
Count = Annotated[Integer, Field(ge=1, le=MAX_COUNT)]
# torch.manual_seed takes 64 bits; this bound leaves room for `seed + k`.
Seed = Annotated[Integer, Field(ge=0, lt=2**62)]
# Absolute, so that a saved config names the same file from any directory.
FilePath = Annotated[Path, BeforeValidator(_text), AfterValidator(_absolute)]
Pair = (BeforeValidator(_pair), PlainSerializer(list))
Several = (BeforeValidator(_several), PlainSerializer(_one_or_several))
HiddenSize = Annotated[tuple[Count, ...], *Several]
Rates = Annotated[
    tuple[Positive, ...],
    Field(min_length=1),
    AfterValidator(_all_differ),
    BeforeValidator(_rates),
    PlainSerializer(_one_or_several),
]
BatchSize = Annotated[int | Literal["full"], PlainValidator(_batch_size)]

Shape = Annotated[tuple[Count, ...], Field(min_length=1, max_length=8), BeforeValidator(_sizes)]

# None is written `auto` in a config.
_Auto = PlainSerializer(lambda value: "auto" if value is None else value)
RatesOrAuto = Annotated[
    Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(_all_differ)] | None,
    BeforeValidator(_grid),
    PlainSerializer(_one_or_several),
]
NetworksOrAuto = Annotated[
    Annotated[tuple[HiddenSize, ...], Field(min_length=1), AfterValidator(_all_differ)] | None,
    BeforeValidator(_grid),
    PlainSerializer(_networks_as_written),
]
BatchSizesOrAuto = Annotated[
    Annotated[tuple[BatchSize, ...], Field(min_length=1), AfterValidator(_all_differ)] | None,
    BeforeValidator(_batch_sizes),
    PlainSerializer(_one_or_several),
]
PositiveOrAuto = Annotated[Positive | None, BeforeValidator(_unless_auto), _Auto]
GrowthOrAuto = Annotated[
    Annotated[Number, Field(ge=0, le=1), AfterValidator(_no_tiny_growth)] | None,
    BeforeValidator(_unless_auto),
    _Auto,
]
PiecesOrAuto = Annotated[Count | None, BeforeValidator(_unless_auto), _Auto]
CountOrAuto = Annotated[Count | None, BeforeValidator(_auto), _Auto]
FlagOrAuto = Annotated[StrictBool | None, BeforeValidator(_unless_auto), _Auto]

ColumnName = Annotated[str, BeforeValidator(_column_name), Field(min_length=1)]
ColumnNames = Annotated[tuple[ColumnName, ...], BeforeValidator(_several)]
Targets = Annotated[
    str | tuple[str, ...],
    PlainValidator(_columns_to_predict),
    PlainSerializer(lambda value: value if isinstance(value, str) else list(value)),
]
Categorical = Annotated[
    tuple[str, ...] | Literal["all"],
    PlainValidator(_categorical),
    PlainSerializer(lambda value: value if value == "all" else list(value)),
]
DecimalOrAuto = Annotated[Literal[".", ","] | None, BeforeValidator(_unless_auto), _Auto]
DelimiterOrAuto = Annotated[str | None, PlainValidator(_delimiter), _Auto]
EncodingOrAuto = Annotated[str | None, PlainValidator(_encoding), _Auto]
CommentOrAuto = Annotated[
    str | None,
    PlainValidator(_comment),
    PlainSerializer(lambda value: {None: "auto", "": "none"}.get(value, value)),
]
