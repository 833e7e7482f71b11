"""What a command is about to do, in words: its plan, how long it will take, notes on its data."""

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from gdrun.cli.group_options import CompareOptions, SweepOptions
from gdrun.cli.options import TrainingOptions
from gdrun.cli.request import make_request
from gdrun.config.parts.schedule import schedule_in_words
from gdrun.config.read import dump_config
from gdrun.config.schema import RunConfig
from gdrun.errors import ConfigError
from gdrun.results.events import Series
from gdrun.results.progress import RunProgress
from gdrun.results.rows.history import KEPT_ROWS
from gdrun.storage.run_dir import free_bytes, is_locked, root_of
from gdrun.terminal.as_json import plan_as_json
from gdrun.terminal.console import console, write_json
from gdrun.terminal.progress_table import headline
from gdrun.terminal.tables import plan_lines
from gdrun.text import count, duration, listed, percent, rates_in_words, size, visible

if TYPE_CHECKING:
    from gdrun.experiment.distributed.group import Group
    from gdrun.experiment.distributed.processes import Processes
    from gdrun.experiment.plan.runs import ExperimentPlan
    from gdrun.experiment.prepare import PreparedCommand

LARGE_LOGS = 10**8  # bytes that are spoken of before they are written
START_SECONDS = 0.3  # of a process, before a command begins


def preview(command: str, options: TrainingOptions, group: "Group | None" = None) -> None:
    """Print what `--dry-run` shows: the config, and what would be done with it.

    Raises:
        GdrunError: the request or the data is wrong.
    """
    began = time.monotonic()
    request = make_request(command, options)
    if request.resumes and is_locked(root_of(request.directory)):
        raise ConfigError(f"{request.directory}: another process is training it")
    from gdrun.experiment.prepare import prepare_command

    jobs = jobs_of(options, group)
    prepared = prepare_command(
        command,
        request.config,
        resume=request.directory if request.resumes else None,
        keep_rows=KEPT_ROWS,
        processes=processes_of(options, group),
        preview=True,
        watch=watched_for(options),
    )
    experiment = prepared.experiment
    config = request.config.model_copy(update={"batch_size": experiment.config.batch_size})
    runs = progress_of_runs(experiment)
    if options.json:
        logs, parts = sum(_bytes_to_log(experiment)), _seconds_of(prepared, began)
        plan = plan_as_json(request.directory, config, runs, parts, logs)
        write_json(plan)
        return
    out = console(soft_wrap=True)
    out.print(Text("\n".join(visible(line) for line in dump_config(config).split("\n"))))
    out.print(headline(experiment.description, how(experiment)))
    for note in notes_of(prepared, request.directory, jobs):
        out.print(note)
    out.print(*(Text(visible(line)) for line in plan_lines(request.directory, runs)), sep="\n")
    out.print(Text(f"logs: about {size(sum(_bytes_to_log(experiment)))}"))
    if of_weights := _bytes_of_weights(experiment):
        out.print(Text(f"weights at the ends of epochs: {size(of_weights)}"))
    for line in _evaluations_within(experiment):
        out.print(line)
    if problem := _costly_probes(prepared):
        out.print(*(Text(f"note: {line}", style="yellow") for line in problem), sep="\n")
    for line in extent(prepared, began, jobs):
        out.print(line)


def processes_of(options: TrainingOptions, group: "Group | None" = None) -> "Processes":
    """The processes that train what is requested.

    Raises:
        ConfigError: they would be started by this one and by a launcher.
    """
    from gdrun.experiment.distributed.processes import Processes

    jobs = jobs_of(options, group)
    return Processes(jobs, group.local_size, group.ranks) if group else Processes(jobs, jobs)


def jobs_of(options: TrainingOptions, group: "Group | None" = None) -> int:
    """How many runs are trained side by side: by processes of this one's own, or by ranks.

    Raises:
        ConfigError: it would be both.
    """
    jobs = options.jobs if isinstance(options, SweepOptions) else 1
    if group and jobs > 1:
        raise ConfigError(
            f"-j {jobs}: the launcher has started {group.size} processes already, and each trains "
            "a run at a time",
            "leave out -j; torchrun --nproc-per-node says how many there are on a machine",
        )
    if group and watched_for(options):
        raise ConfigError(
            "--watch: one process trains all runs beside each other for those who watch it",
            "leave it out, or start gdrun without torchrun",
        )
    if group and isinstance(options, SweepOptions | CompareOptions):
        return group.size
    return jobs


