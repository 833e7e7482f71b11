"""The costs of training that curves are drawn against, and the median curve of several seeds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, get_args

from gdrun.results.lanes import lanes_by_rate
from gdrun.results.run import RunResult
from gdrun.text import duration

Cost = Literal["epoch", "updates", "samples", "seconds"]  # columns of `epochs.csv`
COSTS: tuple[Cost, ...] = get_args(Cost)
# The names of other panels: of batch losses, and of train and validation loss.
BATCH, TRAIN, VALIDATION = "batch", "train", "validation"
# Curves end above this multiple of the untrained network's loss: their training diverges.
DIVERGENCE_FACTOR = 100


@dataclass(frozen=True)
class Axis:
    """What an axis is called, and how its numbers are written.

    Attributes:
        quantity: what is counted, as a sentence names it: "against updates".
        title: beside the axis.
        show: a number with its unit, as text.
        unit: of the bare numbers, if they need one.
    """

    quantity: str
    title: str
    show: Callable[[float], str]
    unit: str = ""

    @property
    def title_with_unit(self) -> str:
        """The title where the numbers are written without their unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


def _counted(value: float) -> str:
    return f"{value:,.0f}"


def _timed(value: float) -> str:
    return duration(value) if value else "0 s"


AXES: dict[Cost, Axis] = {
    "epoch": Axis("epochs", "epoch", _counted),
    "updates": Axis("updates", "updates", _counted),
    "samples": Axis("samples", "samples seen", _counted),
    "seconds": Axis("training time", "training time", _timed, unit="s"),
}


def ceiling_of(results: Sequence[RunResult]) -> float:
    """The loss above which a curve counts as diverging and ends, lest it flatten all others.

    Infinite where no lane ends below it: then the divergence is all there is to see.
    """
    lanes = [history for result in results for history in result.histories]
    ceiling = DIVERGENCE_FACTOR * max(lane.epochs["train_loss"][0] for lane in lanes)
    lowest = min(lane.latest.evaluated[0] for lane in lanes)
    return ceiling if lowest < ceiling else math.inf


def median_curve(
    result: RunResult, lr: float, cost: Cost, ceiling: float
) -> tuple[list[float], list[float]]:
    """The median train loss of a run's lanes of one learning rate, against what it cost.

    Only of epochs that were evaluated; infinite once half of the lanes have diverged.
    """
    tables = [result.histories[k].epochs for k in lanes_by_rate(result.lanes)[lr]]
    longest = max(tables, key=lambda table: len(table["epoch"]))
    x, y = [], []
    for row, known in enumerate(longest["train_loss"]):
        if math.isnan(known):
            continue
        losses = [
            table["train_loss"][row] if row < len(table["epoch"]) else math.inf for table in tables
        ]
        loss = median(math.inf if math.isnan(loss) else loss for loss in losses)
        x.append(longest[cost][row])
        y.append(loss if loss <= ceiling else math.inf)
    return x, y
