"""`TrainState` to a file and back: atomic, versioned, loaded without unpickling code."""

import os
import pickle
import zipfile
from dataclasses import fields
from pathlib import Path

import torch

from gdrun.atomic import replacing
from gdrun.errors import DataError
from gdrun.state import TrainState

VERSION = 1


def save_checkpoint(path: Path, state: TrainState) -> None:
    """Write a state: to a file beside it first, flushed to the disk, then renamed over the old one.

    Raises:
        OSError: it can't be written; the old one stands.
    """
    content = {"version": VERSION, **{f.name: getattr(state, f.name) for f in fields(TrainState)}}
    with replacing(path) as partial, partial.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> TrainState:
    """Read a state that `train` goes on from, its weights on a device.

    Raises:
        OSError: the file can't be read.
        DataError: it is no checkpoint of this version of gdrun.
    """
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise DataError(f"{path}: is no checkpoint, or a damaged one")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        version = content.pop("version")
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError, AttributeError, KeyError):
        raise DataError(f"{path}: is no checkpoint, or a damaged one") from None
    if version != VERSION:
        raise DataError(f"{path}: is a checkpoint of version {version}, expected {VERSION}")
    for name in ("params", "velocity"):
        content[name] = tuple(tensor.to(device) for tensor in content[name])
    return TrainState(**content)
