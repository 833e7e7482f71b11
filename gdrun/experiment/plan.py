"""The plan of a command: one problem, and the runs to train on it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

import torch

from gdrun.config.methods import (
    compare_configs,
    refuse_large_batch,
    sweep_configs,
    with_method,
)
from gdrun.config.parts.data import FILE_SOURCES
from gdrun.config.parts.own_code import is_own
from gdrun.config.parts.schedule import schedule_in_words
from gdrun.config.pieces import in_pieces
from gdrun.config.schema import CLASSIFICATION, METHODS, Engine, Method, RunConfig
from gdrun.data.sources import load_data
from gdrun.errors import ConfigError, excerpt
from gdrun.experiment.landscape.layout import MOST_BYTES, layout_for
from gdrun.experiment.memory import memory_errors, refuse_too_many_numbers, refuse_too_many_rows
from gdrun.results.description import Description
from gdrun.results.events import Lane, Series
from gdrun.results.rows.history import Recorder
from gdrun.results.rows.probe_columns import probe_columns
from gdrun.results.run import RunResult
from gdrun.storage.manifest import Manifest
from gdrun.storage.row_file import FileDigest
from gdrun.text import count, listed, size
from gdrun.training.bookkeeping import columns_of
from gdrun.training.device import device_name
from gdrun.training.models.own import OwnNetwork
from gdrun.training.optimizers.build import build_optimizer
from gdrun.training.optimizers.schedule import schedule_of
from gdrun.training.outcome import describe
from gdrun.training.problem import Problem, build_problem
from gdrun.training.ranks import ALONE, Ranks
from gdrun.training.state import Plan, TrainState


@dataclass(frozen=True)
class RunStart:
    """Where a run starts: at its beginning, or where an earlier process left it.

    Attributes:
        state: of the training.
        recorder: the records so far.
        digests: what the CSV files hold of them, by name; empty for files that are begun.
        manifest: the `run.json` of a run that is resumed.
        is_complete: whether nothing is left to do but the closing evaluation, if that.
        fell_back: whether the last checkpoint was damaged, and the one before it taken.
        is_outdated: whether the checkpoint is an older gdrun's, and is to be written anew first.
        notes: what the user should know of it.
        engine: how its last updates were executed; None of a run that is begun.
        program: the key of the program, if it was compiled.
    """

    state: TrainState
    recorder: Recorder
    digests: Mapping[str, FileDigest]
    manifest: Manifest | None = None
    is_complete: bool = False
    fell_back: bool = False
    is_outdated: bool = False
    notes: tuple[str, ...] = ()
    engine: Engine | None = None
    program: str | None = None


@dataclass(frozen=True)
class RunPlan:
    """One run of an experiment.

    Attributes:
        series: its name and lanes.
        problem: what is minimised.
        plan: how to train.
        config: the config that gives this run alone.
        resumed: where an earlier process left it; None of a run that is still to begin.
    """

    series: Series
    problem: Problem
    plan: Plan
    config: RunConfig
    resumed: RunStart | None = None

    @property
    def name(self) -> str:
        """What it is called among the runs of its experiment."""
        return self.series.name

    def with_evaluations(self, growth: float | None) -> "RunPlan":
        """The same with losses within epochs evaluated at this `eval_growth`."""
        config = self.config.model_copy(update={"eval_growth": growth})
        return replace(self, config=config, plan=replace(self.plan, eval_growth=growth or 0.0))

    def is_probed(self, epoch: int) -> bool:
        """Whether its lanes are measured at the end of an epoch."""
        every = self.config.probe_every
        return bool(self.config.probes) and (epoch % every == 0 or epoch == self.plan.epochs)

    def count_probes(self, after: int = -1) -> int:
        """At the ends of how many epochs that is, later than some."""
        if not self.config.probes:
            return 0
        every, epochs = self.config.probe_every, self.plan.epochs
        multiples = epochs // every - after // every
        return max(0, multiples + (epochs % every > 0 and after < epochs))

    @property
    def is_complete(self) -> bool:
        """Whether an earlier process has trained it to its end."""
        return self.resumed is not None and self.resumed.is_complete


@dataclass(frozen=True)
class ExperimentPlan:
    """What a command is about to do: some data, and the runs to train on it.

    Attributes:
        command: `compare`, `sweep`, or the method of its one run.
        config: as requested.
        description: what is minimised, in words.
        runs: in their order, the first to be trained first.
        manifest: the `run.json` of an experiment that is resumed.
        notes: what the user should know of what is resumed.
        seconds_per_update: of one lane alone, by batch size, where that was measured.
        ranks: the processes that train each of its runs together.
    """

    command: str
    config: RunConfig
    description: Description
    runs: tuple[RunPlan, ...]
    manifest: Manifest | None = None
    notes: tuple[str, ...] = ()
    seconds_per_update: Mapping[int, float] = field(default_factory=dict)
    ranks: Ranks = ALONE

    @property
    def problem(self) -> Problem:
        """What its first run minimises; its data are those of all."""
        return self.runs[0].problem

    @property
    def is_group(self) -> bool:
        """Whether its runs get directories of their own below the experiment's."""
        return self.command not in METHODS

    @property
    def batch_sizes(self) -> list[int]:
        """Those of its runs, in their order."""
        return [run.plan.batch_size for run in self.runs]

    @property
    def left(self) -> list[RunPlan]:
        """Its runs that aren't complete."""
        return [run for run in self.runs if not run.is_complete]

    @property
    def is_timed(self) -> bool:
        """Whether an update of one lane alone is timed for each batch size.

        By batch size, what an update takes of several optimizers can't be told. What was timed when
        an earlier process began it stands.
        """
        timed = self.manifest and self.manifest.seconds_an_update_alone is not None
        several = len({run.plan.optimizer for run in self.runs}) > 1
        return self.command == "sweep" and not several and not timed

    def own_plan(self, run: RunPlan) -> Plan:
        """What of the training of a run is this rank's, if lanes are divided among ranks."""
        own = replace(run.plan, ranks=self.ranks).own_lanes
        return replace(run.plan, lanes=own)

    def in_order(self, results: Iterable[RunResult]) -> list[RunResult]:
        """Results of its runs, in the order of the runs."""
        names = [run.name for run in self.runs]
        return sorted(results, key=lambda result: names.index(result.series.name))

    def directory_of(self, run: RunPlan, directory: Path) -> Path:
        """The directory of one of its runs, where the experiment has a directory."""
        return directory / run.name if self.is_group else directory

    @property
    def begun_with(self) -> Engine | None:
        """The engine of a group or run that is resumed, if an earlier process chose one.

        An older gdrun chose one for each run of a group: that of a run that isn't complete counts.
        """
        config = self.manifest and self.manifest.settings
        if config and config.engine != "auto":
            return config.engine
        begun = [run.resumed.engine for run in (*self.left, *self.runs) if run.resumed]
        return next((engine for engine in begun if engine), None)

    def with_engine(self, engine: Engine) -> "ExperimentPlan":
        """The same with an engine for all that is left to train."""
        update = {"engine": engine}
        runs = tuple(
            run if run.is_complete else replace(run, config=run.config.model_copy(update=update))
            for run in self.runs
        )
        return replace(self, config=self.config.model_copy(update=update), runs=runs)

    def with_device(self, device: torch.device) -> "ExperimentPlan":
        """The same with the rows of all runs, which are those of the first, on a device."""
        if self.problem.data.x.device == device:
            return self
        data = self.problem.to(device).data
        runs = tuple(replace(run, problem=replace(run.problem, data=data)) for run in self.runs)
        description = replace(self.description, device=device_name(device))
        return replace(self, description=description, runs=runs)


