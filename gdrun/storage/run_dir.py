"""Run directories: made once, never reused, true at every moment.

    outputs/<name>/  config.yaml  epochs.csv  steps.csv  run.json  checkpoint.pt  loss.png  fit.png

A group (`compare`) is a directory of run directories with a `run.json` of its own.
"""

import json
import os
import platform
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gdrun._version import __version__
from gdrun.errors import ConfigError, OutputError
from gdrun.results.events import Status
from gdrun.results.file_names import MANIFEST
from gdrun.results.run import SCHEMA_VERSION, Description
from gdrun.storage.atomic import replacing


def plan_directory(output_dir: Path, name: str | None, command: str) -> Path:
    """The directory that a run will get, if nobody takes it first.

    Raises:
        ConfigError: the name is taken, or would lead out of `output_dir`.
    """
    if name is None:
        return output_dir / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{command}"
    if not re.fullmatch(r"[\w.+=,@ -]+", name) or not name.strip(". "):
        raise ConfigError(
            f"--name {name!r}: expected a plain directory name",
            "use letters, digits and any of _ - . + = , @; --output-dir says where it goes",
        )
    directory = output_dir / name
    if os.path.lexists(directory):
        raise ConfigError(
            f"--name {name}: {directory} exists, and runs are never overwritten",
            "choose another name, or leave --name out to get a new one made from date and time",
        )
    return directory


def make_directory(planned: Path, *, exact: bool) -> Path:
    """Make a directory that nobody had before: the planned one or, unless `exact`, the next free.

    Raises:
        ConfigError: it must be exact and was taken meanwhile.
        OutputError: it can't be made.
    """
    candidate, number = planned, 1
    while True:
        try:
            candidate.parent.mkdir(parents=True, exist_ok=True)
            candidate.mkdir()
        except FileExistsError:
            if not candidate.parent.is_dir():
                raise OutputError(
                    f"{candidate.parent}: is no directory", "choose another with --output-dir"
                ) from None
            if exact:
                raise ConfigError(f"{candidate}: exists, and runs are never overwritten") from None
            number += 1
            candidate = planned.with_name(f"{planned.name}_{number}")
        except OSError as error:
            raise OutputError(
                f"{planned}: can't be made: {error.strerror}",
                "choose another place with --output-dir",
            ) from None
        else:
            return candidate


class Manifest:
    """The `run.json` of a run or group: `running` inside `with`, then whatever it ended as."""

    def __init__(
        self,
        directory: Path,
        facts: Mapping[str, Any],
        saved: Mapping[str, Any] | None = None,
        updates: int | None = None,
    ) -> None:
        """Begin one; or go on with what was saved, from so many updates."""
        self.directory = directory
        started = {"started": now(), "finished": None, "status": "running"}
        if saved is None:
            self._content = {**facts, **started}
        else:
            at = {"at": started["started"], "command": facts["command"], "updates": updates}
            at["stopped"] = saved.get("finished")  # unknown of a process that was killed
            keep = {key: saved[key] for key in ("command", "started") if key in saved}
            again = [*saved.get("resumed", []), {k: v for k, v in at.items() if v is not None}]
            self._content = {**saved, **facts, **started, **keep, "resumed": again}

    def __enter__(self) -> "Manifest":
        self._write()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            stopped = issubclass(kind, KeyboardInterrupt | GeneratorExit)
            # Where the disk is full or gone, the exception at hand is the one to report; and what
            # says `running` without a process that does is known to have been interrupted.
            with suppress(OSError):
                self.finish("interrupted" if stopped else "failed")

    def finish(self, status: Status, **outcome: Any) -> None:
        """Record how it ended."""
        self._content |= {"status": status, "finished": now(), **outcome}
        self._write()

    def _write(self) -> None:
        with replacing(self.directory / MANIFEST) as partial:
            # File names needn't be text; what isn't becomes an escape that JSON knows too.
            partial.write_text(to_json(self._content), encoding="utf-8", errors="backslashreplace")


def run_facts(
    command: str, description: Description, threads: int, fingerprint: str
) -> dict[str, Any]:
    """What `run.json` says of any run or group: where, when, by what and on what.

    The `fingerprint` is that of the data.
    """
    return {
        "schema": SCHEMA_VERSION,
        "command": command,
        "pid": os.getpid(),
        **machine_facts(description, threads),
        "git_commit": git_commit(),
        "problem": asdict(description),
        "data_fingerprint": fingerprint,
    }


def machine_facts(description: Description, threads: int) -> dict[str, Any]:
    """On what a run is trained."""
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
    """Strict JSON: a number that isn't finite is a mistake of ours."""
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_commit() -> str | None:
    """The commit checked out where the command runs, `+` after it if files were changed since."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+"],
            capture_output=True,
            text=True,
            timeout=2,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None
