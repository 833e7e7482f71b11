"""What a run says of itself: plain rows and columns, without torch, that logs and plots share.

The engine yields a `Segment` at a time; `epoch_lines` and `step_lines` turn it into the rows of
`epochs.csv` and `steps.csv`.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Status = Literal["running", "done", "diverged", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Lane:
    """One training among those that run in lockstep."""

    lr: float
    seed: int


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The losses of one lane at the end of an epoch.

    Attributes:
        batch_loss: mean of the losses that the epoch's updates saw, weighted by batch rows; None
            before training.
        train_loss: loss over all training rows at the weights that stand at the end of the epoch;
            None where this epoch wasn't evaluated.
        val_loss: the same over the validation rows; None also where there are none.
    """

    batch_loss: float | None
    train_loss: float | None
    val_loss: float | None


@dataclass(frozen=True, slots=True)
class Epochs:
    """Several whole epochs after which no lane has diverged, in columns.

    Attributes:
        epochs, updates, samples: as in `Segment`, at the end of each.
        seconds: likewise.
        batch_loss, train_loss, val_loss: per lane, as in `Evaluation`.
    """

    epochs: range
    updates: range
    samples: range
    seconds: Sequence[float]
    batch_loss: Sequence[Sequence[float]]
    train_loss: Sequence[Sequence[float | None]]
    val_loss: Sequence[Sequence[float | None]]


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive updates of all lanes: of one epoch, or of several whole ones.

    The last of an epoch carries its evaluation.

    Attributes:
        epoch: the epoch that the last of them belongs to, from 1; 0 is before training.
        updates: updates so far, these included.
        samples: training rows consumed so far.
        seconds: training time so far, of all lanes together.
        losses: per lane, the batch loss before each update of this segment; empty if it has none.
        diverged_at: per lane, the update that first saw a non-finite loss, or None.
        evaluations: per lane, at the end of an epoch; None for a lane that diverged before it.
        whole: the epochs that they make up, where these are several.
    """

    epoch: int
    updates: int
    samples: int
    seconds: float
    losses: Sequence["array[float]"]
    diverged_at: tuple[int | None, ...]
    evaluations: tuple[Evaluation | None, ...] = ()
    whole: Epochs | None = None

    @property
    def ends_epoch(self) -> bool:
        """Whether this is the last segment of its epoch."""
        return bool(self.evaluations)

    def logged(self, every: int) -> tuple[range, Sequence["array[float]"]]:
        """The updates whose number is a multiple of `every`, and for each lane their losses."""
        first = self.updates - len(self.losses[0]) + 1 if self.losses else self.updates + 1
        skip = -first % every
        columns = self.losses if every == 1 else [column[skip::every] for column in self.losses]
        return range(first + skip, self.updates + 1, every), columns

    def epochs_of(self, updates: range) -> "array[int]":
        """The epochs that some of its updates belong to."""
        if not self.whole:
            return array("q", [self.epoch]) * len(updates)
        an_epoch = self.whole.updates.step
        return as_stored_column((numbers_of(updates) - 1) // an_epoch + 1)


@dataclass(frozen=True, slots=True)
class Series:
    """What the rows of one run have in common, and what it is called among others.

    Attributes:
        method: `full`, `sgd` or `minibatch`.
        batch_size: rows an update takes.
        lanes: what is trained in lockstep.
        name: of the run in its group, and of its directory there; its method if nothing else.
    """

    method: str
    batch_size: int
    lanes: tuple[Lane, ...]
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.method)

    @property
    def lrs(self) -> list[float]:
        """The learning rates of the lanes, each once."""
        return list(dict.fromkeys(lane.lr for lane in self.lanes))


def numbers_of(updates: range) -> "NDArray[np.int64]":
    """A range as an array, of which there may be millions."""
    import numpy as np

    return np.arange(updates.start, updates.stop, updates.step, dtype=np.int64)


def as_stored_column(numbers: "NDArray[np.int64]") -> "array[int]":
    """The same numbers as they are kept in memory."""
    return array("q", numbers.tobytes())
