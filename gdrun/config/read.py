"""From YAML, `--set` and flags to a `RunConfig`, or to one report of all mistakes."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gdrun.config.explain import explain
from gdrun.config.layers import KeyPath, Layer, assign, merge_layers, read_layer
from gdrun.config.parts.data import DATA_TEXTS, Data, MemoryData
from gdrun.config.parts.optimizer import OF_RUN, clashes
from gdrun.config.parts.own_code import OWN_CODE
from gdrun.config.presets import DEFAULT_PRESET, find_config
from gdrun.config.schema import RunConfig
from gdrun.config.yaml_loader import RefusedError, compose, construct, keep_text, kind
from gdrun.errors import ConfigError, excerpt

# Keys of `data` that may be arguments beside it in Python; `seed` is that of the run.
DATA_KEYS = tuple(key for key in MemoryData.model_fields if key not in ("source", "seed"))
DEFAULTED = ("batch_size", "lr")  # of the preset `article`: those of the schema
OWN_CODE_PATHS = [(key,) for key in OWN_CODE]  # text, though YAML reads `net.py:` as a mapping
MAX_PARTS = 8  # of a dotted key; those of the schema have two


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
        base: the layer below where no `config` is given; by default the preset `article`, and
            nothing for data of another source.

    Raises:
        ConfigError: with every mistake, each with its key and where it was written.
    """
    set_ = assign((f"--set {excerpt(text)}", *_split_setting(text)) for text in settings)
    typed = assign(
        (excerpt(flag), path, _flag_value(path, text))
        for key, (flag, text) in (flags or {}).items()
        for path in [tuple(key.split("."))]
    )
    overlay = merge_layers(set_, typed, replace=False)
    if config is not None:
        base = read_layer(find_config(config))
    elif base is None:
        base = _default_layer(overlay)
    return validate(merge_layers(base, overlay))


def configure(
    config: str | Path | RunConfig | Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> RunConfig:
    """Build a config from Python: a base, and the keys that override it.

    Raises:
        ConfigError: with every mistake.
    """
    if config is not None and not isinstance(config, str | Path | RunConfig | Mapping):
        raise ConfigError(
            f"config: must be a file, the name of a preset or a mapping, got {kind(config)}",
            *(["rows are handed over by data=…"] if hasattr(config, "shape") else []),
        )
    if isinstance(config, Mapping):
        base = Layer(config)
    elif isinstance(config, RunConfig):
        base = Layer(config.model_dump())
    elif config is None:
        base = _default_layer(Layer(settings))
    else:
        base = read_layer(find_config(str(config)))
    origins = {path: f"argument {path[0]}" for path in _key_paths(settings)}
    return validate(merge_layers(base, Layer(settings, origins)))


def configured(
    config: str | Path | RunConfig | Mapping[str, Any] | None, settings: Mapping[str, Any]
) -> RunConfig:
    """The same, where `data` may also be the rows themselves, and keys of it may stand beside it.

    Raises:
        ConfigError: with every mistake.
    """
    own = {key: settings[key] for key in DATA_KEYS if key in settings}
    others = {key: value for key, value in settings.items() if key not in own}
    rows = settings.get("data")
    if isinstance(rows, Data):
        return configure(
            config, {**others, "data": {**rows.model_dump(), **own}} if own else others
        )
    if rows is None or (isinstance(rows, Mapping) and not _is_rows(rows)):
        return configure(config, {**others, "data": {**(rows or {}), **own}} if own else others)
    found = configure(config, {**others, "data": {"source": "memory", **own}})
    assert isinstance(found.data, MemoryData)
    return found.model_copy(update={"data": found.data.with_rows(rows)})


def _is_rows(values: Mapping[str, Any]) -> bool:
    """Whether a mapping holds arrays, and not keys of a config."""
    return "source" not in values and {"x", "y"} <= set(values)


def a_path(name: str, value: object) -> Path:
    """The path that an argument from Python is.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(value, str | Path) or "\0" in str(value):
        raise ConfigError(f"{name}: must be a path, got {kind(value)}")
    return Path(value)


def _default_layer(overlay: Layer) -> Layer:
    """The preset `article`; or nothing, if the data is of another source.

    That preset visits the rows in order and leaves the last ones out, as the article does: nobody's
    own data should be treated so by surprise. Its batch size and learning rate, the default ones,
    aren't counted as asked for, so that one can be lowered for few rows, and the other be noted
    where it is too large for an optimizer.
    """
    data = overlay.values.get("data")
    named = data.get("source") if isinstance(data, Mapping) else getattr(data, "source", None)
    if isinstance(named, str) and named != "quadratic":
        return Layer({})
    article = read_layer(find_config(DEFAULT_PRESET))
    values = {key: value for key, value in article.values.items() if key not in DEFAULTED}
    return Layer(values, article.origins)


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
    repeated = [
        f"{key}{_where(layer, key)} and optimizer.{key}{_where(layer, 'optimizer', key)} differ"
        for key in clashes(layer.values)
    ]
    if repeated:
        raise ConfigError(repeated, "keep one of them")
    of_lifted: dict[KeyPath, str] = {
        path[1:]: origin
        for path, origin in layer.origins.items()
        if path[0] == "optimizer" and path[1:] in {(key,) for key in OF_RUN}
    }
    layer = Layer(layer.values, {**of_lifted, **layer.origins})
    try:
        return RunConfig.model_validate(layer.values)
    except ValidationError as error:
        problems, hints = explain(error.errors(include_url=False), layer)
    raise ConfigError(problems, *hints)


def _where(layer: Layer, *path: str) -> str:
    """Where a key was written, in brackets, if that is known."""
    origin = next((layer.origins[path[:n]] for n in (2, 1) if path[:n] in layer.origins), None)
    return f" ({origin})" if origin else ""


def dump_config(config: RunConfig) -> str:
    """The config as YAML that `load_config` reads back to an equal config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _split_setting(text: str) -> tuple[KeyPath, Any]:
    key, equals, value = text.partition("=")
    path = tuple(key.strip().split("."))
    if not equals or not all(path) or len(path) > MAX_PARTS:
        raise ConfigError(
            f"--set {excerpt(text)}: expected KEY=VALUE, "
            "such as --set momentum=0.9 or --set data.rows=50"
        )
    if not value.strip():  # YAML reads null, which is a valid value of some keys
        return path, ""
    if _is_plain_text(path, value):
        return path, value.strip()
    try:
        return path, _constructed(path, value)
    except RefusedError as error:
        raise ConfigError(f"--set {excerpt(text)}: {error.problem}") from None
    except yaml.YAMLError:
        came = repr(excerpt(value))
        raise ConfigError(f"--set {excerpt(text)}: {came} is not a YAML value") from None


def _is_plain_text(path: KeyPath, value: str) -> bool:
    """Whether a value is text as it is written: `#n` or `a: b`, where YAML reads something else."""
    return path in DATA_TEXTS and value.strip()[0] not in "[\"'" and value.strip() != "null"


def _constructed(path: KeyPath, text: str) -> Any:
    node = compose(text)
    keep_text(node, path, DATA_TEXTS)
    return construct(node)


def _flag_value(path: KeyPath, text: str) -> Any:
    """The value of a flag, read as YAML; `0.1,0.2` is short for the list `[0.1, 0.2]`.

    An empty text stays one: it is more likely an unset shell variable than null, which is the
    default of some keys.
    """
    if not text.strip():
        return ""
    if path in DATA_TEXTS or path in OWN_CODE_PATHS:
        return text
    try:
        return construct(compose(f"[{text}]" if "," in text else text))
    except yaml.YAMLError:
        return text  # which the schema refuses
