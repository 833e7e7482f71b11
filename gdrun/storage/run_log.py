"""What is written of a run or group while it is trained: its files, and `run.json` at its ends."""

import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

from gdrun._version import __version__
from gdrun.config.read import dump_config
from gdrun.config.schema import RunConfig
from gdrun.results.description import Description
from gdrun.results.events import Segment, Series, Status
from gdrun.results.file_names import (
    CONFIG,
    EPOCHS,
    EVALUATIONS,
    MANIFEST,
    PREPROCESSING,
    PROBES,
    STEPS,
)
from gdrun.results.rows.log_rows import (
    COLUMNS,
    columns_of,
    epoch_lines,
    evaluation_lines,
    header,
    probe_lines,
    step_lines,
)
from gdrun.results.run import SCHEMA_VERSION, LaneResult
from gdrun.storage.atomic import replacing
from gdrun.storage.manifest import Manifest, now, to_json
from gdrun.storage.row_file import FileDigest, RowFile

GIT_SECONDS = 2.0  # at most, to find out which commit is checked out


class ManifestWriter:
    """Writes the `run.json` of a run or group: `running` inside `with`, then its final status."""

    def __init__(
        self,
        directory: Path,
        facts: Mapping[str, Any],
        saved: Manifest | None = None,
        updates: int | None = None,
    ) -> None:
        """Prepare the content; nothing is written before `with`.

        Args:
            directory: of the run or group.
            facts: what it says of the command, the problem and the machine.
            saved: what an earlier process wrote, where the run is resumed.
            updates: how many updates a resumed run has behind it; None for a group.
        """
        self.directory = directory
        started = {"started": now(), "finished": None, "status": "running"}
        if saved is None:
            self._content = {**facts, **started}
            return
        resumed = {"at": started["started"], "command": facts["command"], "updates": updates}
        before = saved.content
        resumed["stopped"] = before.get("finished")  # None if the process was killed
        known = {key: value for key, value in resumed.items() if value is not None}
        first = {key: before[key] for key in ("command", "started") if key in before}
        history = [*before.get("resumed", []), known]
        self._content = {**before, **facts, **started, **first, "resumed": history}

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
            _write_json(partial, self._content)


class RunLog:
    """The files of a run: JSON, `config.yaml` and the CSV files; `with` closes them in any case.

    Rows are appended with every segment and flushed once in `flush_seconds`, so that
    `tail -f epochs.csv` follows a run and logging costs next to nothing.
    """

    def __init__(
        self,
        directory: Path,
        series: Series,
        config: RunConfig,
        manifest: ManifestWriter,
        digests: Mapping[str, FileDigest],
        flush_seconds: float,
        preprocessing: Mapping[str, Any],
    ) -> None:
        """Prepare the files of a run.

        Args:
            directory: of the run.
            series: its name and lanes.
            config: what is trained.
            manifest: its `run.json`.
            digests: by name, what the CSV files of a resumed run hold; others begin anew.
            flush_seconds: between two times that rows are flushed.
            preprocessing: the content of `preprocessing.json`.
        """
        self._flush_seconds = flush_seconds
        self.directory = directory
        self._series = series
        self._config = config
        self._manifest = manifest
        self._kept = digests
        self._preprocessing = preprocessing
        self._files: dict[str, RowFile] = {}
        is_kept = {EVALUATIONS: bool(config.eval_growth), PROBES: bool(series.probe_columns)}
        self._names = [name for name in COLUMNS if is_kept.get(name, True)]

    def __enter__(self) -> "RunLog":
        with ExitStack() as stack:
            # Before run.json, so that any directory with a run.json can be resumed.
            write_config(self.directory, self._series.method, self._config)
            with replacing(self.directory / PREPROCESSING) as partial:
                _write_json(partial, self._preprocessing)
            stack.enter_context(self._manifest)
            for name in self._names:
                first_line = header(columns_of(name, self._series))
                file = RowFile(self.directory / name, first_line, self._kept.get(name))
                self._files[name] = stack.enter_context(closing(file))
            self._flushed = time.monotonic()
            self._exit = stack.pop_all().__exit__
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._exit(kind, error, trace)

    def add(self, segment: Segment) -> None:
        """Append the rows of a segment."""
        self._files[STEPS].add(step_lines(self._series, segment, self._config.logged_every))
        if segment.train_loss:
            self._files[EVALUATIONS].add(evaluation_lines(self._series, segment))
        if segment.ends:
            self._files[EPOCHS].add(epoch_lines(self._series, segment))
        if segment.probed:
            self._files[PROBES].add(probe_lines(self._series, segment.probed))
        if time.monotonic() - self._flushed > self._flush_seconds:
            for file in self._files.values():
                file.flush()
            self._flushed = time.monotonic()

    def digests(self) -> dict[str, FileDigest]:
        """Wait until the disk has all rows so far, and return what the CSV files hold."""
        return {name: file.digest() for name, file in self._files.items()}

    def finish(self, status: Status, lanes: Sequence[LaneResult] = ()) -> None:
        """Record how the run and its lanes ended."""
        files = {name: asdict(digest) for name, digest in self.digests().items()}
        self._manifest.finish(status, lanes=[asdict(lane) for lane in lanes], files=files)


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    # A file name may hold bytes that are no text; they become escapes that JSON has too.
    path.write_text(to_json(content), encoding="utf-8", errors="backslashreplace")


def write_config(directory: Path, command: str, config: RunConfig) -> None:
    """Write the `config.yaml` that repeats a command."""
    first_line = f"# gdrun {command} --config {CONFIG}\n"
    with replacing(directory / CONFIG) as partial:
        partial.write_text(first_line + dump_config(config), encoding="utf-8")


def log_facts(facts: Mapping[str, Any], series: Series, config: RunConfig) -> dict[str, Any]:
    """What the `run.json` of a run holds while it is trained: `facts` and what is its own."""
    dumped = config.model_dump(mode="json")
    return {"kind": "run", **facts, "config": dumped, **asdict(series), "lanes": []}


def run_facts(
    command: str, description: Description, threads: int, fingerprint: str, ranks: int = 1
) -> dict[str, Any]:
    """What the `run.json` of any run or group holds: the command, the machine, the problem.

    The `fingerprint` is that of the data, and `ranks` are the processes that train each run.
    """
    return {
        "schema": SCHEMA_VERSION,
        "command": command,
        "pid": os.getpid(),
        **machine_facts(description, threads, ranks),
        "git_commit": _git_commit(),
        "problem": asdict(description),
        "data_fingerprint": fingerprint,
    }


def machine_facts(description: Description, threads: int, ranks: int = 1) -> dict[str, Any]:
    """The machine, the device and the versions that a run is trained with."""
    return {
        "device": description.device,
        "threads": threads,
        "ranks": ranks,
        "host": platform.node(),
        "versions": {
            "gdrun": __version__,
            "python": platform.python_version(),
            "torch": version("torch"),
        },
    }


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
