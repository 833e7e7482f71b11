"""`run.json`: what a run or group says of itself, as one model that a file is checked against."""

import json
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SkipValidation, ValidationError, field_validator

from gdrun.config.explain import brief
from gdrun.config.foreign import (
    Facts,
    Fingerprint,
    MetricColumn,
    Natural,
    PositiveSize,
    SavedConfig,
    Seconds,
    Sha256,
    ShortText,
    SizeAsKey,
    Text,
    Time,
    first_mistake,
    saved_config,
)
from gdrun.config.parts.groups import PlotConfig
from gdrun.config.schema import Method, RunConfig
from gdrun.errors import ConfigError, DataError, did_you_mean
from gdrun.results.compare import Comparison
from gdrun.results.description import Description
from gdrun.results.events import Status
from gdrun.results.file_names import COMPARED, MANIFEST
from gdrun.results.rows.log_rows import EPOCH_COLUMNS, PROBE_COLUMNS
from gdrun.results.run import SCHEMA_VERSION, Failure, LaneResult
from gdrun.storage.atomic import read_plain
from gdrun.storage.row_file import FileDigest

MAX_BYTES = 2**27  # of a `run.json`
MAX_LANES = 2**17  # of a run: so many entries take somewhat less
MAX_COMPARED = 2**17  # runs of a comparison
MAX_COLUMNS = 32  # of `epochs.csv`, beside those that all runs have
MAX_LEVELS = 10  # of nested lists and mappings


class ResumedFacts(Facts):
    """When a run was resumed; when the process before had `stopped`, unless it was killed."""

    at: Time | None = None
    command: Text | None = None
    updates: Natural | None = None
    stopped: Time | None = None


# What the CSV files of a run held, by name.
Digests = dict[Literal["epochs.csv", "evaluations.csv", "steps.csv", "probes.csv"], FileDigest]


class _Manifest(Facts):
    """What the `run.json` of runs and of groups say.

    What older versions of gdrun didn't write is optional. Text is as a terminal can show it.
    """

    status: Status
    problem: Description
    command: Text | None = None
    pid: Natural | None = None
    device: ShortText | None = None
    threads: PositiveSize | None = None
    ranks: PositiveSize = Field(default=1)
    host: ShortText | None = None
    versions: dict[ShortText, ShortText] = Field(default_factory=dict)
    git_commit: ShortText | None = None
    data_fingerprint: Fingerprint | None = None
    started: Time | None = None
    finished: Time | None = None
    resumed: tuple[ResumedFacts, ...] = ()
    config: SavedConfig | None = None
    jobs: PositiveSize = Field(default=1)
    seconds_an_update_alone: dict[SizeAsKey, Seconds] | None = None
    batch_sizes: tuple[PositiveSize, ...] = ()
    content: SkipValidation[Mapping[str, Any]]  # all that the file holds, as it is written there

    @cached_property
    def settings(self) -> RunConfig | None:
        """The config, without keys that this version of gdrun doesn't know."""
        return None if self.config is None else saved_config(self.config)


