"""Lines of a run's CSV files → columns; each row is checked to be one of the run.

Every row has its place: epoch after epoch (in `evaluations.csv` and `steps.csv` update after
update), one of each lane that is left, in their order. So most rows are checked many at a time, by
comparing columns. What differs from what is expected, as where a lane diverged, is looked at row by
row.
"""

import math
from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import lt
from typing import overload

from gdrun.logs.columns import KEY, MANY_LANES, columns_of_one_epoch, columns_of_one_lane
from gdrun.logs.lines import BadRowError
from gdrun.results.events import Lane, Series
from gdrun.results.rows.log_rows import (
    COUNTS,
    EPOCH_COLUMNS,
    EVALUATION_COLUMNS,
    SHARED,
    STEP_COLUMNS,
    LoggedRows,
)

NUMBERS = b"0123456789.,+-einfa\n"  # all that numbers are written with, nan and inf, too
LIMIT = 2**63  # of what a column can hold
Columns = Mapping[str, Sequence[float]]


def key_of(series: Series, lane: Lane) -> tuple[str, ...]:
    """The cells that all rows of a lane begin with."""
    return series.method, str(series.batch_size), repr(lane.lr), str(lane.seed)


class LazyColumn(Sequence[float]):
    """A column of which a number is read, and checked, when it is asked for."""

    def __init__(self, cells: Sequence[str], name: str) -> None:
        self._cells = cells
        self._name = name

    def __len__(self) -> int:
        return len(self._cells)

    @overload
    def __getitem__(self, at: int) -> float: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[float]: ...
    def __getitem__(self, at: int | slice) -> float | Sequence[float]:
        """The number at some place, or a part of the column.

        Raises:
            ValueError: the number isn't as it is logged.
        """
        if isinstance(at, slice):
            return LazyColumn(self._cells[at], self._name)
        return _numbers([self._cells[at]], self._name)[0]

    def __iter__(self) -> Iterator[float]:
        return iter(_numbers(self._cells, self._name))


