"""How the optimizers of a sweep are told apart: by colour and marker."""

from dataclasses import dataclass
from itertools import cycle

from gdrun.analysis.sweep_result import SweepResult


@dataclass(frozen=True)
class PointLook:
    """How the points of an optimizer are drawn, and what misses the target or is fitted."""

    color: str
    marker: str
    missed: str
    fit: str


ALONE = PointLook("#0072B2", "o", "#D55E00", "0.25")
IN_COMMON = PointLook("0.4", "o", "0.4", "0.25")  # what is said of several optimizers
SEVERAL = tuple(
    PointLook(color, marker, color, color)
    for color, marker in zip(
        ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C6A00", "#56B4E9", "#333333"),
        "osDvPX*",
        strict=True,
    )
)


def points_of(sweep: SweepResult) -> list[tuple[SweepResult, PointLook]]:
    """The result of each optimizer with its look."""
    if len(sweep.parts) == 1:
        return [(sweep, ALONE)]
    return list(zip(sweep.parts, cycle(SEVERAL), strict=False))
