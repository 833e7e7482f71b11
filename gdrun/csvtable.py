"""A user's CSV file, read strictly: every cell that isn't a number is named by line and column."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gdrun.errors import DataError, did_you_mean

SHOWN = 5  # mistakes of a file that are listed; the rest are counted


@dataclass(frozen=True)
class Table:
    """The columns to learn from: x is (rows, features), y is (rows,)."""

    x: list[list[float]]
    y: list[float]
    features: tuple[str, ...]
    left_out: tuple[str, ...]


@dataclass(frozen=True)
class _Column:
    """One column of the file: its cells, parsed (NaN where no finite number stands) and as text."""

    name: str
    values: list[float]
    cells: list[str]

    def is_numeric(self) -> bool:
        """Whether most filled cells are numbers: the others are then mistakes, not labels.

        A decimal comma makes a number too, and a mistake.
        """
        filled = [cell for cell in self.cells if cell]
        numbers = [cell for cell in filled if not math.isnan(_number(cell.replace(",", ".")))]
        return 2 * len(numbers) > len(filled)


def read_table(path: Path, target: str, features: Sequence[str] | None) -> Table:
    """Read the target and the features from a CSV file with a header line.

    Without `features`, all numeric columns but the target are taken and the others named in
    `left_out`. The delimiter is a comma, or a semicolon or tab where the header holds more of them.

    Raises:
        DataError: the file can't be read, has no such column, or has a cell that is no number.
    """
    names, lines, rows = _read(path)
    wanted = [target] if features is None else [target, *features]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(
            [f"{path}: has no column {name!r}" for name in missing],
            *(hint for name in missing for hint in did_you_mean(name, names)),
            f"its columns: {', '.join(names)}",
            *(["the first line must name the columns"] if _are_numbers(names) else []),
        )
    if features is not None and (target in features or len(set(features)) < len(features)):
        raise DataError(
            "data.features: names the target or a column twice", f"the target is {target!r}"
        )
    if not rows:
        raise DataError(f"{path}: has no rows below its header line")
    columns = {
        name: _Column(name, [_number(cell) for cell in cells], list(cells))
        for name, cells in zip(names, zip(*rows, strict=True), strict=True)
        if features is None or name in wanted
    }
    if features is None:
        # A column without a name is mostly an index that somebody's tool wrote along.
        unnamed = {_nameless(k) for k in range(1, len(names) + 1)}
        features = [
            name
            for name in names
            if name != target and name not in unnamed and columns[name].is_numeric()
        ]
        if not features:
            raise DataError(f"{path}: has no numeric column to learn {target!r} from")
    used = [columns[name] for name in (*features, target)]
    mistakes = list(_mistakes(path, lines, used))
    if mistakes:
        raise DataError(
            _shown(mistakes, "cell"),
            *(
                ["write numbers with a decimal point and no thousands separators: 1234.5"]
                if any("," in cell for column in used for cell in column.cells)
                else []
            ),
            "correct or remove these rows, or name other columns in data.features",
        )
    x = [list(row) for row in zip(*(columns[name].values for name in features), strict=True)]
    return Table(
        x=x,
        y=columns[target].values,
        features=tuple(features),
        left_out=tuple(name for name in names if name != target and name not in features),
    )


def _read(path: Path) -> tuple[list[str], list[int], list[list[str]]]:
    """Column names, and for each row its line number in the file and its stripped cells."""
    if path.exists() and not path.is_file():
        raise DataError(f"data.path: {path} is no regular file")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = next((line for line in file if line.strip()), "")
            file.seek(0)
            delimiter = max(",;\t", key=first.count)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            names = [name.strip() for name in next(reader, [])]
            while names == [] and (cells := next(reader, None)) is not None:
                names = [name.strip() for name in cells]  # blank lines above the header
            lines, rows = [], []
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    lines.append(reader.line_num)
                    rows.append([cell.strip() for cell in cells])
    except UnicodeDecodeError:
        raise DataError(f"{path}: is not UTF-8 text", "save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: is not valid CSV: {error}") from None
    except OSError as error:
        raise DataError(
            f"data.path: {path} can't be read: {error.strerror}",
            "a relative path in a config file is relative to that file, in --set to where you are",
        ) from None
    if not any(names):
        raise DataError(f"{path}: is empty; expected a header line and rows")
    names = [name or _nameless(k) for k, name in enumerate(names, 1)]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError([f"{path}, line 1: two columns are named {name!r}" for name in repeated])
    ragged = [
        f"{path}, line {line}: has {len(cells)} cells, the header line has {len(names)}"
        for line, cells in zip(lines, rows, strict=True)
        if len(cells) != len(names)
    ]
    if ragged:
        raise DataError(_shown(ragged, "line"))
    return names, lines, rows


def _nameless(number: int) -> str:
    """What a column without a name is called, counted from 1."""
    return f"column {number} (no name)"


def _shown(mistakes: list[str], noun: str) -> list[str]:
    """The first mistakes, and how many there are beside."""
    more = len(mistakes) - SHOWN
    return mistakes[:SHOWN] + ([f"… and {more:,} more such {noun}s"] if more > 0 else [])


def _number(cell: str) -> float:
    """The finite number that a cell holds, else NaN."""
    try:
        value = math.nan if "_" in cell else float(cell)  # Python's own would read 1_000
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def _are_numbers(cells: list[str]) -> bool:
    return not any(math.isnan(_number(cell)) for cell in cells)


def _mistakes(path: Path, lines: list[int], columns: list[_Column]) -> Iterator[str]:
    for position, line in enumerate(lines):
        for column in columns:
            if math.isnan(column.values[position]):
                cell = column.cells[position]
                came = repr(cell) if cell else "an empty cell"
                yield f"{path}, line {line}, column {column.name!r}: expected a number, got {came}"
