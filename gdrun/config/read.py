"""From YAML, `--set` and flags to a `RunConfig`, or to one report of everything that is wrong.

A config is made of layers, later ones winning key by key: the file or preset, `--set`, flags. Each
layer remembers where its keys came from, so that a mistake is reported with its file and line or
its flag. A repeated key is an error.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gdrun.config.explain import KeyPath, Layer, explain, kind
from gdrun.config.schema import RunConfig
from gdrun.config.yaml_loader import LARGEST, RefusedError, compose, construct
from gdrun.errors import ConfigError, did_you_mean, excerpt, first_of, one_line

DEFAULT_PRESET = "article"
DATA_FILES = ("path", "x", "y")  # the keys of `data` that name files
DEEPEST = 8  # parts of a dotted key; the schema's have two


def preset_directory() -> Path:
    """The shipped presets: inside an installed package, or beside it in a source checkout."""
    package = Path(__file__).parent.parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def starter() -> str:
    """The commented config that `gdrun init` writes."""
    return Path(__file__).with_name("starter.yaml").read_text(encoding="utf-8")


def preset_names() -> list[str]:
    """The presets that `--config NAME` finds, sorted."""
    return sorted(path.stem for path in preset_directory().glob("*.yaml"))


def find_config(name: str) -> Path:
    """The file that `--config` means: a path if it looks like one, else a preset, else a path.

    Raises:
        ConfigError: no such file and no such preset.
    """
    path = Path(name)
    looks_like_path = path.suffix in {".yaml", ".yml"} or len(path.parts) > 1
    if not looks_like_path and name in preset_names():
        return preset_directory() / f"{name}.yaml"
    try:
        if path.exists():
            return path
    except OSError:
        return path  # reading it says why that can't be told
    presets = preset_names()
    raise ConfigError(
        f"--config {name}: no such file" + ("" if looks_like_path else " or preset"),
        *did_you_mean(path.stem, presets),
        f"presets: {', '.join(presets)}; `gdrun init` writes a config file to start from",
    )


def load_config(
    config: str | None = None,
    settings: Iterable[str] = (),
    flags: Mapping[str, tuple[str, str]] | None = None,
    base: Layer | None = None,
) -> RunConfig:
    """Build the config of a run.

    Args:
        config: path of a YAML file or name of a preset.
        settings: `KEY=VALUE` strings with dotted keys, the values read as YAML.
        flags: dotted key of the config → (flag as typed, its value as text).
        base: what they win over where no `config` is given; the preset `article` without it.

    Raises:
        ConfigError: with every mistake, each with its key and where it was written.
    """
    assignments = [(f"--set {excerpt(text)}", *_split_setting(text)) for text in settings]
    overlays = [_assign(assignments)]
    if flags:
        overlays.append(
            _assign(
                [
                    (excerpt(flag), tuple(key.split(".")), _flag_value(text))
                    for key, (flag, text) in flags.items()
                ]
            )
        )
    if config is not None or base is None:
        base = read_layer(find_config(DEFAULT_PRESET if config is None else config))
    merged = base
    for overlay in overlays:
        merged = _merge(merged, overlay)
    return validate(merged)


def configure(
    config: str | Path | RunConfig | Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> RunConfig:
    """Build a config from Python: a base and the keys that win over it.

    Raises:
        ConfigError: with every mistake.
    """
    if isinstance(config, Mapping):
        base = Layer(config)
    elif isinstance(config, RunConfig):
        base = Layer(config.model_dump())
    else:
        base = read_layer(find_config(DEFAULT_PRESET if config is None else str(config)))
    origins = {path: f"argument {path[0]}" for path in _key_paths(settings)}
    return validate(_merge(base, Layer(settings, origins)))


def _key_paths(values: Mapping[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    for key, value in values.items():
        yield (*above, key)
        if isinstance(value, Mapping):
            yield from _key_paths(value, (*above, key))


def validate(layer: Layer) -> RunConfig:
    """Check the values of a layer against the schema.

    Raises:
        ConfigError: with every mistake, each with its key and where it was written.
    """
    try:
        return RunConfig.model_validate(layer.values)
    except ValidationError as error:
        problems, hints = explain(error.errors(include_url=False), layer)
    raise ConfigError(problems, *hints)


def dump_config(config: RunConfig) -> str:
    """The config as YAML that `load_config` reads back to an equal config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


# ---------------------------------------------------------------------------------------- reading


