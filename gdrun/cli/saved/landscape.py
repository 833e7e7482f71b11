"""`gdrun landscape RUN…`: the train loss around the paths of runs, on a plane."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from gdrun.cli.drawing import drawing, place_of, plot_config
from gdrun.cli.options import complete_run_names
from gdrun.cli.saved.animate import refuse_place
from gdrun.cli.saved.compare import select
from gdrun.cli.saved.landscapes.lanes import ChosenLane, chosen_lanes
from gdrun.cli.saved.landscapes.report import report
from gdrun.cli.saved.parameters import Dpi, OutputDir, PictureScale, choice, one_of
from gdrun.cli.startup import loading, require_current_directory
from gdrun.config.parts.groups import FORMATS, SCALES, PlotConfig
from gdrun.errors import ConfigError
from gdrun.experiment.signals import StopRequest, stop_on_signals
from gdrun.storage.locate import OUTPUTS, find_run
from gdrun.storage.saved_run import open_any
from gdrun.terminal.console import console
from gdrun.text import visible

if TYPE_CHECKING:
    from gdrun.experiment.landscape.explore import Explored


def landscape_of_runs(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="Up to six runs of one problem, or groups of them: directories, names below "
            "--output-dir, GROUP/RUN, or latest.",
            autocompletion=complete_run_names,
            show_default=False,
        ),
    ],
    output_dir: OutputDir = OUTPUTS,
    random: Annotated[
        bool,
        typer.Option(
            "--random", help="A random plane around the last weights of one run, without a path."
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option("--seed", min=0, max=2**62, metavar="INTEGER", help="Of --random; else 0."),
    ] = None,
    lane: Annotated[
        int | None,
        typer.Option(
            "--lane",
            metavar="INTEGER",
            help="Which lane of each run, from 0 in the order of run.json; without it, of its best "
            "learning rate the first seed.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Where the picture goes; without it, into the directory of the first RUN.",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        choice("--format", "FORMAT", FORMATS, "Of the picture; without it, that of the config."),
    ] = None,
    scale: PictureScale = None,
    dpi: Dpi = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Print only the path of the picture.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Draw the loss around runs: their paths on the plane that shows most, and the loss there.

    Where the weights weren't kept on the way (`trajectory: true`), runs are trained again.
    """
    kind, size = one_of("--format", format_, FORMATS), one_of("--scale", scale, SCALES)
    if seed is not None and not random:
        raise ConfigError("--seed: is of a random plane", "say so: --random")
    place = place_of(output, kind) if output is not None else None
    require_current_directory()
    messages = console(stderr=True, quiet=quiet)
    with stop_on_signals() as stop, stop.heeded_at_once():
        try:
            path, config = _place(runs[0], output_dir, place, kind, size, dpi, random=random)
            lanes = chosen_lanes(runs, output_dir, lane, messages, random=random)
            found = _draw(lanes, path, config, seed or 0, messages, stop, random=random)
        except Exception:
            if stop.interrupted:
                raise KeyboardInterrupt from None
            raise
    report(found.landscape, path, quiet=quiet, as_json=as_json)


def check_landscape(
    runs: list[str], output_dir: Path, format_: str | None, scale: str | None, **_: Any
) -> None:
    """What it refuses, of a command line that is wrong otherwise."""
    one_of("--format", format_, FORMATS)
    one_of("--scale", scale, SCALES)
    select(runs, output_dir)


def _place(
    first: str,
    output_dir: Path,
    output: Path | None,
    kind: Any,
    scale: Any,
    dpi: int | None,
    *,
    random: bool,
) -> tuple[Path, PlotConfig]:
    """Where the picture goes, and how it is drawn.

    Raises:
        GdrunError: there is no such run, or the file can't be written.
    """
    directory = find_run(first, output_dir)
    config = plot_config(open_any(directory), kind, scale, dpi)
    name = "landscape-random" if random else "landscape"
    path = output or directory / f"{name}.{config.format}"
    refuse_place(path)
    return path, config


def _draw(
    lanes: Sequence[ChosenLane],
    path: Path,
    config: PlotConfig,
    seed: int,
    messages: Console,
    stop: StopRequest,
    *,
    random: bool,
) -> "Explored":
    """Compute the losses and draw the picture."""
    from gdrun.terminal.live import stages

    with stages(messages) as on_progress:
        on_progress("loading PyTorch", 0.0)
        with loading():
            from gdrun.experiment.landscape.explore import explore, explore_around
            from gdrun.experiment.landscape.paths import Chosen
            from gdrun.plots.landscape.figure import landscape_figure
        chosen = [Chosen(one.run, one.whole, one.position) for one in lanes]
        if random:
            found = explore_around(chosen[0], seed, on_progress, stop)
        else:
            found = explore(chosen, on_progress, stop)
        on_progress("drawing", 0.0)
        from gdrun.plots.pictures import Picture

        with drawing(path, messages):
            results = [one.result for one in lanes]
            Picture(
                path, lambda: landscape_figure(found.landscape, results, scale=config.scale)
            ).save(config.dpi)
    for note in found.notes:
        messages.print(Text(f"note: {visible(note)}", "yellow"), soft_wrap=True)
    return found
