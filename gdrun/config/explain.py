"""The mistakes that pydantic finds in a config, in words that a beginner can act on.

Every mistake becomes one line: the key, the file and line or the flag that set it, what was
expected and what came. Unknown keys get a hint.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from gdrun.config.layers import QUOTE, KeyPath, Layer
from gdrun.config.schema import DATA_SOURCES, DATA_TEXTS, PlotConfig, RunConfig, SweepConfig
from gdrun.config.yaml_loader import kind
from gdrun.errors import did_you_mean, excerpt, first_of

MAX_MISTAKES = 20  # of a config that are explained; the rest are counted

# By pydantic's type of error, what was expected; for others, its own message is clear enough.
EXPECTED = {
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
    "dict_type": "must be a mapping of keys to values",
    "invalid_key": "must have text as keys",
    "tuple_type": "must be a list",
    "too_short": "must hold at least one value",
    "string_type": "must be text",
    "string_unicode": "must be text",
    "string_pattern_mismatch": "must be auto, cpu, cuda, cuda:N or mps",  # only `device` has one
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "float_type": "must be a number that a float can hold",
}


def explain(mistakes: Iterable[ErrorDetails], layer: Layer) -> tuple[list[str], list[str]]:
    """All mistakes of a config: one line for each, and hints."""
    mistakes = list(mistakes)
    above = {details["loc"][:-1] for details in mistakes}
    own = [
        details
        for details in mistakes
        # If all items of a list are mistakes, that it is empty then is not another one.
        if not (details["type"] == "too_short" and details["loc"] in above)
    ]
    reports = [_explain(details, layer) for details in own[:MAX_MISTAKES]]
    hints = dict.fromkeys(hint for _, hint in reports if hint)
    lines = [line for line, _ in reports]
    return first_of(lines, len(own), "mistake", MAX_MISTAKES), list(hints)


def _explain(details: ErrorDetails, layer: Layer) -> tuple[str, str | None]:
    """One mistake as a line and a hint: which key, where, what was expected, what came."""
    path, position = _place(details, layer.values)
    prefixes = [path[:length] for length in range(len(path), 0, -1)]
    where = next((layer.origins[prefix] for prefix in prefixes if prefix in layer.origins), None)
    label = excerpt(".".join(path)) + position + (f" ({where})" if where else "")
    source = _source(layer.values)
    match details["type"]:
        case "extra_forbidden":
            return f"{label}: unknown key", _hint_for_unknown(path, layer.values)
        case "missing":
            return f"{label}: missing; the source {brief(source)} needs it", None
        case "union_tag_invalid":
            hints = did_you_mean(str(source), DATA_SOURCES)
            known = ", ".join(DATA_SOURCES)
            return f"{label}: must be one of {known}, got {brief(source)}", next(iter(hints), None)
        case "string_type" if path in DATA_TEXTS:
            return f"{label}: {expected(details)}", QUOTE
    return f"{label or 'config'}: {expected(details)}", None


def _place(details: ErrorDetails, values: Mapping[str, Any]) -> tuple[KeyPath, str]:
    """The key of a mistake, and its `[position]` if it is in a list."""
    location = [str(part) for part in details["loc"]]
    if len(location) > 1 and location[0] == "data" and location[1] in DATA_SOURCES:
        del location[1]  # pydantic adds the source to the key
    elif details["type"].startswith("union_tag"):
        location.append("source")
    position = ""
    if details["loc"] and isinstance(details["loc"][-1], int):
        index = location.pop()
        # A single value may stand for a list; then it has no position.
        if isinstance(_lookup(values, location), list | tuple):
            position = f"[{index}]"
    return tuple(location), position


def expected(details: ErrorDetails) -> str:
    """What a mistake's value was expected to be, and what came."""
    came = brief(details["input"])
    if details["type"] in EXPECTED:
        return f"{EXPECTED[details['type']]}, got {came}"
    message = details["msg"].removeprefix("Value error, ").replace("Input should be", "must be")
    wanted, says_what_came, _ = message.partition(", got ")
    if details["type"] == "value_error" and says_what_came:  # as the schema's own errors may
        return message
    return f"{wanted}, got {came}"


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


def brief(value: Any) -> str:
    """A value, or what kind of value it is, in a few words."""
    if value == "":
        return "nothing"
    if isinstance(value, list | tuple) and not value:
        return "an empty list"
    return repr(excerpt(value)) if isinstance(value, str) else kind(value)