def plan_experiment(
    command: str, config: RunConfig, on_progress: Callable[[str], None] = lambda _: None
) -> ExperimentPlan:
    """Load the data, build the network and plan the runs of a command.

    With `device: auto` they are planned on the processor: `gdrun.experiment.devices` chooses.

    Args:
        command: `compare`, `sweep` or a method.
        config: as requested.
        on_progress: called with what is being done, where that takes long.

    Raises:
        ConfigError: the device isn't there, a batch is larger than the data, or all of it larger
            than memory; or the user's network or loss can't be used.
        DataError: the data can't be read or used.
        UserCodeError: the user's code raises an exception.
    """
    refuse_too_many_rows(config.data)
    with memory_errors():
        classify = config.loss in CLASSIFICATION
        data = load_data(config.data, classify=classify, on_progress=on_progress)
        problem = build_problem(config, data)
    if is_own(config.model) and config.compare.hidden_size:
        raise ConfigError(
            "compare.hidden_size: is of the perceptron, and model names a network of your own",
            "gdrun compare RUN… compares trained runs of several networks",
        )
    if config.patience and not len(problem.data.x_val):
        raise ConfigError(
            "patience: watches the validation loss, and no rows are held out for that",
            "set data.val_fraction, such as 0.2",
        )
    return _planned(command, config, problem)


