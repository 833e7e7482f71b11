"""What a command is about to do, from its config: one problem, and the runs to train on it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from gdrun.config.schema import METHODS, Method, RunConfig
from gdrun.data.sources import load_data
from gdrun.errors import ConfigError
from gdrun.experiment.grid import refuse_large_batch, swept
from gdrun.experiment.guards import memory_errors
from gdrun.experiment.memory import refuse_too_many_numbers, refuse_too_many_rows
from gdrun.experiment.outcome import describe
from gdrun.experiment.resume import ResumeState
from gdrun.results.events import Lane, Series
from gdrun.results.run import Description, RunResult
from gdrun.training.models import Problem, build_problem
from gdrun.training.state import Plan


@dataclass(frozen=True)
class RunPlan:
    """One run of an experiment: its name and lanes, how to descend, and the config for it alone."""

    series: Series
    plan: Plan
    config: RunConfig


@dataclass(frozen=True)
class ExperimentPlan:
    """What a command is about to do: one problem, and the runs to train on it.

    Attributes:
        command: `compare`, `sweep`, or the method of its one run.
        config: what was asked for.
        problem: what is minimised.
        description: the same in words.
        members: the runs.
        saved: the `run.json` of an experiment that is gone on with.
        standings: where its runs stand, as far as they were begun, by name.
        notes: what the user should know of that.
        pace: seconds an update of one lane alone takes, by batch size, where that was measured.
    """

    command: str
    config: RunConfig
    problem: Problem
    description: Description
    members: tuple[RunPlan, ...]
    saved: Mapping[str, Any] | None = None
    standings: Mapping[str, ResumeState] | None = None
    notes: tuple[str, ...] = ()
    pace: Mapping[int, float] = field(default_factory=dict)

    @property
    def is_group(self) -> bool:
        """Whether its runs get directories of their own below the experiment's."""
        return self.command not in METHODS

    @property
    def batch_sizes(self) -> list[int]:
        """Those of its runs, in their order."""
        return [member.series.batch_size for member in self.members]

    @property
    def left(self) -> list[RunPlan]:
        """Its runs that aren't complete."""
        standings = self.standings or {}
        complete = {name for name, standing in standings.items() if standing.is_complete}
        return [member for member in self.members if member.series.name not in complete]

    def in_order(self, results: Iterable[RunResult]) -> list[RunResult]:
        """Results of its runs in their order, in whichever they came."""
        names = [member.series.name for member in self.members]
        return sorted(results, key=lambda result: names.index(result.series.name))

    def place(self, member: RunPlan, directory: Path) -> Path:
        """The directory of a run of the experiment in a directory."""
        return directory / member.series.name if self.is_group else directory


def prepare(
    command: str, config: RunConfig, say: Callable[[str], None] = lambda _: None
) -> ExperimentPlan:
    """Load the data, build the network and plan the runs of a command.

    Args:
        command: `compare`, `sweep` or a method.
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
    rows = problem.data.rows
    if command == "sweep":
        runs = swept(config, rows)
        refuse_too_many_numbers(problem, runs[0][1])
        members = [_member(m, own, rows, f"batch-{own.batch_size}") for m, own in runs]
    else:
        refuse_too_many_numbers(problem, config)
        methods = [method for method in METHODS if command in (method, "compare")]
        members = [_member(method, config, rows) for method in methods]
    return ExperimentPlan(command, config, problem, describe(problem), tuple(members))


def _member(method: Method, config: RunConfig, rows: int, name: str = "") -> RunPlan:
    lanes = tuple(
        Lane(lr, seed)
        for lr, seed in product(config.lr, range(config.seed, config.seed + config.seeds))
    )
    plan = Plan(
        lanes=lanes,
        batch_size=_batch_rows(method, config, rows),
        epochs=config.epochs,
        # A full batch holds every row: there is nothing to draw, and no order that matters.
        sampling="sequential" if method == "full" else config.sampling,
        drop_last=config.drop_last,
        momentum=config.momentum,
        nesterov=config.nesterov,
        weight_decay=config.weight_decay,
        eval_every=config.eval_every,
    )
    return RunPlan(Series(method, plan.batch_size, lanes, name), plan, config)


def _batch_rows(method: Method, config: RunConfig, rows: int) -> int:
    """The rows of a batch.

    Raises:
        ConfigError: a mini-batch has no number of rows, or more than there are.
    """
    if method != "minibatch":
        return rows if method == "full" else 1
    if config.batch_size == "full":
        raise ConfigError(
            "batch_size: minibatch needs a number of rows, got full",
            "gdrun full trains on all rows at once; or choose --batch-size 16",
        )
    refuse_large_batch("batch_size", config.batch_size, rows)
    return config.batch_size
