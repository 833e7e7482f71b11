"""Which columns of a table are features, and why the others aren't."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from gdrun.config.parts.data import TableData
from gdrun.errors import DataError, excerpt
from gdrun.tables.cells import is_number
from gdrun.tables.columns import MAX_CATEGORIES, Column
from gdrun.text import count, listed

MAX_SHOWN = 20  # columns left out
TEXT = "text"  # why most columns are left out
CONSTANT = "the same in all rows"
# What tools call the numbers of rows that they write into a first column.
_ROW_NUMBERS = re.compile(r"unnamed: \d+(_level_\d+)?|row[._ ]?names?|\.\.\.1", re.IGNORECASE)


@dataclass(frozen=True)
class Choice:
    """What to learn from.

    Attributes:
        features: the columns by name.
        categorical: which of them are categories.
        rows: for each row whether it is one to learn from, with a target and not only that.
        notes: on what was left out.
    """

    features: tuple[str, ...]
    categorical: frozenset[str]
    rows: NDArray[np.bool_]
    notes: tuple[str, ...]


def choose(
    config: TableData,
    columns: Mapping[str, Column],
    nameless: Collection[str],
    without_target: Sequence[NDArray[np.bool_]],
) -> Choice:
    """The features that a config names, or else all columns that can be used.

    Args:
        config: the file, and which columns it names.
        columns: by name.
        nameless: those without a name of their own.
        without_target: of each target, for each row whether it is missing.

    Raises:
        DataError: there is nothing to learn from, or a column has too many categories.
    """
    rows = ~np.logical_or.reduce(without_target)
    without = int((~rows).sum())
    notes, target = [], listed([excerpt(name) for name in config.targets])
    if without:
        which = "the target" if len(config.targets) == 1 else "one of the targets"
        notes.append(f"{_of(without, rows)} left out, as {which} {target} is missing")
    if not rows.any():
        for name, absent in zip(config.targets, without_target, strict=True):
            if absent.all():
                _refuse_target(config, columns[name])
        raise DataError(f"{config.label}: no row has all of the targets {target}")
    named = config.named_categories
    if config.features is not None:
        features = tuple(dict.fromkeys((*config.features, *named)))
        texts = [name for name in features if not columns[name].is_numeric()]
        categorical = {*named, *(texts if config.categorical == "all" else ())}
        _refuse_too_many(columns[name] for name in features if name in categorical)
        return Choice(features, frozenset(categorical), rows, tuple(notes))
    _refuse_too_many(columns[name] for name in named)
    candidates, categorical, left_out = _candidates(config, columns, nameless)
    lacks = {name: columns[name].is_missing(as_category=name in categorical) for name in candidates}
    if len(candidates) > 1:
        empty = np.logical_and.reduce(list(lacks.values())) & rows
        if empty.any():
            notes.append(f"{_of(int(empty.sum()), rows)} left out, as only the target is filled")
            rows &= ~empty
    found = [name for name in candidates if 2 * (lacks[name] & rows).sum() <= rows.sum()]
    sparse = [name for name in candidates if name not in found]
    if sparse:
        left_out["missing in more than half of the rows"] = sparse
    reasons = [_note(reason, names, columns) for reason, names in left_out.items()]
    if not found:
        wanted = listed([repr(excerpt(name)) for name in config.targets])
        raise DataError(
            f"{config.label}: has no column of numbers to learn {wanted} from",
            *reasons,
        )
    return Choice(tuple(found), frozenset(categorical), rows, (*notes, *reasons))


def _refuse_target(config: TableData, target: Column) -> NoReturn:
    """Refuse a target without a number in it."""
    named = f"{config.label}: column {excerpt(target.name)!r}"
    if not target.filled:
        raise DataError(f"{named} is empty")
    examples = listed([repr(text) for text in dict.fromkeys(text for _, text in target.mistakes)])
    raise DataError(
        f"{named} holds texts, such as {examples}, and a quantity to predict is a number",
        "to predict classes: loss: cross_entropy, or bce for two of them (--loss bce)",
    )


def _of(some: int, rows: NDArray[np.bool_]) -> str:
    return f"{some:,} of {count(len(rows), 'row')}"


def _candidates(
    config: TableData, columns: Mapping[str, Column], nameless: Collection[str]
) -> tuple[list[str], set[str], dict[str, list[str]]]:
    """The columns that can be features, the categories among them, and the others by reason."""
    named = config.named_categories
    found, categorical, left_out = [], set(named), dict[str, list[str]]()
    for name, column in columns.items():
        is_nameless = name in nameless
        # Such a column is nothing but a delimiter at the end of each line.
        if name in config.targets or (is_nameless and not column.filled):
            continue
        reason = None if name in named else _unusable(column, is_nameless=is_nameless)
        if reason == CONSTANT and config.shape is not None:  # each has its place in the shape
            reason = None
        if reason == TEXT and config.categorical == "all" and column.codes is not None:
            categorical.add(name)
            reason = None
        if reason is None:
            found.append(name)
        else:
            left_out.setdefault(reason, []).append(name)
    return found, categorical, left_out


def _unusable(column: Column, *, is_nameless: bool) -> str | None:
    """Why a column isn't a feature, however many of its cells are filled; None if it may be one."""
    if column.unusable:
        return column.unusable
    if is_nameless or _ROW_NUMBERS.fullmatch(column.name):
        return "without a name, or numbering the rows"
    if not column.is_numeric() and column.filled:
        if column.has_dates():
            return "dates"
        commas = all(is_number(text, ",") for _, text in column.mistakes)
        return "numbers with a decimal comma: data.decimal" if commas else TEXT
    if column.filled and column.is_constant():
        return CONSTANT
    if word := column.repeated_word():
        return f"words such as {word!r} among the numbers"
    return None


def _refuse_too_many(columns: Iterable[Column]) -> None:
    for column in columns:
        if column.codes is None:
            raise DataError(
                f"data.categorical: {excerpt(column.name)!r} has more than {MAX_CATEGORIES:,} "
                "different texts, too many for categories",
                "name other columns",
            )


def _note(reason: str, names: list[str], columns: Mapping[str, Column]) -> str:
    shown = listed([excerpt(name) for name in names], MAX_SHOWN)
    if reason == TEXT:
        few = [excerpt(name) for name in names if columns[name].repeats_itself]
        use = f"; data.categorical: [{', '.join(few[:3])}] uses them" if few else ""
        return f"columns left out ({reason}): {shown}{use}"
    return f"columns left out ({reason}): {shown}"
