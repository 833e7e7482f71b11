"""What a sweep came to: every training, every pair of batch size and learning rate, the best.

Plain Python, without torch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from gdrun.results.events import Status
from gdrun.results.run import Description, finite, or_inf

if TYPE_CHECKING:
    from gdrun.analysis.critical_batch import CriticalBatch

Cost = Literal["updates", "samples", "seconds"]
BAND = (20, 80)  # percentiles
FEWEST_SEEDS = 3  # for a band or an interval


@dataclass(frozen=True, slots=True)
class Trial:
    """One training of a sweep: a row of `sweep.csv`. What wasn't reached, or isn't known, is None.

    `seconds` are training time of all lanes of the run, which are trained together.
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


@dataclass(frozen=True)
class Cell:
    """A pair of batch size and learning rate, with a training for each seed.

    Numbers are medians over the seeds; a training that diverged counts as an infinite loss, one
    that never came to the target as infinitely many updates.
    """

    run: str
    method: str
    batch_size: int
    lr: float
    trials: tuple[Trial, ...]

    @property
    def pair(self) -> str:
        """Batch size and learning rate as a sentence names them."""
        return f"batch {self.batch_size:,}, lr {self.lr:g}"

    @property
    def diverged(self) -> int:
        """How many of the trainings diverged."""
        return sum(trial.status == "diverged" for trial in self.trials)

    @property
    def missed(self) -> int:
        """How many of the trainings never came to the target."""
        return sum(trial.updates_to_target is None for trial in self.trials)

    @cached_property
    def train_loss(self) -> float:
        """The final loss over all training rows."""
        return median(or_inf(trial.train_loss) for trial in self.trials)

    @cached_property
    def val_loss(self) -> float:
        """The final loss over the validation rows."""
        return median(or_inf(trial.val_loss) for trial in self.trials)

    def to_target(self, cost: Cost) -> float:
        """What it takes to come to the target."""
        return median(self.costs(cost))

    def band(self, cost: Cost) -> tuple[float, float] | None:
        """The 20th and 80th percentile over the seeds of what it takes; None of too few seeds."""
        if len(self.trials) < FEWEST_SEEDS:
            return None
        ordered = sorted(self.costs(cost))  # observed values: between finite and infinite is none
        low, high = (math.ceil(len(ordered) * percent / 100) - 1 for percent in BAND)
        return ordered[low], ordered[high]

    def costs(self, cost: Cost) -> list[float]:
        """What each seed takes to come to the target."""
        return [or_inf(getattr(trial, f"{cost}_to_target")) for trial in self.trials]

    @property
    def spent(self) -> int:
        """The updates that the longest of its trainings took."""
        return max(trial.updates for trial in self.trials)