def _all_differ(value: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    if len({*value, *others}) < len(value) + len(others):
        raise ValueError("Input should be columns that no other has the name of")
    return value


class RunManifest(_Manifest):
    """What the `run.json` of a run says; `lanes` are empty until it has ended.

    `columns` are further ones of its `epochs.csv`, behind those that all runs have, and
    `probe_columns` likewise those of its `probes.csv`; `code` has the hashes of the files of the
    user's functions, by the keys that name these.
    """

    kind: Literal["run"]
    method: Method
    batch_size: PositiveSize
    name: Text | None = None
    columns: Annotated[tuple[MetricColumn, ...], Field(max_length=MAX_COLUMNS)] = ()
    probe_columns: Annotated[tuple[MetricColumn, ...], Field(max_length=MAX_COLUMNS)] = ()
    lanes: tuple[LaneResult, ...] = ()
    files: Digests = Field(default_factory=dict)
    engines: tuple[Literal["eager", "compiled"], ...] = ()
    code: dict[str, Sha256] = Field(default_factory=dict)
    program: ShortText | None = None

    @field_validator("columns")
    @classmethod
    def _columns_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _all_differ(value, EPOCH_COLUMNS)

    @field_validator("probe_columns")
    @classmethod
    def _probe_columns_differ(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return _all_differ(value, PROBE_COLUMNS)

    @property
    def trained_by(self) -> tuple[str, ...]:
        """The engines of its updates, one after the other; an older gdrun only says the last."""
        if self.engines or not self.settings or self.settings.engine == "auto":
            return self.engines
        return (self.settings.engine,)


class GroupManifest(_Manifest):
    """What the `run.json` of a group says; `members` are the runs that had a result."""

    kind: Literal["group"]
    experiment: Literal["compare", "sweep"]
    config: SavedConfig
    members: tuple[Text, ...] = ()
    failures: tuple[Failure, ...] = ()


class ComparedRun(Facts):
    """A run of a comparison of saved runs: what it is called there, and where it was.

    Directories are absolute, `path` is relative to that of the comparison.
    """

    name: Text
    directory: Text
    path: Text | None = None


class ComparisonManifest(Facts):
    """What the `compared.json` of a comparison of saved runs says; they may be gone by now."""

    kind: Literal["comparison"]
    runs: Annotated[tuple[ComparedRun, ...], Field(min_length=1, max_length=MAX_COMPARED)]
    comparison: Comparison
    command: Text | None = None
    made: Time | None = None
    notes: tuple[Text, ...] = ()
    caption: Text = ""
    plot: PlotConfig = PlotConfig()
    content: SkipValidation[Mapping[str, Any]]

    @property
    def started(self) -> datetime | None:
        """When it was made, as runs call it."""
        return self.made


Manifest = RunManifest | GroupManifest
MODELS: Mapping[str, type[Manifest]] = {"run": RunManifest, "group": GroupManifest}


def read_manifest(directory: Path) -> Manifest:
    """What the `run.json` in a directory says.

    Raises:
        ConfigError: the directory isn't one of gdrun's.
        DataError: the file is damaged, or of a newer version of gdrun.
        OSError: it can't be read.
    """
    path = directory / MANIFEST
    try:
        content = _content(path)
    except (FileNotFoundError, NotADirectoryError):
        raise _no_run(directory) from None
    own = content.get("kind")
    if own not in tuple(MODELS):
        raise DataError(f"{path}: is damaged: kind: must be run or group, got {brief(own)}")
    try:
        return MODELS[own].model_validate({**content, "content": content})
    except ValidationError as error:
        raise DataError(f"{path}: is damaged: {first_mistake(error)}") from None


def read_comparison(directory: Path) -> ComparisonManifest:
    """What the `compared.json` in a directory says.

    Raises:
        DataError: the file is damaged, or of a newer version of gdrun.
        OSError: it can't be read.
    """
    path = directory / COMPARED
    try:
        content = _content(path)
        return ComparisonManifest.model_validate({**content, "content": content})
    except ValidationError as error:
        raise DataError(f"{path}: is damaged: {first_mistake(error)}") from None


def is_comparison(directory: Path) -> bool:
    """Whether a directory is that of a comparison of saved runs, and not of a run."""
    return not os.path.lexists(directory / MANIFEST) and os.path.lexists(directory / COMPARED)


def is_saved(directory: Path) -> bool:
    """Whether a directory is that of a run, a group or a comparison, be it broken."""
    return any(os.path.lexists(directory / name) for name in (MANIFEST, COMPARED))


def _content(path: Path) -> dict[str, Any]:
    """What a file of JSON with the schema's version holds.

    Raises:
        DataError: it is damaged, or of a newer version of gdrun.
        OSError: it can't be read.
    """
    try:
        content = from_json(read_plain(path, MAX_BYTES))
    except (ValueError, RecursionError):  # no JSON, or no text
        raise DataError(f"{path}: is damaged: not valid JSON") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if type(schema) is not int or schema < 1:
        raise DataError(f"{path}: is not a {path.name} of gdrun: it has no schema version")
    if schema > SCHEMA_VERSION:
        raise DataError(
            f"{path}: was written by a newer gdrun: schema {brief(schema)}, this one reads up to "
            f"{SCHEMA_VERSION}",
            "pip install --upgrade gdrun",
        )
    return dict(content)


def _no_run(directory: Path) -> ConfigError:
    """The error that a path isn't the directory of a run."""
    if directory.is_file():
        return ConfigError(f"{directory}: is a file", f"name its directory: {directory.parent}")
    if not directory.is_dir():
        near = [p.name for p in directory.parent.glob("*/")] if directory.parent.is_dir() else []
        return ConfigError(f"{directory}: no such directory", *did_you_mean(directory.name, near))
    if is_comparison(directory):
        return ConfigError(
            f"{directory}: is a comparison of saved runs, which isn't trained",
            "name one of its runs; gdrun show lists them",
        )
    return ConfigError(
        f"{directory}: is not the directory of a run: it has no {MANIFEST}",
        "name a run's own directory, such as outputs/2026-01-31_12-00-00_sgd",
    )


def from_json(text: bytes | str) -> Any:
    """The value of a JSON text of few levels, whose numbers are all finite.

    Raises:
        ValueError, RecursionError: it isn't that.
    """
    content = json.loads(text, parse_float=_finite, parse_constant=_finite)
    level = [content] if type(content) in (dict, list) else []
    for _ in range(MAX_LEVELS):
        items = [each.values() if type(each) is dict else each for each in level]
        level = [item for each in items for item in each if type(item) in (dict, list)]
        if not level:
            return content
    raise ValueError("too many levels")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


def current_status(manifest: Manifest, at_work: bool) -> Status:
    """The status of a run today: one that says `running` without a process was interrupted.

    `at_work` says whether a process is training it.
    """
    return "interrupted" if manifest.status == "running" and not at_work else manifest.status


def to_json(content: Mapping[str, Any]) -> str:
    """Strict JSON.

    Raises:
        ValueError: a number isn't finite, which is a defect of gdrun.
    """
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
