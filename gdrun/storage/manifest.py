"""What earlier commands left: their `run.json`, read by everyone in the same way."""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from gdrun.config.explain import Layer
from gdrun.config.read import parse_layer
from gdrun.errors import ConfigError, DataError, GdrunError, did_you_mean
from gdrun.results.events import Status
from gdrun.results.file_names import CONFIG, MANIFEST
from gdrun.results.run import SCHEMA_VERSION
from gdrun.storage.atomic import read_plain
from gdrun.storage.lock import is_locked
from gdrun.storage.row_file import FileDigest


def read_manifest(directory: Path) -> dict[str, Any]:
    """The content of a `run.json`.

    Raises:
        ConfigError: the directory isn't one of gdrun's.
        DataError: it is damaged, or of a newer version of gdrun.
        OSError: it can't be read.
    """
    path = directory / MANIFEST
    if directory.is_file():
        raise ConfigError(f"{directory}: is a file", f"name its directory: {directory.parent}")
    if not directory.is_dir():
        near = [p.name for p in directory.parent.glob("*/")] if directory.parent.is_dir() else []
        raise ConfigError(f"{directory}: no such directory", *did_you_mean(directory.name, near))
    try:
        content = json.loads(read_plain(path))
    except FileNotFoundError:
        raise ConfigError(
            f"{directory}: holds no {MANIFEST}, and so no run",
            "name a run's own directory, such as outputs/2026-01-31_12-00-00_sgd",
        ) from None
    except (ValueError, RecursionError):  # no JSON, or no text
        raise DataError(f"{path}: is damaged: no JSON") from None
    schema = content.get("schema") if isinstance(content, dict) else None
    if type(schema) is not int:
        raise DataError(f"{path}: is no run.json of gdrun")
    if schema > SCHEMA_VERSION:
        raise DataError(
            f"{path}: is of a newer gdrun: schema {schema}, this one reads {SCHEMA_VERSION}",
            "pip install --upgrade gdrun",
        )
    sound = (
        content.get("kind") in ("run", "group")
        and content.get("status") in get_args(Status)
        and isinstance(content.get("resumed", []), list)
        and isinstance(content.get("files", {}), dict)
    )
    if not sound:
        raise DataError(f"{path}: is damaged: holds what gdrun doesn't write")
    return dict(content)


def final_digests(manifest: Mapping[str, Any], directory: Path) -> dict[str, FileDigest]:
    """What the CSV files of a finished run held at its end.

    Raises:
        DataError: the `run.json` is damaged.
    """
    try:
        return {name: FileDigest(**mark) for name, mark in manifest.get("files", {}).items()}
    except TypeError:
        raise DataError(f"{directory / MANIFEST}: is damaged: holds no hashes of files") from None


def current_status(manifest: Mapping[str, Any], at_work: bool) -> Status:
    """What a `run.json` says of a run today: one whose process died is no longer running."""
    status: Status = manifest["status"]
    return "interrupted" if status == "running" and not at_work else status


def refuse_at_work(place: Path) -> None:
    """Refuse to go on with a run of a group that another process, left by its parent, still trains.

    Raises:
        ConfigError: one does.
        OSError: that can't be found out.
    """
    if is_locked(place):
        raise ConfigError(f"{place}: another process is training it", "wait for it to end")


def saved_layer(directory: Path, command: str) -> Layer:
    """The config of the run or group in a directory, which a command is to go on with.

    Raises:
        ConfigError: the directory isn't one of gdrun's, or another command began what is there.
        DataError: what is there is damaged, or of a newer version of gdrun.
        OSError: it can't be read.
    """
    manifest = read_manifest(directory)
    began = manifest.get("experiment" if manifest["kind"] == "group" else "method")
    if not isinstance(began, str):
        raise DataError(f"{directory / MANIFEST}: is damaged: doesn't say what began it")
    if began != command:
        raise ConfigError(
            f"--resume {directory}: was begun by gdrun {began}, not gdrun {command}",
            f"gdrun {began} --resume {shlex.quote(str(directory))}",
        )
    if manifest["kind"] == "group":
        if not isinstance(manifest.get("config"), dict):
            raise DataError(f"{directory / MANIFEST}: is damaged: holds no config")
        return Layer(manifest["config"])
    path = directory / CONFIG
    try:
        return parse_layer(read_plain(path).decode(), str(path))
    except FileNotFoundError:
        raise DataError(f"{path}: is missing", "put it back as it was") from None
    except UnicodeDecodeError:
        raise DataError(f"{path}: is damaged: no text") from None


def root_of(directory: Path) -> Path:
    """The directory whose lock guards a run: that of its group, if it has one."""
    try:
        above = read_manifest(directory.resolve().parent)
    except (GdrunError, OSError):
        return directory
    return directory.resolve().parent if above["kind"] == "group" else directory
