"""Figures of results, as a notebook or a script draws them.

They are those of `gdrun.plots`, which is loaded when one is first drawn. All mistakes are errors of
gdrun.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.parts.groups import SCALES, Scale
from gdrun.errors import ConfigError
from gdrun.results.axes import COSTS, Cost
from gdrun.results.run import RunResult

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class SavedResults(Protocol):
    """What `gdrun.load` returns, as far as it is drawn."""

    @property
    def results(self) -> tuple[RunResult, ...]:
        """Those of its runs."""

    @property
    def answer(self) -> SweepResult | None:
        """That of a sweep."""


Runs = RunResult | Sequence[RunResult] | SavedResults


def loss_figure(
    result: RunResult | SavedResults, *, panel: str | None = None, scale: Scale = "paper"
) -> "Figure":
    """The loss of every update; beside it, train and validation loss at the ends of epochs.

    Args:
        result: of one run.
        panel: the only panel to draw: `batch` or `train`.
        scale: `slides` makes the text large enough to project.

    Raises:
        ConfigError: it isn't that of one run, or there is no such panel or scale.
    """
    runs = given_runs(result)
    if len(runs) > 1:
        raise ConfigError("loss_figure draws one run", "compare_figure draws several")
    from gdrun.plots import figures

    return _drawn(lambda: figures.loss_figure(runs[0], panel=panel, scale=_scale(scale)))


def compare_figure(
    results: Runs,
    *,
    note: str = "",
    mixed: bool = False,
    panel: str | None = None,
    scale: Scale = "paper",
) -> "Figure":
    """The loss of every update, one panel per run; below, the train loss of all against each cost.

    Args:
        results: of one or several runs; of more than four, none has a panel of its own.
        note: an addition to the notes in the head.
        mixed: whether the results may be of different problems.
        panel: the only panel to draw: the name of a run, `epoch`, `updates`, `samples`, `seconds`
            or `validation`.
        scale: `slides` makes the text large enough to project.

    Raises:
        ConfigError: there are no results, they are of different problems, or there is no such panel
            or scale.
    """
    runs = given_runs(results)
    from gdrun.plots import figures

    options: Any = {"panel": panel, "scale": _scale(scale)}
    return _drawn(
        lambda: figures.compare_figure(runs, note=str(note), mixed=bool(mixed), **options)
    )


def fit_figure(results: Runs, *, scale: Scale = "paper") -> "Figure":
    """The data of one or two features and what was learned of it, in the units of the data.

    Of one feature these are the fitted functions, of two the regions of the classes, a panel a run.

    Args:
        results: of one or several runs that were trained here; saved ones keep no fit.
        scale: `slides` makes the text large enough to project.

    Raises:
        ConfigError: the data has other features, the results are of different problems, or there is
            no such scale.
    """
    runs = given_runs(results)
    from gdrun.plots.fits.figure import fit_figure as draw

    return _drawn(lambda: draw(runs, scale=_scale(scale)))


def curves_figure(
    results: Runs,
    x: Cost = "updates",
    log_x: bool | None = None,
    *,
    scale: Scale = "paper",
) -> "Figure":
    """The train loss of all runs, and their validation loss if there is one, against one cost.

    Args:
        results: of one or several runs.
        x: `epoch`, `updates`, `samples` or `seconds`.
        log_x: whether that axis is logarithmic; if not given, every axis but that of epochs is.
        scale: `slides` makes the text large enough to project.

    Raises:
        ConfigError: there are no results, or there is no such cost or scale.
    """
    runs = given_runs(results)
    if not isinstance(x, str) or x not in COSTS:
        raise ConfigError(f"x: must be one of {', '.join(COSTS)}, got {x!r}")
    from gdrun.plots import figures

    log_x = None if log_x is None else bool(log_x)
    return _drawn(lambda: figures.curves_figure(runs, x, log_x, scale=_scale(scale)))


def heatmap_figure(
    sweep: SweepResult | SavedResults, *, panel: str | None = None, scale: Scale = "paper"
) -> "Figure":
    """The final loss of each pair, median over seeds: train and, where there is one, validation.

    Args:
        sweep: what `gdrun.sweep` returns, or a saved sweep.
        panel: the only panel to draw: `train` or `validation`.
        scale: `slides` makes the text large enough to project.

    Raises:
        ConfigError: it isn't a sweep, or there is no such panel or scale.
    """
    answer = given_sweep(sweep)
    from gdrun.plots.sweeps.heatmap import heatmap_figure as draw

    return _drawn(lambda: draw(answer, panel=panel, scale=_scale(scale)))


def scaling_figure(
    sweep: SweepResult | SavedResults, *, panel: str | None = None, scale: Scale = "paper"
) -> "Figure":
    """Updates, samples and time to the target against the batch size, each at its best rate.

    Args:
        sweep: what `gdrun.sweep` returns, or a saved sweep.
        panel: the only panel to draw: `updates`, `samples` or `seconds`.
        scale: `slides` makes the text large enough to project.

    Raises:
        ConfigError: it isn't a sweep, has no target, or there is no such panel or scale.
    """
    answer = given_sweep(sweep)
    if answer.target is None:
        raise ConfigError("the sweep has no target, so there is no scaling to draw")
    from gdrun.plots.sweeps.scaling import scaling_figure as draw

    return _drawn(lambda: draw(answer, panel=panel, scale=_scale(scale)))


def why_figure(
    results: Runs | SweepResult, *, panel: str | None = None, scale: Scale = "paper"
) -> "Figure":
    """What the probes of runs measured: sharpness, noise and gradient, and what bounds them.

    Args:
        results: of one or several runs, or of a sweep; of several, each is shown at its best
            learning rate.
        panel: the only panel to draw: `sharpness`, `noise` or `gradient`.
        scale: `slides` makes the text large enough to project.

    Raises:
        ConfigError: none of them has probes, or there is no such panel or scale.
        DataError, OutputError: a saved run can't be read.
    """
    runs, sweep = given_probed(results)
    from gdrun.plots.pictures import shown_probes
    from gdrun.plots.why import why_figure as draw

    shown = shown_probes(runs, sweep)
    return _drawn(lambda: draw(shown, panel=panel, scale=_scale(scale)))


def _drawn(draw: Callable[[], "Figure"]) -> "Figure":
    try:
        return draw()
    except ValueError as error:  # what can't be drawn
        raise ConfigError(str(error)) from None


def _scale(scale: object) -> Scale:
    """The scale of a figure.

    Raises:
        ConfigError: there is none of that name.
    """
    found = next((known for known in SCALES if known == scale), None)
    if found is None:
        raise ConfigError(f"scale: must be one of {', '.join(SCALES)}, got {scale!r}")
    return found


def given_runs(results: object) -> list[RunResult]:
    """The results of runs, however they are given.

    Raises:
        ConfigError: they are something else, or there are none.
    """
    if isinstance(results, RunResult):
        return [results]
    if isinstance(results, SweepResult):
        raise ConfigError("a sweep is drawn by heatmap_figure and scaling_figure")
    found: object = getattr(results, "results", results)
    listed = list(found) if isinstance(found, list | tuple) else [found]
    runs = [result for result in listed if isinstance(result, RunResult)]
    if len(runs) < len(listed):
        kinds = ", ".join(dict.fromkeys(type(result).__name__ for result in listed))
        raise ConfigError(f"results: must be what gdrun.train, compare or load return, got {kinds}")
    if not runs:
        raise ConfigError("there are no results to draw")
    return runs


def given_probed(results: object) -> tuple[list[RunResult], SweepResult | None]:
    """The results of runs, as `given_runs` takes them, or of a sweep and its runs.

    Raises:
        ConfigError: they are something else, there are none, or it is a sweep without its runs.
    """
    if not isinstance(results, SweepResult):
        return given_runs(results), getattr(results, "answer", None)
    runs = getattr(results, "results", ())
    if not runs:
        hint = "what gdrun.sweep and gdrun.load return has them"
        raise ConfigError("this result of a sweep is without its runs, which hold the probes", hint)
    return list(runs), results


def given_sweep(sweep: object) -> SweepResult:
    """The result of a sweep, trained or loaded.

    Raises:
        ConfigError: it is something else.
    """
    found = sweep if isinstance(sweep, SweepResult) else getattr(sweep, "answer", None)
    if not isinstance(found, SweepResult):
        kind = type(sweep).__name__
        raise ConfigError(f"sweep: must be what gdrun.sweep returns, or a saved sweep, got {kind}")
    return found
