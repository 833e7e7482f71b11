"""A CSV file as columns of numbers; each cell that isn't a number is reported by line and column.

The file is read row by row, and only the number of a cell is kept: eight bytes, however it is
written.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gdrun.data.csv_reader import USE_NPY, refuse_large, rows_of
from gdrun.errors import DataError, did_you_mean, excerpt, first_of, unreadable

MAX_COLUMNS = 100_000
MAX_MISTAKES = 5  # of a kind that are listed; the rest are counted
MAX_NAMES = 20  # of columns that are listed


@dataclass(frozen=True)
class Table:
    """The columns to train on: one number per row, for each feature in `x` and the target `y`."""

    x: tuple["array[float]", ...]
    y: "array[float]"
    features: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass
class _Column:
    """A column while it is read: its numbers, NaN where a cell holds none, and its mistakes."""

    name: str
    values: "array[float]" = field(default_factory=lambda: array("d"))
    empty: int = 0
    wrong: int = 0  # filled cells that aren't numbers
    decimal_commas: int = 0  # those that would be numbers with a point for the comma
    has_commas: bool = False
    mistakes: list[tuple[int, str]] = field(default_factory=list)  # the first: line, cell

    def add(self, line: int, cell: str) -> None:
        value = _number(cell)
        self.values.append(value)
        if not math.isnan(value):
            return
        if cell:
            self.wrong += 1
            if "," in cell:
                self.has_commas = True
                self.decimal_commas += not math.isnan(_number(cell.replace(",", ".")))
        else:
            self.empty += 1
        if len(self.mistakes) < MAX_MISTAKES:
            self.mistakes.append((line, excerpt(cell)))

    def is_numeric(self) -> bool:
        """Whether most filled cells are numbers, so that the others are mistakes and not labels.

        A number with a decimal comma is both a number and a mistake.
        """
        filled = len(self.values) - self.empty
        return 2 * (filled - self.wrong + self.decimal_commas) > filled


def read_table(path: Path, target: str, features: Sequence[str] | None) -> Table:
    """Read the target and the features from a CSV file with a header line.

    Without `features`, these are all numeric columns except the target; the others are named in
    `left_out`. The delimiter is a comma, semicolon or tab, whichever the header has most of.

    Raises:
        DataError: the file can't be read or is too large, a column doesn't exist, or a cell isn't
            a number.
    """
    try:
        refuse_large(path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = rows_of(path, file)
            names = _header(path, rows)
            _refuse_unknown(path, names, target, features)
            wanted = set(names if features is None else (target, *features))
            columns = _columns(path, names, wanted, rows)
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text", "save it as CSV in UTF-8") from None
    except (OSError, UnicodeEncodeError) as error:  # the latter if no file can have that name
        reason = error.strerror if isinstance(error, OSError) else error.reason
        raise unreadable("data.path", path, reason) from None
    if features is None:
        # A column without a name is mostly an index that the tool that wrote the file added.
        unnamed = {_nameless(k) for k in range(1, len(names) + 1)}
        features = [
            name
            for name, column in columns.items()
            if name != target and name not in unnamed and column.is_numeric()
        ]
        if not features:
            raise DataError(f"{path}: has no numeric column to learn {_quoted(target)} from")
    used = [columns[name] for name in (*features, target)]
    _refuse_mistakes(path, used)
    taken = set(features)
    return Table(
        x=tuple(columns[name].values for name in features),
        y=columns[target].values,
        features=tuple(features),
        left_out=tuple(name for name in names if name != target and name not in taken),
    )


def _header(path: Path, rows: Iterator[tuple[int, list[str]]]) -> list[str]:
    """The names of the columns, which all differ."""
    line, cells = next(rows, (0, []))
    if not cells:
        raise DataError(f"{path}: is empty; expected a header line and rows")
    if len(cells) > MAX_COLUMNS:
        raise DataError(
            f"{path}: has {len(cells):,} columns; CSV files are read up to {MAX_COLUMNS:,}",
            USE_NPY,
        )
    names = [name or _nameless(k) for k, name in enumerate(cells, 1)]
    repeated = sorted(name for name, times in Counter(names).items() if times > 1)
    if repeated:
        lines = [
            f"{path}, line {line}: two columns are named {_quoted(name)}"
            for name in repeated[:MAX_MISTAKES]
        ]
        raise DataError(first_of(lines, len(repeated), "name"))
    return names


def _refuse_unknown(
    path: Path, names: Sequence[str], target: str, features: Sequence[str] | None
) -> None:
    """Refuse a target or features that don't exist, or that are named twice."""
    known = set(names)
    missing = [name for name in (target, *(features or ())) if name not in known]
    if missing:
        listed = ", ".join(excerpt(name) for name in names[:MAX_NAMES])
        more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
        raise DataError(
            first_of(
                [f"{path}: has no column {_quoted(name)}" for name in missing[:MAX_MISTAKES]],
                len(missing),
                "name",
            ),
            *(hint for name in missing[:MAX_MISTAKES] for hint in did_you_mean(name, names[:1000])),
            f"its columns: {listed}{more}",
            *(["the first line must name the columns"] if _are_numbers(names) else []),
        )
    if features is not None and (target in features or len(set(features)) < len(features)):
        raise DataError(
            "data.features: a column is named twice, or is the target",
            f"the target is {_quoted(target)}",
        )


def _columns(
    path: Path, names: Sequence[str], wanted: set[str], rows: Iterator[tuple[int, list[str]]]
) -> dict[str, _Column]:
    """Read the wanted columns to the end of the file."""
    columns = [(k, _Column(name)) for k, name in enumerate(names) if name in wanted]
    count, ragged = 0, 0
    examples = []
    for line, cells in rows:
        count += 1
        if len(cells) == len(names):
            for k, column in columns:
                column.add(line, cells[k])
            continue
        ragged += 1
        if ragged <= MAX_MISTAKES:
            examples.append(
                f"{path}, line {line}: has {len(cells)} cells, the header line has {len(names)}"
            )
    if ragged:
        raise DataError(first_of(examples, ragged, "line"))
    if not count:
        raise DataError(f"{path}: has no rows below its header line")
    return {column.name: column for _, column in columns}


def _refuse_mistakes(path: Path, columns: Sequence[_Column]) -> None:
    """Refuse cells that aren't numbers, naming the first of them."""
    total = sum(column.wrong + column.empty for column in columns)
    if not total:
        return
    first = sorted(
        (line, position, cell)
        for position, column in enumerate(columns)
        for line, cell in column.mistakes
    )
    lines = [
        f"{path}, line {line}, column {_quoted(columns[position].name)}: expected a number, got "
        + (repr(cell) if cell else "an empty cell")
        for line, position, cell in first[:MAX_MISTAKES]
    ]
    commas = any(column.has_commas for column in columns)
    raise DataError(
        first_of(lines, total, "cell"),
        *(
            ["write numbers with a decimal point and no thousands separators: 1234.5"]
            if commas
            else []
        ),
        "correct or remove these rows, or name other columns in data.features",
    )


def _nameless(number: int) -> str:
    """The name of a column without one, counted from 1."""
    return f"column {number} (no name)"


def _quoted(name: str) -> str:
    return repr(excerpt(name))


def _number(cell: str) -> float:
    """The finite number in a cell; NaN if there is none."""
    try:
        value = math.nan if "_" in cell else float(cell)  # float would accept 1_000
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _are_numbers(cells: Sequence[str]) -> bool:
    return not any(math.isnan(_number(cell)) for cell in cells)
