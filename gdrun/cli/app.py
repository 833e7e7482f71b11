"""The commands of gdrun, and what becomes an exit code: the only place that knows these."""

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
from gdrun.cli.check import check
from gdrun.cli.group_options import CompareOptions, SweepOptions
from gdrun.cli.guide import guide
from gdrun.cli.help import HELP, TRAIN, Command, Group
from gdrun.cli.options import MethodOptions, TrainingOptions
from gdrun.cli.request import make_request, with_run_found
from gdrun.cli.saved.commands import add_commands
from gdrun.cli.startup import end_without_cleanup, silence, use_sensible_width
from gdrun.config.presets import starter
from gdrun.config.schema import METHODS
from gdrun.errors import ConfigError, GdrunError, OutputError, RankError, UserCodeError, in_words
from gdrun.experiment.distributed.launch import launched
from gdrun.experiment.signals import die_quietly_on_ctrl_c
from gdrun.results.events import Status
from gdrun.terminal.console import close, complain, write
from gdrun.text import visible

FAILED, USAGE = 1, 2
TRAINING = (*METHODS, "compare", "sweep")
EXIT_CODES: dict[Status, int] = {"done": 0, "failed": FAILED, "diverged": 3, "interrupted": 130}

# \b keeps the line breaks of a paragraph.
ABOUT = """Train one network with full-batch, stochastic and mini-batch gradient descent, watch, and
compare.

\b[bold]Examples[/bold]
gdrun compare                              [dim]the article: all three methods[/dim]
gdrun compare -c diabetes --seeds 8        [dim]real data, with bands[/dim]
gdrun minibatch --batch-size 32 --lr 0.05  [dim]one method alone[/dim]
gdrun sweep -c diabetes --seeds 16         [dim]which batch size, which rate[/dim]
gdrun init && gdrun compare -c gdrun.yaml  [dim]your own experiment[/dim]
gdrun list && gdrun show latest            [dim]what was trained[/dim]
gdrun explain latest                       [dim]why it went so, after --probes all[/dim]
gdrun predict latest new.csv               [dim]new rows for a trained network[/dim]
gdrun guide config                         [dim]every key of a config[/dim]"""
AFTERWARDS = (
    "[bold]Exit codes[/bold]  0 done · 1 failed · 2 usage, config or data · "
    "3 every lane diverged · 130 interrupted"
)

app = typer.Typer(
    name="gdrun",
    cls=Group,
    help=ABOUT,
    epilog=AFTERWARDS,
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
) -> None:
    """Add a command whose parameters are the fields of `options`."""

    def run(**given: Any) -> None:
        try:
            requested, command_line = options(**given), shlex.join(["gdrun", *sys.argv[1:]])
            launch = launched()
            if isinstance(requested, CompareOptions) and requested.runs:
                if launch and launch.rank:  # rank 0 does it
                    return
                from gdrun.cli.saved.compare import compare_saved

                compare_saved(requested, command_line)
                return
            if launch:
                from gdrun.cli.ranks import train_among_others

                status = train_among_others(launch, name, requested, command_line)
            else:
                from gdrun.cli.train import train_and_report

                status = train_and_report(name, requested, command_line)
            die_quietly_on_ctrl_c()
        except KeyboardInterrupt:  # Typer would call it a failure
            status = "interrupted"
        if status == "interrupted" or launched():
            end_without_cleanup(EXIT_CODES[status])
        # Collecting garbage would take a third of a second, and the process ends anyway.
        gc.freeze()
        raise typer.Exit(EXIT_CODES[status])

    def check(**given: Any) -> None:
        requested = options(**given)
        if isinstance(requested, CompareOptions) and requested.runs:
            from gdrun.cli.saved.compare import check_request

            check_request(requested)
        else:
            make_request(name, with_run_found(requested))

    run.check = check  # type: ignore[attr-defined]
    hints = get_type_hints(options, include_extras=True)
    parameters = [
        Parameter(
            field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name]
        )
        for field in fields(options)
    ]
    # Typer reads the options from the signature.
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    app.command(name, cls=Command, help=help, rich_help_panel=TRAIN)(run)


_add_training_command(
    "compare",
    "Train all three from the same start on the same data, and compare; or compare saved runs.",
    options=CompareOptions,
)
_add_training_command(
    "full",
    "Full-batch gradient descent: one update per epoch, on the mean gradient of all rows.",
    options=MethodOptions,
)
_add_training_command(
    "sgd",
    "Stochastic gradient descent: one update for every single row.",
    options=MethodOptions,
)
_add_training_command("minibatch", "Mini-batch gradient descent: one update for every few rows.")
_add_training_command(
    "sweep",
    "Train a grid of learning rates and batch sizes, and say which to train with, and why.",
    options=SweepOptions,
)
add_commands(app)


@app.command(cls=Command, rich_help_panel=HELP)
def init(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")] = Path(
        "gdrun.yaml"
    ),
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


app.command("guide", cls=Command, rich_help_panel=HELP)(guide)
app.command("check", cls=Command, rich_help_panel=HELP)(check)


def _show_version(wanted: bool) -> None:
    if wanted:
        write(f"gdrun {__version__}\n")
        raise typer.Exit


@app.callback()
def _main(
    context: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """The options of `gdrun` itself."""
    launch = launched()
    if launch and launch.rank and context.invoked_subcommand not in TRAINING:
        raise typer.Exit  # rank 0 does it


def main() -> None:
    """Run the command line; every failure becomes a message and an exit code here."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # where ≤ can't be written, ? is better than a crash
            stream.reconfigure(errors="replace")
    use_sensible_width()
    launch = launched()
    is_silent = launch is not None and launch.rank > 0
    # The same command line is wrong for all ranks of a machine: the first of them says so.
    repeats = launch is not None and launch.local_rank > 0
    if is_silent:  # rank 0 speaks for all
        silence()
    try:
        app()
    except SystemExit as end:
        if repeats and end.code == USAGE:
            raise SystemExit from None
        raise
    except Exception as error:  # the boundary: foreign errors, too, become a message
        if is_silent and not (repeats and isinstance(error, ConfigError)) and sys.__stderr__:
            sys.stderr = sys.__stderr__
        code = _reported(error)
        if repeats and code == USAGE:
            code = 0
        if launch:
            end_without_cleanup(code)
        sys.exit(code)
    finally:
        close()


def _reported(error: Exception) -> int:
    """Say what went wrong; the exit code."""
    cause = error.__cause__ if isinstance(error, RankError) else error
    if os.environ.get("GDRUN_DEBUG") and cause and not isinstance(cause, GdrunError):
        traceback.print_exception(cause)
    if isinstance(error, UserCodeError):
        sys.stderr.write("".join(f"{visible(line)}\n" for line in error.trace.splitlines()))
        complain(error.problems, error.hints)
    else:
        complain(*in_words(error))
    is_failure = isinstance(error, OutputError | RankError | UserCodeError)
    return USAGE if isinstance(error, GdrunError) and not is_failure else FAILED
