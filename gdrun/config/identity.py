"""When two configs are of the same run: what may change when it is resumed, and what may not."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gdrun.config.read import DATA_FILES
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError

# Keys of a config that may change: more epochs extend a run, data is known by what it holds, and
# another engine does the same.
MAY_CHANGE = ("epochs", "engine", "sweep.target", *(f"data.{key}" for key in DATA_FILES))


def refuse_changes(saved: RunConfig, asked: RunConfig) -> None:
    """Refuse to go on with another config than was begun with, but for what may change.

    Raises:
        ConfigError: naming each key that differs.
    """
    before, now = _what_stays(saved), _what_stays(asked)
    differing = [
        f"{key}: the run has {_value(before, key)}, and can't go on with {_value(now, key)}"
        for key in dict.fromkeys([*before, *now])
        if before.get(key, flatten) != now.get(key, flatten)
    ]
    if asked.epochs < saved.epochs:
        differing.append(f"epochs: the run has {saved.epochs}, which can be raised, not lowered")
    if differing:
        raise ConfigError(differing, "start a new run for another config")


def fingerprint(config: RunConfig, method: str) -> str:
    """A hash of the method and of all of a config that a run depends on, but what may change."""
    own = {key: value for key, value in _what_stays(config).items() if key.split(".")[0] != "sweep"}
    content = json.dumps([method, own], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def _what_stays(config: RunConfig) -> dict[str, Any]:
    """The dotted keys of a config that a run has to be gone on with."""
    flat = flatten(config.model_dump(mode="json"))
    return {key: value for key, value in flat.items() if key not in MAY_CHANGE}


def flatten(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        deeper = isinstance(value, dict)
        flat |= flatten(value, f"{above}{key}.") if deeper else {above + key: value}
    return flat


def _value(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "none"
