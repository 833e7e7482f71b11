"""The files of one run that are written while it is trained."""

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from gdrun.config.read import dump_config
from gdrun.config.schema import RunConfig
from gdrun.results.events import Segment, Series, Status
from gdrun.results.file_names import CONFIG, EPOCHS, STEPS
from gdrun.results.log_rows import EPOCH_COLUMNS, STEP_COLUMNS, epoch_lines, header, step_lines
from gdrun.results.run import LaneResult
from gdrun.storage.atomic import replacing
from gdrun.storage.manifest import ManifestWriter
from gdrun.storage.row_file import FileDigest, RowFile


class RunLog:
    """`run.json`, `config.yaml`, `epochs.csv` and `steps.csv`; `with` closes them in any case.

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
    ) -> None:
        """Prepare the files of a run.

        `digests` say, by name, what the CSV files of a resumed run hold; others begin anew.
        """
        self._flush_seconds = flush_seconds
        self.directory = directory
        self._series = series
        self._config = config
        self._manifest = manifest
        self._kept = digests

    def __enter__(self) -> "RunLog":
        with ExitStack() as stack:
            # Before run.json, so that any directory with a run.json can be resumed.
            write_config(self.directory, self._series.method, self._config)
            stack.enter_context(self._manifest)
            self._epochs = stack.enter_context(closing(self._open(EPOCHS, header(EPOCH_COLUMNS))))
            self._steps = stack.enter_context(closing(self._open(STEPS, header(STEP_COLUMNS))))
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

    def _open(self, name: str, first_line: str) -> RowFile:
        return RowFile(self.directory / name, first_line, self._kept.get(name))

    def add(self, segment: Segment) -> None:
        """Append the rows of a segment."""
        self._steps.add(step_lines(self._series, segment, self._config.log_every))
        if segment.ends:
            self._epochs.add(epoch_lines(self._series, segment))
        if time.monotonic() - self._flushed > self._flush_seconds:
            self._steps.flush()
            self._epochs.flush()
            self._flushed = time.monotonic()

    def digests(self) -> dict[str, FileDigest]:
        """Wait until the disk has all rows so far, and return what the CSV files hold."""
        return {EPOCHS: self._epochs.digest(), STEPS: self._steps.digest()}

    def finish(self, status: Status, lanes: Sequence[LaneResult] = ()) -> None:
        """Record how the run and its lanes ended."""
        files = {name: asdict(digest) for name, digest in self.digests().items()}
        self._manifest.finish(status, lanes=[asdict(lane) for lane in lanes], files=files)


def write_config(directory: Path, command: str, config: RunConfig) -> None:
    """Write the `config.yaml` that repeats a command."""
    first_line = f"# gdrun {command} --config {CONFIG}\n"
    with replacing(directory / CONFIG) as partial:
        partial.write_text(first_line + dump_config(config), encoding="utf-8")


def log_facts(facts: Mapping[str, Any], series: Series, config: RunConfig) -> dict[str, Any]:
    """What the `run.json` of a run holds while it is trained: `facts` and what is its own."""
    dumped = config.model_dump(mode="json")
    return {"kind": "run", **facts, "config": dumped, **asdict(series), "lanes": []}