def replanned(experiment: ExperimentPlan, config: RunConfig) -> ExperimentPlan:
    """An experiment with another config of the same data, network and loss.

    Raises:
        ConfigError: a batch is larger than the data.
    """
    return _planned(experiment.command, config, experiment.problem)


def _planned(command: str, config: RunConfig, problem: Problem) -> ExperimentPlan:
    """The runs of a command on a problem."""
    rows = problem.data.rows
    asked, config = config, _with_fitting_batches(config, rows)
    match command:
        case "sweep":
            wanted = in_pieces(sweep_configs(config, rows), config.sweep.pieces or 1, rows)
        case "compare":
            wanted = compare_configs(config, rows)
        case _:
            (method,) = (method for method in METHODS if method == command)
            wanted = [(command, method, with_method(config, command))]
    for _, _, own in wanted:  # before there are as many lanes in memory
        refuse_too_many_numbers(problem.with_model(own), own)
    runs = tuple(_plan_run(name, method, own, problem) for name, method, own in wanted)
    notes = (*_rate_notes(command, config), *_notes(asked, config, problem, runs))
    return ExperimentPlan(command, config, _described(runs), runs, notes=notes)


def _with_fitting_batches(config: RunConfig, rows: int) -> RunConfig:
    """The config with smaller batches, if the default ones are larger than the data.

    An epoch has two of them or more then, unless there is but one row.
    """
    size = config.batch_size
    if size == "full" or size <= rows or "batch_size" in config.model_fields_set:
        return config
    return config.model_copy(update={"batch_size": 2 ** max(0, (rows // 2).bit_length() - 1)})


def _notes(
    asked: RunConfig, config: RunConfig, problem: Problem, runs: Iterable[RunPlan]
) -> Iterable[str]:
    """What the user should know of the network and the batches."""
    if isinstance(problem.model, OwnNetwork):
        yield from _network_notes(config, problem.model, runs)
    seldom = max((every for run in runs for every in _kept(run.config, run.problem)), default=1)
    if seldom > 1:
        yield (
            f"trajectory: the weights of every {seldom:,}th epoch are kept, as the file has at "
            f"most {size(MOST_BYTES)}"
        )
    rows = count(problem.data.rows, "training row")
    if asked.batch_size != config.batch_size:
        yield f"batch_size: {config.batch_size}, not {asked.batch_size}, as there are {rows}"
    left_out = [
        f"batches of {run.plan.batch_size:,} leave {problem.data.rows % run.plan.batch_size:,}"
        for run in runs
        if run.plan.drop_last and problem.data.rows % run.plan.batch_size
    ]
    if left_out:
        yield f"{listed(left_out)} of {rows} out of every epoch: drop_last: false uses them"
    ordered = any(
        run.plan.sampling == "sequential" and run.plan.batch_size < problem.data.rows
        for run in runs
    )
    column = problem.data.sorted_by if ordered and config.data.source in FILE_SOURCES else None
    if column is not None:
        yield (
            f"the rows are visited in order, and are sorted by {excerpt(column)}: each batch holds "
            "rows that are alike; sampling: reshuffle mixes them"
        )


def _rate_notes(command: str, config: RunConfig) -> Iterable[str]:
    """What the user should know of a learning rate that nobody chose."""
    usual, name = config.optimizer.usual_lr, config.optimizer.name
    of_sweep = command == "sweep" and (config.sweep.lr or config.sweep.optimizer)
    chosen = "lr" in config.model_fields_set or of_sweep
    if usual is not None and not chosen:
        yield (
            f"lr: {config.lr[0]:g}, the default, is large for {name}; torch.optim has {usual:g} "
            "for it"
        )


def _network_notes(config: RunConfig, model: OwnNetwork, runs: Iterable[RunPlan]) -> Iterable[str]:
    """What the user should know of a network of one's own."""
    defaults = RunConfig()
    unused = [
        key
        for key in ("hidden_size", "activation")
        if getattr(config, key) != getattr(defaults, key)
    ]
    if unused:
        yield f"{listed(unused)}: of the perceptron, and not used by {model.function.name}"
    if not model.is_batched and any(len(run.plan.lanes) > 1 for run in runs):
        yield (
            f"{model.function.name}: torch.func.vmap can't compute the lanes of {model.title} "
            "together, so they are computed one after the other"
        )


def _described(runs: Sequence[RunPlan]) -> Description:
    """What is minimised, in words; the last of several networks is the one that is counted."""
    each = list({run.problem.model: describe(run.problem, run.config) for run in runs}.values())
    *others, last = each
    counted = (f"{one.network} ({count(one.parameters, 'parameter')})" for one in others)
    optimizers = dict.fromkeys(run.config.rule for run in runs)
    network = ", ".join([*counted, last.network])
    return replace(last, network=network, optimizer=", ".join(optimizers))


def _plan_run(name: str, method: Method, config: RunConfig, problem: Problem) -> RunPlan:
    problem, rows = problem.with_model(config), problem.data.rows
    lanes = lanes_of(config)
    plan = Plan(
        lanes=lanes,
        batch_size=_rows_per_update(method, config, rows),
        epochs=config.epochs,
        # A full batch holds every row: there is nothing to draw, and no order that matters.
        sampling="sequential" if config.batch_size == "full" else config.sampling,
        drop_last=config.drop_last,
        optimizer=build_optimizer(config),
        schedule=schedule_of(config.schedule),
        eval_every=config.eval_every,
        patience=config.patience or 0,
        eval_growth=config.eval_growth or 0.0,
        snapshots=(*((config.probe_every,) if config.probes else ()), *_kept(config, problem)),
    )
    series = Series(
        method,
        plan.batch_size,
        lanes,
        name,
        columns_of(problem, plan),
        schedule_in_words(config.schedule),
        probe_columns(config.probes, is_adaptive=plan.optimizer.is_adaptive),
    )
    return RunPlan(series, problem, plan, config)


def _kept(config: RunConfig, problem: Problem) -> tuple[int, ...]:
    """The number whose multiples are the epochs at whose ends weights are kept, if they are.

    Raises:
        ConfigError: they are too many to be kept.
    """
    if not config.trajectory:
        return ()
    lanes = len(config.lr) * config.seeds
    return (layout_for(config.epochs, lanes, problem.model.parameters).every,)


def lanes_of(config: RunConfig) -> tuple[Lane, ...]:
    """The lanes of a run."""
    seeds = range(config.seed, config.seed + config.seeds)
    return tuple(Lane(lr, seed) for lr, seed in product(config.lr, seeds))


def _rows_per_update(method: Method, config: RunConfig, rows: int) -> int:
    """The batch size as a number of rows.

    Raises:
        ConfigError: a mini-batch has no number of rows, or more than there are.
    """
    if config.batch_size == "full":
        if method == "minibatch":
            raise ConfigError(
                "batch_size: minibatch needs a number of rows, got full",
                "gdrun full trains on all rows at once; or choose --batch-size 16",
            )
        return rows
    refuse_large_batch("batch_size", config.batch_size, rows)
    return config.batch_size
