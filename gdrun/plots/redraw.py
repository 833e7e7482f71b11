"""Pictures of saved runs, drawn again from their CSV files."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.schema import FORMATS, PlotConfig
from gdrun.errors import ConfigError, OutputError
from gdrun.results.axes import Cost
from gdrun.results.run import RunResult
from gdrun.storage.atomic import output_errors
from gdrun.storage.saved_run import SavedRun
from gdrun.text import visible


def redraw(
    results: Sequence[RunResult],
    directory: Path,
    config: PlotConfig,
    answer: SweepResult | None,
    messages: Console,
) -> Iterator[Path]:
    """Draw the pictures of a run or group in their places, but for the fit; their paths as drawn.

    Raises:
        DataError: a file is damaged.
        OutputError: a picture can't be written.
    """
    from gdrun.plots.figures import pictures

    places = dict.fromkeys([directory, *(result.directory or directory for result in results)])
    for picture in pictures(results, directory, config, answer):
        with _drawing(picture.path, messages):
            picture.save(config.dpi)
        yield picture.path
    fits = [place / f"fit.{kind}" for place in places for kind in FORMATS]
    left = [str(path) for path in fits if path.exists()]
    if left:
        note = f"note: left as it is, for drawing it takes the network's weights: {', '.join(left)}"
        messages.print(Text(visible(note), "dim"), soft_wrap=True)


def draw_against(
    results: Sequence[RunResult],
    path: Path,
    dpi: int,
    x: Cost,
    log_x: bool | None,
    messages: Console,
) -> None:
    """Draw the losses of all runs against one cost, to a file whose name says the format.

    Raises:
        DataError: a file is damaged.
        OutputError: the picture can't be written.
    """
    from gdrun.plots.against import curves_figure
    from gdrun.plots.figures import Picture

    with _drawing(path, messages):
        Picture(path, partial(curves_figure, results, x, log_x)).save(dpi)


def plot_config(stored: SavedRun, kind: str | None, dpi: int | None) -> PlotConfig:
    """How the pictures of a run or group are drawn: as its config says, but for what is given.

    Raises:
        DataError: its config is damaged.
        OutputError: it can't be read.
    """
    with output_errors(stored.path, "read"):
        saved = stored.config.get("plot", {})
    given = {key: value for key, value in (("format", kind), ("dpi", dpi)) if value is not None}
    try:
        return PlotConfig.model_validate({**saved, **given})
    except (ValidationError, TypeError):
        raise stored.damaged("holds no sound plot settings") from None


def place_of(path: Path, kind: str | None) -> Path:
    """Where one picture is to go, whose name says its format.

    Raises:
        ConfigError: it doesn't, or another than was asked for.
    """
    kinds = (kind,) if kind else FORMATS
    if path.suffix[1:] not in kinds:
        ends = " or ".join(f".{kind}" for kind in kinds)
        raise ConfigError(f"--output {path}: expected the name of a file that ends in {ends}")
    return path


@contextmanager
def _drawing(path: Path, messages: Console) -> Iterator[None]:
    """Tell of what matplotlib warns of, and of what can't be written."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        except OSError as error:
            raise OutputError(f"{path}: can't be written: {error.strerror}") from None
    for remark in dict.fromkeys(str(warning.message) for warning in caught):
        messages.print(Text(f"warning: {visible(remark)}", "yellow"), soft_wrap=True)
