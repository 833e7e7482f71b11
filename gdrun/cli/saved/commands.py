"""The commands for saved runs: `rm`, and those that change none, as `list` and `predict`."""

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from gdrun.cli.help import SAVED_RUNS, Command
from gdrun.cli.saved.animate import animate_run
from gdrun.cli.saved.explain import explain_run
from gdrun.cli.saved.landscape import check_landscape, landscape_of_runs
from gdrun.cli.saved.parameters import OutputDir, Run, choice, one_of, read_any, say
from gdrun.cli.saved.plot import plot_run
from gdrun.cli.saved.predict import check_predict, predict_run
from gdrun.cli.saved.remove import check_runs, remove_runs
from gdrun.cli.startup import end_without_cleanup
from gdrun.results.axes import COSTS
from gdrun.results.run import SCHEMA_VERSION
from gdrun.storage.atomic import output_errors
from gdrun.storage.locate import BEGIN, OUTPUTS, find_run
from gdrun.terminal.console import console, has_width, table_console, write_json

INTERRUPTED = 130


AsJson = Annotated[bool, typer.Option("--json", help="Print the same as JSON.")]


def add_commands(app: typer.Typer) -> None:
    """Add the commands to an app."""
    for function, check, name, examples in (
        (
            list_runs,
            _check_list,
            "list",
            ['gdrun list --where "lr<0.1 and (method=sgd or status!=done)"'],
        ),
        (show_run, _check_run, "show", ["gdrun show latest", "gdrun show latest/sgd --x updates"]),
        (
            plot_run,
            _check_run,
            "plot",
            ["gdrun plot latest --format pdf", "gdrun plot latest --panel sgd --scale slides"],
        ),
        (
            animate_run,
            _check_run,
            "animate",
            ["gdrun animate latest", "gdrun animate latest --x epoch --output film.mp4"],
        ),
        (
            landscape_of_runs,
            check_landscape,
            "landscape",
            ["gdrun landscape latest --format pdf", "gdrun landscape latest/sgd --random"],
        ),
        (
            explain_run,
            _check_explain,
            "explain",
            ["gdrun compare -c diabetes --seeds 8 --probes all", "gdrun explain latest"],
        ),
        (
            predict_run,
            check_predict,
            "predict",
            ["gdrun predict latest new.csv --output predicted.csv"],
        ),
        (remove_runs, check_runs, "rm", ["gdrun rm first two", "gdrun rm latest --yes"]),
    ):
        epilog = "\n\n".join(["[bold]Examples[/bold]", *examples])
        command = app.command(name, cls=Command, rich_help_panel=SAVED_RUNS, epilog=epilog)
        command(_interruptible(function, check))


def _check_list(where: str | None, sort: str | None, **_: Any) -> None:
    """What `list` refuses, of a command line that is wrong otherwise."""
    from gdrun.storage import listing
    from gdrun.storage.filters import parse_where

    if where is not None:
        parse_where(where, listing.kind_of("--where"))
    listing.select([], None, sort, None)


def _check_run(run: str, output_dir: Path, x: str | None, **_: Any) -> None:
    """What `show`, `plot` and `animate` refuse, of a command line that is wrong otherwise."""
    one_of("--x", x, COSTS)
    find_run(run, output_dir)


def _check_explain(run: str, output_dir: Path, **_: Any) -> None:
    """What `explain` refuses, of a command line that is wrong otherwise."""
    find_run(run, output_dir)


def _interruptible(
    function: Callable[..., None], check: Callable[..., None]
) -> Callable[..., None]:
    """The same command, ended by Ctrl-C without a message, with what checks its arguments."""

    @wraps(function)
    def run(*args: Any, **options: Any) -> None:
        try:
            function(*args, **options)
        except KeyboardInterrupt:  # Typer would call it a failure
            end_without_cleanup(INTERRUPTED)
            raise typer.Exit(INTERRUPTED) from None

    run.check = check  # type: ignore[attr-defined]
    return run


def _complete_keys(incomplete: str) -> list[str]:
    from gdrun.config.explain import config_keys
    from gdrun.storage.listing import KEYS

    keys = [*KEYS, *(key for key in config_keys() if key not in KEYS)]
    return [key for key in keys if key.startswith(incomplete)]


def list_runs(
    output_dir: OutputDir = OUTPUTS,
    opened: Annotated[
        bool, typer.Option("--all", "-a", help="One line for each run of a group.")
    ] = False,
    where: Annotated[
        str | None,
        typer.Option(
            "--where",
            metavar="EXPRESSION",
            help="Only some runs, as in the example below: = != < <= > >=, ~ for contains, "
            "and, or, not and brackets. Keys are those of --json, and of a config.",
        ),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(
            "--sort",
            metavar="KEY",
            help="Sort by a key; -KEY is largest first.",
            autocompletion=_complete_keys,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", "-n", min=1, metavar="INTEGER", help="Show at most so many."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the runs of the output directory, the latest first."""
    from gdrun.cli.startup import loading
    from gdrun.storage import listing
    from gdrun.storage.filters import parse_where

    predicate = None if where is None else parse_where(where, listing.kind_of("--where"))
    newest = None if sort else limit
    with loading():
        entries = listing.list_entries(output_dir, opened=opened, where=predicate, newest=newest)
    chosen = listing.select(entries, predicate, sort, limit)
    if as_json:
        runs = [listing.as_json(entry, output_dir) for entry in chosen]
        _print_json({"output_dir": str(output_dir), "runs": runs})
        return
    from gdrun.terminal.run_list import table_lines

    out = console()
    if chosen:
        width = out.width if has_width(out) else None  # a program's lines needn't be narrow
        for line in table_lines(chosen, width):
            out.print(line, soft_wrap=width is None)
    elif entries:
        say(f"none of {len(entries):,} runs in {output_dir} matches --where")
    else:
        say(f"no runs yet in {output_dir}; {BEGIN}")
    for entry in chosen:
        if entry.problem:
            say(f"broken: {entry.problem}", "red")


def show_run(
    run: Run,
    output_dir: OutputDir = OUTPUTS,
    x: Annotated[
        str, choice("--x", "AXIS", COSTS, "What the curve is drawn against.", show_default=True)
    ] = "epoch",
    whole_config: Annotated[
        bool,
        typer.Option(
            "--config", "-c", help="The whole config, not only what differs from the defaults."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what a run was to do, its status, its numbers and its curve."""
    from gdrun.terminal.as_json import saved_as_json
    from gdrun.terminal.live import reading
    from gdrun.terminal.run_page import page

    against = one_of("--x", x, COSTS)
    with reading(console(stderr=True)) as on_read:
        saved, results, sweep = read_any(run, output_dir, on_read, overview=True)
    with output_errors(saved.path, "read"):
        if as_json:
            _print_json(saved_as_json(saved, results, sweep))
            return
        out = table_console()
        options: Any = {"x": against, "whole_config": whole_config}
        for part in page(saved, results, sweep, out, **options):
            out.print(part, crop=False)  # a command line is to be copied in one piece


def _print_json(content: Mapping[str, Any]) -> None:
    write_json({"schema": SCHEMA_VERSION, **content})
