"""What a command is about to do, in words: its plan, how long it will take, and what is odd."""

from typing import TYPE_CHECKING

from rich.text import Text

from gdrun.cli.options import SweepOptions, TrainingOptions
from gdrun.cli.request import make_request
from gdrun.config.read import dump_config
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError, excerpt
from gdrun.results.history import KEPT_ROWS
from gdrun.results.progress import RunProgress
from gdrun.storage.lock import is_locked
from gdrun.storage.manifest import root_of
from gdrun.storage.run_dir import to_json
from gdrun.terminal.console import console, write
from gdrun.terminal.live import headline
from gdrun.terminal.tables import plan_as_json, plan_lines
from gdrun.text import count, duration, rates_in_words, visible

if TYPE_CHECKING:
    from gdrun.experiment.plan import ExperimentPlan

NAMED = 20  # columns left out that are listed


def print_plan(command: str, options: TrainingOptions) -> None:
    """What `--dry-run` shows: the config, and what it comes to.

    Raises:
        GdrunError: the request or the data is wrong.
    """
    request = make_request(command, options)
    from gdrun.experiment import execute
    from gdrun.experiment.plan import prepare

    experiment = prepare(command, request.config)
    if request.resumes:
        if is_locked(root_of(request.directory)):
            raise ConfigError(f"{request.directory}: another process is training it")
        experiment = execute.take_up(experiment, request.directory, KEPT_ROWS)
    tracks = tracks_of(experiment)
    seconds = forecast(experiment, options)
    if options.json:
        write(to_json(plan_as_json(request.directory, request.config, tracks, seconds)))
        return
    out = console(soft_wrap=True)
    out.print(Text("\n".join(visible(line) for line in dump_config(request.config).split("\n"))))
    out.print(headline(experiment.description, how(experiment)))
    for note in oddities(experiment):
        out.print(note)
    from gdrun.experiment.backends import choices, in_words

    out.print(*(Text(line, style="dim") for line in in_words(choices(experiment))), sep="\n")
    out.print(*(Text(visible(line)) for line in plan_lines(request.directory, tracks)), sep="\n")
    if seconds is not None:
        out.print(extent(experiment, seconds, jobs_of(options)))


def jobs_of(options: TrainingOptions) -> int:
    """How many runs are trained side by side."""
    return options.jobs if isinstance(options, SweepOptions) else 1


def forecast(experiment: "ExperimentPlan", options: TrainingOptions) -> float | None:
    """About how many seconds a sweep takes; None for what isn't one."""
    if experiment.command != "sweep":
        return None
    from gdrun.experiment.backends import as_far_as_built
    from gdrun.experiment.estimate import estimate_seconds

    settled, more = as_far_as_built(experiment)
    return max(0.0, estimate_seconds(settled, jobs_of(options)) + more)


def extent(experiment: "ExperimentPlan", seconds: float, jobs: int) -> Text:
    """How much there is to train, and how long that will take."""
    names = {member.series.name for member in experiment.left}
    tracks = [track for track in tracks_of(experiment) if track.series.name in names]
    left = sum(track.total - track.updates for track in tracks)
    if not left:
        return Text("nothing is left to train")
    lanes = experiment.members[0].series.lanes
    lrs = len(experiment.members[0].series.lrs)
    jobs = min(jobs, len(tracks))
    side = f", {jobs} at a time" if jobs > 1 else ""
    return Text(
        f"{count(len(tracks), 'run')} of {count(len(lanes), 'lane')} "
        f"({count(lrs, 'learning rate')} × {count(len(lanes) // lrs, 'seed')}), "
        f"{count(left, 'update')}{side}: about {duration(seconds)}"
    )


def tracks_of(experiment: "ExperimentPlan") -> list[RunProgress]:
    """Where each run of an experiment starts."""
    from gdrun.experiment.train_run import track_of

    standings = experiment.standings or {}
    return [
        track_of(experiment, member, standings.get(member.series.name))
        for member in experiment.members
    ]


def how(experiment: "ExperimentPlan") -> str:
    """How the descent goes, in a few words."""
    config: RunConfig = experiment.members[0].config  # that of the others but for the batch size
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


def oddities(experiment: "ExperimentPlan") -> list[Text]:
    """What is odd about the data, and about a run that is gone on with."""
    notes = list(experiment.notes)
    names = experiment.problem.data.left_out
    if names:
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        listed = ", ".join(excerpt(name) for name in names[:NAMED])
        notes.insert(0, f"no features, for want of numbers or a name: {listed}{more}")
    return [Text(f"note: {visible(note)}", style="yellow") for note in notes]
