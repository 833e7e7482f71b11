"""The files of one run while it is trained."""

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
from gdrun.storage.row_file import FileDigest, RowFile
from gdrun.storage.run_dir import Manifest


class RunLog:
    """`run.json`, `config.yaml`, `epochs.csv` and `steps.csv`; `with` closes them in any case.

    Rows are appended as segments come and handed over at most once in `FLUSH_SECONDS`, so that
    `tail -f epochs.csv` follows a run and logging costs next to nothing.
    """

    def __init__(
        self,
        directory: Path,
        series: Series,
        config: RunConfig,
        manifest: Manifest,
        digests: Mapping[str, FileDigest],
        flush_seconds: float,
    ) -> None:
        """Files that hold what `marks` say, to go on with; new ones where there are none."""
        self.directory = directory
        self._series = series
        self._config = config
        self._manifest = manifest
        self._kept = digests
        self._flush_seconds = flush_seconds

    def __enter__(self) -> "RunLog":
        with ExitStack() as stack:
            # Before run.json: what has that can be gone on with.
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
        """Put all rows so far on the disk, and say what the files hold."""
        return {EPOCHS: self._epochs.mark(), STEPS: self._steps.mark()}

    def finish(self, status: Status, lanes: Sequence[LaneResult] = ()) -> None:
        """Record how the run ended."""
        files = {name: asdict(mark) for name, mark in self.digests().items()}
        self._manifest.finish(status, lanes=[asdict(lane) for lane in lanes], files=files)


def write_config(directory: Path, command: str, config: RunConfig) -> None:
    """Write the `config.yaml` that repeats a command."""
    again = f"# gdrun {command} --config {CONFIG}\n"
    with replacing(directory / CONFIG) as partial:
        partial.write_text(again + dump_config(config), encoding="utf-8")


def log_facts(facts: Mapping[str, Any], series: Series, config: RunConfig) -> dict[str, Any]:
    """What the `run.json` of a run says while it is trained."""
    asked = config.model_dump(mode="json")
    return {"kind": "run", **facts, "config": asked, **asdict(series), "lanes": []}
