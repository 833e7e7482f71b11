"""What a notebook or a script works with: results that show themselves, and checked configs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.why.explain import Explanation
from gdrun.analysis.why.explain import explain as explained
from gdrun.config import schema
from gdrun.config.read import configure
from gdrun.errors import ConfigError, GdrunError
from gdrun.figures import (
    Runs,
    SavedResults,
    compare_figure,
    given_probed,
    given_runs,
    heatmap_figure,
    loss_figure,
)
from gdrun.results import compare as comparisons
from gdrun.results.compare import Comparison
from gdrun.results.named import Results
from gdrun.results.run import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110  # of a picture in a notebook
MAX_LISTED = 3  # runs of a comparison that its text lists


class RunConfig(schema.RunConfig):
    """Everything that determines a run, except the method; see `gdrun guide config` for its keys.

    Raises:
        ConfigError: a key or a value is wrong; with every mistake.
    """

    def __init__(self, **settings: Any) -> None:
        checked = configure({}, settings)
        super().__init__(**checked.model_dump(exclude_unset=True))


def compare_results(results: Runs, target: float | None = None) -> Comparison:
    """Compare runs by their losses, and by what they needed to reach a train loss, the target.

    Args:
        results: of one or several runs.
        target: the train loss; 1.1 times the best final one without it.

    Raises:
        ConfigError: there are no results, or the target is no number.
        DataError, OutputError: a row that was dropped from memory can't be read.
    """
    if target is not None and (isinstance(target, bool) or not isinstance(target, int | float)):
        raise ConfigError(f"target: must be a number, got {target!r}")
    return comparisons.compare_results(given_runs(results), target)


def explain(results: Runs | SweepResult) -> Explanation:
    """Why trainings went as they did, by what their probes measured.

    >>> print(explain(compare("diabetes", seeds=8, probes="all")))

    Args:
        results: of one or several runs, or of a sweep, trained or loaded.

    Raises:
        ConfigError: there are no results, or those of a sweep are without its runs.
        DataError, OutputError: a saved run is damaged or can't be read.
    """
    saved = getattr(results, "explanation", None)
    if isinstance(saved, Explanation):
        return saved
    runs, sweep = given_probed(results)
    one = runs[0].series.method if len(runs) == 1 else "compare"
    return explained("sweep" if sweep else one, runs, sweep)


class ShownRun(RunResult):
    """The result of a run, which a notebook shows as its picture."""

    @classmethod
    def of(cls, result: RunResult) -> Self:
        """The same result."""
        return cls(**_values(result))

    def _repr_png_(self) -> bytes | None:
        return _png(lambda: loss_figure(self))


class ShownRuns(Results):
    """The results of several runs, which a notebook shows as one picture."""

    __slots__ = ()

    @classmethod
    def of(cls, results: Iterable[RunResult]) -> Self:
        """The same results."""
        return cls(ShownRun.of(result) for result in results)

    def __repr__(self) -> str:
        """At most five lines."""
        lines = [repr(result).partition("\n")[0] for result in self[:MAX_LISTED]]
        more = len(self) - len(lines)
        rest = [f"… and {more} more"] if more else []
        return "\n".join([f"{len(self)} results", *lines, *rest])

    def _repr_png_(self) -> bytes | None:
        return _png(lambda: compare_figure(self))


@dataclass(frozen=True, repr=False)
class ShownSweep(SweepResult):
    """The result of a sweep, which a notebook shows as its picture.

    Attributes:
        results: of its runs, one for each batch size of each optimizer.
    """

    results: Results = field(default=Results(), compare=False)

    @classmethod
    def of(cls, sweep: SweepResult, results: ShownRuns) -> Self:
        """The same result, with those of its runs."""
        return cls(**_values(sweep), results=results)

    def _repr_png_(self) -> bytes | None:
        return _png(lambda: heatmap_figure(self))


def png_of(saved: SavedResults) -> bytes | None:
    """The picture of what was loaded; None where there is nothing to draw."""
    if saved.answer:
        return _png(lambda: heatmap_figure(saved))
    return _png(lambda: compare_figure(saved, mixed=True))


def _png(draw: Callable[[], "Figure"]) -> bytes | None:
    """A figure as a notebook takes it; None lets it show the text instead."""
    try:
        figure = draw()
    except GdrunError:
        return None
    content = BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return content.getvalue()


def _values(result: Any) -> dict[str, Any]:
    return {field.name: getattr(result, field.name) for field in fields(result)}
