"""Logs of runs that were never trained: their lanes diverge, and some epochs aren't evaluated."""

import csv
import io
import math
import random
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gdrun.logs.lines import BLOCK_BYTES, OnRead, whole_lines
from gdrun.logs.rows import RowParser
from gdrun.results.events import Lane, Segment, Series
from gdrun.results.rows.log_rows import (
    EPOCH_COLUMNS,
    STEP_COLUMNS,
    LoggedRows,
    epoch_lines,
    header,
    step_lines,
)
from tests.segments import epoch_end

PER_EPOCH = 3  # updates


@dataclass(frozen=True)
class Logs:
    """The two files of a run, header and all, and the segments that they were written of."""

    series: Series
    segments: list[Segment]
    epochs: str
    steps: str


def logs(
    lanes: int = 3, epochs: int = 20, seed: int = 0, eval_every: int = 1, falling: float = 0.0
) -> Logs:
    """The logs of lanes of which some diverge; `falling` is by how much losses fall per epoch."""
    draws = random.Random(seed)
    series = Series("sgd", 1, tuple(Lane(0.1 * (1 + k % 2), k) for k in range(lanes)))
    ends_at = [draws.choice([math.inf, draws.uniform(0, epochs)]) for _ in range(lanes)]
    ends_at[draws.randrange(lanes)] = math.inf
    evaluated = {*range(0, epochs, eval_every), epochs}
    segments = [
        _segment(draws, epoch, ends_at, epoch in evaluated, falling) for epoch in range(epochs + 1)
    ]
    return Logs(
        series,
        segments,
        header(EPOCH_COLUMNS) + "".join(epoch_lines(series, segment) for segment in segments),
        header(STEP_COLUMNS) + "".join(step_lines(series, segment, 1) for segment in segments),
    )


def _segment(
    draws: random.Random, epoch: int, ends_at: list[float], known: bool, falling: float
) -> Segment:
    """The updates and the end of an epoch, evaluated or not."""
    updates = epoch * PER_EPOCH
    ends, losses, diverged = [], [], []
    for end in ends_at:
        at = None if end > epoch else max(1, math.ceil(end * PER_EPOCH))
        is_out = at is not None and at <= updates - PER_EPOCH
        loss = math.exp(draws.gauss(0, 1) - falling * epoch)
        of_updates = [draws.random() for _ in range(PER_EPOCH if epoch else 0)]
        if at is not None and at > updates - PER_EPOCH:
            of_updates[at - 1 - updates :] = [math.nan] * (updates - at + 1)
            loss = math.inf
        losses.append(array("d", of_updates))
        diverged.append(at)
        mean = sum(of_updates) / PER_EPOCH if epoch else None
        ends.append(
            None if is_out else (mean, loss if known else None, loss / 2 if known else None)
        )
    return Segment(
        epoch=epoch,
        updates=updates,
        samples=2 * updates,
        seconds=epoch / 1000,
        losses=losses if epoch else [],
        diverged_at=tuple(diverged),
        ends=epoch_end(epoch, ends, updates=updates, samples=2 * updates, seconds=epoch / 1000),
    )


def parsed(
    series: Series,
    text: str | bytes,
    block_bytes: int = BLOCK_BYTES,
    on_read: OnRead = lambda _: None,
) -> Iterator[LoggedRows]:
    """What gdrun reads of a file with its header."""
    file = io.BytesIO(text.encode() if isinstance(text, str) else text)
    first = file.readline()
    columns = EPOCH_COLUMNS if b"train_loss" in first else STEP_COLUMNS
    lines = whole_lines(file, block_bytes=block_bytes, on_read=on_read)
    return RowParser(series, columns).columns(lines)


def table_of(
    series: Series, rows: Iterator[LoggedRows]
) -> dict[tuple[float, int], list[dict[str, float]]]:
    """Rows by lane, as `table_by_csv` has them."""
    found: dict[tuple[float, int], list[dict[str, float]]] = {}
    for some in rows:
        for place, lane in enumerate(some.lanes):
            columns = some.of_lane(place)
            key = series.lanes[lane].lr, series.lanes[lane].seed
            for values in zip(*columns.values(), strict=True):
                found.setdefault(key, []).append(dict(zip(columns, values, strict=True)))
    return found


def table_by_csv(text: str) -> dict[tuple[float, int], list[dict[str, float]]]:
    """The rows of a file by lane, as Python's own reader has them: NaN where nothing is written."""
    found: dict[tuple[float, int], list[dict[str, float]]] = {}
    for row in csv.DictReader(io.StringIO(text)):
        key = float(row.pop("lr")), int(row.pop("seed"))
        del row["method"], row["batch_size"]
        found.setdefault(key, []).append({name: _number(cell) for name, cell in row.items()})
    return found


def _number(cell: str) -> float:
    if not cell:
        return math.nan
    return math.inf if cell == "nan" else float(cell)


def as_text(table: Mapping[tuple[float, int], list[dict[str, float]]]) -> str:
    """A table in a form that can be compared, NaN and all."""
    return repr({key: [{n: float(v) for n, v in row.items()} for row in rows]
                 for key, rows in sorted(table.items())})  # fmt: skip
