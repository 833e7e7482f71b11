"""From a config to the plan of a command: one problem, and the runs to train on it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

from gdrun.config.methods import (
    compare_configs,
    refuse_large_batch,
    sweep_configs,
    with_method,
)
from gdrun.config.parts.own_code import is_own
from gdrun.config.parts.schedule import schedule_in_words
from gdrun.config.pieces import in_pieces
from gdrun.config.schema import CLASSIFICATION, METHODS, Method, RunConfig
from gdrun.data.sources import load_data
from gdrun.errors import ConfigError
from gdrun.experiment.landscape.layout import kept_every
from gdrun.experiment.memory import memory_errors, refuse_too_many_numbers, refuse_too_many_rows
from gdrun.experiment.plan.notes import notes_on, notes_on_rate
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan
from gdrun.results.description import Description
from gdrun.results.events import Lane, Series
from gdrun.results.rows.probe_columns import probe_columns
from gdrun.text import count
from gdrun.training.bookkeeping import columns_of
from gdrun.training.optimizers.build import build_optimizer
from gdrun.training.optimizers.schedule import schedule_of
from gdrun.training.outcome import describe
from gdrun.training.problem import Problem, build_problem
from gdrun.training.state import Plan


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
    notes = (*notes_on_rate(command, config), *notes_on(asked, config, problem, runs))
    return ExperimentPlan(command, config, _described(runs), runs, notes=notes)


def _with_fitting_batches(config: RunConfig, rows: int) -> RunConfig:
    """The config with smaller batches, if the default ones are larger than the data.

    An epoch has two of them or more then, unless there is but one row.
    """
    size = config.batch_size
    if size == "full" or size <= rows or "batch_size" in config.model_fields_set:
        return config
    return config.model_copy(update={"batch_size": 2 ** max(0, (rows // 2).bit_length() - 1)})


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
    kept = kept_every(config, problem.model.parameters)
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
        snapshots=(*((config.probe_every,) if config.probes else ()), *((kept,) if kept else ())),
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
