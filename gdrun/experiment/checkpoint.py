"""Checkpoints: what a run goes on from, written so that a good one is there at every moment.

A checkpoint is a file of `torch.save` with its SHA-256 behind it, so that what was cut short or
lost a bit is known before anything is made of it. `torch.load` reads it too, without its last line.
"""

import hashlib
import io
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from gdrun.errors import DataError
from gdrun.results.file_names import CHECKPOINT, PREVIOUS_CHECKPOINT
from gdrun.storage.atomic import flush_to_disk, read_plain, replacing
from gdrun.storage.row_file import FileDigest
from gdrun.training.state import TrainState

VERSION = 2
SEAL = b"\ngdrun checkpoint, sha256 "


class _OtherVersionError(DataError):
    """A checkpoint is sound, but of another version of gdrun."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stood.

    Attributes:
        state: everything that the next update depends on.
        config, data: fingerprints of what was asked for and of the rows.
        marks: what the CSV files held, by name.
    """

    state: TrainState
    config: str
    data: str
    marks: Mapping[str, FileDigest]


def save_checkpoint(directory: Path, checkpoint: Checkpoint, *, keep_last: bool = True) -> None:
    """Write a checkpoint to the disk, then put it in the place of the last, which is kept.

    `keep_last` is false where the last is known to be damaged: that before it is kept on.

    Raises:
        OSError: it can't be written; the last one stands.
    """
    state = (
        checkpoint.state.clone()
    )  # tensors may be parts of larger ones, which aren't to be saved
    content = {
        "version": VERSION,
        "config": checkpoint.config,
        "data": checkpoint.data,
        "marks": {name: asdict(mark) for name, mark in checkpoint.marks.items()},
        "state": {field.name: getattr(state, field.name) for field in fields(TrainState)},
    }
    buffer = io.BytesIO()
    torch.save(content, buffer)
    payload = buffer.getbuffer()
    current = directory / CHECKPOINT
    with replacing(current, durable=False) as partial:
        with partial.open("xb") as file:
            file.write(payload)
            file.write(SEAL + hashlib.sha256(payload).hexdigest().encode() + b"\n")
        flush_to_disk(partial)  # before the last one gives up its place
        if keep_last and current.exists():
            current.replace(directory / PREVIOUS_CHECKPOINT)
    flush_to_disk(directory)


def last_checkpoint(directory: Path) -> tuple[Checkpoint | None, list[str]]:
    """The last good checkpoint of a run, if it has any, and what is wrong with a newer one.

    Raises:
        OSError: a file can't be read.
        DataError: there are checkpoints, but none is good, or one is of another version.
    """
    complaints: list[str] = []
    missing = False
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
        try:
            found = load_checkpoint(directory / name)
            if missing:
                complaints.append(f"{directory / CHECKPOINT}: is missing")
            return found, complaints
        except FileNotFoundError:
            missing = missing or name == CHECKPOINT
        except _OtherVersionError:
            raise  # not damaged, and so not passed over
        except DataError as error:
            complaints += error.problems
    if complaints:
        raise DataError(
            complaints,
            "no good checkpoint is left to go on from; the logs are as they were",
            "to train it all again, start a new run with --config "
            f"{directory / 'config.yaml'}, which gives the same rows",
        )
    return None, []


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint, its tensors on the CPU.

    Raises:
        OSError: the file can't be read.
        DataError: it is damaged, or none of this version of gdrun.
    """
    payload, seal, digest = read_plain(path).rpartition(SEAL)
    if not seal or digest != hashlib.sha256(payload).hexdigest().encode() + b"\n":
        raise DataError(f"{path}: is damaged, or no checkpoint of gdrun")
    try:
        content = torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)
        version = content["version"]
        if version == VERSION:
            return _checkpoint(content)
    except (pickle.UnpicklingError, RuntimeError, EOFError, TypeError, KeyError, AttributeError):
        raise DataError(f"{path}: is no checkpoint of gdrun") from None
    raise _OtherVersionError(
        f"{path}: is a checkpoint of version {version}, this gdrun reads {VERSION}",
        "go on with the version of gdrun that wrote it",
    )


def _checkpoint(content: Mapping[str, Any]) -> Checkpoint:
    return Checkpoint(
        state=TrainState(**content["state"]),
        config=content["config"],
        data=content["data"],
        marks={name: FileDigest(**mark) for name, mark in content["marks"].items()},
    )
