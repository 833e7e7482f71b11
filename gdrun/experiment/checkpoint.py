"""Checkpoints: what a run is resumed from, written so that a good one is there at every moment.

A checkpoint is a file of `torch.save` with its SHA-256 behind it, so that one that was cut short or
lost a bit is recognised before it is used. Without its last line, `torch.load` reads it, too.
"""

import hashlib
import io
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import ConfigDict, Field, PlainValidator, ValidationError, model_validator
from torch import Tensor

from gdrun.config.explain import brief
from gdrun.config.foreign import (
    Facts,
    Fingerprint,
    Natural,
    Seconds,
    Sha256,
    Size,
    YesNo,
    first_mistake,
)
from gdrun.config.timing import Timing
from gdrun.errors import DataError
from gdrun.results.events import Segment
from gdrun.results.file_names import CHECKPOINT, PREVIOUS_CHECKPOINT
from gdrun.storage.atomic import flush_to_disk, read_plain, replacing
from gdrun.storage.manifest import Digests
from gdrun.storage.row_file import FileDigest
from gdrun.training.patience import BestEpochs
from gdrun.training.state import TrainState

VERSION = 5
# A version 2 also holds sums that are worked out now, a 3 knows no evaluations within epochs, and a
# 4 but one optimizer, whose buffers are its velocity, and no best epochs.
READABLE = (2, 3, 4, 5)
SEAL = b"\ngdrun checkpoint, sha256 "
# Beside its tensors, what a checkpoint takes at most: by itself, and for each lane.
MAX_FRAME_BYTES, MAX_LANE_BYTES = 2**20, 64


class _OtherVersionError(DataError):
    """A checkpoint is undamaged, but of another version of gdrun."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a run was, and what its files held.

    Attributes:
        state: everything that the next update depends on.
        config, data: fingerprints of the config and of the rows.
        digests: what the CSV files held, by name.
    """

    state: TrainState
    config: str
    data: str
    digests: Mapping[str, FileDigest]


def save_checkpoint(directory: Path, checkpoint: Checkpoint, *, keep_last: bool = True) -> None:
    """Write a checkpoint to the disk, then put it in the place of the last, which is kept.

    `keep_last` is false where the last is known to be damaged: that before it is kept on.

    Raises:
        OSError: it can't be written; the last one stands.
    """
    state = checkpoint.state.clone()  # its tensors may be views of larger ones
    content = {
        "version": VERSION,
        "config": checkpoint.config,
        "data": checkpoint.data,
        "marks": {name: asdict(digest) for name, digest in checkpoint.digests.items()},
        "state": {
            **{field.name: getattr(state, field.name) for field in fields(TrainState)},
            "best": {field.name: getattr(state.best, field.name) for field in fields(BestEpochs)},
        },
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


def most_bytes(state: TrainState) -> int:
    """How large a checkpoint of a state with such tensors can be; older ones hold more sums."""
    tensors = [
        *(*state.params, *state.best.params),
        *chain.from_iterable(state.buffers),
        state.loss_sum,
    ]
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    return 2 * size + MAX_LANE_BYTES * len(state.diverged_at) + MAX_FRAME_BYTES


def last_checkpoint(directory: Path, most: int) -> tuple[Checkpoint | None, list[str]]:
    """The last good checkpoint of a run, if it has one, and what is wrong with a newer one.

    None is larger than `most` bytes.

    Raises:
        OSError: a file can't be read.
        DataError: there are checkpoints, but none is good, or one is of another version.
    """
    complaints: list[str] = []
    missing = False
    for name in (CHECKPOINT, PREVIOUS_CHECKPOINT):
        try:
            found = load_checkpoint(directory / name, most)
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
            "no good checkpoint is left to resume from; the logs are as they were",
            "to train it all again, start a new run with --config "
            f"{directory / 'config.yaml'}, which gives the same rows",
        )
    return None, []


