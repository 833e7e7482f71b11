"""stub until merged"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CriticalBatch:
    updates_min: float
    batch_crit: float
    interval: tuple[float, float] | None
    batches: tuple[int, ...]

    def updates(self, batch: float) -> float:
        return self.updates_min * (1 + self.batch_crit / batch)


def fit_critical_batch(
    batches: Sequence[int], reached: Sequence[Sequence[Sequence[float]]]
) -> CriticalBatch | None:
    return None
