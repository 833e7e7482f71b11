"""The options that all commands that train have; those of `full` and `sgd` have no others."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from gdrun.cli.help import DATA, EXPERIMENT, OUTPUT, RARELY
from gdrun.config.explain import config_keys
from gdrun.config.parts.data import SOURCE_OF
from gdrun.config.parts.optimizer import OPTIMIZERS
from gdrun.config.parts.probes import PROBES
from gdrun.config.parts.schedule import SCHEDULE_NAMES, SCHEDULES, WARMUP
from gdrun.config.presets import DEFAULT_PRESET, preset_names
from gdrun.config.schema import Engine, Loss, Sampling
from gdrun.storage.locate import OUTPUTS, complete_runs


def _complete_presets(incomplete: str) -> list[str]:
    return [name for name in preset_names() if name.startswith(incomplete)]


def _complete_schedules(incomplete: str) -> list[str]:
    return [name for name in SCHEDULE_NAMES if name.startswith(incomplete)]


def _complete_outputs(incomplete: str) -> list[str]:
    return complete_runs(OUTPUTS, incomplete)


def _complete_settings(incomplete: str) -> list[str]:
    return [f"{key}=" for key in config_keys() if key.startswith(incomplete)]


def option(
    *names: str,
    help: str,  # noqa: A002
    metavar: str | None = None,
    panel: str = EXPERIMENT,
    **more: Any,
) -> Any:
    """An option with its place in the help."""
    return typer.Option(*names, metavar=metavar, help=help, rich_help_panel=panel, **more)


@dataclass(frozen=True)
class TrainingOptions:
    """The options that every training command has, in the order in which its help lists them.

    Those of the config stay text, which the config's schema reads.
    """

    config: Annotated[
        str | None,
        option(
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
        option(
            "--lr",
            metavar="NUMBER,…",
            help="Learning rate. Several are trained side by side, one lane each: a lane is "
            "a pair of learning rate and seed.",
        ),
    ] = None
    epochs: Annotated[
        str | None, option("--epochs", metavar="INTEGER", help="Passes over the training rows.")
    ] = None
    batch_size: Annotated[
        str | None, option("--batch-size", metavar="INTEGER", help="Rows in a mini-batch.")
    ] = None
    seeds: Annotated[
        str | None,
        option(
            "--seeds",
            metavar="INTEGER",
            help="How many seeds to train side by side, one lane each; 8 show the spread.",
        ),
    ] = None
    hidden_size: Annotated[
        list[str] | None,
        option("--hidden-size", metavar="INTEGER,…", help="Width of each hidden layer."),
    ] = None
    momentum: Annotated[
        str | None,
        option(
            "--momentum",
            metavar="NUMBER",
            help="Momentum of sgd or rmsprop, from 0 up to 1.",
        ),
    ] = None
    optimizer: Annotated[
        str | None,
        option(
            "--optimizer",
            metavar="NAME",
            help=f"How gradients move the weights: {', '.join(OPTIMIZERS)}.",
            autocompletion=lambda: [*OPTIMIZERS],
        ),
    ] = None
    schedule: Annotated[
        str | None,
        option(
            "--schedule",
            metavar="NAME",
            help=f"How the learning rate changes: {', '.join(SCHEDULES)}; {WARMUP}NAME lets it "
            "rise first.",
            autocompletion=_complete_schedules,
        ),
    ] = None
    sampling: Annotated[
        str | None,
        option(
            "--sampling",
            metavar="ORDER",
            help="Order of the rows: sequential, reshuffle or replacement.",
            autocompletion=lambda: [*get_args(Sampling)],
        ),
    ] = None
    model: Annotated[
        str | None,
        option(
            "--model",
            metavar="FILE:NAME",
            help="A network of your own: net.py:build, a function of (features, outputs).",
        ),
    ] = None
    loss: Annotated[
        str | None,
        option(
            "--loss",
            metavar="NAME",
            help="mse, half_mse, l1 or huber; of classes: cross_entropy, or bce for two; net.py:f.",
            autocompletion=lambda: [*get_args(Loss)],
        ),
    ] = None
    set: Annotated[
        list[str] | None,
        option(
            "--set",
            metavar="KEY=VALUE",
            # An empty line keeps what is to be copied in one piece.
            help="Any key of the config, with a dot for one inside another:\n\n"
            "--set momentum=0.9 --set data.rows=50\n\n"
            "All keys, those of your own data too:\n\n"
            "gdrun guide config",
            autocompletion=_complete_settings,
        ),
    ] = None
    data: Annotated[
        Path | None,
        option(
            "--data",
            metavar="FILE",
            help="Your own data: a CSV, Parquet or .npz file, or the .npy file of the features.",
            panel=DATA,
        ),
    ] = None
    target: Annotated[
        str | None,
        option(
            "--target",
            metavar="COLUMN",
            help="What to predict: a column of the file, or the .npy file of the target.",
            panel=DATA,
        ),
    ] = None
    val_fraction: Annotated[
        str | None,
        option(
            "--val-fraction",
            metavar="SHARE",
            help="Hold out such a share of the rows, as 0.2, to see how well others are predicted.",
            panel=DATA,
        ),
    ] = None
    probes: Annotated[
        str | None,
        option(
            "--probes",
            metavar="all|none|NAME,…",
            help=f"Measure {', '.join(PROBES)} on the way: what explains a run.",
            panel=OUTPUT,
            autocompletion=lambda: ["all", "none", *PROBES],
        ),
    ] = None
    name: Annotated[
        str | None,
        option(
            "--name",
            metavar="NAME",
            help="Name of the run's directory; without it, date, time and command.",
            panel=OUTPUT,
        ),
    ] = None
    output_dir: Annotated[
        Path | None,
        option(
            "--output-dir",
            "-o",
            metavar="DIR",
            help=f"Where runs get their directories; without it, {OUTPUTS}.",
            panel=OUTPUT,
        ),
    ] = None
    resume: Annotated[
        Path | None,
        option(
            "--resume",
            metavar="RUN",
            help="Resume a run that was stopped, or extend a finished one by more --epochs: its "
            "directory, its name below outputs, or latest.",
            panel=OUTPUT,
            autocompletion=_complete_outputs,
        ),
    ] = None
    force: Annotated[
        bool,
        option(
            "--force",
            help="Measure what --probes asks for though that takes longer than the training.",
            panel=RARELY,
        ),
    ] = False
    dry_run: Annotated[
        bool,
        option(
            "--dry-run",
            "-n",
            help="Show the config and what would be run; write nothing.",
            panel=OUTPUT,
        ),
    ] = False
    seed: Annotated[
        str | None, option("--seed", metavar="INTEGER", help="The first seed.", panel=RARELY)
    ] = None
    device: Annotated[
        str | None,
        option(
            "--device",
            metavar="NAME",
            help="auto (the faster one), cpu, cuda, cuda:N or mps.",
            panel=RARELY,
            autocompletion=lambda: ["auto", "cpu", "cuda", "mps"],
        ),
    ] = None
    engine: Annotated[
        str | None,
        option(
            "--engine",
            metavar="NAME",
            help="What executes updates: auto, eager or compiled.",
            panel=RARELY,
            autocompletion=lambda: [*get_args(Engine)],
        ),
    ] = None
    quiet: Annotated[
        bool,
        option("--quiet", "-q", help="Print only the run's directory.", panel=RARELY),
    ] = False
    json: Annotated[
        bool,
        option("--json", help="Print the results as JSON.", panel=RARELY),
    ] = False

    def overrides(self) -> dict[str, tuple[str, str]]:
        """What the given flags set: dotted key → (flag as typed, value)."""
        found = {}
        for flag, key in self._keys().items():
            if (value := getattr(self, flag)) is not None:
                found[key] = (_typed(flag, value), value)
        if self.hidden_size:
            found |= self._networks(
                " ".join(_typed("hidden_size", each) for each in self.hidden_size)
            )
        if self.data is not None:
            typed = _typed("data", str(self.data))
            source = self._source
            found["data.source"] = (typed, source)
            found["data.x" if source == "npy" else "data.path"] = (typed, str(self.data))
        return found

    @property
    def _source(self) -> str:
        """The source of the file, by its name: text may be called anything."""
        if self.data is None:
            return "csv"
        if re.fullmatch(r"\.py:\w+", self.data.suffix):
            return "python"
        return SOURCE_OF.get(self.data.suffix.lower(), "csv")

    def _keys(self) -> dict[str, str]:
        """The flags that set one key of the config, each with that key."""
        flags = (
            "lr",
            "batch_size",
            "epochs",
            "device",
            "seed",
            "seeds",
            "momentum",
            "schedule",
            "sampling",
            "loss",
            "model",
            "probes",
        )
        of_data = {"target": "data.y" if self._source in ("npy", "npz") else "data.target"}
        of_data["val_fraction"] = "data.val_fraction"
        return {flag: flag for flag in (*flags, "optimizer", "engine")} | of_data

    def _networks(self, typed: str) -> dict[str, tuple[str, str]]:
        """What `--hidden-size` sets: one network, or a list of them, which the schema refuses."""
        return {"hidden_size": (typed, _listed(self.hidden_size or []))}


def _typed(flag: str, value: str) -> str:
    """A flag as it was typed."""
    return f"--{flag.replace('_', '-')} {value.strip() or repr('')}"


def _listed(networks: list[str]) -> str:
    """One network as it was typed, or several as a list."""
    return networks[0] if len(networks) == 1 else ", ".join(f"[{each}]" for each in networks)


def complete_run_names(context: typer.Context, incomplete: str) -> list[str]:
    """The names of runs that begin with what is typed so far."""
    return complete_runs(context.params.get("output_dir") or OUTPUTS, incomplete)


@dataclass(frozen=True)
class MethodOptions(TrainingOptions):
    """The options of `full` and `sgd`, whose names say the batch size."""

    # Not in the help, but known, so that a mistake gets a hint.
    batch_size: Annotated[
        str | None, option("--batch-size", help="Refused: use minibatch.", hidden=True)
    ] = None
