"""Which columns and rows of a table are trained on, whatever file it came from."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gdrun.config.parts.data import TableData
from gdrun.tables.checks import named_in, refuse_many_classes, refuse_mistakes, rows_kept
from gdrun.tables.choice import choose
from gdrun.tables.columns import Column


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: one for each row, NaN where there is none."""

    name: str
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Categories:
    """A column of categories: for each row the place of its label, `NO_CATEGORY` for none."""

    name: str
    codes: NDArray[np.int32]
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """The columns to train on, of equal length.

    Attributes:
        features: in the order of the network's inputs.
        targets: without NaN; categories where classes are asked for, and are texts.
        are_chosen: whether the features were chosen here, and not named by the user.
        notes: what was assumed, and what was left out.
    """

    features: tuple[Numbers | Categories, ...]
    targets: tuple[Numbers | Categories, ...]
    are_chosen: bool
    notes: tuple[str, ...]


def wanted_of(config: TableData, names: Iterable[str]) -> set[str]:
    """The columns that are to be read."""
    named = set(named_in(config)) if config.features is not None else set(names)
    return named - set(config.exclude)


def new_column(config: TableData, name: str, *, classify: bool) -> Column:
    """A column that is still empty; it will have categories if the config may ask for them."""
    column = Column(name)
    is_class = classify and name in config.targets
    if is_class or config.categorical == "all" or name in config.named_categories:
        column.collect_categories()
    return column


def select(
    config: TableData,
    columns: Sequence[Column],
    nameless: Collection[str],
    assumed: Iterable[str],
    *,
    classify: bool,
) -> Table:
    """The targets and features that a config asks for.

    Args:
        config: which columns it names.
        columns: those of `wanted_of`, filled.
        nameless: those without a name of their own.
        assumed: notes on how the table was read.
        classify: whether the target may be texts.

    Raises:
        DataError: there is nothing to learn from, a cell isn't a number, or too many are missing.
    """
    by_name = {column.name: column for column in columns}
    targets = [by_name[name] for name in config.targets]
    of_texts = classify and not targets[0].is_numeric()
    if of_texts:
        refuse_many_classes(config, targets[0])
    missing = [target.is_missing(as_category=of_texts) for target in targets]
    chosen = choose(config, by_name, nameless, missing)
    features = [by_name[name] for name in chosen.features]
    numbers = [column for column in features if column.name not in chosen.categorical]
    refuse_mistakes(config, numbers if of_texts else [*numbers, *targets])
    keep, left_out = rows_kept(config, features, chosen.rows, chosen.categorical)
    return Table(
        tuple(kept(column, keep, column.name in chosen.categorical) for column in features),
        tuple(kept(target, keep, of_texts) for target in targets),
        config.features is None,
        tuple(note for note in (*assumed, *chosen.notes, *left_out) if note),
    )


def kept(
    column: Column, rows: NDArray[np.bool_] | slice, as_category: bool
) -> Numbers | Categories:
    """Some rows of a column that was read, as what it is used as."""
    if as_category:
        return Categories(column.name, column.category_codes()[rows], tuple(column.labels))
    return Numbers(column.name, column.numbers()[rows])
