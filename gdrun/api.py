"""gdrun from Python: the same runs as on the command line, in a notebook or a script."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from gdrun.analysis.sweep_result import SweepResult
from gdrun.config import timing
from gdrun.config.explain import brief
from gdrun.config.methods import with_method
from gdrun.config.parts.data import FILE_SOURCES
from gdrun.config.read import a_path, configured
from gdrun.config.schema import METHODS, Method, RunConfig
from gdrun.errors import ConfigError, GdrunWarning, OutputError
from gdrun.experiment.execute import execute
from gdrun.experiment.prepare import prepare_command
from gdrun.notebook import ShownRuns, ShownSweep
from gdrun.results.named import Results
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult
from gdrun.storage.run_dir import locked, make_directory, plan_directory, root_of


def train(
    method: Method,
    config: str | Path | RunConfig | Mapping[str, Any] | None = None,
    *,
    output_dir: str | Path | None = None,
    name: str | None = None,
    **settings: Any,
) -> RunResult:
    """Train with one method, `full`, `sgd` or `minibatch`.

    >>> result = train("minibatch", batch_size=32, epochs=20)
    >>> result.epochs["train_loss"][-1] < result.epochs["train_loss"][0]
    True

    Args:
        method: which batch size to train with: `full` all rows, `sgd` one, and `minibatch` alone
            the `batch_size` of the config.
        config: a YAML file, the name of a preset, a `RunConfig` or a mapping; the preset `article`
            without it.
        output_dir: where to make a run directory; nothing is written without it.
        name: of the run directory; made from date, time and method without it.
        settings: keys of the config that win over it, such as `lr=0.1` or `data={"rows": 50}`. The
            rows themselves may be `data`, (x, y), (x, y, x_val, y_val) or a DataFrame. Its keys,
            such as `target="price"` and `val_fraction=0.2`, may stand beside it. The others are lr,
            hidden_size, batch_size, epochs, device, seed, seeds, sampling, drop_last, optimizer,
            momentum, nesterov, weight_decay, schedule, model, activation, loss, data, chunk_rows,
            engine, eval_every, eval_growth, patience, log_every, checkpoint_every, probes,
            probe_every, trajectory, compare, sweep and plot.

    Raises:
        GdrunError: the request or the data is wrong, or the results can't be written.
    """
    if not isinstance(method, str) or method not in METHODS:
        raise ConfigError(f"method {brief(method)}: must be one of {', '.join(METHODS)}")
    (result,) = _results(_run(method, config, output_dir, name, settings))
    return result


def compare(
    config: str | Path | RunConfig | Mapping[str, Any] | None = None,
    *,
    batch_sizes: Sequence[int | str] | None = None,
    hidden_sizes: Sequence[int | Sequence[int]] | None = None,
    output_dir: str | Path | None = None,
    name: str | None = None,
    **settings: Any,
) -> Results:
    """Train with all three methods, or several batch sizes, from the same start on the same data.

    >>> results = compare(epochs=20)
    >>> results["sgd"].lanes[0].updates
    2000

    Args:
        config: a YAML file, the name of a preset, a `RunConfig` or a mapping; the preset `article`
            without it.
        batch_sizes: to train with instead of the three methods, `"full"` for all rows.
        hidden_sizes: of several networks, each to be trained: 4 is one hidden layer, [16, 16] two.
        output_dir: where to make a directory; nothing is written without it.
        name: of the directory; made from date and time without it.
        settings: keys of the config that win over it, such as `lr=0.1` or `data={"rows": 50}`. The
            rows themselves may be `data`, (x, y), (x, y, x_val, y_val) or a DataFrame. Its keys,
            such as `target="price"` and `val_fraction=0.2`, may stand beside it. The others are lr,
            hidden_size, batch_size, epochs, device, seed, seeds, sampling, drop_last, optimizer,
            momentum, nesterov, weight_decay, schedule, model, activation, loss, data, chunk_rows,
            engine, eval_every, eval_growth, patience, log_every, checkpoint_every, probes,
            probe_every, trajectory, compare, sweep and plot.

    Raises:
        GdrunError: the request or the data is wrong, or the results can't be written.
    """
    given = {"batch_size": batch_sizes, "hidden_size": hidden_sizes}
    return _results(
        _run("compare", config, output_dir, name, _with_section(settings, "compare", given))
    )


def sweep(
    config: str | Path | RunConfig | Mapping[str, Any] | None = None,
    *,
    lr: Sequence[float] | str | None = None,
    batch_size: Sequence[int | str] | str | None = None,
    optimizer: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] | None = None,
    target: float | str | Sequence[str] | None = None,
    output_dir: str | Path | None = None,
    name: str | None = None,
    **settings: Any,
) -> SweepResult:
    """Train a grid of learning rates and batch sizes, and find out which to train with.

    >>> result = sweep("shuffled", lr=[0.1, 0.2], batch_size=[8, "full"], epochs=20)
    >>> result.best.batch_size
    8

    Args:
        config: a YAML file, the name of a preset, a `RunConfig` or a mapping; as in `train`
            without it.
        lr: learning rates, or a range such as `"log:0.001:1:7"`.
        batch_size: batch sizes, `"full"` for all rows.
        optimizer: one or several to be put side by side, such as `["sgd", {"name": "adam", "lr":
            [0.001, 0.01]}]`.
        target: the train loss that trainings are timed to; 1.1 times the best without it. A text is
            the column of a DataFrame to predict.
        output_dir: where to make a directory; nothing is written without it.
        name: of the directory; made from date and time without it.
        settings: keys of the config that win over it, such as `lr=0.1` or `data={"rows": 50}`. The
            rows themselves may be `data`, (x, y), (x, y, x_val, y_val) or a DataFrame. Its keys,
            such as `target="price"` and `val_fraction=0.2`, may stand beside it. The others are lr,
            hidden_size, batch_size, epochs, device, seed, seeds, sampling, drop_last, optimizer,
            momentum, nesterov, weight_decay, schedule, model, activation, loss, data, chunk_rows,
            engine, eval_every, eval_growth, patience, log_every, checkpoint_every, probes,
            probe_every, trajectory, compare, sweep and plot.

    Raises:
        GdrunError: the request or the data is wrong, or the results can't be written.
    """
    given: dict[str, Any] = {"lr": lr, "batch_size": batch_size, "optimizer": optimizer}
    if isinstance(target, str | list | tuple):
        settings["target"] = target
    else:
        given["target"] = target
    results = _run("sweep", config, output_dir, name, _with_section(settings, "sweep", given))
    (sweep,) = (event for event in results if isinstance(event, SweepResult))
    return ShownSweep.of(sweep, _results(results))


def _with_section(
    settings: Mapping[str, Any], section: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """The settings with those of a section that were given as arguments of their own."""
    own = {key: value for key, value in given.items() if value is not None}
    before = settings.get(section, {})
    return {**settings, section: {**before, **own} if isinstance(before, Mapping) else before}


def _run(
    command: str,
    config: str | Path | RunConfig | Mapping[str, Any] | None,
    output_dir: str | Path | None,
    name: str | None,
    settings: Mapping[str, Any],
) -> tuple[RunResult | SweepResult, ...]:
    """The results of a command, run after run."""
    if name is not None and not isinstance(name, str):
        raise ConfigError(f"name: must be text, got {brief(name)}")
    if name is not None and output_dir is None:
        raise ConfigError(f"name {name!r}: needs an output_dir to make that directory in")
    place = None if output_dir is None else a_path("output_dir", output_dir)
    requested = with_method(configured(config, settings), command)
    prepared = prepare_command(command, requested, estimates=False)
    experiment = prepared.experiment
    if prepared.device:
        warnings.warn(prepared.device, GdrunWarning, stacklevel=3)
    if requested.data.source in FILE_SOURCES:  # of what comes with gdrun, the guide tells
        for note in (*experiment.problem.data.notes, *experiment.notes):
            warnings.warn(note, GdrunWarning, stacklevel=3)
    arguments = f"{command!r}, …" if command in METHODS else "…"
    called = f"gdrun.{'train' if command in METHODS else command}({arguments})"
    with ExitStack() as stack:
        directory = None
        if place is not None:
            planned = plan_directory(place, name, command)
            directory = make_directory(planned, exact=name is not None)
            stack.enter_context(locked(root_of(directory)))
        events = execute(experiment, directory, called, timing=timing.DEFAULT)
        results = [
            event
            for event in stack.enter_context(closing(events))
            if not isinstance(event, RunProgress)
        ]
    failures = [event for event in results if isinstance(event, Failure)]
    if failures:
        lines = [line for failure in failures for line in failure.lines]
        raise OutputError(lines, *(hint for failure in failures for hint in failure.hints))
    return tuple(event for event in results if isinstance(event, RunResult | SweepResult))


def _results(events: Sequence[RunResult | SweepResult]) -> ShownRuns:
    return ShownRuns.of(event for event in events if isinstance(event, RunResult))
