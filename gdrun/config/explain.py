"""What pydantic found wrong with a config, in words that a beginner can act on.

Every mistake becomes one line: the key, the file and line or the flag that set it, what was
expected and what came. Unknown keys get a hint.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from gdrun.config.schema import DATA_SOURCES, PlotConfig, RunConfig, SweepConfig
from gdrun.errors import did_you_mean, excerpt, first_of

KeyPath = tuple[str, ...]
SHOWN = 20  # mistakes of a config that are explained; the rest are counted
WIDEST = 200  # bits of a whole number that is shown


@dataclass(frozen=True)
class Layer:
    """Nested values and, for each key that it sets, where that was written."""

    values: Mapping[str, Any]
    origins: Mapping[KeyPath, str] = field(default_factory=dict)


def explain(mistakes: Iterable[ErrorDetails], layer: Layer) -> tuple[list[str], list[str]]:
    """All mistakes of a config as (a line each, hints)."""
    mistakes = list(mistakes)
    blamed = {details["loc"][:-1] for details in mistakes}
    worth_saying = [
        details
        for details in mistakes
        # A list emptied by the mistakes of its items is no mistake of its own.
        if not (details["type"] == "too_short" and details["loc"] in blamed)
    ]
    reports = [_explain(details, layer) for details in worth_saying[:SHOWN]]
    hints = dict.fromkeys(hint for _, hint in reports if hint)
    lines = [line for line, _ in reports]
    return first_of(lines, len(worth_saying), "mistake", SHOWN), list(hints)


def _explain(details: ErrorDetails, layer: Layer) -> tuple[str, str | None]:
    """A mistake as (one line: key, where, what was expected, what came; a hint or nothing)."""
    location = [str(part) for part in details["loc"]]
    if len(location) > 1 and location[0] == "data" and location[1] in DATA_SOURCES:
        del location[1]  # pydantic names the variant of the union; the user didn't
    elif details["type"].startswith("union_tag"):
        location.append("source")
    # A list's position is shown where a list was written, not where one value stands for a list.
    position = ""
    if details["loc"] and isinstance(details["loc"][-1], int):
        index = location.pop()
        if isinstance(_lookup(layer.values, location), list | tuple):
            position = f"[{index}]"
    path = tuple(location)
    prefixes = [path[:length] for length in range(len(path), 0, -1)]
    where = next((layer.origins[prefix] for prefix in prefixes if prefix in layer.origins), None)
    label = excerpt(".".join(path)) + position + (f" ({where})" if where else "")
    came = details["input"]
    match details["type"]:
        case "extra_forbidden":
            return f"{label}: unknown key", _hint_for_unknown(path, layer.values)
        case "missing":
            return f"{label}: missing; the source {_show(_source(layer.values))} needs it", None
        case "union_tag_invalid":
            source = _source(layer.values)
            hint = next(iter(did_you_mean(str(source), DATA_SOURCES)), None)
            return f"{label}: must be one of {', '.join(DATA_SOURCES)}, got {_show(source)}", hint
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"{label}: must be a mapping of keys to values, got {_show(came)}", None
        case "string_pattern_mismatch":
            return f"{label}: must be auto, cpu, cuda, cuda:N or mps, got {_show(came)}", None
        case "bool_type":
            return f"{label}: must be true or false, got {_show(came)}", None
        case "int_from_float":
            return f"{label}: must be a whole number, got {_show(came)}", None
        case "int_parsing_size":
            return f"{label}: must be a smaller number, got {_show(came)}", None
        case "float_type":
            return f"{label}: must be a number that a float can hold, got {_show(came)}", None
        case "invalid_key":
            return f"{label or 'config'}: must have text as keys, got {_show(came)}", None
        case "tuple_type":
            return f"{label}: must be a list, got {_show(came)}", None
        case "string_type" | "string_unicode":
            return f"{label}: must be text, got {_show(came)}", None
        case "too_short":
            return f"{label}: must hold at least one value, got an empty list", None
    expected = details["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    if details["type"] == "value_error" and ", got " in expected:  # one that says what it minds
        return f"{label}: {expected}", None
    return f"{label}: {expected.split(', got')[0]}, got {_show(came)}", None


def _hint_for_unknown(path: KeyPath, values: Mapping[str, Any]) -> str | None:
    name = path[-1]
    known = _known_keys(values)
    siblings = [key[-1] for key in known if key[:-1] == path[:-1]]
    for hint in did_you_mean(name, siblings, prefix=path[:-1]):
        return hint
    elsewhere = [".".join(key) for key in known if key[-1] == name]
    if elsewhere:
        return f"{'.'.join(path)}: did you mean {elsewhere[0]}?"
    sources = [source for source, model in DATA_SOURCES.items() if name in model.model_fields]
    if path[0] == "data" and sources:
        return f"{'.'.join(path)} belongs to another source: set data.source to {sources[0]}"
    return f"known keys{' of ' + '.'.join(path[:-1]) if path[:-1] else ''}: {', '.join(siblings)}"


def _known_keys(values: Mapping[str, Any]) -> list[KeyPath]:
    data = DATA_SOURCES.get(str(_source(values)), DATA_SOURCES["quadratic"])
    nested: dict[str, type[BaseModel]] = {"data": data, "sweep": SweepConfig, "plot": PlotConfig}
    keys: list[KeyPath] = [(name,) for name in RunConfig.model_fields]
    return keys + [(name, key) for name, model in nested.items() for key in model.model_fields]


def _source(values: Mapping[str, Any]) -> Any:
    data = values.get("data")
    return data.get("source", "quadratic") if isinstance(data, dict) else "quadratic"


def _lookup(values: Any, path: Iterable[str]) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _show(value: Any) -> str:
    """A value as short text."""
    if value == "":
        return "nothing"
    return repr(excerpt(value)) if isinstance(value, str) else kind(value)


def kind(value: Any) -> str:
    """What a YAML value is, in a few words."""
    match value:
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
        case set():
            return "a set"
        case str():
            return "text"
        case None | bool():
            return json.dumps(value)
        case int() if value.bit_length() > WIDEST:  # Python won't write out the longest
            return "a number of more than 60 digits"
        case date():
            return value.isoformat()
    return excerpt(repr(value))
