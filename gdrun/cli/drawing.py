"""Drawing the pictures of a command; its results are safe by then, and nothing here fails them."""

import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.text import Text

from gdrun.analysis.sweep_result import SweepResult
from gdrun.cli.startup import loading
from gdrun.config.schema import PlotConfig
from gdrun.errors import one_line
from gdrun.experiment.signals import StopRequest
from gdrun.results.run import RunResult
from gdrun.terminal.live import View
from gdrun.text import visible

EARLY_SECONDS = 2.0  # of training, after which drawing is prepared for
DRAWING_SECONDS = 0.5  # after a request to stop, in which pictures are begun


def load_early(config: PlotConfig, began: float) -> None:
    """Load in a run that began long ago what it will draw with: at its end, somebody may wait."""
    if (
        config.enabled
        and time.monotonic() - began > EARLY_SECONDS
        and "gdrun.plots.figures" not in sys.modules
    ):
        with suppress(Exception), loading():  # it is told of when there is something to draw
            import gdrun.plots.figures  # noqa: F401


def draw(
    results: Sequence[RunResult],
    answer: SweepResult | None,
    directory: Path,
    config: PlotConfig,
    view: View,
    messages: Console,
    stop: StopRequest,
) -> Iterator[Path]:
    """Draw the pictures of a command; one that fails is a warning, for the results are safe.

    What was trained until a request to stop is drawn as far as it goes without waiting; a request
    that comes while drawing ends it.
    """
    if not (config.enabled and results):
        return
    stopped_before = stop()
    remarks: dict[str, None] = {}
    try:
        view.say("loading matplotlib")
        with loading():
            from gdrun.plots.pictures import pictures
        planned = pictures(results, directory, config, answer)
    except Exception as error:
        planned = []
        remarks[f"no picture was drawn: {_named(error)}"] = None
    for picture in planned:
        if stop() and not (stopped_before and stop.seconds < DRAWING_SECONDS):
            remarks["interrupted, and not every picture drawn: --resume draws them all"] = None
            break
        view.say(visible(f"drawing {picture.path}"))
        failure = None
        with warnings.catch_warnings(record=True) as caught:
            try:
                picture.save(config.dpi)
            except Exception as error:
                failure = f"{picture.path} was not drawn: {_named(error)}"
        remarks |= {str(warning.message): None for warning in caught}
        if failure:
            remarks[failure] = None
        else:
            yield picture.path
    for remark in remarks:
        messages.print(Text(f"warning: {visible(remark)}", style="yellow"))


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {one_line(error)}"
