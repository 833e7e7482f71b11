"""Whether two configs are of the same run, and which keys may change when it is resumed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from gdrun.config.parts.data import DATA_FILES
from gdrun.config.parts.kinds import KINDS
from gdrun.config.parts.own_code import OWN_CODE, function_name
from gdrun.config.parts.schedule import schedule_in_words
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError

# The keys that may change: a resumed run may have more epochs, unless its schedule depends on them,
# its data and the user's functions are compared by content, another engine computes the same, and a
# target is applied after training.
MAY_CHANGE = ("epochs", "engine", "sweep.target", *(f"data.{key}" for key in DATA_FILES))

# Keys that came later, with the value that changes nothing: an older checkpoint has none of them.
LATER: Mapping[str, Any] = {
    "data.exclude": [],
    "data.categorical": [],
    "data.missing": "drop",
    "data.delimiter": "auto",
    "data.decimal": "auto",
    "data.header": "auto",
    "data.encoding": "auto",
    "data.comment": "auto",
    "plot.scale": "paper",
    "eval_growth": "auto",
    "model": "perceptron",
    "patience": None,
    "data.shape": None,
    "schedule": "constant",
    "optimizer": "sgd",
    "probes": [],
    "probe_every": 10,
    "trajectory": False,
}

OF_GROUPS = ("compare", "sweep")  # what says which runs a group has


def refuse_changes(saved: RunConfig, requested: RunConfig) -> None:
    """Refuse to resume a run with a config that differs in more than what may change.

    Raises:
        ConfigError: naming each key that differs.
    """
    before, now = _fixed_keys(saved), _fixed_keys(requested)
    pairs = {key: (_value(before, key), _value(now, key)) for key in {**before, **now}}
    differing = [
        f"{key}: the run has {old}, and can't be resumed with {new}"
        for key, (old, new) in pairs.items()
        if old != new
    ]
    if requested.epochs < saved.epochs:
        differing.append(f"epochs: the run has {saved.epochs}, which can be raised, not lowered")
    hints = ["start a new run for another config"] if differing else []
    if requested.epochs > saved.epochs and not saved.may_be_extended:
        differing.append(
            f"epochs: the run has {saved.epochs}, and can't have more, as its schedule, "
            f"{schedule_in_words(saved.schedule)}, depends on them"
        )
        hints.append("with more epochs its updates would have had other rates: start a new run")
    if differing:
        raise ConfigError(differing, *hints)


def fingerprint(config: RunConfig, method: str, *, with_places: bool = False) -> str:
    """A hash of the method and of all keys that a run depends on and that may not change.

    An older gdrun's is one `with_places` of files of functions.
    """
    fixed = _fixed_keys(config, with_places=with_places)
    own = {
        key: value
        for key, value in fixed.items()
        if key.split(".")[0] not in OF_GROUPS and (key not in LATER or value != LATER[key])
    }
    if not config.may_be_extended:
        own["epochs"] = config.epochs
    content = json.dumps([method, own], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def flatten(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys.

    >>> flatten({"lr": 0.1, "data": {"rows": 5}})
    {'lr': 0.1, 'data.rows': 5}
    """
    flat: dict[str, Any] = {}
    for key, value in values.items():
        nested = isinstance(value, dict)
        flat |= flatten(value, f"{above}{key}.") if nested else {above + key: value}
    return flat


def _fixed_keys(config: RunConfig, *, with_places: bool = False) -> dict[str, Any]:
    """The dotted keys of a config that may not change; a section that may be a name is one.

    Files of functions of the user's may be moved: their content is compared.
    """
    values = config.model_dump(mode="json")
    named = {key: values.pop(key) for key, kinds in KINDS.items() if kinds.named}
    flat = {**named, **flatten(values)}
    if not with_places:
        flat |= {key: function_name(flat[key]) for key in OWN_CODE}
    return {key: value for key, value in flat.items() if key not in MAY_CHANGE}


def _value(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "none"
