"""gdrun from Python: the same runs as on the command line, in a notebook or a script."""

from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from gdrun.config import METHODS, Method, RunConfig
from gdrun.configfile import configure
from gdrun.errors import ConfigError
from gdrun.experiment import prepare
from gdrun.lock import locked
from gdrun.results import RunResult
from gdrun.rundir import make_directory, plan_directory
from gdrun.runs import execute
from gdrun.saved import root_of


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
        method: which batch size to train with.
        config: a YAML file, the name of a preset, a `RunConfig` or a mapping; the preset `article`
            without it.
        output_dir: where to make a run directory; nothing is written without it.
        name: of the run directory; made from date, time and method without it.
        settings: keys of the config, such as `lr=0.1` or `data={"rows": 50}`, that win over it.

    Raises:
        GdrunError: the request or the data is wrong, or the results can't be written.
    """
    if method not in METHODS:
        raise ConfigError(f"method {method!r}: must be one of {', '.join(METHODS)}")
    (result,) = _run(method, config, output_dir, name, settings)
    return result


def compare(
    config: str | Path | RunConfig | Mapping[str, Any] | None = None,
    *,
    output_dir: str | Path | None = None,
    name: str | None = None,
    **settings: Any,
) -> tuple[RunResult, ...]:
    """Train with all three methods from the same start on the same data; arguments as `train`."""
    return _run("compare", config, output_dir, name, settings)


def _run(
    command: str,
    config: str | Path | RunConfig | Mapping[str, Any] | None,
    output_dir: str | Path | None,
    name: str | None,
    settings: Mapping[str, Any],
) -> tuple[RunResult, ...]:
    if name is not None and output_dir is None:
        raise ConfigError(f"name {name!r}: needs an output_dir to make that directory in")
    experiment = prepare(command, configure(config, settings))
    called = "gdrun.compare(…)" if command == "compare" else f"gdrun.train({command!r}, …)"
    with ExitStack() as stack:
        directory = None
        if output_dir is not None:
            planned = plan_directory(Path(output_dir), name, command)
            directory = make_directory(planned, exact=name is not None)
            stack.enter_context(locked(root_of(directory)))
        events = stack.enter_context(closing(execute(experiment, directory, called)))
        return tuple(event for event in events if isinstance(event, RunResult))
