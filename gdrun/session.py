"""One training command from its options to its report: what `gdrun compare` does, step by step."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gdrun.config import PlotConfig, RunConfig
from gdrun.configfile import dump_config, load_config
from gdrun.display import View, headline, make_view
from gdrun.options import TrainingOptions
from gdrun.progress import Track
from gdrun.records import Status
from gdrun.report import result_notes, result_table, results_as_json, written
from gdrun.results import RunResult, compare_results, overall_status
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
    progress = Console(stderr=True, highlight=False, quiet=options.quiet)
    config = load_config(options.config, options.set or (), options.overrides())
    planned = plan_directory(options.output_dir, options.name, command)
    if options.dry_run:
        _print_plan(command, config, planned)
        return "done"
    with make_view(progress) as view:
        view.say("loading PyTorch")
        from gdrun import runs

        experiment = runs.prepare(command, config)
        _note_left_out(progress, experiment)
        directory = make_directory(planned, exact=options.name is not None)
        view.begin(experiment.description, _how(config), _tracks(experiment))
        results: list[RunResult] = []
        with (
            runs.stop_on_signals() as stop,
            closing(runs.execute(experiment, directory, command_line, stop)) as events,
        ):
            for event in events:
                if isinstance(event, RunResult):
                    results.append(event)
                else:
                    view.update(event.series, event.segment)
        complete = len(results) == len(experiment.members)
        statuses: list[Status] = [result.status for result in results]
        status = overall_status(statuses) if complete else "interrupted"
        drawn: list[Path] = []
        try:
            drawn.extend(_draw(results, directory, config.plot, view, messages))
        except KeyboardInterrupt:
            messages.print(Text("not every picture was drawn", style="yellow"))
            status = "interrupted"
    _print_results(options, directory, status, results, drawn)
    if status == "interrupted" and not options.quiet:
        messages.print(Text("interrupted: what was finished is saved", style="yellow"))
    return status


def _print_plan(command: str, config: RunConfig, directory: Path) -> None:
    """What `--dry-run` shows: the config, and what it comes to."""
    from gdrun import runs

    experiment = runs.prepare(command, config)
    out = Console(highlight=False, soft_wrap=True)
    out.print(Text(dump_config(config)))
    out.print(headline(experiment.description, _how(config)))
    for track in _tracks(experiment):
        lanes = len(track.series.lanes)
        out.print(
            Text(
                f"{track.series.method}: batch size {track.series.batch_size:,}, "
                f"{lanes:,} lane{'s' if lanes > 1 else ''}, "
                f"{track.updates_per_epoch:,} update{'s' if track.updates_per_epoch > 1 else ''} "
                f"an epoch, {track.total:,} in all"
            )
        )
    out.print(Text(f"would be written to {directory}"))


def _tracks(experiment: "Experiment") -> list[Track]:
    rows, epochs = experiment.problem.data.rows, experiment.config.epochs
    return [
        Track(member.series, epochs, member.plan.updates_per_epoch(rows))
        for member in experiment.members
    ]


def _how(config: RunConfig) -> str:
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
        verb = "is no number" if len(names) == 1 else "are no numbers"
        progress.print(Text(f"note: left out, since it {verb}: {', '.join(names)}", style="yellow"))


def _draw(
    results: Sequence[RunResult],
    directory: Path,
    config: PlotConfig,
    view: View,
    messages: Console,
) -> Iterator[Path]:
    """Draw the pictures of a command; one that fails is a warning, for the results are safe."""
    if not (config.enabled and results):
        return
    try:
        view.say("loading matplotlib")
        from gdrun.plots import pictures

        planned = pictures(results, directory, config)
    except Exception as error:
        _warn(messages, "no picture was drawn", error)
        return
    for picture in planned:
        view.say(f"drawing {picture.path}")
        try:
            picture.save(config.dpi)
        except Exception as error:
            _warn(messages, f"{picture.path} was not drawn", error)
        else:
            yield picture.path


def _warn(messages: Console, what: str, error: Exception) -> None:
    messages.print(Text(f"warning: {what}: {type(error).__name__}: {error}", style="yellow"))


def _print_results(
    options: TrainingOptions,
    directory: Path,
    status: Status,
    results: Sequence[RunResult],
    drawn: Sequence[Path],
) -> None:
    comparison = compare_results(results)
    if options.json:
        print(to_json(results_as_json(directory, status, comparison, results, drawn)), end="")
    elif options.quiet:
        print(directory)
    else:
        out = Console(highlight=False)
        if not out.is_terminal:
            out.width = max(out.width, 120)  # a table in a file shouldn't be cut
        if results:
            out.print()
            out.print(result_table(comparison))
            out.print(*(Text(note, style="dim") for note in result_notes(comparison)), sep="\n")
        out.print(*(Text(line) for line in written(directory, results, drawn)), sep="\n")
