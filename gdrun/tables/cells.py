"""What the text of a cell says: a number, nothing, a date, or something else."""

import math
import re
from collections.abc import Iterable
from typing import Literal

Decimal = Literal[".", ","]

# As R, pandas, spreadsheets and databases write that there is no value; in lower case.
_NO_VALUE = "na n/a #n/a #na <na> nan -nan null none ? - -- . .."
MISSING = frozenset(["", *_NO_VALUE.split()])

_SIGN, _POWER = r"[-+]?", r"([eE][-+]?\d+)?"


def _grouped(marks: str, decimal: str) -> re.Pattern[str]:
    """Numbers whose thousands are set apart by one kind of mark throughout."""
    thousands = rf"\d{{1,3}}(?P<mark>[{marks}])\d{{3}}((?P=mark)\d{{3}})*"
    return re.compile(rf"{_SIGN}{thousands}({decimal}\d*)?{_POWER}")


# 1,234,567.8 or 1.234.567,8; or with spaces, of which there are several kinds, or apostrophes.
_SPACES = "'’ \xa0\u202f"
_GROUPED: dict[Decimal, re.Pattern[str]] = {
    ".": _grouped("," + _SPACES, r"\."),
    ",": _grouped("." + _SPACES, ","),
}
_WITH_COMMA = re.compile(rf"{_SIGN}\d*,\d+{_POWER}")
_WITH_POINT = re.compile(rf"{_SIGN}\d*\.\d+{_POWER}")
# 1,234 and 1.234 may be a thousand and more, or a little more than one.
_EITHER = re.compile(rf"{_SIGN}[1-9]\d{{0,2}}[.,]\d{{3}}")

_MONTH = r"(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_TIME = r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?\s*([ap]\.?m\.?)?(\s*(z|utc|[-+]\d{2}:?\d{2}))?"
_DATE = re.compile(
    rf"(\d{{4}}[-/.]\d{{1,2}}([-/.]\d{{1,2}})?|\d{{1,2}}[-/.]\d{{1,2}}[-/.]\d{{2,4}}"
    rf"|\d{{1,2}}[- ]?{_MONTH}[- ,]*\d{{2,4}}|{_MONTH}[- ]*(\d{{1,2}},?\s+)?\d{{2,4}}"
    rf"|\d{{4}}[-: ]?[mq]?\d{{1,2}}|\d{{4}}[-: ]?[mqw]\d{{1,2}}|\d{{4}}:\d{{1,2}})"
    rf"([t ]+{_TIME})?|{_TIME}",
    re.IGNORECASE,
)


def is_missing(cell: str) -> bool:
    """Whether a cell says that there is no value."""
    return cell.lower() in MISSING


def is_date(cell: str) -> bool:
    """Whether a cell looks like a date, a month, a quarter or a time of day."""
    return bool(_DATE.fullmatch(cell))


def number(cell: str, decimal: Decimal = ".") -> float:
    """The finite number in a cell; NaN if there is none.

    Thousands may be set apart, as in 1,234.5, or 1.234,5 where `decimal` is a comma.
    """
    text = cell.replace("−", "-")
    grouped = _GROUPED[decimal].fullmatch(text)
    if grouped:
        text = text.replace(grouped["mark"], "")
    elif decimal == "," and "." in text:
        return math.nan
    if decimal == ",":
        text = text.replace(",", ".", 1)
    try:
        value = math.nan if "_" in text else float(text)  # float would accept 1_000
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan


def is_number(cell: str, decimal: Decimal = ".") -> bool:
    """Whether there is a finite number in a cell."""
    return not math.isnan(number(cell, decimal))


def is_grouped(cell: str, decimal: Decimal) -> bool:
    """Whether there is a number in a cell whose thousands are set apart."""
    return bool(_GROUPED[decimal].fullmatch(cell))


def decimal_of(cells: Iterable[str]) -> Decimal | None:
    """The decimal mark that cells are written with; None if 1,234 may be meant either way."""
    commas = points = thousands = either = False
    for cell in cells:
        if "," not in cell:
            points |= bool(_WITH_POINT.fullmatch(cell)) and not _EITHER.fullmatch(cell)
        elif _EITHER.fullmatch(cell):
            either = True
        elif _GROUPED["."].fullmatch(cell):
            thousands = True
        else:
            commas |= bool(_WITH_COMMA.fullmatch(cell) or _GROUPED[","].fullmatch(cell))
    if points or thousands:
        return "."
    if commas:
        return ","
    return None if either else "."
