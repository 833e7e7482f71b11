"""What training costs, as axes: epochs, updates, samples or seconds; and medians against them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal, get_args

from gdrun.results.run import RunResult
from gdrun.text import duration

Cost = Literal["epoch", "updates", "samples", "seconds"]
COSTS: tuple[Cost, ...] = get_args(Cost)
# A loss this many times that of the untrained network isn't drawn: the training diverges.
EXPLODED = 100


@dataclass(frozen=True)
class Axis:
    """How an axis is called, and how its numbers are shown."""

    title: str
    show: Callable[[float], str]


AXES: dict[Cost, Axis] = {
    "epoch": Axis("epoch", lambda x: f"{x:,.0f}"),
    "updates": Axis("updates", lambda x: f"{x:,.0f}"),
    "samples": Axis("samples seen", lambda x: f"{x:,.0f}"),
    "seconds": Axis("training time", lambda x: duration(x) if x else "0 s"),
}


def ceiling_of(results: Sequence[RunResult]) -> float:
    """The loss above which a curve counts as diverging and ends, lest it flatten all others.

    Infinite where no lane ends below it: then the explosion is all there is to see.
    """
    lanes = [history for result in results for history in result.histories]
    ceiling = EXPLODED * max(lane.epochs["train_loss"][0] for lane in lanes)
    lowest = min(lane.epochs["train_loss"][lane.last_evaluated()] for lane in lanes)
    return ceiling if lowest < ceiling else math.inf


def median_curve(
    result: RunResult, lr: float, cost: Cost, ceiling: float
) -> tuple[list[float], list[float]]:
    """The median train loss of a run's lanes of one learning rate, against what it cost.

    Only of epochs that were evaluated; infinite once half of the lanes have diverged.
    """
    tables = [
        history.epochs
        for history, lane in zip(result.histories, result.lanes, strict=True)
        if lane.lr == lr
    ]
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
