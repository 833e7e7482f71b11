"""How curves are told apart: runs by colour, their learning rates by line style.

The learning rates of a single run are told apart by colour, from dark to light: there are more
colours than line styles. Its validation loss is then dashed, and otherwise grey.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gdrun.results.colors import RAMP, color_at, run_colors
from gdrun.results.run import RunResult

LineStyle = Any  # matplotlib's: a name or (offset, on-off pattern in points)

# Solid, dashed, dotted, dash-dotted, and on-off patterns in points for further learning rates.
LINE_STYLES: tuple[LineStyle, ...] = (
    "-",
    "--",
    ":",
    "-.",
    (0, (6, 1, 1, 1, 1, 1)),
    (0, (1, 4)),
    (0, (8, 4)),
)
MAX_BANDS = 6  # more bands would cover each other


@dataclass(frozen=True)
class Look:
    """How a curve is drawn: its colour and line style, and whether with the band of its seeds."""

    color: str
    style: LineStyle = "-"
    band: bool = True


Looks = Mapping[tuple[str, float], Look]  # by the run's name and the learning rate


def looks_of(results: Sequence[RunResult]) -> Looks:
    """A look for each run and learning rate."""
    color_of = run_colors([result.series for result in results])
    if tells_rates_by_color(results):
        (series,) = (result.series for result in results)
        lrs = sorted(series.lrs)
        last = len(lrs) - 1
        return {
            (series.name, lr): Look(color_at(RAMP, k / last), band=has_bands(results))
            for k, lr in enumerate(lrs)
        }
    styles = styles_of(results)
    return {
        (series.name, lr): Look(color_of[series.name], styles[lr], has_bands(results))
        for series in (result.series for result in results)
        for lr in series.lrs
    }


def tells_rates_by_color(results: Sequence[RunResult]) -> bool:
    """Whether colours tell learning rates apart, not runs: for one run with several rates."""
    return len(results) == 1 and len(results[0].series.lrs) > 1


def for_validation(looks: Looks) -> Looks:
    """The looks of the validation losses of one run, beside its train losses."""
    if len(looks) == 1:
        return {key: Look("0.45") for key in looks}
    return {key: replace(look, style="--") for key, look in looks.items()}


def has_bands(results: Sequence[RunResult]) -> bool:
    """Whether the curves are few enough to draw their bands."""
    return sum(len(result.series.lrs) for result in results) <= MAX_BANDS


def styles_of(results: Sequence[RunResult]) -> dict[float, LineStyle]:
    """The line style of each learning rate: solid for all if each run has only one.

    From the eighth on they repeat.
    """
    lrs = list(dict.fromkeys(lr for result in results for lr in result.series.lrs))
    if all(len(result.series.lrs) == 1 for result in results):
        return dict.fromkeys(lrs, LINE_STYLES[0])
    return {lr: LINE_STYLES[k % len(LINE_STYLES)] for k, lr in enumerate(lrs)}
