"""The result of a sweep: its grid, the best pairs, and the fit of updates against batch size.

Plain Python, without torch.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from gdrun.analysis.trials import Cell, TargetCost
from gdrun.errors import excerpt
from gdrun.results.description import Description
from gdrun.results.events import COMPLETE
from gdrun.results.lanes import or_below
from gdrun.results.run import MAX_LINE, finite
from gdrun.text import count, number, visible

if TYPE_CHECKING:
    from gdrun.analysis.critical_batch import CriticalBatch
    from gdrun.analysis.theory import OrthogonalRows


@dataclass(frozen=True)
class SweepResult:
    """The result of a sweep.

    Attributes:
        target: the train loss that trainings have to reach; None if no pair of the grid got far
            enough below the untrained loss.
        description: what was trained on what.
        cells: the grid, batch size by batch size, both ascending.
        critical: the fit of updates to target against batch size; None with too few batch sizes.
        pace: seconds per update of one training alone, by batch size, where it was measured.
        jobs: how many runs were trained side by side.
        missing: batch sizes of the grid without a result: never begun, or failed.
        fits: of a sweep of several optimizers, the fit of each by its name.
        untrained: the train loss before training, the median of all trainings.
        theory: what is known of it, where theory is exact.
    """

    target: float | None
    description: Description
    cells: tuple[Cell, ...]
    critical: "CriticalBatch | None"
    pace: Mapping[int, float]
    jobs: int
    missing: tuple[int, ...] = ()
    fits: Mapping[str, "CriticalBatch | None"] = field(default_factory=dict, hash=False)
    untrained: float | None = None
    theory: "OrthogonalRows | None" = None

    def __repr__(self) -> str:
        """At most five lines: the grid, what to train with, and its best pairs."""
        about = self.description
        best, validated = self.best, self.best_validated
        found = [("train", best, best.train_loss)] if best else []
        found += [("validation", validated, validated.val_loss)] if validated else []
        target = f"target: train loss ≤ {number(self.target)}" if self.target else "no target"
        chosen = self.recommended
        lines = [
            f"SweepResult: {count(len(self.lrs), 'learning rate')}, "
            f"{count(len(self.batch_sizes), 'batch size')}, "
            f"{count(self.seeds if self.cells else 0, 'seed')}; {target}",
            f"{about.network} on {about.data}, {count(about.rows, 'row')}",
            f"train with {chosen.pair}: the reasons are in advice" if chosen else "see advice",
            *(f"lowest {kind} loss {number(loss)}: {cell.pair}" for kind, cell, loss in found),
        ]
        return "\n  ".join(visible(excerpt(line, MAX_LINE)) for line in lines)

    @cached_property
    def parts(self) -> "tuple[SweepResult, ...]":
        """The results of each of several optimizers, with the target of all; itself of one."""
        return tuple(
            replace(
                self,
                cells=tuple(cell for cell in self.cells if cell.optimizer == name),
                critical=fit,
                fits={},
            )
            for name, fit in self.fits.items()
            if any(cell.optimizer == name for cell in self.cells)
        ) or (self,)

    @property
    def optimizer(self) -> str:
        """That of a part; empty of a whole."""
        return self.cells[0].optimizer if self.cells and not self.fits else ""

    @property
    def rows(self) -> int:
        """The number of training rows."""
        return self.description.rows

    @property
    def batch_sizes(self) -> list[int]:
        """The batch sizes, ascending."""
        return sorted({cell.batch_size for cell in self.cells})

    @property
    def lrs(self) -> list[float]:
        """The learning rates, ascending."""
        return sorted({cell.lr for cell in self.cells})

    @property
    def seeds(self) -> int:
        """The number of seeds."""
        return max(len(cell.trials) for cell in self.cells)

    @property
    def is_partial(self) -> bool:
        """Whether trainings are missing or haven't ended, so that pairs can't be compared yet."""
        return bool(self.missing) or any(
            trial.status not in COMPLETE for cell in self.cells for trial in cell.trials
        )

    @property
    def is_lost(self) -> bool:
        """Whether no training could begin, since the untrained loss isn't finite."""
        trials = [trial for cell in self.cells for trial in cell.trials]
        return all(trial.status == "diverged" and not trial.updates for trial in trials)

    @property
    def has_validation(self) -> bool:
        """Whether there is a validation loss."""
        return any(trial.val_loss is not None for cell in self.cells for trial in cell.trials)

    @cached_property
    def recommended(self) -> Cell | None:
        """The pair to train with; None where there is no evidence for any."""
        from gdrun.analysis.recommend import recommended

        return recommended(self)

    @property
    def advice(self) -> str:
        """Which pair to train with, and why, in words."""
        from gdrun.analysis.advice import advice

        found = advice(self)  # before a command it ends with a colon
        return f"{found[:-1]}." if found.endswith(":") else found

    @cached_property
    def best(self) -> Cell | None:
        """The pair with the lowest final train loss; None if all diverged."""
        return _least(self.cells, lambda cell: cell.train_loss)

    @cached_property
    def best_validated(self) -> Cell | None:
        """The pair with the lowest final validation loss; None without such a loss."""
        return _least(self.cells, lambda cell: cell.val_loss) if self.has_validation else None

    @cached_property
    def most_accurate(self) -> Cell | None:
        """The pair with the highest final accuracy; None without classes."""
        known = [cell for cell in self.cells if cell.accuracy is not None]
        return _least(known, lambda cell: -or_below(cell.accuracy))

    @cached_property
    def best_of_batch(self) -> tuple[Cell, ...]:
        """For each batch size, of each optimizer, the learning rate that reaches the target first.

        First is in the fewest updates; where none does, the one with the lowest final loss. Shallue
        et al. 2019, sec. 4.1, tune the learning rate for each batch size, too.
        """
        if len(self.parts) > 1:
            return tuple(cell for part in self.parts for cell in part.best_of_batch)
        return tuple(
            min(
                (cell for cell in self.cells if cell.batch_size == size),
                key=lambda cell: (cell.to_target("updates"), cell.train_loss, cell.lr),
            )
            for size in self.batch_sizes
        )

    @cached_property
    def coarsely_measured(self) -> list[int]:
        """Batch sizes that reach the target between evaluations of the loss that are far apart."""
        return sorted({cell.batch_size for cell in self.best_of_batch if cell.is_coarse})

    @property
    def sound_fit(self) -> "CriticalBatch | None":
        """The fit of updates against batch size, unless too many of them are measured coarsely."""
        if self.critical is None:
            return None
        from gdrun.analysis.critical_batch import MIN_BATCH_SIZES

        measured = set(self.critical.batches) - set(self.coarsely_measured)
        return self.critical if len(measured) >= MIN_BATCH_SIZES else None

    def fastest(self, cost: TargetCost, cells: Sequence[Cell] | None = None) -> Cell | None:
        """The pair of some, or of all, that reaches the target at the least cost.

        None if none does. Seconds are those of one training alone, as far as they were measured.
        """
        among = self.cells if cells is None else cells
        if cost == "seconds":
            return _least(among, self.seconds_alone) if self.pace else None
        return _least(among, lambda cell: cell.to_target(cost))

    def ties(self, cost: Literal["updates", "samples"]) -> list[Cell]:
        """The best pairs of other batch sizes that may reach the target at no more than the least.

        The target is reached somewhere between two evaluations of the train loss.
        """
        fastest = self.fastest(cost)
        if fastest is None:
            return []
        least = fastest.to_target(cost)
        return [
            cell
            for cell in self.best_of_batch
            if cell.run != fastest.run and cell.least_to_target(cost) <= least
        ]

    def seconds_alone(self, cell: Cell) -> float:
        """The time to the target of one training alone: updates times its pace."""
        pace = self.pace.get(cell.batch_size)
        return cell.to_target("updates") * pace if pace else math.inf

    def summary(self) -> dict[str, Any]:
        """The result for `run.json` and `--json`; what is infinite or missing is None."""
        fits = {name: fit and _fit_as_json(fit) for name, fit in self.fits.items()}
        return {
            "target": self.target,
            "missing": list(self.missing),
            "best": self._cell_as_json(self.best),
            "best_validated": self._cell_as_json(self.best_validated),
            **(
                {"most_accurate": self._cell_as_json(self.most_accurate)}
                if self.most_accurate
                else {}
            ),
            "fewest_updates": self._cell_as_json(self.fastest("updates")),
            "fewest_samples": self._cell_as_json(self.fastest("samples")),
            "least_time": self._cell_as_json(self.fastest("seconds")),
            "best_of_batch": [self._cell_as_json(cell) for cell in self.best_of_batch],
            "fit": self.critical and _fit_as_json(self.critical),
            **({"fits": fits} if fits else {}),
        }

    def _cell_as_json(self, cell: Cell | None) -> dict[str, Any] | None:
        if cell is None:
            return None
        return {
            **({"optimizer": cell.optimizer} if cell.optimizer else {}),
            "batch_size": cell.batch_size,
            "lr": cell.lr,
            "train_loss": finite(cell.train_loss),
            "val_loss": finite(cell.val_loss),
            **({} if cell.accuracy is None else {"accuracy": cell.accuracy}),
            "updates_to_target": finite(cell.to_target("updates")),
            "samples_to_target": finite(cell.to_target("samples")),
            "seconds_to_target_alone": finite(self.seconds_alone(cell)),
            "seeds": len(cell.trials),
            "diverged": cell.diverged,
            "not_reached": cell.missed,
        }


def _fit_as_json(fit: "CriticalBatch") -> dict[str, Any]:
    return {
        "updates_min": fit.updates_min,
        "batch_crit": finite(fit.batch_crit),
        "interval": fit.interval and [finite(end) for end in fit.interval],
        "batches": list(fit.batches),
        "pressed": list(fit.active_censored),
        "resamples_left_out": fit.left_out,
    }


def _least(cells: Sequence[Cell], cost: Callable[[Cell], float]) -> Cell | None:
    """The first of the cells with the least finite cost."""
    return min(
        (cell for cell in cells if math.isfinite(cost(cell))),
        key=lambda cell: (cost(cell), cell.to_target("updates"), cell.train_loss),
        default=None,
    )
