"""Run directories: made once, never reused, true at every moment.

    outputs/<name>/  config.yaml  epochs.csv  steps.csv  run.json  checkpoint.pt  loss.png  fit.png

A group (`compare`) is a directory of run directories with a `run.json` of its own.
"""

import json
import os
import platform
import re
import subprocess
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from gdrun import __version__
from gdrun.atomic import replacing
from gdrun.config import RunConfig
from gdrun.configfile import dump_config
from gdrun.errors import ConfigError, OutputError
from gdrun.records import (
    EpochRecord,
    Segment,
    Series,
    Status,
    StepRecord,
    epoch_lines,
    header,
    step_lines,
)
from gdrun.results import SCHEMA_VERSION, Description, RunResult

FLUSH_SECONDS = 1.0


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

    def __init__(self, directory: Path, facts: Mapping[str, Any]) -> None:
        self.directory = directory
        self._content = dict(facts)

    def __enter__(self) -> "Manifest":
        self._content |= {"status": "running", "started": now(), "finished": None}
        self._write()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            stopped = issubclass(kind, KeyboardInterrupt | GeneratorExit)
            # Where the disk is full or gone, the exception at hand is the one to report.
            with suppress(OSError):
                self.finish("interrupted" if stopped else "failed")

    def finish(self, status: Status, **outcome: Any) -> None:
        """Record how it ended."""
        self._content |= {"status": status, "finished": now(), **outcome}
        self._write()

    def _write(self) -> None:
        with replacing(self.directory / "run.json") as partial:
            # File names needn't be text; what isn't becomes an escape that JSON knows too.
            partial.write_text(to_json(self._content), encoding="utf-8", errors="backslashreplace")


class RunLog:
    """The files of one run while it is trained; `with` closes them, whatever happens.

    Rows are appended as segments come and flushed at most once in `FLUSH_SECONDS`, so that
    `tail -f epochs.csv` follows a run and logging costs next to nothing.
    """

    def __init__(
        self, directory: Path, series: Series, config: RunConfig, facts: Mapping[str, Any]
    ) -> None:
        self.directory = directory
        self._series = series
        self._config = config
        self._facts = {"kind": "run", **facts, **asdict(series), "lanes": []}

    def __enter__(self) -> "RunLog":
        with ExitStack() as stack:
            again = f"# gdrun {self._series.method} --config config.yaml\n"
            config = again + dump_config(self._config)
            (self.directory / "config.yaml").write_text(config, encoding="utf-8")
            self._manifest = stack.enter_context(Manifest(self.directory, self._facts))
            self._epochs = stack.enter_context(self._open("epochs.csv", header(EpochRecord)))
            self._steps = stack.enter_context(self._open("steps.csv", header(StepRecord)))
            self.flush()
            self._exit = stack.pop_all().__exit__
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit(kind, error, trace)

    def _open(self, name: str, first_line: str) -> TextIO:
        file = (self.directory / name).open("x", encoding="utf-8", newline="")
        file.write(first_line)
        return file

    def add(self, segment: Segment) -> None:
        """Append the rows of a segment."""
        self._steps.write(step_lines(self._series, segment, self._config.log_every))
        if segment.ends_epoch:
            self._epochs.write(epoch_lines(self._series, segment))
        if time.monotonic() - self._flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Hand all rows so far to the operating system."""
        self._steps.flush()
        self._epochs.flush()
        self._flushed = time.monotonic()

    def finish(self, result: RunResult) -> None:
        """Record how the run ended."""
        self._manifest.finish(result.status, lanes=[asdict(lane) for lane in result.lanes])


def run_facts(command: str, description: Description, threads: int) -> dict[str, Any]:
    """What `run.json` says of any run or group: where, when, by what and on what."""
    return {
        "schema": SCHEMA_VERSION,
        "command": command,
        "pid": os.getpid(),
        "device": description.device,
        "threads": threads,
        "host": platform.node(),
        "versions": {
            "gdrun": __version__,
            "python": platform.python_version(),
            "torch": version("torch"),
        },
        "git_commit": git_commit(),
        "problem": asdict(description),
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
