"""What the commands for saved runs share: their parameters, and how a run is read."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.text import Text

from gdrun.cli.options import complete_run_names
from gdrun.config.parts.groups import SCALES
from gdrun.errors import ConfigError, did_you_mean, excerpt
from gdrun.storage.atomic import output_errors
from gdrun.storage.locate import find_run
from gdrun.terminal.console import console
from gdrun.text import visible

if TYPE_CHECKING:
    from gdrun.analysis.sweep_result import SweepResult
    from gdrun.results.run import RunResult
    from gdrun.storage.reader import OnRead
    from gdrun.storage.saved_run import AnySaved

Choice = TypeVar("Choice", bound=str)

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


def choice(
    flag: str,
    metavar: str,
    known: Sequence[str],
    help: str,  # noqa: A002
    *,
    show_default: bool = False,
) -> Any:
    """An option that takes one of a few words; `one_of` checks it."""
    *others, last = known
    return typer.Option(
        flag,
        help=f"{help} {metavar} is {', '.join(others)} or {last}.",
        metavar=metavar,
        autocompletion=lambda: [*known],
        show_default=show_default,
    )


PictureScale = Annotated[
    str | None,
    choice("--scale", "SCALE", SCALES, "Size of the text; without it, that of the config."),
]
Dpi = Annotated[
    int | None,
    typer.Option(
        "--dpi",
        min=30,
        max=1200,
        metavar="INTEGER",
        help="Pixels per inch; without it, those of the config.",
    ),
]


def one_of(flag: str, value: str | None, known: Sequence[Choice]) -> Choice | None:
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


def read_any(
    run: str, output_dir: Path, on_read: "OnRead", *, overview: bool = False
) -> "tuple[AnySaved, list[RunResult], SweepResult | None]":
    """What the directory of a run, group or comparison holds, with the result of a sweep."""
    from gdrun.results.rows.history import KEPT_ROWS
    from gdrun.storage.reader import HowToRead, read_results, saved_sweep_result
    from gdrun.storage.saved_run import open_any

    path = find_run(run, output_dir)
    with output_errors(path, "read"):
        saved = open_any(path)
        results = read_results(saved, HowToRead(KEPT_ROWS, overview, on_read))
        return saved, results, saved_sweep_result(saved, results)


def say(line: str, style: str = "") -> None:
    """Print a line to stderr, where remarks go."""
    console(stderr=True).print(Text(visible(line), style), soft_wrap=True)
