"""`gdrun plot RUN`: the pictures of a saved run, drawn again."""

from pathlib import Path
from typing import Annotated

import typer

from gdrun.cli.saved.parameters import (
    Dpi,
    OutputDir,
    PictureScale,
    Run,
    choice,
    one_of,
    read_any,
    say,
)
from gdrun.config.parts.groups import FORMATS, SCALES
from gdrun.errors import ConfigError, GdrunError
from gdrun.results.axes import BATCH, COSTS, TRAIN, VALIDATION
from gdrun.results.compare import BEST_RATES, legible
from gdrun.storage.locate import OUTPUTS, find_run
from gdrun.terminal.console import console, write
from gdrun.text import visible


def _complete_panels(context: typer.Context, incomplete: str) -> list[str]:
    """The names of panels that begin with what is typed so far, by what the run is."""
    from gdrun.storage.saved_run import SavedComparison, SavedGroup, open_any

    try:
        run, place = context.params.get("run"), context.params.get("output_dir")
        saved = open_any(find_run(str(run), Path(place or OUTPUTS)))
        if isinstance(saved, SavedComparison):
            runs = [*saved.named_runs]
        else:
            runs = [run.path.name for run in saved.runs]
    except (GdrunError, OSError):
        return []
    if saved.experiment == "sweep":
        names = [TRAIN, VALIDATION, *COSTS[1:]]
    elif isinstance(saved, SavedGroup | SavedComparison):
        names = [*runs, *COSTS, VALIDATION]
    else:
        names = [BATCH, TRAIN]
    names += [*dict.fromkeys(probe for run in saved.runs for probe in run.settings.probes)]
    return [name for name in names if name.startswith(incomplete)]


def plot_run(
    run: Run,
    output_dir: OutputDir = OUTPUTS,
    x: Annotated[
        str | None,
        choice("--x", "AXIS", COSTS, "One picture instead: the losses of all runs against AXIS."),
    ] = None,
    panel: Annotated[
        str | None,
        typer.Option(
            "--panel",
            metavar="NAME",
            help="One panel of its pictures instead: of a run batch or train, of a comparison "
            "the name of a run or of an axis, of a sweep train, validation or updates, of probes "
            "gradient, noise or sharpness.",
            autocompletion=_complete_panels,
        ),
    ] = None,
    log_x: Annotated[
        bool | None,
        typer.Option(
            "--log-x/--linear-x",
            help="Whether that axis is logarithmic; without it, all but that of epochs are.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Where that one picture goes; without it, into the run's directory.",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        choice("--format", "FORMAT", FORMATS, "Of the pictures; without it, that of the config."),
    ] = None,
    scale: PictureScale = None,
    dpi: Dpi = None,
) -> None:
    """Draw the pictures of a run again, from its CSV files."""
    against, kind = one_of("--x", x, COSTS), one_of("--format", format_, FORMATS)
    size = one_of("--scale", scale, SCALES)
    if output is not None and against is None and panel is None:
        hint = "say which: --x updates, or --panel NAME"
        raise ConfigError("--output: is for one picture against an axis, or of a panel", hint)
    if log_x is not None and against is None:
        hint = "say which: --x updates"
        raise ConfigError("--log-x/--linear-x: is for one picture against an axis", hint)
    if panel is not None and against is not None:
        raise ConfigError("--panel and --x: each is for one picture", "leave one of them out")
    from gdrun.cli.drawing import (
        draw_against,
        draw_panel,
        own_pictures,
        place_of,
        plot_config,
        redraw,
    )
    from gdrun.cli.saved import record
    from gdrun.storage.saved_run import SavedComparison
    from gdrun.terminal.live import reading

    messages = console(stderr=True)
    with reading(messages) as on_read:  # steps.csv is read when a picture first needs it
        saved, results, sweep = read_any(run, output_dir, on_read)
        if not results and not isinstance(saved, SavedComparison):
            raise ConfigError(f"{saved.path}: has logged no row yet, so there is nothing to draw")
        config = plot_config(saved, kind, size, dpi)
        place = place_of(output, kind) if output else None
        if panel is not None:
            if isinstance(saved, SavedComparison):
                planned = [record.picture_of(saved, results, config)]
            else:
                planned = own_pictures(results, saved.path, config, sweep)
            alone = draw_panel(planned, panel, place, config.dpi, messages)
            write(visible(str(alone)) + "\n")
            return
        if against is None:
            drawn = (
                [record.redraw(saved, results, config, messages)]
                if isinstance(saved, SavedComparison)
                else redraw(results, saved, config, sweep, messages)
            )
            for path in drawn:
                write(visible(str(path)) + "\n")
            return
        place = place or saved.path / f"train-{against}.{config.format}"
        shown, reduced = legible(results)
        if reduced:
            say(BEST_RATES, "dim")
        draw_against(shown, place, config, against, log_x, messages)
        write(visible(str(place)) + "\n")