def read_layer(path: Path) -> Layer:
    """Read a YAML config; a relative path of a data file in it is relative to it.

    Raises:
        ConfigError: the file can't be read, is too large, no YAML (with line and column) or no
            mapping.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)  # no more: it may be a device without an end
        if len(content) > LARGEST:
            raise ConfigError(
                f"{path}: is larger than {LARGEST:,} bytes, too large for a config",
                "is it the data? Name that in data.path",
            )
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text ({error.reason})") from None
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    layer = parse_layer(text, str(path))
    data = layer.values.get("data")
    if not isinstance(data, dict):
        return layer
    files = {key: _beside(path, data[key]) for key in DATA_FILES if isinstance(data.get(key), str)}
    return Layer({**layer.values, "data": {**data, **files}}, layer.origins)


def _beside(config: Path, file: str) -> str:
    """Where a file lies that a config names; what begins with ~ is left to the schema."""
    own = Path(file)
    return str(own if own.parts[:1] and own.parts[0].startswith("~") else config.parent / own)


def parse_layer(text: str, source: str) -> Layer:
    """The mapping that a YAML text holds, with the line of each key.

    Raises:
        ConfigError: it is no YAML (with line and column) or no mapping.
    """
    origins: dict[KeyPath, str] = {}
    try:
        node = compose(text)
        repeated = list(_locate(node, (), source, origins))
        values = construct(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        if isinstance(error, RefusedError):
            raise ConfigError(
                f"{source}{where}: {error.problem}",
                "a config is a few flat keys, written out without & and *",
            ) from None
        reason = excerpt(error.problem or error.context or "", 200)
        raise ConfigError(
            f"{source}{where}: is not valid YAML: {reason}",
            "each line is `key: value`, with a space after the colon and no tabs for indentation",
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
    """Note the line of every key under `node`; yield a complaint for each repeated one."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            continue  # constructing it says what is wrong
        here = (*path, key.value)
        where = f"{source}, line {key.start_mark.line + 1}"
        if here in origins:
            name = excerpt(".".join(here))
            yield f"{name} ({where}): is set twice, first in {origins[here]}"
        origins[here] = where
        yield from _locate(value, here, source, origins)


def _split_setting(text: str) -> tuple[KeyPath, Any]:
    key, equals, value = text.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path) or len(path) > DEEPEST:
        raise ConfigError(
            f"--set {excerpt(text)}: expected KEY=VALUE, "
            "such as --set momentum=0.9 or --set data.rows=50"
        )
    if not value.strip():  # YAML would have null, which is a value of some keys
        return path, ""
    try:
        return path, construct(compose(value))
    except RefusedError as error:
        raise ConfigError(f"--set {excerpt(text)}: {error.problem}") from None
    except yaml.YAMLError:
        came = repr(excerpt(value))
        raise ConfigError(f"--set {excerpt(text)}: {came} is not a YAML value") from None


def _flag_value(text: str) -> Any:
    """A flag's text as YAML, with `0.1,0.2` short for the list `[0.1, 0.2]`.

    Nothing stays nothing: it is more often a shell variable that isn't set than meant as null,
    which would be the default of some keys.
    """
    if not text.strip():
        return ""
    try:
        return construct(compose(f"[{text}]" if "," in text else text))
    except yaml.YAMLError:
        return text  # which the schema says is no such value


def _assign(assignments: Iterable[tuple[str, KeyPath, Any]]) -> Layer:
    """One layer of (origin, key path, value) assignments, later ones winning."""
    values: dict[str, Any] = {}
    origins: dict[KeyPath, str] = {}
    for origin, path, value in assignments:
        target = values
        for key in path[:-1]:
            target = target.setdefault(key, {})
            if not isinstance(target, dict):
                raise ConfigError(f"{origin}: {key} is set to a value already, not to a mapping")
        target[path[-1]] = value
        origins[path] = origin
    return Layer(values, origins)


def _merge(base: Layer, overlay: Layer) -> Layer:
    """The values of both, the overlay's winning key by key; another data source starts afresh."""

    def merge(below: Any, above: Any) -> Any:
        if not (isinstance(below, dict) and isinstance(above, dict)):
            return above
        if "source" in above and above["source"] != below.get("source", "quadratic"):
            return above
        return {**below, **{key: merge(below.get(key), above[key]) for key in above}}

    origins = dict(base.origins)
    for path, origin in overlay.origins.items():
        origins |= {path[:n]: origin for n in range(1, len(path) + 1)}
    return Layer(merge(dict(base.values), dict(overlay.values)), origins)
