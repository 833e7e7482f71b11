"""One training command from its options to its report: what `gdrun compare` does, step by step."""

import shlex
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gdrun.config import PlotConfig, RunConfig
from gdrun.configfile import dump_config, load_config, validate
from gdrun.consoles import console, write
from gdrun.display import View, headline, make_view
from gdrun.errors import ConfigError, OutputError, excerpt
from gdrun.history import KEPT_ROWS
from gdrun.interrupts import StopRequest, stop_on_signals
from gdrun.labels import visible
from gdrun.options import TrainingOptions
from gdrun.progress import Track
from gdrun.records import Status
from gdrun.report import (
    plan_as_json,
    plan_lines,
    result_notes,
    result_table,
    results_as_json,
    written,
)
from gdrun.results import RunResult, compare_results, group_status
from gdrun.rundir import make_directory, plan_directory, to_json
from gdrun.saved import refuse_changes, root_of, saved_layer

if TYPE_CHECKING:
    from gdrun.experiment import Experiment


EARLY_SECONDS = 2.0  # of training, after which drawing is prepared for
NAMED = 20  # columns left out that are listed
DRAWING_SECONDS = 0.5  # after a request to stop, in which pictures are begun


@dataclass(frozen=True)
class Request:
    """What a command line asks for.

    Attributes:
        command: `compare` or a method.
        config: the config that comes of it all.
        directory: where it is to be written: to be made or, if `resumes`, gone on in.
    """

    command: str
    config: RunConfig
    directory: Path
    resumes: bool

    @property
    def to_go_on(self) -> str:
        """The command that goes on with it."""
        return f"gdrun {self.command} --resume {shlex.quote(str(self.directory))}"


def train_and_report(command: str, options: TrainingOptions, command_line: str) -> Status:
    """Train what a command asks for, draw it, and print what came of it.

    Results go to stdout, progress and messages to stderr.

    Raises:
        GdrunError: nothing was begun, or what was begun couldn't be written.
    """
    messages = console(stderr=True)
    # The same console otherwise, so that a live view makes room for what is printed meanwhile.
    progress = Console(quiet=True) if options.quiet else messages
    request = _request(command, options)
    if options.dry_run:
        _print_plan(request, options)
        return "done"
    results: list[RunResult] = []
    drawn: list[Path] = []
    directory = None
    with stop_on_signals() as stop, ExitStack() as stack:
        try:
            with make_view(progress) as view:
                view.say("loading PyTorch")
                from gdrun import runs
                from gdrun.experiment import prepare
                from gdrun.lock import locked

                experiment = prepare(command, request.config, view.say)
                if request.resumes:
                    stack.enter_context(locked(root_of(request.directory)))
                    view.say("reading what was logged")
                    experiment = runs.take_up(experiment, request.directory, KEPT_ROWS)
                if stop():
                    raise KeyboardInterrupt
                _note(progress, experiment)
                if not request.resumes:
                    made = make_directory(request.directory, exact=options.name is not None)
                    request = replace(request, directory=made)
                    stack.enter_context(locked(made))
                directory = request.directory
                began = time.monotonic()
                view.begin(experiment.description, how(request.config), tracks_of(experiment))
                with closing(
                    runs.execute(experiment, directory, command_line, stop, KEPT_ROWS)
                ) as events:
                    for event in events:
                        if isinstance(event, RunResult):
                            results.append(event)
                        else:
                            view.update(event.series, event.segment)
                            _load_matplotlib_early(request, began)
                plot = request.config.plot
                drawn.extend(_draw(results, directory, plot, view, messages, stop))
        except KeyboardInterrupt:
            stop.ask()
        except OutputError as error:
            if directory is None:
                raise
            hint = f"what was written before is kept; to go on: {request.to_go_on}"
            raise OutputError(error.problems, *error.hints, hint) from error
    if directory is None:
        messages.print(Text("interrupted: nothing was begun", style="yellow"))
        return "interrupted"
    status = group_status(results, len(experiment.members))
    _print_results(options, directory, status, results, drawn, interrupted=stop())
    if not stop():
        return status
    if not options.quiet:
        line = "interrupted: what was finished is saved"
        if status == "interrupted":
            line += f"; to go on: {request.to_go_on}"
        messages.print(Text(visible(line), style="yellow"), soft_wrap=True)
    return "interrupted"


def _request(command: str, options: TrainingOptions) -> Request:
    """Read the config, or that of the run to go on with, and say where everything goes."""
    settings, flags = options.set or (), options.overrides()
    directory = options.resume
    if directory is None:
        config = load_config(options.config, settings, flags)
        planned = plan_directory(options.output_dir, options.name, command)
        return Request(command, config, planned, resumes=False)
    if options.name is not None or options.output_dir != TrainingOptions.output_dir:
        raise ConfigError(
            "--resume goes on in the run's own directory: leave out --name and --output-dir"
        )
    try:
        layer = saved_layer(directory, command)
    except OSError as error:
        raise OutputError(f"{error.filename}: can't be read: {error.strerror}") from None
    asked = load_config(options.config, settings, flags, base=layer)
    refuse_changes(validate(layer), asked)
    return Request(command, asked, directory, resumes=True)


