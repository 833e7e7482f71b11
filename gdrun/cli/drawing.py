"""The pictures of a command that trains, and of `gdrun plot`, which draws them again.

After a training the results are safe by the time they are drawn: nothing here fails them.
"""

import shlex
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gdrun.analysis.sweep_result import SweepResult
from gdrun.cli.startup import loading
from gdrun.config.parts.groups import FORMATS, PlotConfig
from gdrun.errors import (
    ConfigError,
    GdrunError,
    OutputError,
    did_you_mean,
    excerpt,
    in_words,
    one_line,
)
from gdrun.experiment.signals import StopRequest
from gdrun.results.axes import Cost
from gdrun.results.run import RunResult
from gdrun.storage.atomic import output_errors
from gdrun.storage.saved_run import AnySaved, Saved
from gdrun.terminal.live import View
from gdrun.text import visible

if TYPE_CHECKING:
    from gdrun.plots.pictures import Picture

DRAWING_SECONDS = 0.5  # after a request to stop, in which pictures are drawn


def load_plots(config: PlotConfig) -> None:
    """Load what pictures are drawn with while nobody waits for it: at the end, somebody may."""
    if config.enabled and "gdrun.plots.pictures" not in sys.modules:
        # A failure is reported when there is something to draw.
        with suppress(Exception), loading():
            import gdrun.plots.pictures  # noqa: F401


def draw(
    results: Sequence[RunResult],
    sweep: SweepResult | None,
    directory: Path,
    config: PlotConfig,
    view: View,
    messages: Console,
    stop: StopRequest,
) -> Iterator[Path]:
    """Draw the pictures of a command; one that fails is a warning, for the results are safe.

    What was trained until a request to stop is drawn for a moment; a request that comes while
    drawing ends it. A picture that isn't finished by then leaves no file.
    """
    if not (config.enabled and results):
        return
    remarks: dict[str, None] = {}
    try:
        with stop.heeded_at_once(DRAWING_SECONDS):
            yield from _draw_all(results, sweep, directory, config, view, stop, remarks)
    except KeyboardInterrupt:
        again = f"gdrun plot {shlex.quote(str(directory))}"
        remarks[f"interrupted, and not every picture drawn: {again} draws them"] = None
    for remark in remarks:
        messages.print(Text(f"warning: {visible(remark)}", style="yellow"))


def _draw_all(
    results: Sequence[RunResult],
    sweep: SweepResult | None,
    directory: Path,
    config: PlotConfig,
    view: View,
    stop: StopRequest,
    remarks: dict[str, None],
) -> Iterator[Path]:
    """Draw the pictures of a command, and note what was wrong with them."""
    try:
        view.say("loading matplotlib")
        with loading():
            from gdrun.plots.pictures import pictures
        planned = pictures(results, directory, config, sweep)
    except Exception as error:
        if stop.interrupted:
            raise KeyboardInterrupt from None
        remarks[f"no picture was drawn: {_named(error)}"] = None
        return
    for picture in planned:
        view.say(visible(f"drawing {picture.path}"))
        failure = None
        with warnings.catch_warnings(record=True) as caught:
            try:
                picture.save(config.dpi)
            except Exception as error:
                if stop.interrupted:
                    raise KeyboardInterrupt from None
                failure = f"{picture.path} was not drawn: {_named(error)}"
        remarks |= {str(warning.message): None for warning in caught}
        if failure:
            remarks[failure] = None
        else:
            yield picture.path


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"


def redraw(
    results: Sequence[RunResult],
    saved: Saved,
    config: PlotConfig,
    sweep: SweepResult | None,
    messages: Console,
) -> Iterator[Path]:
    """Draw the pictures of a run or group again, and yield their paths.

    Raises:
        DataError: a file is damaged.
        OutputError: a picture can't be written.
    """
    from gdrun.plots.pictures import pictures

    results = _with_fits(results, saved, messages)
    for picture in pictures(results, saved.path, config, sweep):
        with drawing(picture.path, messages):
            picture.save(config.dpi)
        yield picture.path