def watched_for(options: TrainingOptions) -> float:
    """The seconds that training is to take for those who watch it; 0 without such."""
    return getattr(options, "watch", None) or 0.0


def extent(prepared: "PreparedCommand", began: float, jobs: int) -> Iterator[Text]:
    """How much there is to train and how long it takes; nothing of what isn't estimated.

    Args:
        prepared: the command.
        began: when the command began, as `time.monotonic` says it.
        jobs: how many runs are trained side by side.
    """
    estimate, experiment = prepared.estimate, prepared.experiment
    if estimate is None:
        return
    runs = _progress_of_runs_left(experiment)
    left = sum(progress.total - progress.updates for progress in runs)
    if not left:
        yield Text("nothing is left to train")
        return
    grids = dict.fromkeys(_lanes_of(run.series) for run in experiment.runs)
    if estimate.probe:
        yield _probes(experiment, estimate.probe)
    at_a_time = min(jobs, len(runs))
    side_by_side = f", {at_a_time} at a time" if at_a_time > 1 else ""
    parts = _seconds_of(prepared, began)
    total = sum(parts.values())
    words = [f"{name} {duration(part)}" for name, part in parts.items() if part >= 0.05 * total]
    yield Text(
        f"{count(len(runs), 'run')} of {' or '.join(grids)}, "
        f"{count(left, 'update')}{side_by_side}: about {duration(total)}"
        + (f" ({', '.join(words)})" if len(words) > 1 else "")
    )
    if prepared.is_ranked:  # what they share, nobody here knows
        return
    for note in jobs_notes(jobs, len(runs), os.cpu_count() or 1):
        yield Text(f"note: {note}", style="yellow")
    if at_a_time > 1 and estimate.train >= estimate.in_turn:
        yield Text(
            f"note: -j {jobs} doesn't pay: training takes about {duration(estimate.train)}, and "
            f"{duration(estimate.in_turn)} one run at a time: processes take time to start, and "
            "share the processors",
            style="yellow",
        )


def _probes(experiment: "ExperimentPlan", seconds: float) -> Text:
    """What probes measure, how often, and about how long that takes."""
    moments = {run.count_probes(): None for run in experiment.left}
    times = " or ".join(f"{number:,}" for number in moments)
    return Text(
        f"probes: {listed(experiment.config.probes)} of every lane, {times} times, every "
        f"{count(experiment.config.probe_every, 'epoch')}: about {duration(seconds)}"
    )


def _costly_probes(prepared: "PreparedCommand") -> list[str]:
    """What will be refused of the probes, and how they can be had."""
    from gdrun.experiment.cost.refusal import refuse_costly_probes

    if prepared.estimate:
        try:
            refuse_costly_probes(prepared.experiment, prepared.estimate)
        except ConfigError as error:
            return [*error.problems, *error.hints]
    return []


