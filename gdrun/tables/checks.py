"""What is refused in the columns of a table, and which of its rows are left out."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gdrun.config.parts.data import CsvData, TableData
from gdrun.errors import DataError, did_you_mean, excerpt, first_of
from gdrun.tables.columns import MAX_CATEGORIES, MAX_MISTAKES, Column
from gdrun.tables.csv_text.header import QUOTES
from gdrun.text import count, listed

OTHER_DELIMITER = "if another sign stands between the cells, name it in data.delimiter"
MAX_NAMES = 20  # of columns that are listed


def named_in(config: TableData) -> list[str]:
    """The columns that a config names, also those to leave out."""
    return [*config.targets, *(config.features or ()), *config.named_categories, *config.exclude]


def with_names(config: CsvData, names: Collection[str]) -> CsvData:
    """The config with the columns as they are called, which may be written with their quotes."""
    known = set(names)

    def called(name: str) -> str:
        bare = name.strip().strip(QUOTES)
        return bare if name not in known and bare in known else name

    update: dict[str, object] = {"target": tuple(map(called, config.targets))}
    for key in ("features", "exclude", "categorical"):
        value = getattr(config, key)
        if isinstance(value, tuple):
            update[key] = tuple(map(called, value))
    return config.model_copy(update=update)


def refuse_unknown(config: TableData, names: Sequence[str]) -> None:
    """Refuse a config whose columns don't exist, or are named twice.

    Raises:
        DataError: it is so.
    """
    known = set(names)
    missing = [name for name in dict.fromkeys(named_in(config)) if name not in known]
    if missing:
        problems = [f"{config.label}: has no column {_quoted(name)}" for name in missing]
        raise DataError(
            first_of(problems[:MAX_MISTAKES], len(missing), "name"),
            *_nearest(missing, names),
            *_list_hints(config, known),
            *_columns_there(config, names),
        )
    features = config.features or ()
    named = listed([_quoted(name) for name in config.targets])
    targets, several = set(config.targets), len(config.targets) > 1
    if targets & set(features) or len(set(features)) < len(features):
        raise DataError(
            f"data.features: a column is named twice, or is {'a' if several else 'the'} target",
            f"the targets are {named}" if several else f"the target is {named}",
        )
    for key, others in (("exclude", config.exclude), ("categorical", config.named_categories)):
        for name in others:
            if name in targets:
                is_one = "is one of the targets" if several else "is the target"
                raise DataError(f"data.{key}: {_quoted(name)} {is_one}")
    for name in config.exclude:
        if name in features or name in config.named_categories:
            raise DataError(f"data.exclude: {_quoted(name)} is also named as a feature")


def refuse_lacking(config: TableData, wanted: Sequence[str], names: Sequence[str]) -> None:
    """Refuse rows without the columns that a network was trained on.

    Raises:
        DataError: some aren't there.
    """
    known = set(names)
    missing = [name for name in wanted if name not in known]
    if missing:
        problems = [
            f"{config.label}: has no column {_quoted(name)}, which the network was trained on"
            for name in missing[:MAX_MISTAKES]
        ]
        raise DataError(
            first_of(problems, len(missing), "column"),
            *_nearest(missing, names),
            *_columns_there(config, names),
        )


def _nearest(missing: Sequence[str], names: Sequence[str]) -> Iterator[str]:
    """The columns that may have been meant."""
    for name in missing[:MAX_MISTAKES]:
        yield from did_you_mean(name, names[:1000])


def _columns_there(config: TableData, names: Sequence[str]) -> Iterator[str]:
    """What columns there are; where it is but one, lines may not have been split into cells."""
    yield f"its columns: {_first([excerpt(name) for name in names], MAX_NAMES)}"
    if len(names) == 1 and isinstance(config, CsvData):
        yield OTHER_DELIMITER


def _list_hints(config: TableData, known: Collection[str]) -> Iterator[str]:
    """How to name several columns, where that is meant."""
    named = {
        "target": config.targets,
        "features": config.features or (),
        "categorical": config.named_categories,
        "exclude": config.exclude,
    }
    for key, names in named.items():
        for name in names:
            parts = [part.strip() for part in name.split(",")]
            if name not in known and len(parts) > 1 and {*parts} <= {*known}:
                several = "targets" if key == "target" else "columns"
                together = excerpt(", ".join(parts))
                yield f"several {several} are a list: --set 'data.{key}=[{together}]'"


def refuse_many_classes(config: TableData, target: Column) -> None:
    """Refuse a target of too many different texts.

    Raises:
        DataError: it is one.
    """
    if target.codes is None:
        raise DataError(
            f"{config.label}: column {_quoted(target.name)} has more than {MAX_CATEGORIES:,} "
            "different texts, too many for classes",
            "name another target",
        )


def refuse_mistakes(config: TableData, columns: Sequence[Column]) -> None:
    """Refuse cells of columns that aren't numbers, and missing ones if they are mistakes.

    Raises:
        DataError: there are such cells.
    """
    is_strict = config.missing == "error"
    problems, first = _no_numbers(config, columns, is_strict=is_strict)
    if not problems:
        return
    hints = []
    if any(column.name in config.targets and text for column, text in first):
        hints.append(
            "if the target is of classes: loss: cross_entropy, or bce for two (--loss bce)"
        )
    hints += _decimal_hints(config, first)
    texts = [excerpt(column.name) for column in columns if _is_text(config, column)]
    if texts:
        hints.append(f"columns of text are used by data.categorical: [{', '.join(texts[:3])}]")
    if any(column.missing for column in columns) and is_strict:
        hints.append("data.missing: drop leaves rows with missing cells out, mean fills them")
    raise DataError(
        problems, *hints, "correct or remove these rows, or leave the columns out: data.exclude"
    )


def refuse_new_mistakes(config: TableData, columns: Sequence[Column]) -> None:
    """The same of rows that a trained network is to be given.

    Raises:
        DataError: there are such cells.
    """
    problems, first = _no_numbers(config, columns, is_strict=config.missing == "error")
    if problems:
        raise DataError(
            problems,
            *_decimal_hints(config, first),
            "the network was trained on numbers there: correct these rows"
            + ("" if config.missing == "error" else ", or leave the cells empty"),
        )


def _is_text(config: TableData, column: Column) -> bool:
    """Whether a column that is named as a feature holds texts for the most part."""
    return column.name not in config.targets and bool(column.wrong) and not column.is_numeric()


def _decimal_hints(config: TableData, first: Sequence[tuple[Column, str]]) -> list[str]:
    if isinstance(config, CsvData) and any("," in text for _, text in first):
        return ['if numbers have a decimal comma, set data.decimal to ","']
    return []


def _no_numbers(
    config: TableData, columns: Sequence[Column], *, is_strict: bool
) -> tuple[list[str], list[tuple[Column, str]]]:
    """Cells that aren't numbers, and missing ones if it is strict: in words; the first ones."""
    total = sum(column.wrong + is_strict * column.missing for column in columns)
    found = sorted(
        (line, place, text)
        for place, column in enumerate(columns)
        for line, text in (*column.mistakes, *(column.gaps if is_strict else ()))
    )
    problems = [
        f"{config.label}, {config.at(line)}, column {_quoted(columns[place].name)}: expected "
        f"a number, got {repr(text) if text else 'an empty cell'}"
        for line, place, text in found[:MAX_MISTAKES]
    ]
    first = [(columns[place], text) for _, place, text in found]
    return first_of(problems, total, "cell") if total else [], first


