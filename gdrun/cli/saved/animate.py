"""`gdrun animate RUN`: how the fitted functions and the losses of a saved run moved, as a film."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gdrun.cli.drawing import drawing, place_of
from gdrun.cli.saved.again import shown_again
from gdrun.cli.saved.parameters import OutputDir, Run, choice, one_of, read_any
from gdrun.cli.startup import loading, require_current_directory
from gdrun.errors import ConfigError, OutputError
from gdrun.experiment.signals import StopRequest, stop_on_signals
from gdrun.results.axes import COSTS, Cost
from gdrun.results.file_names import ANIMATION, FILMS
from gdrun.results.run import SCHEMA_VERSION
from gdrun.storage.atomic import replacing
from gdrun.storage.locate import OUTPUTS
from gdrun.terminal.console import console, write, write_json
from gdrun.text import count, visible

SECONDS = 10.0
LEAST_SECONDS, MOST_SECONDS = 1, 60


def animate_run(
    run: Run,
    output_dir: OutputDir = OUTPUTS,
    x: Annotated[
        str,
        choice("--x", "AXIS", COSTS, "What the losses are drawn against.", show_default=True),
    ] = "updates",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="FILE",
            help="Where it goes; without it, into the run's directory, as animation.gif or .mp4.",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        choice("--format", "FORMAT", FILMS, "Without it, as FILE ends, or gif. mp4 needs ffmpeg."),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=LEAST_SECONDS,
            max=MOST_SECONDS,
            metavar="SECONDS",
            help="How long it is.",
        ),
    ] = SECONDS,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make a film of a run: how its fit and its losses moved, from epoch to epoch.

    Weights aren't kept on the way, so the run is trained again, which gives the same ones.
    """
    if (
        not LEAST_SECONDS <= seconds <= MOST_SECONDS
    ):  # as nan, which some versions of Typer let pass
        raise ConfigError(
            f"--seconds {seconds}: must be from {LEAST_SECONDS} to {MOST_SECONDS} seconds"
        )
    against, kind = one_of("--x", x, COSTS), one_of("--format", format_, FILMS)
    assert against is not None
    if output is not None:
        kind = place_of(output, kind, FILMS).suffix[1:]
    kind = kind or FILMS[0]
    require_current_directory()
    messages = console(stderr=True)
    with stop_on_signals() as stop, stop.heeded_at_once():
        try:
            made = _animate(run, output_dir, against, output, kind, seconds, quiet, messages, stop)
        except Exception:
            if stop.interrupted:
                raise KeyboardInterrupt from None
            raise
    if as_json:
        write_json({"schema": SCHEMA_VERSION, **made})
    else:
        write(visible(made["path"]) + "\n")


def _animate(
    run: str,
    output_dir: Path,
    x: Cost,
    output: Path | None,
    kind: str,
    seconds: float,
    quiet: bool,
    messages: Console,
    stop: StopRequest,
) -> dict[str, Any]:
    """Make the film; what it is."""
    from gdrun.terminal.live import reading, stages

    with reading(messages) as on_read:
        saved, results, _ = read_any(run, output_dir, on_read)
    if not results:
        raise ConfigError(f"{saved.path}: has logged no row yet, so there is nothing to draw")
    path = output or saved.path / f"{ANIMATION}.{kind}"
    refuse_place(path)
    with loading():
        from gdrun.plots.animation.film import save_gif, save_mp4
        from gdrun.plots.animation.scene import Scene
        from gdrun.plots.animation.timeline import plan_timeline
    if kind == "mp4":
        _require_ffmpeg()
    last = max(history.latest.epoch for result in results for history in result.histories)
    timeline = plan_timeline(last, seconds)
    progress = Console(quiet=True) if quiet else messages
    with stages(progress) as on_progress:
        shown = shown_again(saved, results, timeline.epochs, messages, on_progress, stop)
        with drawing(path, messages), replacing(path, durable=False) as partial:
            scene = Scene(shown.results, timeline.epochs, shown.functions, x, shown.note)
            save = save_mp4 if kind == "mp4" else save_gif
            drawn = f"drawing {count(len(scene), 'frame')}"
            save(scene, timeline.ticks, partial, lambda k: on_progress(drawn, k / len(scene)))
            size = partial.stat().st_size
    return {"path": str(path), "frames": len(scene), "seconds": seconds, "bytes": size}


def refuse_place(path: Path) -> None:
    """Refuse a file that can't be written, before a run is trained again for it.

    Raises:
        OutputError: it can't.
    """
    if path.is_dir():
        raise OutputError(f"{path}: can't be written: Is a directory")
    if not path.parent.is_dir():
        raise OutputError(f"{path}: can't be written: No such file or directory")


def _require_ffmpeg() -> None:
    """Check that there is ffmpeg.

    Raises:
        ConfigError: it isn't there.
    """
    from gdrun.plots.animation.film import has_ffmpeg

    if not has_ffmpeg():
        raise ConfigError(
            "--format mp4: needs the program ffmpeg, which isn't there",
            "install it: apt install ffmpeg, brew install ffmpeg or winget install ffmpeg",
            "--format gif needs nothing",
        )
