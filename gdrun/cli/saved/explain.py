"""`gdrun explain RUN`: why a saved run went as it did, in words and in a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from gdrun.analysis.why.explain import Explanation, explain
from gdrun.cli.saved.parameters import OutputDir, Run, read_any
from gdrun.config.parts.groups import PlotConfig
from gdrun.errors import ConfigError
from gdrun.results.run import SCHEMA_VERSION
from gdrun.storage.atomic import output_errors
from gdrun.storage.locate import OUTPUTS
from gdrun.storage.saved_run import AnySaved, SavedComparison, named_runs
from gdrun.terminal.console import console, table_console, write_json
from gdrun.text import visible

if TYPE_CHECKING:
    from gdrun.analysis.sweep_result import SweepResult
    from gdrun.results.run import RunResult

WHY = "why"  # the name of the picture


def explain_run(
    run: Run,
    output_dir: OutputDir = OUTPUTS,
    as_json: Annotated[bool, typer.Option("--json", help="Print the same as JSON.")] = False,
) -> None:
    """Say why a run went as it did: its learning rate, its noise, and what to try next.

    By what --probes measured while it was trained; a picture of that, why.png, goes beside it.
    """
    from gdrun.cli.drawing import plot_config
    from gdrun.terminal.explanation import explanation_lines
    from gdrun.terminal.live import reading

    messages = console(stderr=True)
    with reading(messages) as on_read:
        saved, results, sweep = read_any(run, output_dir, on_read)
        if not results:
            nothing = "has logged no row yet, so there is nothing to explain"
            raise ConfigError(f"{saved.path}: {nothing}")
        found = explanation_of(saved, results, sweep)
        config = plot_config(saved, None, None, None)
    drawn = _draw(found, results, sweep, saved.path, config, messages)
    if as_json:
        pictures = [str(path) for path in drawn]
        write_json({"schema": SCHEMA_VERSION, **found.as_json(), "pictures": pictures})
        return
    out = table_console()
    for part in explanation_lines(found, out):
        out.print(part, crop=False)  # a command line is to be copied in one piece
    if drawn:
        out.print(*(f"\npicture: {visible(str(path))}" for path in drawn), soft_wrap=True)


def explanation_of(
    saved: AnySaved, results: "Sequence[RunResult]", sweep: "SweepResult | None"
) -> Explanation:
    """Why a saved run or group went as it did.

    Raises:
        DataError: a file is damaged.
        OutputError: one can't be read.
    """
    places = {name or own.name: own.path for name, own in named_runs(saved)}
    target = None
    if not isinstance(saved, SavedComparison):
        with output_errors(saved.path, "read"):
            target = saved.settings.sweep.target
    return explain(saved.experiment, results, sweep, saved.path, places, target)


def _draw(
    found: Explanation,
    results: "Sequence[RunResult]",
    sweep: "SweepResult | None",
    directory: Path,
    config: PlotConfig,
    messages: Console,
) -> list[Path]:
    """Draw `why` into the directory; nothing where nothing was measured, or no one wants it."""
    if not found.runs or not config.enabled:
        return []
    from functools import partial

    from gdrun.cli.drawing import drawing
    from gdrun.plots.pictures import Picture, shown_probes
    from gdrun.plots.why import why_figure

    path = directory / f"{WHY}.{config.format}"
    shown = shown_probes(results, sweep)
    with drawing(path, messages):
        Picture(path, partial(why_figure, shown, scale=config.scale)).save(config.dpi)
    return [path]
