"""The CSV files of runs, read without their writers: whole lines, `steps.csv` when needed."""

import os
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gdrun.errors import DataError
from gdrun.results.events import Lane, Series
from gdrun.results.history import Recorder
from gdrun.results.log_rows import STEP_COLUMNS, header
from gdrun.storage.atomic import open_plain, output_errors


class Rows:
    """The whole lines below the header of a CSV file, which a process may be writing still."""

    def __init__(self, path: Path, first_line: str, *, required: bool) -> None:
        self.path = path
        self._first_line = first_line
        self._required = required
        self._number = 0

    def __iter__(self) -> Iterator[str]:
        try:
            descriptor = open_plain(self.path, os.O_RDONLY)
        except FileNotFoundError:
            if self._required:
                raise DataError(f"{self.path}: is missing", "put it back as it was") from None
            return
        with os.fdopen(descriptor, "rb") as file:
            for self._number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                if self._number > 1:
                    yield line.decode()
                elif line.decode(errors="replace") != self._first_line:
                    raise DataError(
                        f"{self.path}: is damaged: expected {self._first_line.strip()} "
                        "as its first line"
                    )

    def lanes(self) -> list[Lane]:
        """The lanes that the rows of epoch 0 are of, in their order."""
        found: list[Lane] = []
        try:
            for line in self:
                _, _, lr, seed, epoch, *_ = line.split(",")
                if epoch != "0":
                    break
                found.append(Lane(float(lr), int(seed)))
        except ValueError:
            raise self._damaged() from None
        return found

    def read_into(self, recorder: Recorder, *, epochs: bool) -> None:
        """Record all rows.

        Raises:
            DataError: one isn't of the run.
        """
        try:
            recorder.read(self if epochs else (), () if epochs else self)
        except (ValueError, KeyError, OverflowError):
            raise self._damaged() from None

    def _damaged(self) -> DataError:
        return DataError(
            f"{self.path}, line {self._number}: is damaged: no row of this run",
            "put the file back as it was",
        )


@dataclass(frozen=True)
class StepTable:
    """The columns of `steps.csv`, read when one is asked for: lane by lane."""

    path: Path
    series: Series
    keep: int | None

    @cached_property
    def columns(self) -> list[Mapping[str, "array[float]"]]:
        """Those of each lane.

        Raises:
            DataError: the file is damaged.
            OutputError: it can't be read.
        """
        recorder = Recorder(self.series, 1, self.keep)
        with output_errors(self.path, "read"):
            rows = Rows(self.path, header(STEP_COLUMNS), required=True)
            rows.read_into(recorder, epochs=False)
        return [history.steps for history in recorder.histories]


class Steps(Mapping[str, "array[float]"]):
    """The columns of one lane of a table that is read when one of them is asked for."""

    def __init__(self, table: StepTable, lane: int) -> None:
        self._table = table
        self._lane = lane

    def __getitem__(self, name: str) -> "array[float]":
        return self._table.columns[self._lane][name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.columns[self._lane])

    def __len__(self) -> int:
        return len(self._table.columns[self._lane])
