"""The commands for saved runs: `list`, `show` and `plot`, which change no run; and `rm`."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.text import Text

from gdrun.cli.help import SAVED_RUNS, Command
from gdrun.cli.options import complete_run_names
from gdrun.cli.saved.remove import check_runs, remove_runs
from gdrun.config.schema import FORMATS
from gdrun.errors import ConfigError, did_you_mean, excerpt
from gdrun.results.axes import COSTS
from gdrun.results.compare import BEST_RATES, legible
from gdrun.results.run import SCHEMA_VERSION
from gdrun.storage.atomic import output_errors
from gdrun.storage.locate import BEGIN, OUTPUTS, find_run
from gdrun.terminal.console import console, has_width, table_console, write, write_json
from gdrun.text import visible

if TYPE_CHECKING:
    from gdrun.analysis.sweep_result import SweepResult
    from gdrun.results.run import RunResult
    from gdrun.storage.reader import OnRead
    from gdrun.storage.saved_run import AnySaved

Choice = TypeVar("Choice", bound=str)
INTERRUPTED = 130


OutputDir = Annotated[
    Path,
    typer.Option(
        "--output-dir", "-o", metavar="DIR", help="Where the runs have their directories."
    ),
]
Run = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run or group: its directory, its name below --output-dir, GROUP/RUN, or latest.",
        autocompletion=complete_run_names,
        show_default=False,
    ),
]


def _choice(
    flag: str,
    metavar: str,
    known: Sequence[str],
    help: str,  # noqa: A002
    *,
    show_default: bool = False,
) -> Any:
    """An option that takes one of a few words; `_one_of` checks it."""
    *others, last = known
    return typer.Option(
        flag,
        help=f"{help} {metavar} is {', '.join(others)} or {last}.",
        metavar=metavar,
        autocompletion=lambda: [*known],
        show_default=show_default,
    )


def _one_of(flag: str, value: str | None, known: Sequence[Choice]) -> Choice | None:
    """The word that an option was given.

    Raises:
        ConfigError: it takes others.
    """
    found = next((word for word in known if word == value), None)
    if value is not None and found is None:
        raise ConfigError(
            f"{flag} {excerpt(value)}: must be one of {', '.join(known)}",
            *did_you_mean(value, known),
        )
    return found


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
            ["gdrun plot latest --format pdf", "gdrun plot latest --x samples"],
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
    """What `show` and `plot` refuse, of a command line that is wrong otherwise."""
    _one_of("--x", x, COSTS)
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
        _say(f"none of {len(entries):,} runs in {output_dir} matches --where")
    else:
        _say(f"no runs yet in {output_dir}; {BEGIN}")
    for entry in chosen:
        if entry.problem:
            _say(f"broken: {entry.problem}", "red")


def show_run(
    run: Run,
    output_dir: OutputDir = OUTPUTS,
    x: Annotated[
        str, _choice("--x", "AXIS", COSTS, "What the curve is drawn against.", show_default=True)
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

    against = _one_of("--x", x, COSTS)
    with reading(console(stderr=True)) as on_read:
        saved, results, sweep = _read(run, output_dir, on_read, overview=True)
    with output_errors(saved.path, "read"):
        if as_json:
            _print_json(saved_as_json(saved, results, sweep))
            return
        out = table_console()
        options: Any = {"x": against, "whole_config": whole_config}
        for part in page(saved, results, sweep, out, **options):
            out.print(part, crop=False)  # a command line is to be copied in one piece


def plot_run(
    run: Run,
    output_dir: OutputDir = OUTPUTS,
    x: Annotated[
        str | None,
        _choice("--x", "AXIS", COSTS, "One picture instead: the losses of all runs against AXIS."),
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
            help="Where that picture goes; without it, train-AXIS in the run's directory.",
        ),
    ] = None,
    format_: Annotated[
        str | None,
        _choice("--format", "FORMAT", FORMATS, "Of the pictures; without it, that of the config."),
    ] = None,
    dpi: Annotated[
        int | None,
        typer.Option(
            "--dpi",
            min=30,
            max=1200,
            metavar="INTEGER",
            help="Pixels per inch; without it, those of the config.",
        ),
    ] = None,
) -> None:
    """Draw the pictures of a run again, from its CSV files."""
    against, kind = _one_of("--x", x, COSTS), _one_of("--format", format_, FORMATS)
    for flag, given in (("--output", output), ("--log-x/--linear-x", log_x)):
        if given is not None and against is None:
            raise ConfigError(
                f"{flag}: is for one picture against an axis", "say which: --x updates"
            )
    from gdrun.cli.drawing import draw_against, place_of, plot_config, redraw
    from gdrun.cli.saved import record
    from gdrun.storage.saved_run import SavedComparison
    from gdrun.terminal.live import reading

    messages = console(stderr=True)
    with reading(messages) as on_read:  # steps.csv is read when a picture first needs it
        saved, results, sweep = _read(run, output_dir, on_read)
        if not results and not isinstance(saved, SavedComparison):
            raise ConfigError(f"{saved.path}: has logged no row yet, so there is nothing to draw")
        config = plot_config(saved, kind, dpi)
        if against is None:
            drawn = (
                [record.redraw(saved, results, config, messages)]
                if isinstance(saved, SavedComparison)
                else redraw(results, saved, config, sweep, messages)
            )
            for path in drawn:
                write(visible(str(path)) + "\n")
            return
        usual = saved.path / f"train-{against}.{config.format}"
        place = place_of(output, kind) if output else usual
        shown, reduced = legible(results)
        if reduced:
            _say(BEST_RATES, "dim")
        draw_against(shown, place, config.dpi, against, log_x, messages)
        write(visible(str(place)) + "\n")


def _read(
    run: str, output_dir: Path, on_read: "OnRead", *, overview: bool = False
) -> "tuple[AnySaved, list[RunResult], SweepResult | None]":
    """What the directory of a run, group or comparison holds, with the result of a sweep."""
    from gdrun.results.history import KEPT_ROWS
    from gdrun.storage.reader import HowToRead, read_results, saved_sweep_result
    from gdrun.storage.saved_run import open_any

    path = find_run(run, output_dir)
    with output_errors(path, "read"):
        saved = open_any(path)
        results = read_results(saved, HowToRead(KEPT_ROWS, overview, on_read))
        return saved, results, saved_sweep_result(saved, results)


def _print_json(content: Mapping[str, Any]) -> None:
    write_json({"schema": SCHEMA_VERSION, **content})


def _say(line: str, style: str = "") -> None:
    console(stderr=True).print(Text(visible(line), style), soft_wrap=True)
