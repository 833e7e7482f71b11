"""`run.json`: what a run or group says of itself, how it is written and how it is read."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

from gdrun._version import __version__
from gdrun.errors import ConfigError, DataError, did_you_mean
from gdrun.results.events import Status
from gdrun.results.file_names import MANIFEST
from gdrun.results.run import SCHEMA_VERSION, Description
from gdrun.storage.atomic import read_plain, replacing
from gdrun.storage.row_file import FileDigest

GIT_SECONDS = 2.0  # at most, to find out which commit is checked out


class ManifestWriter:
    """Writes the `run.json` of a run or group: `running` inside `with`, then its final status."""

    def __init__(
        self,
        directory: Path,
        facts: Mapping[str, Any],
        saved: Mapping[str, Any] | None = None,
        updates: int | None = None,
    ) -> None:
        """Prepare the content; nothing is written before `with`.

        Args:
            directory: of the run or group.
            facts: what it says of the command, the problem and the machine.
            saved: the content that an earlier process wrote, where the run is resumed.
            updates: how many updates a resumed run has behind it; None for a group.
        """
        self.directory = directory
        started = {"started": now(), "finished": None, "status": "running"}
        if saved is None:
            self._content = {**facts, **started}
            return
        resumed = {"at": started["started"], "command": facts["command"], "updates": updates}
        resumed["stopped"] = saved.get("finished")  # None if the process was killed
        known = {key: value for key, value in resumed.items() if value is not None}
        first = {key: saved[key] for key in ("command", "started") if key in saved}
        history = [*saved.get("resumed", []), known]
        self._content = {**saved, **facts, **started, **first, "resumed": history}

    def __enter__(self) -> "ManifestWriter":
        self._write()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            stopped = issubclass(kind, KeyboardInterrupt | GeneratorExit)
            # If the disk is full or gone, the exception at hand is the one to report. The file then
            # says `running`, which without a process is read as `interrupted`.
            with suppress(OSError):
                self.finish("interrupted" if stopped else "failed")

    def finish(self, status: Status, **outcome: Any) -> None:
        """Record the final status, and other keys that describe the end."""
        self._content |= {"status": status, "finished": now(), **outcome}
        self._write()

    def _write(self) -> None:
        with replacing(self.directory / MANIFEST) as partial:
            # A file name may hold bytes that are no text; they become escapes that JSON has too.
            partial.write_text(to_json(self._content), encoding="utf-8", errors="backslashreplace")


def run_facts(
    command: str, description: Description, threads: int, fingerprint: str
) -> dict[str, Any]:
    """What the `run.json` of any run or group holds: the command, the machine, the problem.

    The `fingerprint` is that of the data.
    """
    return {
        "schema": SCHEMA_VERSION,
        "command": command,
        "pid": os.getpid(),
        **machine_facts(description, threads),
        "git_commit": _git_commit(),
        "problem": asdict(description),
        "data_fingerprint": fingerprint,
    }


def machine_facts(description: Description, threads: int) -> dict[str, Any]:
    """The machine, the device and the versions that a run is trained with."""
    return {
        "device": description.device,
        "threads": threads,
        "host": platform.node(),
        "versions": {
            "gdrun": __version__,
            "python": platform.python_version(),
            "torch": version("torch"),
        },
    }


def to_json(content: Mapping[str, Any]) -> str:
    """Strict JSON.

    Raises:
        ValueError: a number isn't finite, which is a defect of gdrun.
    """
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git_commit() -> str | None:
    """The commit checked out in the current directory.

    Whether files were changed since isn't asked: git would execute what the repository's own config
    names (monitors, hooks, filters), and that may be anybody's.
    """
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--verify", "--quiet", "HEAD"],
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


# ---------------------------------------------------------------------------------------- reading


def read_manifest(directory: Path) -> dict[str, Any]:
    """The content of a `run.json`.

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
        content = json.loads(read_plain(path))
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
            f"{path}: was written by a newer gdrun: schema {schema}, this one reads up to "
            f"{SCHEMA_VERSION}",
            "pip install --upgrade gdrun",
        )
    is_sound = {
        "kind": content.get("kind") in ("run", "group"),
        "status": content.get("status") in get_args(Status),
        "resumed": isinstance(content.get("resumed", []), list),
        "files": isinstance(content.get("files", {}), dict),
    }
    for key, sound in is_sound.items():
        if not sound:
            raise DataError(f"{path}: is damaged: holds no valid {key}")
    return dict(content)


def final_digests(manifest: Mapping[str, Any], directory: Path) -> dict[str, FileDigest]:
    """What the CSV files of a finished run held at its end, by name.

    Raises:
        DataError: the `run.json` is damaged.
    """
    try:
        return {name: FileDigest(**digest) for name, digest in manifest.get("files", {}).items()}
    except TypeError:
        raise DataError(f"{directory / MANIFEST}: is damaged: holds no valid files") from None


def current_status(manifest: Mapping[str, Any], at_work: bool) -> Status:
    """The status of a run today: one that says `running` without a process was interrupted.

    `at_work` says whether a process is training it.
    """
    status: Status = manifest["status"]
    return "interrupted" if status == "running" and not at_work else status