def _with_fits(
    results: Sequence[RunResult], saved: Saved, messages: Console
) -> Sequence[RunResult]:
    """The results with what was learned of one or two features, by their checkpoints.

    As they are where a fit can't be had: it takes PyTorch and the data.
    """
    about = saved.description
    if not (about.has_fit or about.has_regions):
        return results
    with loading():
        from gdrun.experiment.replay.fits import fit_of
    runs = {run.path: run for run in saved.runs}
    found = []
    try:
        for result in results:
            fit = fit_of(runs[result.directory]) if result.directory in runs else None
            found.append(replace(result, fit=fit))
    except (GdrunError, MemoryError, OSError) as error:
        said = "; ".join(in_words(error)[0])
        note = f"note: the fit is not drawn again: {said}"
        messages.print(Text(visible(note), "yellow"), soft_wrap=True)
        return results
    return found


def own_pictures(
    results: Sequence[RunResult],
    directory: Path,
    config: PlotConfig,
    sweep: SweepResult | None,
) -> "list[Picture]":
    """The pictures of a run or group itself, without those of a group's runs."""
    from gdrun.plots.pictures import pictures

    planned = pictures(results, directory, config, sweep)
    return [picture for picture in planned if picture.path.parent == directory]


def draw_panel(
    planned: "Sequence[Picture]", name: str, output: Path | None, dpi: int, messages: Console
) -> Path:
    """Draw one panel of some pictures as a picture of its own; its path.

    Raises:
        ConfigError: there is no such panel.
        DataError: a file is damaged.
        OutputError: the picture can't be written.
    """
    names = [panel for picture in planned for panel in picture.panels]
    found = next((picture for picture in planned if name in picture.panels), None)
    if found is None:
        raise ConfigError(
            f"--panel {excerpt(name)}: must be one of {', '.join(names)}",
            *did_you_mean(name, names),
        )
    picture = found.of_panel(name, output)
    with drawing(picture.path, messages):
        picture.save(dpi)
    return picture.path


def draw_against(
    results: Sequence[RunResult],
    path: Path,
    config: PlotConfig,
    x: Cost,
    log_x: bool | None,
    messages: Console,
) -> None:
    """Draw the losses of all runs against one cost; the name of the file says its format.

    Raises:
        DataError: a file is damaged.
        OutputError: the picture can't be written.
    """
    from gdrun.plots.figures import curves_figure
    from gdrun.plots.pictures import Picture

    with drawing(path, messages):
        draw = partial(curves_figure, results, x, log_x, scale=config.scale)
        Picture(path, draw).save(config.dpi)


def plot_config(
    saved: AnySaved, kind: str | None, scale: str | None, dpi: int | None
) -> PlotConfig:
    """How the pictures of a run, group or comparison are drawn: as it says, unless given here.

    Raises:
        DataError: its config is damaged.
        OutputError: it can't be read.
    """
    with output_errors(saved.path, "read"):
        own = saved.plot
    given = {"format": kind, "scale": scale, "dpi": dpi}
    return own.model_copy(update={key: value for key, value in given.items() if value is not None})


def place_of(path: Path, kind: str | None, known: Sequence[str] = FORMATS) -> Path:
    """The path of one picture, whose name has to say its format, one of those that are known.

    Raises:
        ConfigError: it says none, or not the requested one.
    """
    kinds = (kind,) if kind else known
    if path.suffix[1:] not in kinds:
        ends = " or ".join(f".{kind}" for kind in kinds)
        raise ConfigError(f"--output {path}: expected the name of a file that ends in {ends}")
    return path


@contextmanager
def drawing(path: Path, messages: Console) -> Iterator[None]:
    """Print the warnings of matplotlib, and raise an OutputError if a file can't be written."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except OSError as error:
            raise OutputError(f"{path}: can't be written: {error.strerror}") from None
    for remark in dict.fromkeys(str(warning.message) for warning in caught):
        messages.print(Text(f"warning: {visible(remark)}", "yellow"), soft_wrap=True)
