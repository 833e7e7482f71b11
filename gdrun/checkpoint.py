"""`TrainState` to a file and back: atomic, versioned, loaded without unpickling code."""

import os
from dataclasses import fields
from pathlib import Path

import torch

from gdrun.engine import TrainState
from gdrun.errors import DataError

VERSION = 1


def save_checkpoint(path: Path, state: TrainState) -> None:
    """Write a state: to a file beside it first, flushed to the disk, then renamed over the old one.

    Raises:
        OSError: it can't be written; the old one stands.
    """
    content = {"version": VERSION, **{f.name: getattr(state, f.name) for f in fields(TrainState)}}
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def load_checkpoint(path: Path, device: torch.device | str = "cpu") -> TrainState:
    """Read a state that `train` goes on from.

    Raises:
        DataError: the file is no checkpoint of this version of gdrun.
    """
    content = torch.load(path, map_location=device, weights_only=True)
    version = content.pop("version", None)
    if version != VERSION:
        raise DataError(f"{path}: is a checkpoint of version {version}, expected {VERSION}")
    # Sums over an epoch are kept on the processor, in double precision, whatever the device.
    content["loss_sum"] = content["loss_sum"].cpu()
    return TrainState(**content)