def _print_plan(request: Request, options: TrainingOptions) -> None:
    """What `--dry-run` shows: the config, and what it comes to."""
    from gdrun import runs
    from gdrun.experiment import prepare

    experiment = prepare(request.command, request.config)
    if request.resumes:
        experiment = runs.take_up(experiment, request.directory, KEPT_ROWS)
    tracks = tracks_of(experiment)
    if options.json:
        write(to_json(plan_as_json(request.directory, request.config, tracks)))
        return
    out = console(soft_wrap=True)
    out.print(Text("\n".join(visible(line) for line in dump_config(request.config).split("\n"))))
    out.print(headline(experiment.description, how(request.config)))
    _note(out, experiment)
    out.print(*(Text(visible(line)) for line in plan_lines(request.directory, tracks)), sep="\n")


def tracks_of(experiment: "Experiment") -> list[Track]:
    """Where each run of an experiment starts."""
    rows, epochs = experiment.problem.data.rows, experiment.config.epochs
    standings = experiment.standings or {}
    return [
        Track(
            member.series,
            epochs,
            member.plan.updates_per_epoch(rows),
            updates=standing.state.updates if standing else 0,
            seconds=standing.state.seconds if standing else 0.0,
            epoch=standing.state.epoch if standing else 0,
        )
        for member in experiment.members
        for standing in [standings.get(member.series.method)]
    ]


def how(config: RunConfig) -> str:
    """How the descent goes, in a few words."""
    lrs = ", ".join(f"{lr:g}" for lr in config.lr)
    parts = [f"lr {lrs}", config.sampling]
    if config.momentum:
        parts.append(f"{'Nesterov ' if config.nesterov else ''}momentum {config.momentum:g}")
    if config.weight_decay:
        parts.append(f"weight decay {config.weight_decay:g}")
    last = config.seed + config.seeds - 1
    parts.append(f"seed {config.seed}" if config.seeds == 1 else f"seeds {config.seed} to {last}")
    lanes = config.seeds * len(config.lr)
    if lanes > 1:
        parts.append(f"median of {lanes} lanes")
    return " · ".join(parts)


def _note(progress: Console, experiment: "Experiment") -> None:
    """What is odd about the data, and about a run that is gone on with."""
    notes = [note for standing in (experiment.standings or {}).values() for note in standing.notes]
    names = experiment.problem.data.left_out
    if names:
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        listed = ", ".join(excerpt(name) for name in names[:NAMED])
        notes.insert(0, f"no features, for want of numbers or a name: {listed}{more}")
    for note in notes:
        progress.print(Text(f"note: {visible(note)}", style="yellow"), soft_wrap=True)


def _load_matplotlib_early(request: Request, began: float) -> None:
    """Load in a long run what it will draw with: at the end, somebody may be waiting for it."""
    if (
        request.config.plot.enabled
        and time.monotonic() - began > EARLY_SECONDS
        and "gdrun.plots" not in sys.modules
    ):
        with suppress(Exception):  # it is told of when there is something to draw
            import gdrun.plots  # noqa: F401


def _draw(
    results: Sequence[RunResult],
    directory: Path,
    config: PlotConfig,
    view: View,
    messages: Console,
    stop: StopRequest,
) -> Iterator[Path]:
    """Draw the pictures of a command; one that fails is a warning, for the results are safe.

    What was trained until a request to stop is drawn as far as it goes without waiting; a request
    that comes while drawing ends it.
    """
    if not (config.enabled and results):
        return
    stopped_before = stop()
    remarks: dict[str, None] = {}
    try:
        view.say("loading matplotlib")
        from gdrun.plots import pictures

        planned = pictures(results, directory, config)
    except Exception as error:
        planned = []
        remarks[f"no picture was drawn: {_named(error)}"] = None
    for picture in planned:
        if stop() and not (stopped_before and stop.seconds < DRAWING_SECONDS):
            remarks["interrupted, and not every picture drawn: --resume draws them all"] = None
            break
        view.say(visible(f"drawing {picture.path}"))
        failure = None
        with warnings.catch_warnings(record=True) as caught:
            try:
                picture.save(config.dpi)
            except Exception as error:
                failure = f"{picture.path} was not drawn: {_named(error)}"
        remarks |= {str(warning.message): None for warning in caught}
        if failure:
            remarks[failure] = None
        else:
            yield picture.path
    for remark in remarks:
        messages.print(Text(f"warning: {visible(remark)}", style="yellow"))


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _print_results(
    options: TrainingOptions,
    directory: Path,
    status: Status,
    results: Sequence[RunResult],
    drawn: Sequence[Path],
    *,
    interrupted: bool,
) -> None:
    comparison = compare_results(results)
    if options.json:
        content = results_as_json(
            directory, status, comparison, results, drawn, interrupted=interrupted
        )
        write(to_json(content))
    elif options.quiet:
        write(f"{directory}\n")
    else:
        out = console()
        if not out.is_terminal:
            out.width = max(out.width, 120)  # a table in a file needn't be narrow
        if results:
            out.print()
            out.print(result_table(comparison, out))
            notes = result_notes(comparison, results)
            out.print(*(Text(note, style="dim") for note in notes), sep="\n")
        out.print(*(Text(visible(line)) for line in written(directory, results, drawn)), sep="\n")