def _lanes_of(series: Series) -> str:
    lanes, lrs = len(series.lanes), len(series.lrs)
    seeds = count(lanes // lrs, "seed")
    return f"{count(lanes, 'lane')} ({count(lrs, 'learning rate')} × {seeds})"


def jobs_notes(jobs: int, runs: int, cores: int) -> Iterator[str]:
    """What to know of more processes than there are runs to train, or cores to train them on."""
    if jobs > runs:
        yield f"-j {jobs}: there {_are(runs, 'run')} to train, so that -j {runs} does the same"
    processes = min(jobs, runs)
    if processes > max(1, cores):
        yield f"-j {jobs}: there {_are(cores, 'core')}, which {processes} processes share"


def _are(number: int, noun: str) -> str:
    return f"{'is' if number == 1 else 'are'} {count(number, noun)}"


def _seconds_of(prepared: "PreparedCommand", began: float) -> dict[str, float]:
    """About how many seconds the parts of a command take, from its start to its end."""
    estimate = prepared.estimate
    if estimate is None:
        return {}
    return {
        "start": START_SECONDS + time.monotonic() - began,
        "prepare": estimate.prepare,
        "train": estimate.train,
        **({"probe": estimate.probe} if estimate.probe else {}),
        "draw": estimate.draw,
    }


def progress_of_runs(experiment: "ExperimentPlan") -> list[RunProgress]:
    """How far each run of an experiment is before it starts, or is resumed."""
    from gdrun.experiment.train_run import progress_of

    return [progress_of(experiment, run) for run in experiment.runs]


def _progress_of_runs_left(experiment: "ExperimentPlan") -> list[RunProgress]:
    names = {run.name for run in experiment.left}
    return [each for each in progress_of_runs(experiment) if each.series.name in names]


def how(experiment: "ExperimentPlan") -> str:
    """How the training goes, in a few words."""
    config: RunConfig = experiment.runs[0].config  # that of the others but for the batch size
    optimizers = {run.config.rule: run.config for run in experiment.runs}
    schedule = schedule_in_words(config.schedule)
    rates = [
        f"{f'{name}: ' if len(optimizers) > 1 else ''}{rates_in_words(own.lr, schedule)}"
        for name, own in optimizers.items()
    ]
    parts = [*rates, config.sampling]
    last = config.seed + config.seeds - 1
    parts.append(f"seed {config.seed}" if config.seeds == 1 else f"seeds {config.seed} to {last}")
    if len(config.lr) > 1:
        parts.append("best rate")
    if config.seeds > 1:
        parts.append(f"median of {config.seeds} seeds")
    return " · ".join(parts)


def notes_of(prepared: "PreparedCommand", directory: Path, jobs: int) -> list[Text]:
    """What the user should know before the training begins."""
    notes = [*_data_notes(prepared.experiment), *_log_notes(prepared, directory, jobs)]
    chosen = (line for line in (prepared.device, prepared.engine) if line)
    return [*notes, *(Text(visible(line), style="dim") for line in chosen)]


def _data_notes(experiment: "ExperimentPlan") -> list[Text]:
    """What the user should know about the data, and about a run that is resumed."""
    notes = (*experiment.problem.data.notes, *experiment.notes)
    return [Text(f"note: {visible(note)}", style="yellow") for note in notes]


def _log_notes(prepared: "PreparedCommand", directory: Path, jobs: int) -> list[Text]:
    """What the user should know about logs that will be large, or larger than the disk."""
    from gdrun.experiment.cost.estimate import estimate

    experiment = prepared.experiment
    of_losses, of_steps = _bytes_to_log(experiment)
    of_weights = _bytes_of_weights(experiment)
    total, free = of_losses + of_steps + of_weights, free_bytes(directory)
    if total < LARGE_LOGS and (free is None or total <= free):
        return []
    seconds = max(1e-3, (prepared.estimate or estimate(experiment, jobs)).train)
    words = f"the logs will take about {size(total)}, {size(total / seconds)} a second or more"
    if free is not None:
        words += f", and the disk has {size(free)} left"
    every = max(run.config.logged_every for run in experiment.runs)
    fewer = every * 10 ** math.ceil(math.log10(max(10.0, of_steps / LARGE_LOGS)))
    remedy = f"--set log_every={fewer} logs every {fewer:,}th update"
    if of_losses > of_steps:
        remedy = "most of that is a row for each lane and epoch: fewer epochs take less"
    if of_weights > max(of_losses, of_steps):
        remedy = "most of that is the weights that are kept: trajectory: false keeps none"
    return [Text(f"note: {words}; {remedy}", style="yellow")]


def _bytes_to_log(experiment: "ExperimentPlan") -> tuple[int, int]:
    """About how much is left to add to all files of losses, and to all `steps.csv`."""
    from gdrun.experiment.cost.estimate import log_bytes_after

    runs = {run.name: run for run in experiment.runs}
    found = [
        log_bytes_after(runs[progress.series.name], progress.epoch, progress.updates)
        for progress in _progress_of_runs_left(experiment)
    ]
    return sum(losses for losses, _ in found), sum(steps for _, steps in found)


def _bytes_of_weights(experiment: "ExperimentPlan") -> int:
    """How much the weights at the ends of epochs take, of all runs that are left and keep them."""
    from gdrun.experiment.landscape.layout import layout_for

    return sum(
        layout_for(run.plan.epochs, len(run.plan.lanes), run.problem.model.parameters).bytes_of(
            run.plan.epochs
        )
        for run in experiment.left
        if run.config.trajectory
    )


def _evaluations_within(experiment: "ExperimentPlan") -> Iterator[Text]:
    """How often the train loss is evaluated within epochs, and how long that takes."""
    from gdrun.experiment.cost.formulas import machine_pace, seconds_within

    rows, pace = experiment.problem.data.rows, machine_pace()
    times, seconds, growths = 0, 0.0, set()
    for run in experiment.left:
        after = run.resumed.state.updates if run.resumed else 0
        if number := run.plan.count_within(rows, after):
            times += number
            seconds += pace * seconds_within(run.problem, run.plan, after)
            growths.add(percent(run.plan.eval_growth))
    if times:
        yield Text(
            f"train loss within epochs: evaluated {count(times, 'time')}, as updates grow by "
            f"{' or '.join(sorted(growths))}: about {duration(seconds)}"
        )
