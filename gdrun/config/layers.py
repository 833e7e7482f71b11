"""The layers of a config: what one file, or all flags, set, and where each key was written.

A later layer overrides an earlier one key by key. A repeated key is an error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from gdrun.config.parts.data import DATA_TEXTS, files_of
from gdrun.config.parts.kinds import KINDS, Kinds
from gdrun.config.parts.optimizer import OF_RUN, as_mapping
from gdrun.config.parts.own_code import OWN_CODE, beside, is_own
from gdrun.config.yaml_loader import (
    MAX_CHARACTERS,
    RefusedError,
    compose,
    construct,
    keep_text,
    kind,
)
from gdrun.errors import ConfigError, excerpt, first_of, one_line

KeyPath = tuple[str, ...]

QUOTE = "text with signs such as : # % * & needs quotes: '% of x'"


@dataclass(frozen=True)
class Layer:
    """One source of a config: its nested values and, for each key, where it was written."""

    values: Mapping[str, Any]
    origins: Mapping[KeyPath, str] = field(default_factory=dict)


def merge_layers(base: Layer, overlay: Layer, *, replace: bool = True) -> Layer:
    """The values of both, key by key; the overlay overrides.

    Another kind of a section, such as another source of data, replaces all of it, unless both
    layers are of one command line.
    """

    def merge(below: Any, above: Any, kinds: Kinds | None = None) -> Any:
        if kinds:
            below, above = kinds.as_mapping(below), kinds.as_mapping(above)
        if not (isinstance(below, dict) and isinstance(above, dict)):
            return above
        said = isinstance(above.get(kinds.key), str) if kinds and replace else False
        if kinds and said and kinds.of(above) != kinds.of(below):
            return above
        return {**below, **{key: merge(below.get(key), above[key]) for key in above}}

    lower, upper = _with_optimizers(base.values, overlay.values)
    origins = dict(base.origins)
    for path, origin in overlay.origins.items():
        origins |= {path[:n]: origin for n in range(1, len(path) + 1)}
    values = {key: merge(lower.get(key), value, KINDS.get(key)) for key, value in upper.items()}
    return Layer({**lower, **values}, origins)


def _with_optimizers(
    below: Mapping[str, Any], above: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of two layers, their optimizers as mappings, and each key of these in one place.

    A key that the upper layer has, inside `optimizer` or beside it, the lower has in neither.
    """
    low, high = (
        {key: as_mapping(value) if key == "optimizer" else value for key, value in layer.items()}
        for layer in (below, above)
    )
    inside = high.get("optimizer")
    inside = inside if isinstance(inside, dict) else {}
    overridden = {key for key in OF_RUN if key in high or key in inside}
    for key in overridden:
        low.pop(key, None)
    if isinstance(low.get("optimizer"), dict):
        kept = {k: value for k, value in low["optimizer"].items() if k not in overridden}
        low["optimizer"] = kept
    return low, high


def assign(assignments: Iterable[tuple[str, KeyPath, Any]]) -> Layer:
    """One layer from (origin, key path, value) assignments; later ones override earlier ones.

    Raises:
        ConfigError: a key has both a value and keys below it.
    """
    values: dict[str, Any] = {}
    origins: dict[KeyPath, str] = {}
    for origin, (*above, last), value in assignments:
        kinds = None if above else KINDS.get(last)
        is_kind = kinds and kinds.named and isinstance(value, str)
        path = (last, kinds.key) if kinds and is_kind else (*above, last)
        target = values
        for key in path[:-1]:
            target = target.setdefault(key, {})
            if not isinstance(target, dict):
                raise ConfigError(
                    f"{origin}: {key} was set to a value before, and can't have keys too"
                )
        target[path[-1]] = value
        origins[path] = origin
    return Layer(values, origins)


def read_layer(path: Path) -> Layer:
    """Read a YAML config; relative paths of files in it are relative to it.

    Raises:
        ConfigError: the file can't be read, is too large, isn't valid YAML (with line and column)
            or no mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_CHARACTERS + 1)  # no more: a device may have no end
        if len(content) > MAX_CHARACTERS:
            raise ConfigError(
                f"{path}: is larger than {MAX_CHARACTERS:,} bytes, too large for a config",
                "if it is the data, name it in data.path",
            )
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text ({error.reason})") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    layer = parse_layer(text, str(path))
    named = {key: layer.values[key] for key in OWN_CODE if is_own(layer.values.get(key))}
    own = {key: beside(path, reference) for key, reference in named.items()}
    layer = Layer({**layer.values, **own}, layer.origins)
    data = layer.values.get("data")
    if not isinstance(data, dict):
        return layer
    keys = files_of(data.get("source"))
    files = {key: _beside(path, data[key]) for key in keys if isinstance(data.get(key), str)}
    if data.get("source") == "python" and is_own(data.get("path")):
        files = {"path": beside(path, data["path"])}
    return Layer({**layer.values, "data": {**data, **files}}, layer.origins)


def _beside(config: Path, file: str) -> str:
    """The path of a file that a config names; one that begins with ~ is left to the schema."""
    own = Path(file)
    return str(own if own.parts[:1] and own.parts[0].startswith("~") else config.parent / own)


def parse_layer(text: str, source: str) -> Layer:
    """The mapping that a YAML text holds, with the line of each key.

    Raises:
        ConfigError: it isn't valid YAML (with line and column), or no mapping.
    """
    origins: dict[KeyPath, str] = {}
    try:
        node = compose(text)
        repeated = list(_locate(node, (), source, origins))
        keep_text(node, (), DATA_TEXTS)
        values = construct(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        if isinstance(error, RefusedError):
            raise ConfigError(
                f"{source}{where}: {error.problem}",
                "a config is a few flat keys; write values out, without &, * and <<",
                QUOTE,
            ) from None
        reason = excerpt(error.problem or error.context or "", 200)
        raise ConfigError(
            f"{source}{where}: is not valid YAML: {reason}",
            "each line is `key: value`, with a space after the colon and no tabs for indentation",
            QUOTE,
        ) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: is not valid YAML: {one_line(error)}") from None
    if values is None:
        return Layer({})
    if not isinstance(values, dict):
        raise ConfigError(
            f"{source}: holds {kind(values)}, expected a mapping: lines of `key: value`",
            "`gdrun init` writes a config file to start from",
        )
    if repeated:
        raise ConfigError(first_of(repeated, len(repeated), "key"), "keep one of them")
    return Layer(values, origins)


def _locate(
    node: yaml.Node | None, path: KeyPath, source: str, origins: dict[KeyPath, str]
) -> Iterable[str]:
    """Note the line of every key under `node`; yield a message for each repeated one."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue  # its construction raises the error
        here = (*path, key.value)
        where = f"{source}, line {key.start_mark.line + 1}"
        if here in origins:
            name = excerpt(".".join(here))
            yield f"{name} ({where}): is set twice, first in {origins[here]}"
        origins[here] = where
        yield from _locate(value, here, source, origins)
