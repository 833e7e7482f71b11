"""What a command is about to do, in words: its plan, how long it will take, notes on its data."""

from typing import TYPE_CHECKING

from rich.text import Text

from gdrun.cli.options import SweepOptions, TrainingOptions
from gdrun.cli.request import make_request
from gdrun.config.read import dump_config
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError, excerpt
from gdrun.results.history import KEPT_ROWS
from gdrun.results.progress import RunProgress
from gdrun.storage.run_dir import is_locked, root_of
from gdrun.terminal.as_json import plan_as_json
from gdrun.terminal.console import console, write_json
from gdrun.terminal.progress_table import headline
from gdrun.terminal.tables import plan_lines
from gdrun.text import count, duration, rates_in_words, visible

if TYPE_CHECKING:
    from gdrun.experiment.plan import ExperimentPlan

MAX_COLUMNS = 20  # columns left out that are listed


def preview(command: str, options: TrainingOptions) -> None:
    """Print what `--dry-run` shows: the config, and what would be done with it.

    Raises:
        GdrunError: the request or the data is wrong.
    """
    request = make_request(command, options)
    if request.resumes and is_locked(root_of(request.directory)):
        raise ConfigError(f"{request.directory}: another process is training it")
    from gdrun.experiment.prepare import prepare_command

    prepared = prepare_command(
        command,
        request.config,
        resume=request.directory if request.resumes else None,
        keep_rows=KEPT_ROWS,
        jobs=jobs_of(options),
        preview=True,
    )
    experiment = prepared.experiment
    runs = progress_of_runs(experiment)
    if options.json:
        plan = plan_as_json(request.directory, request.config, runs, prepared.estimated_seconds)
        write_json(plan)
        return
    out = console(soft_wrap=True)
    out.print(Text("\n".join(visible(line) for line in dump_config(request.config).split("\n"))))
    out.print(headline(experiment.description, how(experiment)))
    for note in data_notes(experiment):
        out.print(note)
    if prepared.engine:
        out.print(Text(visible(prepared.engine), style="dim"))
    out.print(*(Text(visible(line)) for line in plan_lines(request.directory, runs)), sep="\n")
    if prepared.estimated_seconds is not None:
        out.print(extent(experiment, prepared.estimated_seconds, jobs_of(options)))


def jobs_of(options: TrainingOptions) -> int:
    """How many runs are trained side by side."""
    return options.jobs if isinstance(options, SweepOptions) else 1


def extent(experiment: "ExperimentPlan", seconds: float, jobs: int) -> Text:
    """How much there is to train, and how long that will take."""
    names = {run.name for run in experiment.left}
    runs = [each for each in progress_of_runs(experiment) if each.series.name in names]
    left = sum(progress.total - progress.updates for progress in runs)
    if not left:
        return Text("nothing is left to train")
    series = experiment.runs[0].series
    lanes, lrs = len(series.lanes), len(series.lrs)
    at_a_time = min(jobs, len(runs))
    side_by_side = f", {at_a_time} at a time" if at_a_time > 1 else ""
    return Text(
        f"{count(len(runs), 'run')} of {count(lanes, 'lane')} "
        f"({count(lrs, 'learning rate')} × {count(lanes // lrs, 'seed')}), "
        f"{count(left, 'update')}{side_by_side}: about {duration(seconds)}"
    )


def progress_of_runs(experiment: "ExperimentPlan") -> list[RunProgress]:
    """How far each run of an experiment is before it starts, or is resumed."""
    from gdrun.experiment.train_run import progress_of

    return [progress_of(experiment, run) for run in experiment.runs]


def how(experiment: "ExperimentPlan") -> str:
    """How the training goes, in a few words."""
    config: RunConfig = experiment.runs[0].config  # that of the others but for the batch size
    parts = [rates_in_words(config.lr), config.sampling]
    if config.momentum:
        parts.append(f"{'Nesterov ' if config.nesterov else ''}momentum {config.momentum:g}")
    if config.weight_decay:
        parts.append(f"weight decay {config.weight_decay:g}")
    last = config.seed + config.seeds - 1
    parts.append(f"seed {config.seed}" if config.seeds == 1 else f"seeds {config.seed} to {last}")
    if len(config.lr) > 1:
        parts.append("best rate")
    if config.seeds > 1:
        parts.append(f"median of {config.seeds} seeds")
    return " · ".join(parts)


def data_notes(experiment: "ExperimentPlan") -> list[Text]:
    """What the user should know about the data, and about a run that is resumed."""
    notes = list(experiment.notes)
    names = experiment.problem.data.left_out
    if names:
        more = f" and {len(names) - MAX_COLUMNS:,} more" if len(names) > MAX_COLUMNS else ""
        listed = ", ".join(excerpt(name) for name in names[:MAX_COLUMNS])
        notes.insert(0, f"columns left out (not numeric, or without a name): {listed}{more}")
    return [Text(f"note: {visible(note)}", style="yellow") for note in notes]
