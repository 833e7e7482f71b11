"""Small .npy files."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gdrun.config.parts.data import NpyData


def save(place: Path, x: NDArray[Any], y: NDArray[Any], **more: Any) -> NpyData:
    np.save(place / "x.npy", x)
    np.save(place / "y.npy", y)
    return NpyData(x=place / "x.npy", y=place / "y.npy", **more)


def some_rows(rows: int = 200, columns: int = 3) -> tuple[NDArray[Any], NDArray[Any]]:
    x = np.random.default_rng(3).normal(5.0, 2.0, (rows, columns))
    return x.astype(np.float32), (x @ np.arange(1, columns + 1) + 7).astype(np.float32)


def saved(array: NDArray[Any]) -> bytes:
    """What `numpy.save` writes."""
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()
