"""The mistakes that pydantic finds in a config, in words that a beginner can act on.

Every mistake becomes one line: the key, the file and line or the flag that set it, what was
expected and what came. Unknown keys get a hint, and so does what gdrun can't do.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from gdrun.config.layers import QUOTE, KeyPath, Layer
from gdrun.config.parts.data import DATA_TEXTS
from gdrun.config.parts.groups import CompareConfig, PlotConfig, SweepConfig
from gdrun.config.parts.kinds import KINDS
from gdrun.config.parts.optimizer import OF_RUN, OPTIMIZERS
from gdrun.config.parts.own_code import OWN_CODE
from gdrun.config.schema import RunConfig
from gdrun.config.words.limits import limit_of
from gdrun.config.words.names import NEAR_KINDS, SAME_VALUE, meant_key
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

# The mappings in a config, beside those of several kinds.
SECTIONS: dict[str, type[BaseModel]] = {
    "compare": CompareConfig,
    "sweep": SweepConfig,
    "plot": PlotConfig,
}
# How to give a key of the data that is missing.
HINTS_OF_MISSING: dict[KeyPath, str] = {
    ("data", "path"): "--data FILE names it",
    ("data", "target"): "--target COLUMN says which column is to be predicted",
    ("data", "x"): "--data X.npy names it",
    ("data", "y"): "--target Y.npy names it",
}


def explain(mistakes: Iterable[ErrorDetails], layer: Layer) -> tuple[list[str], list[str]]:
    """All mistakes of a config: one line for each, and hints."""
    mistakes = list(mistakes)
    above = {details["loc"][:n] for details in mistakes for n in range(len(details["loc"]))}
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
    written = path
    if path[:1] == ("sweep",):  # of which an entry of a list has no line of its own
        written = tuple(part.partition("[")[0] for part in path)
    prefixes = [written[:length] for length in range(len(path), 0, -1)]
    where = next((layer.origins[prefix] for prefix in prefixes if prefix in layer.origins), None)
    named = details["type"] == "union_tag_invalid" and path[0] in KINDS and KINDS[path[0]].named
    label = excerpt(".".join(path[:1] if named else path)) + position
    label += f" ({where})" if where else ""
    match details["type"]:
        case "extra_forbidden":
            return f"{label}: unknown key", _hint_for_unknown(path, layer.values)
        case "missing":
            kinds = KINDS[path[0]]
            kind = brief(kinds.of(layer.values.get(path[0])))
            return f"{label}: missing; the {kinds.noun} {kind} needs it", HINTS_OF_MISSING.get(path)
        case "union_tag_invalid":
            section = "optimizer" if path[0] == "sweep" else path[0]
            kinds, came = KINDS[section], KINDS[section].of(details["input"])
            said = f"{label}: must be one of {', '.join(kinds.models)}, got {brief(came)}"
            return said, _hint_for_kind(section, str(came))
        case "string_type" if path in DATA_TEXTS:
            return f"{label}: {expected(details)}", QUOTE
    return f"{label or 'config'}: {expected(details)}", _hint_for_value(path, details)


def _place(details: ErrorDetails, values: Mapping[str, Any]) -> tuple[KeyPath, str]:
    """The key of a mistake, and its `[position]` if it is in a list."""
    location = [str(part) for part in details["loc"]]
    kinds = KINDS.get(location[0]) if location else None
    if kinds and len(location) > 1 and location[1] in kinds.models:
        del location[1]  # pydantic adds the kind to the key
    elif kinds and details["type"].startswith("union_tag"):
        location.append(kinds.key)
    if location[:2] == ["sweep", "optimizer"] and len(location) > 2:  # of an entry of a list
        entry, *below = (part for part in location[2:] if part not in OPTIMIZERS)
        return ("sweep", f"optimizer[{entry}]", *below), ""
    position = ""
    while len(location) > 1 and isinstance(details["loc"][-1], int) and location[-1].isdecimal():
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


def _hint_for_value(path: KeyPath, details: ErrorDetails) -> str | None:
    """What to write instead of a value: the one that is meant, or the command for several."""
    key, value = path[-1] if path else "", details["input"]
    values = excerpt(",".join(map(str, value))) if isinstance(value, list | tuple) else ""
    if path == ("batch_size",) and values:
        return (
            f"several batch sizes: gdrun compare --batch-size {values} trains each of them, "
            f"gdrun sweep --batch-size {values} finds the best"
        )
    if path == ("hidden_size",) and values:
        return (
            "several layers: --hidden-size 4,16; several networks in one figure: "
            "gdrun compare --hidden-size 4 --hidden-size 16"
        )
    if path == ("sweep", "target") and isinstance(value, str):
        return "without --data, --target is a train loss; a column is data.target"
    if path == ("device",) and type(value) is int and value >= 0:
        return f"device {excerpt(str(value))}: did you mean cuda:{excerpt(str(value))}?"
    if details["type"] not in ("literal_error", "string_pattern_mismatch"):
        return None
    name = str(value).lower()
    if meant := SAME_VALUE.get(key, {}).get(name):
        return f"{key} {excerpt(str(value))}: did you mean {meant}?"
    allowed = re.findall(r"'(\w+)'", str(details.get("ctx", {}).get("expected", "")))
    for hint in did_you_mean(str(value), allowed):
        return hint
    own = "; net.py:build names one of your own" if key in OWN_CODE else ""
    return limit_of(name) or f"gdrun has no other {key} yet{own}"


def _hint_for_kind(section: str, kind: str) -> str:
    """What to write instead of a source or a schedule that doesn't exist."""
    kinds = KINDS[section]
    if meant := SAME_VALUE.get(section, {}).get(kind.lower()):
        return f"{excerpt(kind)}: did you mean {meant}?"
    for hint in did_you_mean(kind, kinds.models):
        return hint
    if limit := NEAR_KINDS.get(section, {}).get(re.sub(r"[^a-z]", "", kind.lower())):
        return limit
    verb = "reads" if section == "data" else "has"
    return f"gdrun {verb} no other {kinds.noun}s yet than {', '.join(kinds.models)}"


