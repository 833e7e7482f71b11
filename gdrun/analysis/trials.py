"""The trainings of a sweep, one by one and summed up for each pair of batch size and learning rate.

Plain Python, without torch.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from statistics import median
from typing import Any, Literal

from gdrun.results.events import Status
from gdrun.results.lanes import MIN_BAND_SEEDS, band_positions, or_below
from gdrun.results.run import finite, or_inf

COARSE = 1 / 3  # of the updates to the target: so far apart are the evaluations around it
TargetCost = Literal["updates", "samples", "seconds"]  # what it takes to reach the target


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a sweep, which is one row of `sweep.csv`.

    What wasn't reached or isn't known is None. The `seconds` are the training time of all lanes of
    the run, which are trained together. After `updates_before_target` the train loss was evaluated
    last before it was at the target. The `optimizer` is empty where the sweep has but one.
    """

    method: str
    batch_size: int
    lr: float
    seed: int
    status: Status
    epochs: int
    updates: int
    samples: int
    seconds: float
    train_loss: float | None
    best_train_loss: float | None
    val_loss: float | None
    target: float | None
    updates_to_target: int | None
    samples_to_target: int | None
    seconds_to_target: float | None
    updates_before_target: int | None = None
    best_val_loss: float | None = None
    best_val_epoch: int | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict, hash=False)
    optimizer: str = ""

    def as_row(self) -> dict[str, Any]:
        """Its columns, those of metrics last, and first the optimizer where there are several."""
        own = {column.name: getattr(self, column.name) for column in fields(self)}
        metrics, optimizer = own.pop("metrics"), own.pop("optimizer")
        return {**({"optimizer": optimizer} if optimizer else {}), **own, **metrics}


@dataclass(frozen=True)
class Cell:
    """A cell of the grid: a pair of batch size and learning rate, with one training per seed.

    Numbers are medians over the seeds. A training that diverged counts as an infinite loss, one
    that never reached the target as infinitely many updates.
    """

    run: str
    method: str
    batch_size: int
    lr: float
    trials: tuple[Trial, ...]
    optimizer: str = ""

    @property
    def pair(self) -> str:
        """Batch size and learning rate, and which of several optimizers, as a sentence has them."""
        optimizer = f"{self.optimizer}, " if self.optimizer else ""
        return f"{optimizer}batch {self.batch_size:,}, lr {self.lr:g}"

    @property
    def diverged(self) -> int:
        """How many of the trainings diverged."""
        return sum(trial.status == "diverged" for trial in self.trials)

    @property
    def missed(self) -> int:
        """How many of the trainings never reached the target."""
        return sum(trial.updates_to_target is None for trial in self.trials)

    @property
    def updates_trained(self) -> int:
        """The number of updates of the longest training."""
        return max(trial.updates for trial in self.trials)

    @cached_property
    def train_loss(self) -> float:
        """The final loss over all training rows."""
        return median(or_inf(trial.train_loss) for trial in self.trials)

    @cached_property
    def val_loss(self) -> float:
        """The final loss over the validation rows."""
        return median(or_inf(trial.val_loss) for trial in self.trials)

    @cached_property
    def accuracy(self) -> float | None:
        """The final accuracy on the validation rows or, without any, on the training rows."""
        for name in ("val_accuracy", "train_accuracy"):
            found = [trial.metrics.get(name) for trial in self.trials]
            if any(each is not None for each in found):
                return finite(median(map(or_below, found)))
        return None

    def costs(self, cost: TargetCost) -> list[float]:
        """What it takes to reach the target, seed by seed."""
        return [or_inf(getattr(trial, f"{cost}_to_target")) for trial in self.trials]

    def to_target(self, cost: TargetCost) -> float:
        """What it takes to reach the target."""
        return median(self.costs(cost))

    def least_to_target(self, cost: Literal["updates", "samples"]) -> float:
        """What it takes at least to reach the target: more than at the evaluation before."""
        rows = {"updates": 1, "samples": self.batch_size}[cost]
        return rows * median(or_inf(trial.updates_before_target) + 1 for trial in self.trials)

    @property
    def is_coarse(self) -> bool:
        """Whether when the target was reached is known to no better than a third of the updates."""
        updates = self.to_target("updates")
        return 0 < COARSE * updates < updates - self.least_to_target("updates")

    @property
    def reaches_target(self) -> bool:
        """Whether the target was reached."""
        return math.isfinite(self.to_target("updates"))

    @property
    def falls_short(self) -> bool:
        """Whether training ended without the target, though it didn't diverge."""
        return not self.reaches_target and math.isfinite(self.train_loss)

    def band(self, cost: TargetCost) -> tuple[float, float] | None:
        """The 20th and 80th percentile of what it takes; None with too few seeds."""
        if len(self.trials) < MIN_BAND_SEEDS:
            return None
        ordered = sorted(self.costs(cost))
        low, high = band_positions(len(ordered))
        return ordered[low], ordered[high]