def load_checkpoint(path: Path, most: int) -> Checkpoint:
    """Read a checkpoint of at most so many bytes, its tensors on the CPU.

    Raises:
        OSError: the file can't be read.
        DataError: it is damaged, or none of this version of gdrun.
    """
    payload, seal, digest = read_plain(path, most).rpartition(SEAL)
    if not seal or digest != hashlib.sha256(payload).hexdigest().encode() + b"\n":
        raise DataError(f"{path}: is damaged, or no checkpoint of gdrun")
    try:
        content = _unpacked(payload)
        version = content["version"]
        if type(version) is int and version not in READABLE:
            raise _OtherVersionError(
                f"{path}: is a checkpoint of version {brief(version)}, this gdrun reads "
                f"{READABLE[0]} to {READABLE[-1]}",
                "resume it with the version of gdrun that wrote it",
            )
        found = _Content.model_validate(content)
    except ValidationError as error:
        raise DataError(f"{path}: is no checkpoint of gdrun: {first_mistake(error)}") from None
    except DataError:
        raise
    except Exception:  # whatever PyTorch raises about what it can't read
        raise DataError(f"{path}: is no checkpoint of gdrun") from None
    best = BestEpochs.none_yet(len(found.state.diverged_at))  # as of an older gdrun
    if found.state.best:
        best = BestEpochs(**dict(found.state.best))
    state = TrainState(**{**dict(found.state), "best": best})
    return Checkpoint(
        state, found.config, found.data, {str(name): digest for name, digest in found.marks.items()}
    )


def _unpacked(payload: bytes) -> Any:
    """What `torch.save` wrote; it doesn't pack, so that little can't become much.

    Raises:
        Exception: it isn't that.
    """
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        parts = archive.infolist()
    if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
        raise ValueError("a part is packed")
    if sum(part.file_size for part in parts) > len(payload):
        raise ValueError("parts overlap")
    return torch.load(io.BytesIO(payload), map_location="cpu", weights_only=True)


def _plain(value: Any) -> Tensor:
    if type(value) is not Tensor:
        raise ValueError(f"Input should be a tensor, got {type(value).__name__}")
    if value.layout is not torch.strided or value.device.type != "cpu" or value.requires_grad:
        raise ValueError("Input should be a plain tensor, got one of another kind")
    return value


PlainTensor = Annotated[Tensor, PlainValidator(_plain)]
# Strictly: a tensor could be iterated over, too, and may seem to have any number of rows.
Tensors = Annotated[tuple[PlainTensor, ...], Field(strict=True)]


class _Best(Facts):
    """The fields of `BestEpochs`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    losses: Annotated[list[float], Field(strict=True)]
    epochs: Annotated[list[Size], Field(strict=True)]
    params: Tensors
    stopped_at: Annotated[list[Natural | None], Field(strict=True)]


class _State(Facts):
    """The fields of `TrainState`."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    params: Tensors
    buffers: Annotated[tuple[Tensors, ...], Field(strict=True)]
    begun: YesNo
    epoch: Size
    updates: Natural
    samples: Natural
    seconds: Seconds
    loss_sum: PlainTensor
    diverged_at: Annotated[list[Natural | None], Field(strict=True)]
    evaluated: Natural = Field(default=0)
    best: _Best | None = None

    @model_validator(mode="before")
    @classmethod
    def _with_buffers(cls, value: Any) -> Any:
        """The velocity of an older gdrun as the buffers that it is."""
        if not isinstance(value, dict) or "velocity" not in value or "buffers" in value:
            return value
        velocity = value["velocity"]
        return {**value, "buffers": () if velocity == () else (velocity,)}


class _Content(Facts):
    """What a checkpoint holds."""

    version: Literal[2, 3, 4, 5]
    config: Sha256
    data: Fingerprint
    marks: Annotated[Digests, Field(min_length=2)]
    state: _State


class CheckpointSchedule:
    """When to save between the start and the end of a run: early at first, then ever more rarely.

    Args:
        every: epochs after which a checkpoint is wanted, if any.
        timing: seconds after which one is wanted, and the share of the time that they may take.
        trained: seconds of training that the run has behind it already.
    """

    def __init__(self, every: int | None, timing: Timing, trained: float) -> None:
        self._every, self._timing, self._trained_before = every, timing, trained
        self._began = self._saved = time.monotonic()
        self._spent, self._cost = 0.0, timing.checkpoint_cost

    def is_due(self, segment: Segment) -> bool:
        """Whether to save: after so many epochs or seconds, unless training would wait too long."""
        timing = self._timing
        ended = segment.ends.epochs if segment.ends else ()
        wanted = self._every and any(epoch % self._every == 0 for epoch in ended)
        patience = min(timing.checkpoint, max(timing.first_checkpoint, self._saved - self._began))
        if not wanted and time.monotonic() - self._saved <= patience:
            return False
        trained = segment.seconds - self._trained_before
        return self._spent + self._cost <= timing.checkpoint_share * trained

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Note what saving meanwhile takes, which the next checkpoint will take, too."""
        start = time.monotonic()
        yield
        self._saved = time.monotonic()
        self._cost = self._saved - start
        self._spent += self._cost