def _hint_for_unknown(path: KeyPath, values: Mapping[str, Any]) -> str | None:
    if path[0] == "sweep" and len(path) > 2:  # an option of one of several optimizers
        entry = _lookup(values, ("sweep", "optimizer"))[int(path[1][10:-1])]
        path, values = ("optimizer", path[-1]), {"optimizer": entry}
        if path[1] in OF_RUN:
            return f"{KINDS['optimizer'].of(entry)} has no {path[1]}"
    name = path[-1]
    known = _known_keys(values)
    if meant := _meant(path, known):
        return f"{'.'.join(path)}: did you mean {meant}?"
    if limit := limit_of(".".join(path)):
        return limit
    siblings = [key[-1] for key in known if key[:-1] == path[:-1]]
    if path == ("data", "target"):
        return "name the file of the data, too: --data FILE --target COLUMN"
    kinds = KINDS.get(path[0])
    for other, model in kinds.models.items() if kinds else ():
        if kinds and name in model.model_fields:
            key = path[0] if kinds.named else f"{path[0]}.{kinds.key}"
            return f"{'.'.join(path)} belongs to another {kinds.noun}: set {key} to {other}"
    if elsewhere := [key for key in config_keys() if key.rpartition(".")[2] == name]:
        return f"{'.'.join(path)}: did you mean {elsewhere[0]}?"
    for hint in did_you_mean(name, siblings, prefix=path[:-1]):
        return hint
    return f"known keys{' of ' + '.'.join(path[:-1]) if path[:-1] else ''}: {', '.join(siblings)}"


def _meant(path: KeyPath, known: Collection[KeyPath]) -> str | None:
    """The key that is meant by another name, in the same section if it has one."""
    if whole := meant_key(".".join(path)):
        return whole
    meant = meant_key(path[-1])
    places = [(*path[:-1], meant), tuple(meant.split("."))] if meant else []
    return next((".".join(place) for place in places if place in known), None)


def config_keys() -> list[str]:
    """The dotted keys of configs, for all sources of data."""
    sections: dict[str, Iterable[type[BaseModel]]] = {
        **{key: kinds.models.values() for key, kinds in KINDS.items()},
        **{key: [model] for key, model in SECTIONS.items()},
    }
    below = (
        f"{name}.{key}" for name, own in sections.items() for m in own for key in m.model_fields
    )
    named = {key for key, kinds in KINDS.items() if kinds.named}
    plain = (key for key in RunConfig.model_fields if key in named or key not in sections)
    return [*plain, *dict.fromkeys(below)]


def _known_keys(values: Mapping[str, Any]) -> list[KeyPath]:
    own = {key: kinds.model(values.get(key)) for key, kinds in KINDS.items()}
    nested: dict[str, type[BaseModel]] = {**own, **SECTIONS}
    keys: list[KeyPath] = [(name,) for name in RunConfig.model_fields]
    keys += [(name, key) for name, model in nested.items() for key in model.model_fields]
    return [*keys, *(("optimizer", key) for key in OF_RUN)]


def _lookup(values: Any, path: Iterable[str]) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def brief(value: Any) -> str:
    """A value, or what kind of value it is, in a few words."""
    if isinstance(value, str) and not value:  # an array would compare itself
        return "nothing"
    if isinstance(value, list | tuple) and not value:
        return "an empty list"
    return repr(excerpt(value)) if isinstance(value, str) else kind(value)
