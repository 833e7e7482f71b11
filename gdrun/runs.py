"""Wiring: config → problem → engine → logs → result, for one run or the three of `compare`."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch

from gdrun.checkpoint import save_checkpoint
from gdrun.config import METHODS, Method, RunConfig
from gdrun.data import load_data
from gdrun.engine import train
from gdrun.errors import ConfigError, OutputError
from gdrun.models import Problem, build_problem
from gdrun.outcome import describe, run_result
from gdrun.records import Lane, Recorder, Segment, Series
from gdrun.results import Description, RunResult, compare_results, group_status
from gdrun.rundir import Manifest, RunLog, run_facts
from gdrun.state import Plan, initial_state

CHECKPOINT_SECONDS = 30.0
CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Member:
    """One run of an experiment: its name and lanes, and how to descend."""

    series: Series
    plan: Plan


@dataclass(frozen=True)
class Experiment:
    """What a command is about to do: one problem, and the runs to train on it."""

    command: str
    config: RunConfig
    problem: Problem
    description: Description
    members: tuple[Member, ...]

    @property
    def is_group(self) -> bool:
        """Whether its runs get directories of their own below the experiment's."""
        return self.command not in METHODS


@dataclass(frozen=True)
class Progress:
    """A step forward of one run."""

    series: Series
    segment: Segment


def prepare(command: str, config: RunConfig) -> Experiment:
    """Load the data, build the network and plan the runs of a command.

    Raises:
        ConfigError: the device isn't there, or a batch is larger than the data.
        DataError: the data can't be read or used.
    """
    with _memory_errors():
        problem = build_problem(config, load_data(config.data))
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


def execute(
    experiment: Experiment,
    directory: Path | None = None,
    command_line: str = "",
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Progress | RunResult]:
    """Train the runs of an experiment one after the other: progress, and each run's result.

    Args:
        experiment: what to do.
        directory: a new directory for everything that is written; None writes nothing.
        command_line: the command as typed, for the logs.
        stop: asked after every segment; once true, what is there is completed and nothing is begun.

    Raises:
        OutputError: a file can't be written. What was written before stays.
    """
    facts: Mapping[str, Any] = {}
    if directory:
        facts = run_facts(command_line, experiment.description, torch.get_num_threads())
    group = directory if experiment.is_group else None
    results: list[RunResult] = []
    with (
        _output_errors(directory),
        _memory_errors(),
        Manifest(group, {"kind": "group", **facts}) if group else nullcontext() as manifest,
    ):
        for member in experiment.members:
            place = group / member.series.method if group else directory
            for event in _train_member(experiment, member, place, facts, stop):
                if isinstance(event, RunResult):
                    results.append(event)
                yield event
            if stop():
                break
        if manifest:
            manifest.finish(
                group_status(results, len(experiment.members)),
                members=[result.series.method for result in results],
                comparison=asdict(compare_results(results)),
            )


@contextmanager
def _output_errors(directory: Path | None) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"{error.filename or directory}: can't be written: {error.strerror}"
        ) from error


@contextmanager
def _memory_errors() -> Iterator[None]:
    """PyTorch reports that memory is short in ways of its own.

    Raises:
        MemoryError: memory is short.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(str(error)) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise MemoryError("PyTorch " + str(error)[str(error).index("can't") :]) from error


def _train_member(
    experiment: Experiment,
    member: Member,
    place: Path | None,
    facts: Mapping[str, Any],
    stop: Callable[[], bool],
) -> Iterator[Progress | RunResult]:
    """Train one run; what it recorded is on the disk before its result is handed out."""
    config, problem, series = experiment.config, experiment.problem, member.series
    if place:
        place.mkdir(exist_ok=True)
    log = RunLog(place, series, config, facts) if place else None
    with log or nullcontext():
        recorder = Recorder(series, config.log_every)
        state = initial_state(problem, member.plan)
        saved = time.monotonic()
        for segment in train(problem, member.plan, state):
            recorder.add(segment)
            if log:
                log.add(segment)
                if segment.ends_epoch and _checkpoint_is_due(config, segment.epoch, saved):
                    log.flush()  # a checkpoint is never ahead of the rows
                    save_checkpoint(log.directory / CHECKPOINT, state)
                    saved = time.monotonic()
            yield Progress(series, segment)
            if stop():
                break
        result = run_result(
            problem,
            experiment.description,
            series,
            member.plan,
            state,
            recorder.histories,
            place,
        )
        if log:
            log.flush()
            save_checkpoint(log.directory / CHECKPOINT, state)
            log.finish(result)
    yield result


def _checkpoint_is_due(config: RunConfig, epoch: int, saved: float) -> bool:
    """Whether to save between the start and the end; at the end a state is saved anyway."""
    if not 0 < epoch < config.epochs:
        return False
    if config.checkpoint_every:
        return epoch % config.checkpoint_every == 0
    return time.monotonic() - saved > CHECKPOINT_SECONDS
