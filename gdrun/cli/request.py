"""What a command line requests: a config, and the directory of a run that is new or resumed."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from gdrun.cli.options import TrainingOptions
from gdrun.config.identity import refuse_changes
from gdrun.config.layers import Layer
from gdrun.config.methods import BATCH_SIZES, with_method
from gdrun.config.read import load_config, validate
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError, excerpt
from gdrun.storage.atomic import output_errors
from gdrun.storage.locate import OUTPUTS, find_run
from gdrun.storage.run_dir import plan_directory, resume_command
from gdrun.storage.saved_run import saved_layer

Options = TypeVar("Options", bound=TrainingOptions)


@dataclass(frozen=True)
class Request:
    """What a command line requests.

    Attributes:
        command: `compare`, `sweep` or a method.
        config: the config that results from file, settings and flags.
        directory: where results go; a new directory unless it `resumes` what is there.
        resumes: whether it does.
    """

    command: str
    config: RunConfig
    directory: Path
    resumes: bool

    @property
    def resume_command(self) -> str:
        """The command that resumes it."""
        return resume_command(self.command, self.directory)


def with_run_found(options: Options) -> Options:
    """The same options, `--resume` a directory, which may be a name below the output directory."""
    if options.resume is None:
        return options
    place = options.output_dir or OUTPUTS
    return replace(options, resume=find_run(str(options.resume), place, trained=True))


def make_request(command: str, options: TrainingOptions) -> Request:
    """Read the config, or that of the run to resume, and say where everything goes.

    Raises:
        ConfigError: the config or the run's name is wrong, or differs from that of the resumed run.
        DataError: what is left of that is damaged.
        OutputError: it can't be read.
    """
    directory = options.resume
    if directory is None:
        config = _method_config(command, options, None)
        _refuse_idle_force(command, options, config)
        planned = plan_directory(options.output_dir or OUTPUTS, options.name, command)
        return Request(command, config, planned, resumes=False)
    if options.name is not None or options.output_dir is not None:
        raise ConfigError(
            "--resume writes to the run's own directory: leave out --name and --output-dir"
        )
    with output_errors(directory, "read"):
        layer = saved_layer(directory, command)
    config = _method_config(command, options, layer)
    refuse_changes(with_method(validate(layer), command), config)
    _refuse_idle_force(command, options, config)
    return Request(command, config, directory, resumes=True)


def _refuse_idle_force(command: str, options: TrainingOptions, config: RunConfig) -> None:
    """Refuse `--force` where there is nothing that would need it.

    Raises:
        ConfigError: there isn't.
    """
    if options.force and not config.probes:
        saved = "saved runs, and no run is named, or for " if command == "compare" else ""
        raise ConfigError(
            f"--force: is for {saved}probes that take longer than the training, and there are none",
            "leave it out, or measure something: --probes all",
        )


def _method_config(command: str, options: TrainingOptions, base: Layer | None) -> RunConfig:
    """The config with the batch size of the command's method.

    A config file holds the batch size of `minibatch`, whatever else is trained with it. On the
    command line of `full` or `sgd`, a batch size is a mistake.

    Raises:
        ConfigError: the config is wrong, or the command line asks for another batch size.
    """
    settings, flags = options.set or (), options.overrides()
    config = load_config(options.config, settings, flags, base=base)
    own = with_method(config, command)
    is_set = [text for text in settings if text.partition("=")[0].strip() == "batch_size"]
    given = [flag for key, (flag, _) in flags.items() if key == "batch_size"]
    given += [f"--set {text}" for text in is_set]
    if given and command in BATCH_SIZES and config.batch_size != own.batch_size:
        others = {size: method for method, size in BATCH_SIZES.items()}
        method = others.get(config.batch_size, f"minibatch --batch-size {config.batch_size}")
        rows = "all rows" if own.batch_size == "full" else "one row per update"
        raise ConfigError(
            f"batch_size ({excerpt(given[0])}): {command} trains on {rows}",
            f"gdrun {method} trains with that batch size",
        )
    return own
