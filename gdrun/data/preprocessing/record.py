"""What was learned of the training rows, so that others can be given to the network: as a file.

`preprocessing.json` is plain JSON, for any program that computes what the network would. Anybody
may have written one, so that it is read through one checked model.

Shapes: D features, T targets.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, TypeAdapter, ValidationError

from gdrun.config.foreign import Rate, Real, first_mistake
from gdrun.data.preprocessing.standardize import Scaling
from gdrun.errors import DataError
from gdrun.results.file_names import PREPROCESSING
from gdrun.storage.atomic import read_plain
from gdrun.storage.manifest import MAX_BYTES, from_json

# As in the data, though a terminal may not be able to show it.
Name = Annotated[str, Field(strict=True, max_length=MAX_BYTES)]
Missing = Literal["drop", "mean", "error"]


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A column of the data, of which the network has one feature, or one for each category.

    Attributes:
        name: of the column.
        fill: the mean of the training rows, which takes the place of missing numbers.
        categories: of a column of text: each is a feature that is 1 in its rows, and 0 in others.
    """

    name: Name
    fill: Real | None = None
    categories: tuple[Name, ...] | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of its features."""
        if self.categories is None:
            return (self.name,)
        return tuple(f"{self.name}={category}" for category in self.categories)


@dataclass(frozen=True, slots=True)
class Scale:
    """Means and deviations of the training rows, by which columns were standardised."""

    mean: tuple[Real, ...]
    deviation: tuple[Rate, ...]

    @classmethod
    def of(cls, scaling: Scaling | None) -> "Scale | None":
        """That of tensors; None if nothing was standardised."""
        if scaling is None:
            return None
        return cls(tuple(scaling.mean.tolist()), tuple(scaling.deviation.tolist()))

    @property
    def scaling(self) -> Scaling:
        """As tensors of 64 bits."""
        mean, deviation = (
            torch.tensor(each, dtype=torch.float64) for each in (self.mean, self.deviation)
        )
        return Scaling(mean, deviation)


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """What stands between the columns of some data and the numbers that a network sees.

    Attributes:
        inputs: the columns that it learns from, in the order of its features.
        targets: the names of the columns that it predicts, T of them.
        classes: the names of the classes of the target; empty of quantities.
        missing: what becomes of rows with missing cells, as in a config.
        x_scale: of the D features; None if they weren't standardised.
        y_scale: of the T targets; likewise.
    """

    inputs: tuple[InputColumn, ...]
    targets: tuple[Name, ...]
    classes: tuple[Name, ...] = ()
    missing: Missing = "drop"
    x_scale: Scale | None = None
    y_scale: Scale | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the D features."""
        return features_of(self.inputs)

    @property
    def content(self) -> dict[str, Any]:
        """The content of the file."""
        return asdict(self)


def features_of(inputs: Sequence[InputColumn]) -> tuple[str, ...]:
    """The names of the features of some columns."""
    return tuple(name for column in inputs for name in column.features)


def as_they_are(names: Sequence[str]) -> tuple[InputColumn, ...]:
    """Columns of numbers in which nothing is missing."""
    return tuple(map(InputColumn, names))


def read_preprocessing(directory: Path) -> Preprocessing | None:
    """What the `preprocessing.json` of a run says; None where an older gdrun wrote none.

    Raises:
        DataError: it is damaged.
        OSError: it can't be read.
    """
    path = directory / PREPROCESSING
    try:
        content = from_json(read_plain(path, MAX_BYTES))
        if not isinstance(content, dict):
            raise ValueError("no object")
        found = TypeAdapter(Preprocessing).validate_python(content)
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise DataError(f"{path}: is damaged: {first_mistake(error)}") from None
    except (ValueError, RecursionError):  # no JSON, or no text
        raise DataError(f"{path}: is damaged: not valid JSON") from None
    for scale, columns in ((found.x_scale, found.features), (found.y_scale, found.targets)):
        if scale and not len(scale.mean) == len(scale.deviation) == len(columns):
            raise DataError(f"{path}: is damaged: a scale has another number of columns")
    if not found.targets:
        raise DataError(f"{path}: is damaged: it has no target")
    return found
