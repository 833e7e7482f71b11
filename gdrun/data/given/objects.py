"""What a caller or a function of the user's hands over: (x, y), or a DataFrame, as a data set."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import torch

from gdrun.config.parts.data import TableData
from gdrun.config.yaml_loader import kind
from gdrun.data.classes import refuse_several
from gdrun.data.dataset import Dataset
from gdrun.data.given.arrays import Array, Arrays, load_arrays
from gdrun.data.of_table import dataset_of_table
from gdrun.errors import DataError, excerpt, one_line

NAMES = ("x", "y", "x_val", "y_val")
EXPECTED = "(x, y), (x, y, x_val, y_val) or a DataFrame"
OF_COLUMNS = ("target", "features", "exclude", "categorical", "missing")  # keys of a DataFrame


def load_given(config: TableData, rows: Any, classify: bool, label: str, title: str) -> Dataset:
    """Check what was handed over, and make it a data set.

    Args:
        config: how to split and scale the rows, and which columns of a DataFrame it names.
        rows: (x, y) or (x, y, x_val, y_val), a mapping with these names, or a DataFrame.
        classify: whether the target is of classes, and not a quantity.
        label: where it came from, for messages.
        title: what the data is, in a few words.

    Raises:
        DataError: it is something else, or can't be used; it says what came.
    """
    from gdrun.data.given.frames import frame_table, is_frame

    if is_frame(rows):
        if classify:
            refuse_several(config.targets)
        table = frame_table(config, rows, classify)
        return dataset_of_table(config, table, classify, title)
    own = [key for key in OF_COLUMNS if getattr(config, key) != default_of(config, key)]
    arrays = [
        None if value is None and k > 1 else as_array(f"{label}: {name}", name, value)
        for k, (name, value) in enumerate(zip(NAMES, _parts(rows, label), strict=True))
    ]
    if own:
        raise DataError(
            f"data.{own[0]}: is of the columns of a DataFrame, and {label} is arrays",
            "data=frame, target='price' hands over a DataFrame",
        )
    x, y, x_val, y_val = arrays
    assert x is not None
    assert y is not None
    for one, other in ((2, 3), (3, 2)):
        if arrays[one] is not None and arrays[other] is None:
            raise DataError(f"{label}: has {NAMES[one]}, but no {NAMES[other]}")
    features, targets = (_names_of(part) for part in _parts(rows, label)[:2])
    if set(features) & set(targets):
        targets = ()
    given = Arrays(x, y, x_val, y_val, label, features=features, targets=targets)
    return load_arrays(config, given, classify, title)


def _names_of(value: Any) -> tuple[str, ...]:
    """The names of the columns of a DataFrame, or that of a Series; none if they aren't all given.

    Both are those of pandas or polars.
    """
    if hasattr(value, "columns"):
        names = list(value.columns)
    else:
        names = [getattr(value, "name", None)] if hasattr(value, "to_numpy") else []
    are_texts = all(name and isinstance(name, str) for name in names)
    return tuple(names) if are_texts and len(set(names)) == len(names) else ()


def default_of(config: TableData, key: str) -> Any:
    """The value of a key that isn't set."""
    return type(config).model_fields[key].default


def _parts(rows: Any, label: str) -> tuple[Any, Any, Any, Any]:
    """x, y, x_val and y_val; None for those that aren't there.

    Raises:
        DataError: it is something else.
    """
    if isinstance(rows, Mapping):
        unknown = [str(name) for name in rows if name not in NAMES]
        if unknown or not {"x", "y"} <= set(rows):
            names = ", ".join(excerpt(str(name), 20) for name in list(rows)[:5]) or "nothing"
            raise DataError(f"{label}: expected a mapping of x and y, got one of {names}")
        x, y, x_val, y_val = map(rows.get, NAMES)
        return x, y, x_val, y_val
    if isinstance(rows, tuple | list) and len(rows) in (2, 4):
        x, y, x_val, y_val = (*rows, None, None)[:4]
        return x, y, x_val, y_val
    came = described(rows)
    if isinstance(rows, tuple | list):
        came = f"{kind(rows)} of {len(rows)}"
    raise DataError(f"{label}: expected {EXPECTED}, got {came}", *_hints(rows))


def _hints(rows: Any) -> list[str]:
    if isinstance(rows, str) or hasattr(rows, "__fspath__"):
        return ["a file: data={'source': 'csv', 'path': 'houses.csv', 'target': 'price'}"]
    return ["collect() makes a DataFrame of it"] if hasattr(rows, "collect_schema") else []


def as_array(place: str, name: str, value: Any) -> Array:
    """An array of numpy's of what was handed over.

    Raises:
        DataError: it is none; it says what came.
    """
    if isinstance(value, torch.Tensor):
        return _of_tensor(place, name, value)
    if isinstance(value, np.ma.MaskedArray):
        if masked := int(np.ma.getmaskarray(value).sum()):
            raise DataError(
                f"{place} is a masked array, {masked:,} of whose values are masked",
                "leave these rows out, or fill them: x.filled(0)",
            )
        value = value.data
    if hasattr(value, "tocsr"):
        raise DataError(f"{place} is a sparse matrix", f"{name}.toarray() makes an array of it")
    if hasattr(value, "to_numpy"):  # a column or a table of pandas or polars
        value = value.to_numpy()
    is_listed = isinstance(value, list | tuple | range)
    if not (is_listed or hasattr(value, "__array__")):
        raise DataError(f"{place} is {described(value)}, expected an array, a tensor or a list")
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            f"{place} can't be made an array: {excerpt(one_line(error), 200)}",
            "rows may have different lengths",
        ) from None
    if array.dtype.kind == "T" or _are_all(array, str):
        return np.array(array.tolist())
    return array.astype(np.float64) if _are_all(array, Real) else array


def _of_tensor(place: str, name: str, tensor: torch.Tensor) -> Array:
    if tensor.layout != torch.strided:
        raise DataError(f"{place} is a sparse tensor", f"{name}.to_dense() makes it a dense one")
    try:
        tensor = tensor.detach().cpu()
        if tensor.dtype == torch.bfloat16:
            tensor = tensor.float()
        return np.asarray(tensor.resolve_conj().resolve_neg().numpy())
    except (TypeError, RuntimeError) as error:
        problem = excerpt(one_line(error), 200)
        raise DataError(f"{place} is a tensor of {tensor.dtype}: {problem}") from None


def _are_all(array: Array, kind: type) -> bool:
    """Whether it holds objects that are all of a kind, as columns of pandas do."""
    if array.dtype.kind != "O" or not array.size:
        return False
    return all(isinstance(value, kind) for value in array.flat)


def described(value: Any) -> str:
    """What came, in a few words."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    plain = value is None or isinstance(value, str | bool | int | float | list | tuple | dict | set)
    return excerpt(kind(value)) if plain else f"an object of the type {type(value).__name__}"
