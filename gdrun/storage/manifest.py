"""`run.json`: what a run or group says of itself, as one model that a file is checked against."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, ValidationError

from gdrun.config.explain import brief
from gdrun.config.foreign import (
    Facts,
    Fingerprint,
    Natural,
    PositiveSize,
    Rate,
    Real,
    SavedConfig,
    Seconds,
    Sha256,
    ShortText,
    Size,
    SizeAsKey,
    Text,
    Time,
    YesNo,
    first_mistake,
)
from gdrun.config.schema import Loss, Method
from gdrun.errors import ConfigError, DataError, did_you_mean
from gdrun.results.events import Status
from gdrun.results.file_names import MANIFEST
from gdrun.results.run import SCHEMA_VERSION, Description
from gdrun.storage.atomic import read_plain
from gdrun.storage.row_file import FileDigest

MAX_BYTES = 2**26  # of a `run.json`
MAX_LANES = 2**17  # of a run: so many entries take somewhat less
MAX_LEVELS = 10  # of nested lists and mappings


class LaneFacts(Facts):
    """How a lane ended: the fields of `LaneResult`."""

    lr: Rate
    seed: Natural
    status: Status
    diverged_at: Natural | None
    epochs: Size
    updates: Natural
    samples: Natural
    seconds: Seconds
    train_loss: Real | None
    best_train_loss: Real | None
    val_loss: Real | None


class ProblemFacts(Facts):
    """What is trained on what: the fields of `Description`."""

    network: Text
    parameters: Size
    data: Text
    rows: PositiveSize
    val_rows: Size
    features: tuple[Text, ...]
    target: Text
    loss: Loss
    standardized: YesNo
    device: ShortText


class ResumedFacts(Facts):
    """When a run was resumed; when the process before had `stopped`, unless it was killed."""

    at: Time | None = None
    command: Text | None = None
    updates: Natural | None = None
    stopped: Time | None = None


class FailureFacts(Facts):
    """A run of a group that failed, and why."""

    name: Text
    problems: tuple[Text, ...] = ()
    hints: tuple[Text, ...] = ()


class DigestFacts(Facts):
    """What a file held: the fields of `FileDigest`."""

    size: Natural
    sha256: Sha256


# What the CSV files of a run held, by name.
Digests = dict[Literal["epochs.csv", "steps.csv"], DigestFacts]


class _Manifest(Facts):
    """What the `run.json` of runs and of groups say.

    What older versions of gdrun didn't write is optional. Text is as a terminal can show it.
    """

    status: Status
    problem: ProblemFacts
    command: Text | None = None
    pid: Natural | None = None
    device: ShortText | None = None
    threads: PositiveSize | None = None
    host: ShortText | None = None
    versions: dict[ShortText, ShortText] = Field(default_factory=dict)
    git_commit: ShortText | None = None
    data_fingerprint: Fingerprint | None = None
    started: Time | None = None
    finished: Time | None = None
    resumed: tuple[ResumedFacts, ...] = ()
    config: SavedConfig | None = None
    jobs: PositiveSize = 1
    seconds_an_update_alone: dict[SizeAsKey, Seconds] | None = None
    batch_sizes: tuple[PositiveSize, ...] = ()
    _content: Mapping[str, Any] = PrivateAttr(default_factory=dict)

    @property
    def content(self) -> Mapping[str, Any]:
        """All that the file holds, as it is written there."""
        return self._content

    @property
    def description(self) -> Description:
        """What is trained on what."""
        return Description(**dict(self.problem))


class RunManifest(_Manifest):
    """What the `run.json` of a run says; `lanes` are empty until it has ended."""

    kind: Literal["run"]
    method: Method
    batch_size: PositiveSize
    name: Text | None = None
    lanes: tuple[LaneFacts, ...] = ()
    files: Digests = Field(default_factory=dict)
    engines: tuple[Literal["eager", "compiled"], ...] = ()
    program: ShortText | None = None

    @property
    def digests(self) -> dict[str, FileDigest]:
        """What the CSV files of a finished run held at its end, by name."""
        return digests_of(self.files)

    @property
    def trained_by(self) -> tuple[str, ...]:
        """The engines of its updates, one after the other; an older gdrun only says the last."""
        if self.engines or not self.config or self.config.engine == "auto":
            return self.engines
        return (self.config.engine,)


class GroupManifest(_Manifest):
    """What the `run.json` of a group says; `members` are the runs that had a result."""

    kind: Literal["group"]
    experiment: Literal["compare", "sweep"]
    config: SavedConfig
    members: tuple[Text, ...] = ()
    failures: tuple[FailureFacts, ...] = ()


def digests_of(files: Digests) -> dict[str, FileDigest]:
    """What CSV files held, by name."""
    return {name: FileDigest(**dict(digest)) for name, digest in files.items()}


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
    if directory.is_file():
        raise ConfigError(f"{directory}: is a file", f"name its directory: {directory.parent}")
    if not directory.is_dir():
        near = [p.name for p in directory.parent.glob("*/")] if directory.parent.is_dir() else []
        raise ConfigError(f"{directory}: no such directory", *did_you_mean(directory.name, near))
    try:
        content = _from_json(read_plain(path, MAX_BYTES))
    except FileNotFoundError:
        raise ConfigError(
            f"{directory}: is not the directory of a run: it has no {MANIFEST}",
            "name a run's own directory, such as outputs/2026-01-31_12-00-00_sgd",
        ) from None
    except (ValueError, RecursionError):  # no JSON, or no text
        raise DataError(f"{path}: is damaged: not valid JSON") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if type(schema) is not int:
        raise DataError(f"{path}: is not a run.json of gdrun: it has no schema version")
    if schema > SCHEMA_VERSION:
        raise DataError(
            f"{path}: was written by a newer gdrun: schema {brief(schema)}, this one reads up to "
            f"{SCHEMA_VERSION}",
            "pip install --upgrade gdrun",
        )
    own = content.get("kind")
    if own not in tuple(MODELS):
        raise DataError(f"{path}: is damaged: kind: must be run or group, got {brief(own)}")
    try:
        manifest = MODELS[own].model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: is damaged: {first_mistake(error)}") from None
    manifest._content = content
    return manifest


def _from_json(text: bytes) -> Any:
    """The value of a JSON text of few levels, whose numbers are all finite.

    Raises:
        ValueError, RecursionError: it isn't that.
    """
    content = json.loads(text, parse_float=_finite, parse_constant=_finite)
    level = [content]
    for _ in range(MAX_LEVELS):
        items = (each.values() if isinstance(each, dict) else each for each in level)
        level = [item for each in items for item in each if isinstance(item, dict | list)]
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
