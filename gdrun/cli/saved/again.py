"""What an animation of a saved run shows: its results, and its functions by training it again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gdrun.cli.startup import loading
from gdrun.experiment.signals import StopRequest
from gdrun.results.compare import BEST_RATES, legible
from gdrun.results.fits import Fit
from gdrun.results.run import RunResult
from gdrun.storage.atomic import output_errors
from gdrun.storage.saved_run import AnySaved, SavedComparison, SavedRun, named_runs
from gdrun.text import count, visible

if TYPE_CHECKING:
    from gdrun.plots.animation.moving import Functions

VISIBLE_SHARE = 1e-3  # of a loss, from which on a difference to the logged one is said
OnProgress = Callable[[str, float], None]


@dataclass(frozen=True)
class Shown:
    """What an animation shows.

    Attributes:
        results: of the runs.
        functions: for each run, by name, those that are fitted in each frame; none if there are
            none to show.
        note: what else the picture says.
    """

    results: Sequence[RunResult]
    functions: "Mapping[str, Sequence[Functions]]"
    note: str


def shown_again(
    saved: AnySaved,
    results: Sequence[RunResult],
    epochs: Sequence[int],
    messages: Console,
    on_progress: OnProgress,
    stop: StopRequest,
) -> Shown:
    """What there is to show, with the runs trained again where there are fits.

    Args:
        saved: what is shown.
        results: of its runs.
        epochs: of the frames.
        messages: where remarks go.
        on_progress: called with what is being done, and how much of it is.
        stop: asked while a program is built.

    Raises:
        GdrunError: the data is not what it was, or a file is damaged or can't be read.
        KeyboardInterrupt: `stop` said so.
    """

    def say(line: str, style: str = "yellow") -> None:
        messages.print(Text(visible(line), style), soft_wrap=True)

    results, reduced = legible(results)
    if reduced:
        say(BEST_RATES, "dim")
    note = ""
    if isinstance(saved, SavedComparison):
        from gdrun.cli.saved.record import differences_of

        differences = differences_of(saved.named_runs)
        note = differences.caption
        if differences.problems:
            say("note: without fits, as the runs are of different problems")
            return Shown(results, {}, note)
    about = results[0].description
    if not about.has_fit:
        targets = f" and {len(about.targets)} targets" if about.targets else ""
        what = f"{count(len(about.features), 'feature')}{targets}"
        say(f"note: without a fit, as there is none to show of {what}")
        return Shown(results, {}, note)
    on_progress("loading PyTorch", 0.0)
    with loading():
        import gdrun.experiment.replay.moments  # noqa: F401
    runs = {name or run.name: run for name, run in named_runs(saved)}
    with_fits, functions = [], {}
    for result in results:
        run = runs[result.series.name]
        fit, found = _train_again(run, result, epochs, say, on_progress, stop)
        with_fits.append(replace(result, fit=fit))
        functions[result.series.name] = found
    return Shown(with_fits, functions, note)


def _train_again(
    run: SavedRun,
    result: RunResult,
    epochs: Sequence[int],
    say: Callable[[str], None],
    on_progress: OnProgress,
    stop: StopRequest,
) -> "tuple[Fit, list[Functions]]":
    """The last fit of a run, and its functions in each frame: after its end, they stay."""
    from gdrun.experiment.replay.moments import largest_difference, moments, prepare_replay
    from gdrun.plots.animation.moving import median_functions

    doing = f"training {result.series.name} again"
    last = max(history.latest.epoch for history in result.histories)
    with output_errors(run.path, "read"):
        replay = prepare_replay(run, lambda what: on_progress(what, 0.0), stop)
    total = max(1, replay.updates(last))
    own = sorted({min(epoch, last) for epoch in epochs})
    functions: dict[int, Functions] = {}
    losses: dict[int, Sequence[float | None]] = {}
    for moment in moments(
        replay, own, result.series.lanes, lambda updates: on_progress(doing, updates / total)
    ):
        functions[moment.epoch] = median_functions(result, moment.fit)
        losses[moment.epoch] = moment.train_loss
        fit = moment.fit
    notes = [*replay.notes]
    if (differs := largest_difference(losses, result)) > VISIBLE_SHARE:
        notes.append(
            f"{run.path}: trained again, its train losses differ by up to {100 * differs:.2g} % "
            "from those in its log: the machine, the device or the software is another"
        )
    for note in notes:
        say(f"note: {note}")
    return fit, [functions[max(own for own in functions if own <= epoch)] for epoch in epochs]
