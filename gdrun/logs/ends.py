"""The first and the last rows of an `epochs.csv`, whatever is between them."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import BinaryIO

from gdrun.logs.columns import KEY
from gdrun.logs.lines import MAX_ROW_BYTES, BadRowError, whole_lines
from gdrun.logs.rows import RowParser
from gdrun.results.events import Lane, Series, Status
from gdrun.results.file_names import EPOCHS
from gdrun.results.rows.log_rows import LoggedRows, columns_of, evaluated_of, metrics_of
from gdrun.results.run import LaneResult, finite

MOST_LANES = 2**20
TAIL_BYTES = 2**16  # enough for hundreds of epochs of one lane
MOST_TAIL_BYTES = 2**21  # and for three of 5,000 lanes
USUAL_ROW_BYTES = 128


def first_lanes(file: BinaryIO, end: int | None = None) -> list[Lane]:
    """The lanes that have a row of epoch 0, in the order of the rows; as far as some position.

    The file is behind its header. None are found where there are more up to the position.

    Raises:
        BadRowError: a row isn't one of a run.
        OSError: the file can't be read.
    """
    found: dict[Lane, None] = {}
    number = 1
    for block in whole_lines(file, end=end):
        for line in block.splitlines():
            number += 1
            cells = line.split(b",")
            try:
                lane, epoch = Lane(float(cells[2]), int(cells[3])), cells[KEY]
            except (ValueError, IndexError):
                raise BadRowError(number) from None
            if epoch != b"0":
                return list(found)
            if lane in found or not 0 < lane.lr < math.inf or len(found) == MOST_LANES:
                raise BadRowError(number)
            found[lane] = None
    is_whole = end is None or os.fstat(file.fileno()).st_size <= end
    return list(found) if is_whole else []


@dataclass(frozen=True, slots=True)
class LastRows:
    """The last epochs that are whole, as far as the end of a file holds them.

    Attributes:
        last: the rows of the last of them.
        evaluated: those of the last with known train losses; None if that is further ahead.
    """

    last: LoggedRows
    evaluated: LoggedRows | None

    def lane_results(
        self, series: Series, status: Status, *, may_stop: bool = False
    ) -> list[LaneResult]:
        """How far each lane is that the first rows have; one that the last lack has diverged.

        Where lanes may be stopped, as patience with them runs out, that one may be done as well.
        Its best train loss, and the update at which it diverged, are further ahead, and left out.
        """
        now = {name: column[0] for name, column in self.last.shared.items()}
        left, known = set(self.last.lanes), self.evaluated.lanes if self.evaluated else ()
        found = []
        for k, lane in enumerate(series.lanes):
            names = evaluated_of(series.columns)
            losses = dict.fromkeys(names, math.nan)
            if self.evaluated and k in left:
                place = known.index(k)
                losses = {name: self.evaluated.losses[name][place] for name in names}
            is_out = k not in left and not may_stop
            diverged = is_out or math.isinf(losses["train_loss"])
            found.append(
                LaneResult(
                    lr=lane.lr,
                    seed=lane.seed,
                    status="diverged" if diverged else status,
                    diverged_at=None,
                    epochs=int(now["epoch"]),
                    updates=int(now["updates"]),
                    samples=int(now["samples"]),
                    seconds=now["seconds"],
                    train_loss=None if diverged else finite(losses["train_loss"]),
                    best_train_loss=None,
                    val_loss=None if diverged else finite(losses["val_loss"]),
                    metrics={
                        name: None if diverged else finite(losses[name])
                        for name in metrics_of(series.columns)
                    },
                )
            )
        return found


def last_rows(
    file: BinaryIO, series: Series, header_bytes: int, *, may_stop: bool = False
) -> LastRows | None:
    """The last rows of a file; None if its end holds no whole epoch.

    Where lanes may be stopped, those that are missing in the last epoch are taken to be.

    Raises:
        BadRowError: a row isn't one of the run; its number is not known.
        OSError: the file can't be read.
    """
    size = os.fstat(file.fileno()).st_size
    wanted = 3 * len(series.lanes) * USUAL_ROW_BYTES
    start = max(header_bytes, size - min(MOST_TAIL_BYTES, max(TAIL_BYTES, wanted)))
    file.seek(start)
    text = file.read(size - start)
    if len(text) - text.rfind(b"\n") > MAX_ROW_BYTES:
        raise BadRowError(0)
    lines = text[: text.rfind(b"\n") + 1].splitlines(keepends=True)
    if start > header_bytes:
        lines = lines[1:]  # half of one
        numbers = [line.split(b",", KEY + 1)[KEY : KEY + 1] for line in lines]
        # So may be the epoch of the next one.
        lines = lines[
            next((k for k, each in enumerate(numbers) if each != numbers[0]), len(lines)) :
        ]
    if not lines:
        return None
    try:
        first = int(lines[0].split(b",", KEY + 1)[KEY])
        parsed = list(
            RowParser(series, columns_of(EPOCHS, series), first).columns([b"".join(lines)])
        )
    except (ValueError, IndexError):
        raise BadRowError(0) from None
    # A process that was killed may have written the rows of the first lanes alone.
    if len(parsed) > 1 and not may_stop and _is_half(parsed[-1], parsed[-2]):
        parsed.pop()
    return LastRows(_epoch(parsed[-1], -1), _evaluated(parsed))


def _is_half(rows: LoggedRows, before: LoggedRows) -> bool:
    """Whether lanes are missing that hadn't diverged in the epoch before."""
    left = set(rows.lanes)
    missing = [place for place, lane in enumerate(before.lanes) if lane not in left]
    last = _epoch(before, -1).losses
    return any(
        not math.isinf(last["batch_loss"][place]) and not math.isinf(last["train_loss"][place])
        for place in missing
    )


def _evaluated(parsed: Sequence[LoggedRows]) -> LoggedRows | None:
    for rows in reversed(parsed):
        known = rows.losses["train_loss"][:: len(rows.lanes)]
        for at in range(len(known) - 1, -1, -1):
            if not math.isnan(known[at]):
                return _epoch(rows, at)
    return None


def _epoch(rows: LoggedRows, at: int) -> LoggedRows:
    """One epoch of several."""
    at %= len(rows.shared["epoch"])
    lanes = len(rows.lanes)
    return replace(
        rows,
        shared={name: column[at : at + 1] for name, column in rows.shared.items()},
        losses={n: column[at * lanes : (at + 1) * lanes] for n, column in rows.losses.items()},
    )
