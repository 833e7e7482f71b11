"""What `gdrun landscape` prints: numbers, sentences, and where the picture is."""

from dataclasses import asdict
from pathlib import Path

from rich.text import Text

from gdrun.analysis.landscape import path_lines, sentences, shows_nothing
from gdrun.results.landscape import Landscape
from gdrun.results.run import SCHEMA_VERSION
from gdrun.terminal.console import console, write, write_json
from gdrun.text import visible


def report(landscape: Landscape, path: Path, *, quiet: bool, as_json: bool) -> None:
    """Print what was found."""
    if as_json:
        write_json(
            {
                "schema": SCHEMA_VERSION,
                "path": str(path),
                "explained": landscape.explained,
                "random_walk": landscape.random_share,
                "shows_nothing": shows_nothing(landscape),
                "seed": landscape.seed,
                "runs": [
                    {**asdict(each), "difference": each.difference} for each in landscape.paths
                ],
                "notes": [*sentences(landscape)],
            }
        )
        return
    lines = [] if quiet else [line for each in landscape.paths for line in path_lines(each)]
    lines += [] if quiet else [*sentences(landscape)]
    for line in lines:
        console().print(Text(visible(line)), soft_wrap=True)
    write(visible(str(path)) + "\n")
