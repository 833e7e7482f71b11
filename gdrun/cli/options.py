"""The options of the commands that train."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from gdrun.config.presets import DEFAULT_PRESET, preset_names
from gdrun.storage.locate import OUTPUTS, complete_runs

EXPERIMENT, OUTPUT = "Experiment", "Output"


def _complete_presets(incomplete: str) -> list[str]:
    return [name for name in preset_names() if name.startswith(incomplete)]


def _flag(*names: str, metavar: str, help: str, panel: str = EXPERIMENT, **more: Any) -> Any:  # noqa: A002
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel, **more)


@dataclass(frozen=True)
class TrainingOptions:
    """The options that every training command has; those of the config stay text for its schema."""

    config: Annotated[
        str | None,
        _flag(
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
        _flag("--lr", metavar="NUMBER,…", help="Learning rate; several are a lane each."),
    ] = None
    hidden_size: Annotated[
        str | None, _flag("--hidden-size", metavar="INTEGER,…", help="Width of each hidden layer.")
    ] = None
    batch_size: Annotated[
        str | None, _flag("--batch-size", metavar="INTEGER", help="Rows in a mini-batch.")
    ] = None
    epochs: Annotated[
        str | None, _flag("--epochs", metavar="INTEGER", help="Passes over the training rows.")
    ] = None
    device: Annotated[
        str | None, _flag("--device", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps.")
    ] = None
    seed: Annotated[str | None, _flag("--seed", metavar="INTEGER", help="The first seed.")] = None
    seeds: Annotated[
        str | None,
        _flag("--seeds", metavar="INTEGER", help="How many seeds to train in lockstep."),
    ] = None
    set: Annotated[
        list[str] | None,
        _flag(
            "--set",
            metavar="KEY=VALUE",
            help="Any key of the config, dotted: --set momentum=0.9 --set data.rows=50.",
        ),
    ] = None
    output_dir: Annotated[
        Path | None,
        _flag(
            "--output-dir",
            "-o",
            metavar="DIR",
            help="Where runs get their directories.",
            panel=OUTPUT,
            show_default="outputs",
        ),
    ] = None
    name: Annotated[
        str | None,
        _flag(
            "--name",
            metavar="NAME",
            help="Name of the run's directory; without it, date, time and command.",
            panel=OUTPUT,
        ),
    ] = None
    resume: Annotated[
        Path | None,
        _flag(
            "--resume",
            metavar="RUN",
            help="Go on with a run that was stopped, or with a finished one and more --epochs: its "
            "directory, its name below outputs, or latest.",
            panel=OUTPUT,
        ),
    ] = None
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            "-n",
            help="Show the config and what would be run; write nothing.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Print the run's directory alone.", rich_help_panel=OUTPUT
        ),
    ] = False
    json: Annotated[
        bool,
        typer.Option("--json", help="Print the results as JSON.", rich_help_panel=OUTPUT),
    ] = False

    def keys(self) -> dict[str, str]:
        """The flags that set a key of the config, and which."""
        flags = ("lr", "hidden_size", "batch_size", "epochs", "device", "seed", "seeds")
        return {flag: flag for flag in flags}

    def overrides(self) -> dict[str, tuple[str, str]]:
        """What the given flags set: dotted key → (as typed, value)."""
        given = {flag: (key, getattr(self, flag)) for flag, key in self.keys().items()}
        return {
            key: (f"--{flag.replace('_', '-')} {value.strip() or repr('')}", value)
            for flag, (key, value) in given.items()
            if value is not None
        }


def complete_run_names(context: typer.Context, incomplete: str) -> list[str]:
    """What a half-typed name of a run may become."""
    return complete_runs(context.params.get("output_dir") or OUTPUTS, incomplete)


@dataclass(frozen=True)
class CompareOptions(TrainingOptions):
    """The options of `compare`, which trains nothing where saved runs are named."""

    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]…",
            help="Saved runs to compare instead of training any: directories, names below "
            "--output-dir, GROUP/RUN, or latest; of a group, all its runs.",
            autocompletion=complete_run_names,
            show_default=False,
        ),
    ] = None
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Compare saved runs of different data or losses all the same.",
            rich_help_panel=OUTPUT,
        ),
    ] = False


GRID = "Grid"


@dataclass(frozen=True)
class SweepOptions(TrainingOptions):
    """The options of `sweep`: rates and batch sizes are those of its grid."""

    lr: Annotated[
        str | None,
        _flag(
            "--lr",
            metavar="NUMBER,…|log:FROM:TO:N",
            help="Learning rates; without them, seven around that of the config.",
            panel=GRID,
        ),
    ] = None
    batch_size: Annotated[
        str | None,
        _flag(
            "--batch-size",
            metavar="INTEGER,…,full",
            help="Batch sizes; without them, powers of four, and all rows.",
            panel=GRID,
        ),
    ] = None
    target: Annotated[
        str | None,
        _flag(
            "--target",
            metavar="LOSS",
            help="The train loss to come to; without it, 1.1 times the best final one.",
            panel=GRID,
        ),
    ] = None
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs",
            "-j",
            min=1,
            max=1024,
            metavar="INTEGER",
            help="How many batch sizes to train side by side, each in a process of its own.",
            rich_help_panel=GRID,
        ),
    ] = 1

    def keys(self) -> dict[str, str]:
        """The flags that set a key of the config, and which."""
        grid = {flag: f"sweep.{flag}" for flag in ("lr", "batch_size", "target")}
        return {**super().keys(), **grid}
