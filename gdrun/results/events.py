"""What a training reports while it runs: segments of consecutive updates, lane by lane.

A lane is one training among those that run in lockstep: a pair of learning rate and seed. R lanes.
"""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")
Status = Literal["running", "done", "diverged", "interrupted", "failed"]
COMPLETE: Final = ("done", "diverged")  # the statuses of what has nothing left to train


@dataclass(frozen=True, slots=True)
class Lane:
    """One training among those that run in lockstep."""

    lr: float
    seed: int


@dataclass(frozen=True, slots=True)
class Series:
    """What the rows of one run have in common, and its name among other runs.

    Attributes:
        method: `full`, `sgd` or `minibatch`: the name of a batch size.
        batch_size: rows per update.
        lanes: what is trained in lockstep.
        name: of the run in its group, and of its directory there; its method by default.
        columns: further ones of `epochs.csv`, behind those that all runs have.
        probe_columns: those of `probes.csv` that hold what is measured; none without probes.
        schedule: how the learning rates change, in words; empty if they are constant.
    """

    method: str
    batch_size: int
    lanes: tuple[Lane, ...]
    name: str = ""
    columns: tuple[str, ...] = ()
    schedule: str = ""
    probe_columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.method)

    @property
    def lrs(self) -> list[float]:
        """The distinct learning rates of the lanes, in their order."""
        return list(dict.fromkeys(lane.lr for lane in self.lanes))


@dataclass(frozen=True, slots=True)
class EpochEnds:
    """What is known at the ends of E consecutive epochs, in columns.

    Attributes:
        epochs: their numbers; 0 is before training.
        updates, samples: updates taken and training rows consumed so far, at the end of each.
        seconds: training time so far, at the end of each.
        batch_loss: per lane and epoch, the mean of the losses that the epoch's updates saw,
            weighted by batch rows; None before training.
        train_loss: per lane and epoch, the loss over all training rows at the weights that stand at
            the end of the epoch; None where the epoch wasn't evaluated.
        val_loss: the same over the validation rows; None also where there are none.
        active: per lane, whether it takes part; one that diverged in an earlier epoch doesn't.
        columns: further ones, likewise per lane and epoch, by name.
    """

    epochs: range
    updates: range
    samples: range
    seconds: Sequence[float]
    batch_loss: Sequence[Sequence[float | None]]
    train_loss: Sequence[Sequence[float | None]]
    val_loss: Sequence[Sequence[float | None]]
    active: Sequence[bool]
    columns: Mapping[str, Sequence[Sequence[float | None]]] = field(default_factory=dict)

    def losses_of(self, columns: Sequence[str]) -> Iterator[tuple[Sequence[float | None], ...]]:
        """Lane by lane, what differs between lanes: the losses, then further columns by name."""
        further = (self.columns[name] for name in columns)
        return zip(self.batch_loss, self.train_loss, self.val_loss, *further, strict=True)


@dataclass(frozen=True, slots=True)
class Probed:
    """What was measured of the lanes at the end of an epoch.

    Attributes:
        epoch: which; 0 is before training.
        updates: so far.
        active: per lane, whether it was measured; one that has ended wasn't.
        columns: the measurements, by column of `probes.csv` and lane; None where one isn't known.
    """

    epoch: int
    updates: int
    active: Sequence[bool]
    columns: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive updates of all lanes: part of one epoch, or several whole epochs.

    Attributes:
        epoch: the epoch that the last of them belongs to, from 1; 0 is before training.
        updates: updates so far, these included.
        samples: training rows consumed so far.
        seconds: training time so far, of all lanes together.
        losses: per lane, the batch loss before each update of this segment; empty if it has none.
        diverged_at: per lane, the update that first saw a non-finite loss, or None.
        ends: the epochs that end in this segment, if any do.
        train_loss: per lane, the loss over all training rows after the last of the updates, where
            that was evaluated within an epoch; else empty.
        stopped_at: per lane, the update after which patience with it ran out, or None; empty if
            none was stopped.
        probed: what was measured after them, if anything was.
        is_probing: whether the lanes are being measured just now.
    """

    epoch: int
    updates: int
    samples: int
    seconds: float
    losses: Sequence["array[float]"]
    diverged_at: tuple[int | None, ...]
    ends: EpochEnds | None = None
    train_loss: Sequence[float] = ()
    stopped_at: tuple[int | None, ...] = ()
    probed: Probed | None = None
    is_probing: bool = False

    @property
    def ended_at(self) -> tuple[int | None, ...]:
        """Per lane, the update after which nothing is logged of it, or None."""
        return ended_at(self.diverged_at, self.stopped_at) if self.stopped_at else self.diverged_at

    def evaluated(self, lanes: Sequence[T]) -> Iterator[tuple[T, float]]:
        """Those of the lanes that haven't ended, with their train losses within an epoch."""
        if self.train_loss:
            for lane, ended_at, loss in zip(lanes, self.ended_at, self.train_loss, strict=True):
                if ended_at is None:
                    yield lane, loss

    def logged(self, every: int) -> tuple[range, Sequence["array[float]"]]:
        """The updates whose number is a multiple of `every`, and for each lane their losses."""
        first = self.updates - len(self.losses[0]) + 1 if self.losses else self.updates + 1
        skip = -first % every
        columns = self.losses if every == 1 else [column[skip::every] for column in self.losses]
        return range(first + skip, self.updates + 1, every), columns

    def epochs_of(self, updates: range) -> "array[int]":
        """The epochs that some of its updates belong to."""
        if self.ends is None or len(self.ends.epochs) == 1:
            return array("q", [self.epoch]) * len(updates)
        updates_per_epoch = self.ends.updates.step
        return as_column((range_array(updates) - 1) // updates_per_epoch + 1)


def ended_at(
    diverged_at: Sequence[int | None], stopped_at: Sequence[int | None]
) -> tuple[int | None, ...]:
    """Per lane, the update after which it counts no more: it diverged or was stopped; or None."""
    pairs = zip(diverged_at, stopped_at, strict=True)
    return tuple(at if at is not None else stopped for at, stopped in pairs)


def range_array(numbers: range) -> "NDArray[np.int64]":
    """A range as an array; there may be millions of numbers."""
    import numpy as np

    return np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.int64)


def as_column(numbers: "NDArray[np.int64]") -> "array[int]":
    """The same numbers as histories keep them: eight bytes each."""
    return array("q", numbers.tobytes())