@dataclass(frozen=True)
class SweepResult:
    """What a sweep came to.

    Attributes:
        target: the train loss that trainings are timed to; None if none came below the untrained
            loss by so much.
        description: what was trained on what.
        cells: of the grid, batch size by batch size, both ascending.
        critical: the fit of updates to target against batch size; None of too few batch sizes.
        pace: seconds an update of one training alone takes, by batch size, where measured.
        jobs: how many runs were trained side by side.
        missing: batch sizes of the grid without a result: never begun, or failed.
    """

    target: float | None
    description: Description
    cells: tuple[Cell, ...]
    critical: "CriticalBatch | None"
    pace: Mapping[int, float]
    jobs: int
    missing: tuple[int, ...] = ()

    @property
    def rows(self) -> int:
        """Training rows."""
        return self.description.rows

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes, ascending."""
        return list(dict.fromkeys(cell.batch_size for cell in self.cells))

    @property
    def lrs(self) -> list[float]:
        """The learning rates, ascending."""
        return sorted({cell.lr for cell in self.cells})

    @property
    def seeds(self) -> int:
        """How many seeds there are."""
        return max(len(cell.trials) for cell in self.cells)

    @property
    def is_partial(self) -> bool:
        """Whether trainings are missing or haven't ended, so that pairs can't be compared yet."""
        ended = ("done", "diverged")
        return bool(self.missing) or any(
            trial.status not in ended for cell in self.cells for trial in cell.trials
        )

    @property
    def is_lost(self) -> bool:
        """Whether no training could begin, for the untrained loss is no number."""
        trials = [trial for cell in self.cells for trial in cell.trials]
        return all(trial.status == "diverged" and not trial.updates for trial in trials)

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation loss."""
        return any(trial.val_loss is not None for cell in self.cells for trial in cell.trials)

    @cached_property
    def best(self) -> Cell | None:
        """The pair with the lowest final train loss; None if all diverged."""
        return _least(self.cells, lambda cell: cell.train_loss)

    @cached_property
    def best_validated(self) -> Cell | None:
        """The pair with the lowest final validation loss."""
        return _least(self.cells, lambda cell: cell.val_loss) if self.has_validation else None

    @cached_property
    def best_of_batch(self) -> tuple[Cell, ...]:
        """For each batch size the learning rate that comes to the target in the fewest updates.

        Where none does, that with the lowest final loss (Shallue et al. 2019, sec. 4.1, tune each
        batch size on its own, too).
        """
        return tuple(
            min(
                (cell for cell in self.cells if cell.batch_size == size),
                key=lambda cell: (cell.to_target("updates"), cell.train_loss, cell.lr),
            )
            for size in self.batch_sizes
        )

    def fastest(self, cost: Cost) -> Cell | None:
        """The pair that comes to the target at the least cost; None if none does.

        Seconds are those of one training alone, as far as they were measured.
        """
        if cost == "seconds":
            return _least(self.cells, self.seconds_alone) if self.pace else None
        return _least(self.cells, lambda cell: cell.to_target(cost))

    def seconds_alone(self, cell: Cell) -> float:
        """Training time to the target of one training alone: updates times its pace."""
        pace = self.pace.get(cell.batch_size)
        return cell.to_target("updates") * pace if pace else math.inf

    def summary(self) -> dict[str, Any]:
        """The answer for `run.json` and `--json`; what is infinite or missing is None."""
        fit = self.critical

        def about(cell: Cell | None) -> dict[str, Any] | None:
            return (
                None
                if cell is None
                else {
                    "batch_size": cell.batch_size,
                    "lr": cell.lr,
                    "train_loss": finite(cell.train_loss),
                    "val_loss": finite(cell.val_loss),
                    "updates_to_target": finite(cell.to_target("updates")),
                    "samples_to_target": finite(cell.to_target("samples")),
                    "seconds_to_target_alone": finite(self.seconds_alone(cell)),
                    "seeds": len(cell.trials),
                    "diverged": cell.diverged,
                    "not_reached": cell.missed,
                }
            )

        return {
            "target": self.target,
            "missing": list(self.missing),
            "best": about(self.best),
            "best_validated": about(self.best_validated),
            "fewest_updates": about(self.fastest("updates")),
            "fewest_samples": about(self.fastest("samples")),
            "least_time": about(self.fastest("seconds")),
            "best_of_batch": [about(cell) for cell in self.best_of_batch],
            "fit": fit
            and {
                "updates_min": fit.updates_min,
                "batch_crit": finite(fit.batch_crit),
                "interval": fit.interval and [finite(end) for end in fit.interval],
                "batches": list(fit.batches),
                "pressed": list(fit.pressed),
            },
        }


def _least(cells: Sequence[Cell], cost: Callable[[Cell], float]) -> Cell | None:
    """The first of the cells with the least finite cost."""
    return min(
        (cell for cell in cells if math.isfinite(cost(cell))),
        key=lambda cell: (cost(cell), cell.to_target("updates"), cell.train_loss),
        default=None,
    )


FEW_EPOCHS = 2  # to the target, which whole epochs then measure coarsely


def sound_fit(answer: SweepResult) -> "CriticalBatch | None":
    """The fit of updates against batch size, unless whole epochs measure them too coarsely."""
    fit = answer.critical
    if fit is None:
        return None
    from gdrun.analysis.critical_batch import FEWEST_BATCHES

    return fit if len(set(fit.batches) - set(hasty(answer))) >= FEWEST_BATCHES else None


def hasty(answer: SweepResult) -> list[int]:
    """Batch sizes that come to the target so soon that whole epochs measure it coarsely."""
    return [
        cell.batch_size
        for cell in answer.best_of_batch
        if 0 < cell.to_target("samples") <= FEW_EPOCHS * answer.rows
        and cell.batch_size < answer.rows
    ]