class RowParser:
    """Turns the lines of one file into columns."""

    def __init__(
        self,
        series: Series,
        columns: tuple[str, ...],
        first_epoch: int = 0,
        needed: Container[str] | None = None,
    ) -> None:
        """Begin below the header of a run's file with such columns, or at a later epoch.

        Of columns that aren't `needed`, where that is said, numbers are read when they are asked
        for.
        """
        check, counter = _check_of(columns, first_epoch)
        self._losses = [name for name in columns[KEY:] if name not in SHARED]
        self._shared = [name for name in columns[KEY:] if name in SHARED]
        self._needed = columns if needed is None else needed
        self._width = len(columns)
        self._counter = columns.index(counter)
        self._keys = [key_of(series, lane) for lane in series.lanes]
        self._positions = {key: lane for lane, key in enumerate(self._keys)}
        self._letters = NUMBERS + series.method.encode()
        self._check = check
        self._line = 2  # the number of the next row's
        self._go_on_with(range(len(self._keys)))

    def _go_on_with(self, lanes: Sequence[int]) -> None:
        """Note which lanes are left: those that haven't diverged."""
        self._left = lanes
        self._texts = [",".join(self._keys[lane]) for lane in lanes]

    def columns(self, blocks: Iterable[bytes]) -> Iterator[LoggedRows]:
        """The rows of whole lines, which come in blocks.

        Raises:
            BadRowError: a row isn't one of the run.
        """
        waiting = b""
        for block in chain(blocks, [None]):
            lines, first = waiting + (block or b""), self._line
            try:
                waiting = yield from self._parse(lines, at_end=block is None)
            except BadRowError as error:
                # A line that is none may have misled what comes behind it.
                for number, line in enumerate(lines.splitlines(keepends=True), first):
                    self._refuse_letters(line, number)
                    self._cells(line, number)
                raise error from None

    def _parse(self, lines: bytes, *, at_end: bool) -> Generator[LoggedRows, None, bytes]:
        """The rows of complete epochs; the lines of others, which wait for more unless at the end.

        An epoch is complete with a row of every lane that is left, or where the next one begins.
        """
        self._refuse_letters(lines, self._line)
        while lines:
            lanes = len(self._left)
            if lanes > 1 and not at_end and lines.count(b"\n") < lanes:
                return lines
            rows, used = self._read_quickly(lines)
            if rows is None:
                break
            self._line += lanes * len(rows.shared["epoch"])
            yield rows
            lines = lines[used:]
        cells, at = self._cells(lines, self._line), 0
        while at < len(cells):
            epochs, size = self._count_regular(cells, at), self._width * len(self._left)
            part = cells[at : at + epochs * size] if epochs else self._one_epoch(cells, at)
            if at + len(part) == len(cells) and not (epochs or at_end or len(part) > size):
                break
            rows = self._read(part, self._left) if epochs else None
            if rows:
                yield rows
                self._line += len(part) // self._width
            else:
                for start in range(0, len(part), size if epochs else len(part)):
                    yield self._read_one(part[start : start + size] if epochs else part)
            at += len(part)
        starts = range(at, len(cells), self._width)
        return "".join(",".join(cells[k : k + self._width]) + "\n" for k in starts).encode()

    def _refuse_letters(self, lines: bytes, number: int) -> None:
        """Refuse lines with something in them that no row has; the first has a number."""
        is_sound = not lines.translate(None, self._letters)
        # A loss of the user's may be negative; other signs stand in exponents alone.
        if b"-" in lines:
            is_sound &= lines.count(b"-") == lines.count(b"e-") + lines.count(b",-")
        if b"+" in lines:
            is_sound &= lines.count(b"+") == lines.count(b"e+")
        if not is_sound:
            raise BadRowError(number)

    def _cells(self, lines: bytes, number: int) -> list[str]:
        """The cells of lines, row by row, if they are as many as rows have."""
        cells = lines.replace(b"\n", b",").decode().split(",")
        cells.pop()  # what is behind the last line
        if len(cells) != self._width * lines.count(b"\n"):
            raise BadRowError(number)
        return cells

    def _read_quickly(self, lines: bytes) -> tuple[LoggedRows | None, int]:
        """The rows of the first lines, and how many bytes these are; None where it isn't simple."""
        found, used = None, len(lines)
        if len(self._left) == 1:
            found = columns_of_one_lane(lines, self._texts[0], self._width)
        elif len(self._left) >= MANY_LANES:
            epoch = columns_of_one_epoch(lines, self._texts, len(self._shared))
            found, used = epoch or (None, 0)
        return (self._checked(found, self._left), used) if found else (None, 0)

    def _count_regular(self, cells: list[str], at: int) -> int:
        """How many epochs, from a cell on, have rows of all the lanes that are left."""
        lanes = len(self._left)
        rows = (len(cells) - at) // self._width // lanes * lanes
        for place in range(KEY):
            column = cells[at + place : at + rows * self._width : self._width]
            expected = [self._keys[lane][place] for lane in self._left] * (rows // lanes)
            if column != expected:
                pairs = enumerate(zip(column, expected, strict=True))
                rows = next(k for k, (one, other) in pairs if one != other) // lanes * lanes
        return rows // lanes

    def _one_epoch(self, cells: list[str], at: int) -> list[str]:
        """The rows from a cell on that say they are of the same epoch, but one too many at most."""
        number, end = cells[at + self._counter], at
        most = at + self._width * (len(self._left) + 1)
        while end < min(len(cells), most) and cells[end + self._counter] == number:
            end += self._width
        return cells[at:end]

    def _read_one(self, cells: list[str]) -> LoggedRows:
        """The rows of one epoch, of some of the lanes that are left, looked at one by one."""
        first, left = cells[KEY : KEY + len(self._shared)], iter(self._left)
        lanes: list[int] = []
        for k, start in enumerate(range(0, len(cells), self._width)):
            row = cells[start : start + self._width]
            lane = self._positions.get(tuple(row[:KEY]))
            try:
                if lane is None or lane not in left or row[KEY : KEY + len(first)] != first:
                    raise ValueError("a row of another place")
                _losses(row[KEY + len(first) :])
            except ValueError:
                raise BadRowError(self._line + k) from None
            lanes.append(lane)
        rows = self._read(cells, lanes)
        if rows is None:
            raise BadRowError(self._line)
        if len(lanes) < len(self._left):
            self._go_on_with(lanes)
        self._line += len(lanes)
        return rows

    def _read(self, cells: list[str], lanes: Sequence[int]) -> LoggedRows | None:
        """The rows of some epochs, all of the same lanes; None if there is a mistake in one."""
        columns = [cells[place :: self._width] for place in range(KEY, self._width)]
        for place in range(len(self._shared)):
            once = columns[place][:: len(lanes)]
            if not _repeats(columns[place], once, len(lanes)):
                return None
            columns[place] = once
        return self._checked(columns, lanes)

    def _checked(self, columns: list[list[str]], lanes: Sequence[int]) -> LoggedRows | None:
        """Columns as numbers; None if there is a mistake in one."""
        names = chain(self._shared, self._losses)
        found: dict[str, Sequence[float]] = {}
        try:
            for name, column in zip(names, columns, strict=True):
                if name not in self._needed:
                    found[name] = LazyColumn(column, name)
                elif name in self._shared and found and column == columns[0]:  # an update per epoch
                    found[name] = found["epoch"]
                else:
                    found[name] = _numbers(column, name)
            self._check(found)
        except ValueError:
            return None
        losses = {name: found.pop(name) for name in self._losses}
        return LoggedRows(lanes, found, losses)


def _repeats(column: list[str], once: list[str], times: int) -> bool:
    """Whether a column holds some cells, each so many times."""
    if times <= len(once):
        return all(column[k::times] == once for k in range(1, times))
    blocks = enumerate(range(0, len(column), times))
    return all(column[start : start + times].count(once[k]) == times for k, start in blocks)


def _numbers(cells: Sequence[str], name: str) -> list[float]:
    """The numbers of a column.

    Raises:
        ValueError: one isn't as it is logged.
    """
    if name not in SHARED:
        return _losses(cells)
    numbers = list(map(int if name in COUNTS else float, cells))
    if numbers and min(numbers) < 0:
        raise ValueError("less than none")
    return numbers


def _losses(cells: Sequence[str]) -> list[float]:
    """The losses of a column.

    Raises:
        ValueError: one isn't as it is logged.
    """
    empty = cells.count("")
    if empty == len(cells):
        return [math.nan] * empty
    if not empty:
        values = list(map(float, cells))
        if math.isfinite(sum(values)):
            return values
    return list(map(_loss, cells))


def _loss(cell: str) -> float:
    """A loss: empty is NaN (unknown), NaN counts as infinite."""
    if cell in ("nan", "inf"):
        return math.inf
    value = float(cell) if cell else math.nan
    if cell and not math.isfinite(value):
        raise ValueError("larger than any number")
    return value


class _EpochCheck:
    """Checks that epochs follow each other, and count their updates and samples."""

    def __init__(self, first: int) -> None:
        self._next = first
        self._steps: dict[str, int] = {}

    def __call__(self, columns: Columns) -> None:
        """Check the next epochs.

        Raises:
            ValueError: they are no such ones.
        """
        epochs, count = columns["epoch"], len(columns["epoch"])
        is_sound = epochs == list(range(self._next, self._next + count))
        last = self._next + count - 1
        steps = {name: int(columns[name][-1]) // last for name in ("updates", "samples") if last}
        for name in ("updates", "samples"):
            step = steps.get(name, 0)
            if not isinstance(columns[name], LazyColumn):
                multiples = epochs if step == 1 else [step * epoch for epoch in epochs]
                is_sound &= columns[name] == multiples
            is_sound &= step == self._steps.get(name, step) and columns[name][-1] < LIMIT
        seconds = columns["seconds"]
        latest = seconds[-1] if isinstance(seconds, LazyColumn) else sum(seconds)
        if not is_sound or not math.isfinite(latest) or 0 in steps.values():
            raise ValueError("not the next epochs")
        self._next += count
        self._steps = steps


class _UpdateCheck:
    """Checks that updates follow each other, and so do their epochs, samples and seconds."""

    def __init__(self, counter: str) -> None:
        self._counter = counter  # the column of their numbers
        self._last: dict[str, float] = {counter: 0.0, "epoch": 1.0}

    def __call__(self, columns: Columns) -> None:
        """Check the next logged updates.

        Raises:
            ValueError: they are no such ones.
        """
        updates, epochs = columns[self._counter], columns["epoch"]
        is_sound = self._last[self._counter] < updates[0] and all(map(lt, updates, updates[1:]))
        is_sound &= epochs[-1] <= updates[-1]
        losses = [column for name, column in columns.items() if name not in SHARED]
        others = {name: column for name, column in columns.items() if name in SHARED}
        is_sound &= not any(math.isnan(loss) for column in losses for loss in column)
        for name, column in others.items():
            is_sound &= self._last.get(name, 0.0) <= column[0] and column == sorted(column)
            is_sound &= column[-1] < LIMIT
        if not is_sound:
            raise ValueError("not the next updates")
        self._last = {name: column[-1] for name, column in others.items()}


class _ProbeCheck:
    """Checks that probed epochs follow each other, and count their updates."""

    def __init__(self) -> None:
        self._last, self._step = -1.0, 0.0

    def __call__(self, columns: Columns) -> None:
        """Check the next probed epochs.

        Raises:
            ValueError: they are no such ones.
        """
        last, per_epoch = self._last, self._step
        for epoch, updates in zip(columns["epoch"], columns["updates"], strict=True):
            step = updates / epoch if epoch else 0.0
            is_sound = epoch > last and updates < LIMIT and (epoch > 0 or updates == 0)
            if not is_sound or (epoch and (not step or step != (per_epoch or step))):
                raise ValueError("not the next probes")
            last, per_epoch = epoch, step
        self._last, self._step = last, per_epoch


def _check_of(columns: tuple[str, ...], first_epoch: int) -> tuple[Callable[[Columns], None], str]:
    """What checks rows with such columns, and the column that counts them."""
    if columns[: len(EPOCH_COLUMNS)] == EPOCH_COLUMNS:
        return _EpochCheck(first_epoch), "epoch"
    if columns == STEP_COLUMNS:
        return _UpdateCheck("update"), "update"
    if columns == EVALUATION_COLUMNS:
        return _UpdateCheck("updates"), "updates"
    return _ProbeCheck(), "updates"
