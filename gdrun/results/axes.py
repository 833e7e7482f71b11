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
CEILING_FACTOR = 100  # of the untrained network's loss: what is above it is drawn there


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
    """The highest loss that is drawn, lest one curve flatten all others.

    Infinite where no lane ends below it: then what is above is all there is to see.
    """
    lanes = [history for result in results for history in result.histories]
    ceiling = CEILING_FACTOR * max(lane.epochs["train_loss"][0] for lane in lanes)
    lowest = min(lane.latest.evaluated["train_loss"] for lane in lanes)
    return ceiling if lowest < ceiling else math.inf


def median_curve(
    result: RunResult, lr: float, cost: Cost, ceiling: float
) -> tuple[list[float], list[float]]:
    """The median train loss of a run's lanes of one learning rate, against what it cost.

    Only of epochs that were evaluated, and no higher than a ceiling; infinite once half of the
    lanes have diverged.
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
        y.append(min(loss, ceiling) if loss < math.inf else math.inf)
    return x, y
