"""`gdrun rm RUN…`: removes runs, groups and comparisons, after asking."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from gdrun.cli.options import complete_run_names
from gdrun.cli.saved.parameters import OutputDir, say
from gdrun.errors import ConfigError, GdrunError
from gdrun.storage.atomic import output_errors
from gdrun.storage.locate import OUTPUTS, find_run
from gdrun.storage.run_dir import members_of, refuse_removal, remove_run
from gdrun.terminal.console import console, write
from gdrun.text import count, listed, size, visible


def remove_runs(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN",
            help="Runs, groups or comparisons of --output-dir, GROUP/RUN, or latest.",
            autocompletion=complete_run_names,
            show_default=False,
        ),
    ],
    output_dir: OutputDir = OUTPUTS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
) -> None:
    """Remove runs with all their files, after asking; files that gdrun didn't write are kept."""
    found = _find(runs, output_dir)
    if not yes:
        say("to be removed:")
        for path in found:
            say(f"  {path}: {_extent(path)}")
        if not _is_wanted():
            say("nothing was removed")
            return
    for path in found:
        with output_errors(path, "removed"):
            kept = remove_run(path)
        write(visible(f"removed {path}") + "\n")
        for place in kept:
            others = listed([entry.name for entry in sorted(place.iterdir())])
            say(f"note: {place} is kept, since gdrun didn't write {others}", "yellow")


def check_runs(runs: list[str], output_dir: Path, **_: Any) -> None:
    """What `rm` refuses, of a command line that is wrong otherwise."""
    _find(runs, output_dir)


def _find(names: list[str], output_dir: Path) -> list[Path]:
    """The directories of the runs, each once, and none below another.

    Raises:
        ConfigError: a name isn't that of a run that can be removed; with every mistake.
        OutputError: a file can't be read.
    """
    found: dict[Path, None] = {}
    problems: list[str] = []
    hints: list[str] = []
    for name in names:
        try:
            path = find_run(name, output_dir)
            with output_errors(path, "read"):
                refuse_removal(path, output_dir)
            found[path.absolute()] = None
        except GdrunError as error:
            problems += error.problems
            hints += error.hints
    if problems:
        raise ConfigError(problems, *dict.fromkeys(hints))
    here = Path.cwd()
    tops = [path for path in found if path.parent not in found]
    return [path.relative_to(here) if path.is_relative_to(here) else path for path in tops]


def _extent(path: Path) -> str:
    """How much a directory holds."""
    files = [file for file in path.rglob("*") if file.is_file() and not file.is_symlink()]
    runs = f"{count(len(members), 'run')}, " if (members := members_of(path)) else ""
    return f"{runs}{count(len(files), 'file')}, {size(sum(file.stat().st_size for file in files))}"


def _is_wanted() -> bool:
    """Ask whether to go on.

    Raises:
        ConfigError: there is no terminal to ask on.
    """
    if sys.stdin is None or not sys.stdin.isatty():
        raise ConfigError(
            "there is no terminal to ask on, so nothing was removed",
            "--yes removes without asking",
        )
    console(stderr=True).print("remove? [y/N] ", end="", markup=False)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
