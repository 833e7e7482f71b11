"""The options of the commands that train."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gdrun.cli.help import EXPERIMENT, GRID, OUTPUT, RARELY
from gdrun.config.presets import DEFAULT_PRESET, preset_names
from gdrun.storage.locate import OUTPUTS, complete_runs


def _complete_presets(incomplete: str) -> list[str]:
    return [name for name in preset_names() if name.startswith(incomplete)]


def _option(
    *names: str,
    help: str,  # noqa: A002
    metavar: str | None = None,
    panel: str = EXPERIMENT,
    **more: Any,
) -> Any:
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel, **more)


@dataclass(frozen=True)
class TrainingOptions:
    """The options that every training command has, in the order in which its help lists them.

    Those of the config stay text, which the config's schema reads.
    """

    config: Annotated[
        str | None,
        _option(
            "--config",
            "-c",
            metavar="PATH|PRESET",
            help=f"A YAML file, or a preset: {', '.join(preset_names())}. "
            f"Without it, the preset {DEFAULT_PRESET}.",
            autocompletion=_complete_presets,
        ),
    ] = None
    lr: Annotated[
        str | None,
        _option(
            "--lr",
            metavar="NUMBER,…",
            help="Learning rate. Several are trained side by side, one lane each: a lane is "
            "a pair of learning rate and seed.",
        ),
    ] = None
    epochs: Annotated[
        str | None, _option("--epochs", metavar="INTEGER", help="Passes over the training rows.")
    ] = None
    batch_size: Annotated[
        str | None, _option("--batch-size", metavar="INTEGER", help="Rows in a mini-batch.")
    ] = None
    seeds: Annotated[
        str | None,
        _option(
            "--seeds",
            metavar="INTEGER",
            help="How many seeds to train side by side, one lane each; 8 show the spread.",
        ),
    ] = None
    hidden_size: Annotated[
        str | None,
        _option("--hidden-size", metavar="INTEGER,…", help="Width of each hidden layer."),
    ] = None
    set: Annotated[
        list[str] | None,
        _option(
            "--set",
            metavar="KEY=VALUE",
            # An empty line keeps what is to be copied in one piece.
            help="Any key of the config, with a dot for one inside another:\n\n"
            "--set momentum=0.9 --set data.rows=50\n\n"
            "All keys, those of your own data too:\n\n"
            "gdrun guide config",
        ),
    ] = None
    name: Annotated[
        str | None,
        _option(
            "--name",
            metavar="NAME",
            help="Name of the run's directory; without it, date, time and command.",
            panel=OUTPUT,
        ),
    ] = None
    output_dir: Annotated[
        Path | None,
        _option(
            "--output-dir",
            "-o",
            metavar="DIR",
            help=f"Where runs get their directories; without it, {OUTPUTS}.",
            panel=OUTPUT,
        ),
    ] = None
    resume: Annotated[
        Path | None,
        _option(
            "--resume",
            metavar="RUN",
            help="Resume a run that was stopped, or extend a finished one by more --epochs: its "
            "directory, its name below outputs, or latest.",
            panel=OUTPUT,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        _option(
            "--dry-run",
            "-n",
            help="Show the config and what would be run; write nothing.",
            panel=OUTPUT,
        ),
    ] = False
    seed: Annotated[
        str | None, _option("--seed", metavar="INTEGER", help="The first seed.", panel=RARELY)
    ] = None
    device: Annotated[
        str | None,
        _option("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.", panel=RARELY),
    ] = None
    quiet: Annotated[
        bool,
        _option("--quiet", "-q", help="Print only the run's directory.", panel=RARELY),
    ] = False
    json: Annotated[
        bool,
        _option("--json", help="Print the results as JSON.", panel=RARELY),
    ] = False

    def keys(self) -> dict[str, str]:
        """The flags that set a key of the config, each with that key."""
        flags = ("lr", "hidden_size", "batch_size", "epochs", "device", "seed", "seeds")
        return {flag: flag for flag in flags}

    def overrides(self) -> dict[str, tuple[str, str]]:
        """What the given flags set: dotted key → (flag as typed, value)."""
        given = {flag: (key, getattr(self, flag)) for flag, key in self.keys().items()}
        return {
            key: (f"--{flag.replace('_', '-')} {value.strip() or repr('')}", value)
            for flag, (key, value) in given.items()
            if value is not None
        }


def complete_run_names(context: typer.Context, incomplete: str) -> list[str]:
    """The names of runs that begin with what is typed so far."""
    return complete_runs(context.params.get("output_dir") or OUTPUTS, incomplete)


@dataclass(frozen=True)
class MethodOptions(TrainingOptions):
    """The options of `full` and `sgd`, whose names say the batch size."""

    # Not in the help, but known, so that a mistake gets a hint.
    batch_size: Annotated[
        str | None, _option("--batch-size", help="Refused: use minibatch.", hidden=True)
    ] = None


@dataclass(frozen=True)
class CompareOptions(TrainingOptions):
    """The options of `compare`, which trains nothing if saved runs are named."""

    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN",
            help="Saved runs to compare instead of training any: directories, names below "
            "--output-dir, GROUP/RUN, or latest; of a group, all its runs.",
            autocompletion=complete_run_names,
            show_default=False,
        ),
    ] = None
    force: Annotated[
        bool,
        _option(
            "--force",
            help="Compare saved runs of different data or losses all the same.",
            panel=OUTPUT,
        ),
    ] = False


@dataclass(frozen=True)
class SweepOptions(TrainingOptions):
    """The options of `sweep`, whose learning rates and batch sizes make a grid."""

    lr: Annotated[
        str | None,
        _option(
            "--lr",
            metavar="NUMBER,…|log:FROM:TO:N",
            help="Learning rates, trained side by side, one lane each: a lane is a pair of "
            "learning rate and seed. Without them, seven around that of the config.",
            panel=GRID,
        ),
    ] = None
    batch_size: Annotated[
        str | None,
        _option(
            "--batch-size",
            metavar="INTEGER,…,full",
            help="Batch sizes; without them, powers of four, and all rows.",
            panel=GRID,
        ),
    ] = None
    target: Annotated[
        str | None,
        _option(
            "--target",
            metavar="LOSS",
            help="The train loss to reach; without it, 1.1 times the best final one.",
            panel=GRID,
        ),
    ] = None
    jobs: Annotated[
        int,
        _option(
            "--jobs",
            "-j",
            min=1,
            max=1024,
            metavar="INTEGER",
            help="How many batch sizes to train at a time, each in a process of its own.",
            panel=GRID,
        ),
    ] = 1

    def keys(self) -> dict[str, str]:
        """The flags that set a key of the config, each with that key."""
        grid = {flag: f"sweep.{flag}" for flag in ("lr", "batch_size", "target")}
        return {**super().keys(), **grid}
