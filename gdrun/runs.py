"""Wiring: config → problem → engine → logs → result, for one run or the three of `compare`."""

import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gdrun.checkpoint import save_checkpoint
from gdrun.config import METHODS, Method, RunConfig
from gdrun.data import Scaling, load_data
from gdrun.engine import Plan, TrainState, initial_state, train
from gdrun.errors import ConfigError, OutputError
from gdrun.models import Problem, build_problem
from gdrun.records import Lane, Recorder, Segment, Series
from gdrun.results import Description, Fit, RunResult, compare_results, lane_result, overall_status
from gdrun.rundir import Manifest, RunLog, run_facts

CHECKPOINT_SECONDS = 30.0
CHECKPOINT = "checkpoint.pt"
GRID_POINTS = 200


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
    problem = build_problem(config, load_data(config.data))
    methods = [method for method in METHODS if command in (method, "compare")]
    members = tuple(_member(method, config, problem.data.rows) for method in methods)
    return Experiment(command, config, problem, _describe(problem), members)


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


def _describe(problem: Problem) -> Description:
    data, device = problem.data, problem.data.x.device
    return Description(
        network=str(problem.network),
        parameters=problem.network.parameters,
        data=data.title,
        rows=data.rows,
        val_rows=len(data.x_val),
        features=data.features,
        target=data.target,
        loss=problem.loss_name,
        standardized=data.y_scaling is not None,
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
    )


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
    facts = run_facts(command_line, experiment.description, torch.get_num_threads())
    group = directory if experiment.is_group else None
    results: list[RunResult] = []
    with (
        _output_errors(directory),
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
            cut_short = len(results) < len(experiment.members)
            status = overall_status([result.status for result in results])
            manifest.finish(
                "interrupted" if cut_short else status,
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
                    save_checkpoint(log.directory / CHECKPOINT, state)
                    saved = time.monotonic()
            yield Progress(series, segment)
            if stop():
                break
        result = _result(experiment, member, state, recorder, place)
        if log:
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


def _result(
    experiment: Experiment,
    member: Member,
    state: TrainState,
    recorder: Recorder,
    place: Path | None,
) -> RunResult:
    finished = state.epoch == member.plan.epochs or None not in state.diverged_at
    lanes = tuple(
        lane_result(history, at, "done" if finished else "interrupted")
        for history, at in zip(recorder.histories, state.diverged_at, strict=True)
    )
    return RunResult(
        series=member.series,
        status=overall_status([lane.status for lane in lanes]),
        description=experiment.description,
        histories=recorder.histories,
        lanes=lanes,
        fit=_fit(experiment.problem, state) if len(experiment.description.features) == 1 else None,
        directory=place,
    )


@torch.no_grad()
def _fit(problem: Problem, state: TrainState) -> Fit:
    """The functions that the lanes have learned of their one feature, in original units."""
    data = problem.data
    both = torch.cat([data.x, data.x_val])
    grid = torch.linspace(both.min().item(), both.max().item(), GRID_POINTS).to(both).unsqueeze(1)
    outputs = problem.network(state.params, grid.expand(len(state.diverged_at), -1, -1))

    def original(values: Tensor, scaling: Scaling | None) -> Any:
        values = values.cpu().double()
        return (scaling.invert(values) if scaling else values).squeeze(-1).tolist()

    return Fit(
        x=original(data.x, data.x_scaling),
        y=original(data.y, data.y_scaling),
        x_val=original(data.x_val, data.x_scaling),
        y_val=original(data.y_val, data.y_scaling),
        grid=original(grid, data.x_scaling),
        curves=original(outputs, data.y_scaling),
    )
