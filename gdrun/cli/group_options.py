"""The options of the commands that train several runs: `compare` and `sweep`."""

import re
from dataclasses import dataclass
from typing import Annotated

import typer

from gdrun.cli.help import DATA, GRID, OUTPUT, RARELY, WATCH_SECONDS
from gdrun.cli.options import TrainingOptions, complete_run_names, option
from gdrun.config.parts.optimizer import OPTIMIZERS


@dataclass(frozen=True)
class CompareOptions(TrainingOptions):
    """The options of `compare`, which trains nothing if saved runs are named."""

    batch_size: Annotated[
        str | None,
        option(
            "--batch-size",
            metavar="INTEGER,…",
            help="Rows in a mini-batch. Several, such as 1,16,full, are trained instead of the "
            "three methods.",
        ),
    ] = None
    hidden_size: Annotated[
        list[str] | None,
        option(
            "--hidden-size",
            metavar="INTEGER,…",
            help="Width of each hidden layer. To compare networks, once for each: "
            "--hidden-size 4 --hidden-size 16,16",
        ),
    ] = None
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
        option(
            "--force",
            help="Compare saved runs of different data or losses all the same; or measure what "
            "--probes asks for though that takes longer than the training.",
            panel=RARELY,
        ),
    ] = False

    watch: Annotated[
        float | None,
        option(
            "--watch",
            metavar="[SECONDS]",
            min=0.1,
            max=86_400,
            help=f"Train all beside each other, epoch by epoch, so slowly that a class can follow: "
            f"in {WATCH_SECONDS} seconds, or as many as are given.",
            panel=OUTPUT,
        ),
    ] = None

    def overrides(self) -> dict[str, tuple[str, str]]:
        """As above; several batch sizes or networks are runs of their own."""
        found = super().overrides()
        if self.batch_size is not None:
            several = bool(re.search("[,:]", self.batch_size))
            typed, value = found["batch_size"]
            found["compare.batch_size"] = (typed, value if several else "auto")
            if several:
                del found["batch_size"]
        if self.hidden_size:
            typed, value = found["hidden_size"]
            several = len(self.hidden_size) > 1
            found["compare.hidden_size"] = (typed, value if several else "auto")
            if several:
                del found["hidden_size"]
        return found


@dataclass(frozen=True)
class SweepOptions(TrainingOptions):
    """The options of `sweep`, whose learning rates and batch sizes make a grid."""

    lr: Annotated[
        str | None,
        option(
            "--lr",
            metavar="NUMBER,…|log:FROM:TO:N",
            help="Learning rates, trained side by side, one lane each: a lane is a pair of "
            "learning rate and seed. Without them, seven around that of the config.",
            panel=GRID,
        ),
    ] = None
    batch_size: Annotated[
        str | None,
        option(
            "--batch-size",
            metavar="INTEGER,…,full",
            help="Batch sizes; without them, powers of four, and all rows.",
            panel=GRID,
        ),
    ] = None
    optimizer: Annotated[
        str | None,
        option(
            "--optimizer",
            metavar="NAME,…",
            help=f"Optimizers to put side by side, of {', '.join(OPTIMIZERS)}; without them, that "
            "of the config.",
            panel=GRID,
            autocompletion=lambda: [*OPTIMIZERS],
        ),
    ] = None
    target: Annotated[
        str | None,
        option(
            "--target",
            metavar="COLUMN|LOSS",
            help="With --data, what to predict, as in other commands; without, the train loss to "
            "reach, as --target-loss.",
            panel=DATA,
        ),
    ] = None
    target_loss: Annotated[
        str | None,
        option(
            "--target-loss",
            metavar="LOSS",
            help="The train loss to reach; without it, 1.1 times the best final one.",
            panel=GRID,
        ),
    ] = None
    jobs: Annotated[
        int,
        option(
            "--jobs",
            "-j",
            min=1,
            max=1024,
            metavar="INTEGER",
            help="How many batch sizes to train at a time, each in a process of its own.",
            panel=GRID,
        ),
    ] = 1

    def _keys(self) -> dict[str, str]:
        """As above, for the grid; what `--target` is depends on `--data`."""
        grid = {flag: f"sweep.{flag}" for flag in ("lr", "batch_size", "optimizer")}
        grid["target_loss"] = "sweep.target"
        if self.data is None and self.target_loss is None:
            grid["target"] = "sweep.target"
        return super()._keys() | grid
