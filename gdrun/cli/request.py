"""What a command line requests: a config, and the directory of a run that is new or resumed."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from gdrun.cli.options import TrainingOptions
from gdrun.config.identity import refuse_changes
from gdrun.config.methods import with_method
from gdrun.config.read import load_config, validate
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from gdrun.storage.atomic import output_errors
from gdrun.storage.locate import LATEST, OUTPUTS, find_run
from gdrun.storage.run_dir import plan_directory
from gdrun.storage.saved_run import saved_layer

Options = TypeVar("Options", bound=TrainingOptions)


@dataclass(frozen=True)
class Request:
    """What a command line requests.

    Attributes:
        command: `compare`, `sweep` or a method.
        config: the config that results from file, settings and flags.
        directory: where it is to be written: still to be made, unless it `resumes` what is there.
        resumes: whether it does.
    """

    command: str
    config: RunConfig
    directory: Path
    resumes: bool

    @property
    def resume_command(self) -> str:
        """The command that resumes it."""
        return f"gdrun {self.command} --resume {shlex.quote(str(self.directory))}"


def with_run_found(options: Options) -> Options:
    """The same options, `--resume` a directory, which may be a name below the output directory."""
    run = options.resume
    if run is None or run.exists() or not (str(run) == LATEST or (OUTPUTS / run).is_dir()):
        return options
    return replace(options, resume=find_run(str(run), OUTPUTS))


def make_request(command: str, options: TrainingOptions) -> Request:
    """Read the config, or that of the run to resume, and say where everything goes.

    Raises:
        ConfigError: the config or the run's name is wrong, or differs from that of the resumed run.
        DataError: what is left of that is damaged.
        OutputError: it can't be read.
    """
    settings, flags = options.set or (), options.overrides()
    directory = options.resume
    if directory is None:
        config = with_method(load_config(options.config, settings, flags), command)
        planned = plan_directory(options.output_dir or OUTPUTS, options.name, command)
        return Request(command, config, planned, resumes=False)
    if options.name is not None or options.output_dir is not None:
        raise ConfigError(
            "--resume writes to the run's own directory: leave out --name and --output-dir"
        )
    with output_errors(directory, "read"):
        layer = saved_layer(directory, command)
    config = with_method(load_config(options.config, settings, flags, base=layer), command)
    refuse_changes(with_method(validate(layer), command), config)
    return Request(command, config, directory, resumes=True)
