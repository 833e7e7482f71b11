"""One training command from its options to its report: what `gdrun compare` does, step by step."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gdrun.config import PlotConfig, RunConfig
from gdrun.configfile import dump_config, load_config
from gdrun.display import View, headline, make_view
from gdrun.interrupts import StopRequest, stop_on_signals
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

if TYPE_CHECKING:
    from gdrun.runs import Experiment


def train_and_report(command: str, options: TrainingOptions, command_line: str) -> Status:
    """Train what a command asks for, draw it, and print what came of it.

    Results go to stdout, progress and messages to stderr.

    Raises:
        GdrunError: nothing was begun, or what was begun couldn't be written.
    """
    messages = Console(stderr=True, highlight=False)
    # The same console otherwise, so that a live view makes room for what is printed meanwhile.
    progress = Console(quiet=True) if options.quiet else messages
    config = load_config(options.config, options.set or (), options.overrides())
    planned = plan_directory(options.output_dir, options.name, command)
    if options.dry_run:
        _print_plan(command, options, config, planned)
        return "done"
    results: list[RunResult] = []
    drawn: list[Path] = []
    directory = None
    with stop_on_signals() as stop:
        try:
            with make_view(progress) as view:
                view.say("loading PyTorch")
                from gdrun import runs

                experiment = runs.prepare(command, config)
                if stop():
                    raise KeyboardInterrupt
                _note_left_out(progress, experiment)
                directory = make_directory(planned, exact=options.name is not None)
                view.begin(experiment.description, how(config), tracks_of(experiment))
                with closing(runs.execute(experiment, directory, command_line, stop)) as events:
                    for event in events:
                        if isinstance(event, RunResult):
                            results.append(event)
                        else:
                            view.update(event.series, event.segment)
                drawn.extend(_draw(results, directory, config.plot, view, messages, stop))
        except KeyboardInterrupt:
            stop.asked = True
    if directory is None:
        messages.print(Text("interrupted: nothing was begun", style="yellow"))
        return "interrupted"
    status = group_status(results, len(experiment.members))
    _print_results(options, directory, status, results, drawn, interrupted=stop())
    if not stop():
        return status
    if not options.quiet:
        messages.print(Text("interrupted: what was finished is saved", style="yellow"))
    return "interrupted"


def _print_plan(command: str, options: TrainingOptions, config: RunConfig, directory: Path) -> None:
    """What `--dry-run` shows: the config, and what it comes to."""
    from gdrun import runs

    experiment = runs.prepare(command, config)
    tracks = tracks_of(experiment)
    if options.json:
        print(to_json(plan_as_json(directory, config, tracks)), end="")
        return
    out = Console(highlight=False, soft_wrap=True)
    out.print(Text(dump_config(config)))
    out.print(headline(experiment.description, how(config)))
    _note_left_out(out, experiment)
    out.print(*(Text(line) for line in plan_lines(directory, tracks)), sep="\n")


def tracks_of(experiment: "Experiment") -> list[Track]:
    """Where each run of an experiment starts."""
    rows, epochs = experiment.problem.data.rows, experiment.config.epochs
    return [
        Track(member.series, epochs, member.plan.updates_per_epoch(rows))
        for member in experiment.members
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


def _note_left_out(progress: Console, experiment: "Experiment") -> None:
    names = experiment.problem.data.left_out
    if names:
        line = f"note: no features, for want of numbers or a name: {', '.join(names)}"
        progress.print(Text(line, style="yellow"))


def _draw(
    results: Sequence[RunResult],
    directory: Path,
    config: PlotConfig,
    view: View,
    messages: Console,
    stop: StopRequest,
) -> Iterator[Path]:
    """Draw the pictures of a command; one that fails is a warning, for the results are safe.

    What was trained until a request to stop is drawn; one that comes while drawing ends it.
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
        if stop() and not stopped_before:
            remarks["interrupted, and not every picture drawn"] = None
            break
        view.say(f"drawing {picture.path}")
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
        messages.print(Text(f"warning: {remark}", style="yellow"))


def _named(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


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
        print(to_json(content), end="")
    elif options.quiet:
        print(directory)
    else:
        out = Console(highlight=False)
        if not out.is_terminal:
            out.width = max(out.width, 120)  # a table in a file needn't be narrow
        if results:
            out.print()
            out.print(result_table(comparison, out))
            notes = result_notes(comparison, results)
            out.print(*(Text(note, style="dim") for note in notes), sep="\n")
        out.print(*(Text(line) for line in written(directory, results, drawn)), sep="\n")
