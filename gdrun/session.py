"""One training command from its options to its report: what `gdrun compare` does, step by step."""

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gdrun.config import RunConfig
from gdrun.configfile import dump_config
from gdrun.consoles import console, write
from gdrun.display import headline, make_view
from gdrun.drawing import draw, load_early
from gdrun.errors import ConfigError, OutputError, excerpt
from gdrun.history import KEPT_ROWS
from gdrun.interrupts import stop_on_signals
from gdrun.labels import visible
from gdrun.lock import is_locked, locked
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
from gdrun.request import Request, make_request
from gdrun.results import RunResult, compare_results, group_status
from gdrun.rundir import make_directory, to_json
from gdrun.saved import read_manifest, root_of

if TYPE_CHECKING:
    from gdrun.experiment import Experiment


NAMED = 20  # columns left out that are listed


def train_and_report(command: str, options: TrainingOptions, command_line: str) -> Status:
    """Train what a command asks for, draw it, and print what came of it.

    Results go to stdout, progress and messages to stderr.

    Raises:
        GdrunError: nothing was begun, or what was begun couldn't be written.
    """
    messages = console(stderr=True)
    # The same console otherwise, so that a live view makes room for what is printed meanwhile.
    progress = Console(quiet=True) if options.quiet else messages
    if options.dry_run:
        _print_plan(make_request(command, options), options)
        return "done"
    results: list[RunResult] = []
    drawn: list[Path] = []
    directory = None
    with stop_on_signals() as stop, ExitStack() as stack:
        try:
            with make_view(progress) as view:
                if options.resume:  # before anything is read that another process may change
                    read_manifest(options.resume)  # no lock is left where no run is
                    stack.enter_context(locked(root_of(options.resume)))
                request = make_request(command, options)
                view.say("loading PyTorch")
                from gdrun import runs
                from gdrun.experiment import prepare

                if stop():
                    raise KeyboardInterrupt
                stop.at_once = True
                experiment = prepare(command, request.config, view.say)
                if request.resumes:
                    view.say("reading what was logged")
                    experiment = runs.take_up(experiment, request.directory, KEPT_ROWS)
                stop.at_once = False
                _note(progress, experiment)
                if not request.resumes:
                    made = make_directory(request.directory, exact=options.name is not None)
                    request = replace(request, directory=made)
                    stack.enter_context(locked(root_of(made)))
                directory = request.directory
                plot, began = request.config.plot, time.monotonic()
                view.begin(experiment.description, how(request.config), tracks_of(experiment))
                with closing(
                    runs.execute(experiment, directory, command_line, stop, KEPT_ROWS)
                ) as events:
                    for event in events:
                        if isinstance(event, RunResult):
                            results.append(event)
                        else:
                            view.update(event.series, event.segment)
                            load_early(plot, began)
                drawn.extend(draw(results, directory, plot, view, messages, stop))
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


def _print_plan(request: Request, options: TrainingOptions) -> None:
    """What `--dry-run` shows: the config, and what it comes to."""
    from gdrun import runs
    from gdrun.experiment import prepare

    experiment = prepare(request.command, request.config)
    if request.resumes:
        if is_locked(root_of(request.directory)):
            raise ConfigError(f"{request.directory}: another process is training it")
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
    tracks = []
    for member in experiment.members:
        track = Track(member.series, epochs, member.plan.updates_per_epoch(rows))
        standing = (experiment.standings or {}).get(member.series.method)
        if standing and standing.state.begun:
            state = standing.state
            track.epoch, track.updates, track.seconds = state.epoch, state.updates, state.seconds
            track.recall(standing.recorder.histories)
        tracks.append(track)
    return tracks


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
    notes = list(experiment.notes)
    names = experiment.problem.data.left_out
    if names:
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        listed = ", ".join(excerpt(name) for name in names[:NAMED])
        notes.insert(0, f"no features, for want of numbers or a name: {listed}{more}")
    for note in notes:
        progress.print(Text(f"note: {visible(note)}", style="yellow"), soft_wrap=True)


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
