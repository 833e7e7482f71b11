"""What a command is about to do, from its config: one problem, and the runs to train on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from gdrun.config import METHODS, Method, RunConfig
from gdrun.data import load_data
from gdrun.errors import ConfigError
from gdrun.guards import memory_errors
from gdrun.memory import refuse_too_many_numbers, refuse_too_many_rows
from gdrun.models import Problem, build_problem
from gdrun.outcome import describe
from gdrun.records import Lane, Series
from gdrun.results import Description
from gdrun.standing import Standing
from gdrun.state import Plan


@dataclass(frozen=True)
class Member:
    """One run of an experiment: its name and lanes, and how to descend."""

    series: Series
    plan: Plan


@dataclass(frozen=True)
class Experiment:
    """What a command is about to do: one problem, and the runs to train on it.

    Attributes:
        command: `compare`, or the method of its one run.
        config: what was asked for.
        problem: what is minimised.
        description: the same in words.
        members: the runs.
        saved: the `run.json` of an experiment that is gone on with.
        standings: where its runs stand, as far as they were begun, by method.
        notes: what the user should know of that.
    """

    command: str
    config: RunConfig
    problem: Problem
    description: Description
    members: tuple[Member, ...]
    saved: Mapping[str, Any] | None = None
    standings: Mapping[str, Standing] | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_group(self) -> bool:
        """Whether its runs get directories of their own below the experiment's."""
        return self.command not in METHODS

    def place(self, member: Member, directory: Path) -> Path:
        """The directory of a run of the experiment in a directory."""
        return directory / member.series.method if self.is_group else directory


def prepare(
    command: str, config: RunConfig, say: Callable[[str], None] = lambda _: None
) -> Experiment:
    """Load the data, build the network and plan the runs of a command.

    Args:
        command: `compare` or a method.
        config: what is asked for.
        say: told how far a long reading of data is.

    Raises:
        ConfigError: the device isn't there, a batch is larger than the data, or all of it larger
            than memory.
        DataError: the data can't be read or used.
    """
    refuse_too_many_rows(config.data)
    with memory_errors():
        problem = build_problem(config, load_data(config.data, say))
    refuse_too_many_numbers(problem, config)
    methods = [method for method in METHODS if command in (method, "compare")]
    members = tuple(_member(method, config, problem.data.rows) for method in methods)
    return Experiment(command, config, problem, describe(problem), members)


def _member(method: Method, config: RunConfig, rows: int) -> Member:
    if method == "minibatch" and config.batch_size > rows:
        raise ConfigError(
            f"batch_size: {config.batch_size} is larger than the {rows} training rows",
            f"choose at most {rows}; `gdrun full` trains on all rows at once",
        )
    lanes = tuple(
        Lane(lr, seed)
        for lr, seed in product(config.lr, range(config.seed, config.seed + config.seeds))
    )
    plan = Plan(
        lanes=lanes,
        batch_size={"full": rows, "sgd": 1, "minibatch": config.batch_size}[method],
        epochs=config.epochs,
        # A full batch holds every row: there is nothing to draw, and no order that matters.
        sampling="sequential" if method == "full" else config.sampling,
        drop_last=config.drop_last,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        eval_every=config.eval_every,
    )
    return Member(Series(method, plan.batch_size, lanes), plan)
