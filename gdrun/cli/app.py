"""The command line: parse, call `runs`, render. The only place that knows exit codes."""

import gc
import os
import shlex
import sys
import traceback
from dataclasses import fields
from inspect import Parameter, Signature
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from gdrun._version import __version__
from gdrun.cli.options import CompareOptions, SweepOptions, TrainingOptions
from gdrun.cli.saved_runs import add_commands
from gdrun.config.presets import starter
from gdrun.errors import ConfigError, GdrunError, OutputError, in_words
from gdrun.experiment.signals import die_quietly_on_ctrl_c
from gdrun.results.events import Status
from gdrun.terminal.console import close, complain, write
from gdrun.text import visible

FAILED, USAGE = 1, 2
EXIT_CODES: dict[Status, int] = {"done": 0, "failed": FAILED, "diverged": 3, "interrupted": 130}

# Typer joins the lines of a paragraph: each example is a paragraph of its own.
EXAMPLES = "\n\n".join(
    [
        "[bold]Examples[/bold]",
        "gdrun compare [dim]· the article: all three, side by side[/dim]",
        "gdrun compare -c diabetes --seeds 8 [dim]· real data, with bands[/dim]",
        "gdrun sweep -c diabetes --seeds 16 [dim]· which batch size, which learning rate[/dim]",
        "gdrun minibatch --batch-size 32 --lr 0.05",
        "gdrun init && gdrun compare -c gdrun.yaml [dim]· your own experiment[/dim]",
        "gdrun list && gdrun show latest [dim]· what was trained[/dim]",
        "[bold]Exit codes[/bold]  0 done · 1 failed · 2 usage or config · 3 all diverged · "
        "130 interrupted",
    ]
)

app = typer.Typer(
    name="gdrun",
    help="Train one network with full-batch, stochastic and mini-batch gradient descent, watch, "
    "and compare.",
    epilog=EXAMPLES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add_training_command(
    name: str,
    help: str,  # noqa: A002
    *,
    options: type[TrainingOptions] = TrainingOptions,
    leave_out: tuple[str, ...] = (),
) -> None:
    """Add a command whose parameters are the fields of `TrainingOptions`, or of more `options`."""

    def run(**given: Any) -> None:
        try:
            asked, command_line = options(**given), shlex.join(["gdrun", *sys.argv[1:]])
            if isinstance(asked, CompareOptions) and (asked.runs or asked.force):
                from gdrun.cli.compare_saved import compare_saved

                compare_saved(asked, command_line)
                return
            from gdrun.cli.train import train_and_report

            status = train_and_report(name, asked, command_line)
            die_quietly_on_ctrl_c()
        except KeyboardInterrupt:  # Typer would call it a failure
            status = "interrupted"
        # Python would spend a third of a second on collecting what the end of the process frees.
        gc.freeze()
        raise typer.Exit(EXIT_CODES[status])

    hints = get_type_hints(options, include_extras=True)
    parameters = [
        Parameter(
            field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(options)
        if field.name not in leave_out
    ]
    # Typer reads its options off the signature.
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    app.command(name, help=help)(run)


_add_training_command(
    "full",
    "Full-batch gradient descent: one update an epoch, on the mean gradient of all rows.",
    leave_out=("batch_size",),
)
_add_training_command(
    "sgd",
    "Stochastic gradient descent: an update for every single row.",
    leave_out=("batch_size",),
)
_add_training_command("minibatch", "Mini-batch gradient descent: an update for every few rows.")
_add_training_command(
    "compare",
    "Train all three from the same start on the same data, and compare; or compare saved runs.",
    options=CompareOptions,
)
_add_training_command(
    "sweep",
    "Train a grid of learning rates and batch sizes, and say which to train with, and why.",
    options=SweepOptions,
)


add_commands(app)


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("gdrun.yaml"),
) -> None:
    """Write a commented config file to start from."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(starter())
    except FileExistsError:
        raise ConfigError(
            f"{path}: exists, and is not overwritten", "name another file: gdrun init OTHER.yaml"
        ) from None
    except OSError as error:
        raise OutputError(f"{path}: can't be written: {error.strerror}") from None
    write(visible(f"wrote {path}; try: gdrun compare --config {shlex.quote(str(path))}") + "\n")


def _show_version(wanted: bool) -> None:
    if wanted:
        write(f"gdrun {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Callback for the options of `gdrun` itself; its help is that of the app."""


def main() -> None:
    """Run the command line; every failure becomes a message and an exit code here."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # where ≤ can't be written, ? is better than a crash
            stream.reconfigure(errors="replace")
    try:
        app()
    except Exception as error:  # the boundary: what isn't of ours, too, becomes a message
        if os.environ.get("GDRUN_DEBUG") and not isinstance(error, GdrunError):
            traceback.print_exc()
        complain(*in_words(error))
        asked_wrongly = isinstance(error, GdrunError) and not isinstance(error, OutputError)
        sys.exit(USAGE if asked_wrongly else FAILED)
    finally:
        close()