def rows_kept(
    config: TableData,
    features: Sequence[Column],
    rows: NDArray[np.bool_],
    categorical: Collection[str],
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which of some rows are used, and a note on those that aren't, as cells are missing.

    Raises:
        DataError: more than half of them would be left out.
    """
    if config.missing == "mean":
        return rows, []
    keep, by_column = rows.copy(), dict[str, int]()
    for column in features:
        absent = column.is_missing(as_category=column.name in categorical) & rows
        if absent.any():
            by_column[column.name] = int(absent.sum())
            keep &= ~absent
    dropped = int((rows & ~keep).sum())
    if not dropped:
        return keep, []
    worst = sorted(by_column, key=lambda name: -by_column[name])
    shown = _first([f"{excerpt(name)} ({by_column[name]:,})" for name in worst], MAX_MISTAKES)
    lost = f"{dropped:,} of {count(int(rows.sum()), 'row')}"
    if 2 * dropped > rows.sum():
        raise DataError(
            f"{config.label}: {lost} have missing cells, most of them in {shown}",
            "leave these columns out: data.exclude",
            "or fill their cells with the mean of the others: data.missing: mean",
        )
    return keep, [f"{lost} left out, as cells are missing: {shown}"]


def _first(texts: Sequence[str], most: int) -> str:
    """The first few of some texts, and how many more there are."""
    more = f" and {len(texts) - most:,} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more


def _quoted(name: str) -> str:
    return repr(excerpt(name))
