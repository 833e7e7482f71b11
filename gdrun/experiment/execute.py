"""The runs of an experiment, one after the other or side by side: progress, results, files."""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from gdrun.analysis.analyze import analyze_sweep, is_table_of, to_csv
from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.timing import DEFAULT, Timing
from gdrun.errors import DataError
from gdrun.experiment.members import MemberTask
from gdrun.experiment.memory import memory_errors
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan
from gdrun.experiment.train_run import failures_as_events, train_run
from gdrun.experiment.workers import train_side_by_side
from gdrun.results.compare import compare_results
from gdrun.results.events import COMPLETE
from gdrun.results.file_names import SWEEP
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult, group_status
from gdrun.storage.atomic import output_errors, read_plain, replacing
from gdrun.storage.run_log import ManifestWriter, run_facts, write_config

if TYPE_CHECKING:
    from gdrun.experiment.distributed.group import Group

STOP_SECONDS = 0.05  # between two questions whether to stop
# What an experiment reports: for each run its progress after every segment, then its result or
# failure; at the end of a sweep, its result.
Event = RunProgress | RunResult | Failure | SweepResult
Events = Generator[RunProgress | RunResult | Failure]


def execute(
    experiment: ExperimentPlan,
    directory: Path | None = None,
    command_line: str = "",
    stop: Callable[[], bool] = lambda: False,
    keep_rows: int | None = None,
    jobs: int = 1,
    timing: Timing = DEFAULT,
    group: "Group | None" = None,
) -> Generator[Event]:
    """Train the runs of an experiment: progress, each run's result, and the result of a sweep.

    A run of a group that fails doesn't stop the others.

    Args:
        experiment: what to train.
        directory: for everything that is written: a new one, or the one that is resumed; None
            writes nothing. The caller holds its lock.
        command_line: the command as typed, for the logs.
        stop: asked after every segment; once true, what is there is completed and nothing is begun.
        keep_rows: how many rows of each table of a run are kept in memory; None keeps all.
        jobs: how many processes train the runs of a group side by side; 1: this one alone.
        timing: how often to report, log and save.
        group: the ranks that train the runs of a group, each its own, this one as rank 0.

    Raises:
        OutputError: a file can't be written. What was written before stays.
        RankError: another rank is lost.
    """
    jobs = max(1, min(group.size if group else jobs, len(experiment.left)))
    facts = _facts(experiment, directory, command_line, jobs)
    results: list[RunResult] = []
    failures: list[Failure] = []
    with (
        output_errors(directory, "written"),
        memory_errors(),
        _group_manifest(experiment, directory, facts) or nullcontext() as manifest,
    ):
        if experiment.is_group and directory and (group or jobs > 1):
            task = MemberTask.of(experiment, directory, facts, keep_rows, timing)
            events = _among_processes(experiment, task, stop, jobs, group)
        else:
            begin = partial(_run_events, experiment, directory, facts, stop, keep_rows)
            train = _watched if timing.watch else _in_turn
            events = train(experiment, begin, stop, timing)
        with closing(events):
            for event in events:
                if isinstance(event, RunResult):
                    results.append(event)
                elif isinstance(event, Failure):
                    failures.append(event)
                yield event
        results = experiment.in_order(results)
        sweep = _sweep_result(experiment, results, facts)
        if sweep and directory:
            _write_sweep_table(sweep, directory)
        if manifest:
            _finish_group(manifest, experiment, results, failures, sweep)
        if sweep:
            yield sweep


def _among_processes(
    experiment: ExperimentPlan,
    task: MemberTask,
    stop: Callable[[], bool],
    jobs: int,
    group: "Group | None",
) -> Events:
    """The runs of a group trained by ranks, or by so many processes of this one's own."""
    if group:
        from gdrun.experiment.distributed.many_runs import train_among_ranks

        return train_among_ranks(experiment, task, stop, group)
    return train_side_by_side(task, [run.name for run in experiment.runs], stop, jobs)


def _in_turn(
    experiment: ExperimentPlan,
    begin: Callable[[Timing, RunPlan], Events],
    stop: Callable[[], bool],
    timing: Timing,
) -> Events:
    for run in experiment.runs:
        yield from begin(timing, run)
        if stop():
            break


def _watched(
    experiment: ExperimentPlan,
    begin: Callable[[Timing, RunPlan], Events],
    stop: Callable[[], bool],
    timing: Timing,
) -> Events:
    """All runs beside each other: each waits at the end of an epoch until the next one is due."""
    every_update = replace(timing, segment=0.0)
    with ExitStack() as stack:
        left = [stack.enter_context(closing(begin(every_update, run))) for run in experiment.runs]
        epochs, began = experiment.config.epochs, time.monotonic()
        due = 0
        while left:
            for events in tuple(left):
                for event in events:
                    yield event
                    if isinstance(event, RunProgress) and event.epoch >= due and not stop():
                        break
                else:
                    left.remove(events)
            due = min(due + 1, epochs)
            while (
                wait := began + timing.watch * due / epochs - time.monotonic()
            ) > 0 and not stop():
                time.sleep(min(wait, STOP_SECONDS))


def _run_events(
    experiment: ExperimentPlan,
    directory: Path | None,
    facts: Mapping[str, Any],
    stop: Callable[[], bool],
    keep_rows: int | None,
    timing: Timing,
    run: RunPlan,
) -> Events:
    """What one of the runs reports; in a group, its failure doesn't stop the others."""
    place = experiment.directory_of(run, directory) if directory else None
    events = train_run(experiment, run, place, facts, stop, keep_rows, timing)
    yield from failures_as_events(run.name, events) if experiment.is_group else events


def _facts(
    experiment: ExperimentPlan, directory: Path | None, command_line: str, jobs: int
) -> dict[str, Any]:
    """What the `run.json` of all runs, and of their group, say of the command and the machine."""
    facts: dict[str, Any] = {}
    if directory:
        threads, data = torch.get_num_threads(), experiment.problem.data
        facts = run_facts(
            command_line,
            experiment.description,
            threads,
            data.fingerprint,
            ranks=experiment.ranks.size,
        )
    if experiment.is_group:
        facts["jobs"] = max(jobs, experiment.manifest.jobs if experiment.manifest else 1)
        facts["seconds_an_update_alone"] = experiment.seconds_per_update
    if experiment.command == "sweep":
        facts["batch_sizes"] = experiment.batch_sizes
    return facts


def _sweep_result(
    experiment: ExperimentPlan, results: Sequence[RunResult], facts: Mapping[str, Any]
) -> SweepResult | None:
    """The result of a sweep; None of what isn't one, or has trained nothing."""
    if experiment.command != "sweep":
        return None
    pace, sizes = experiment.seconds_per_update, experiment.batch_sizes
    return analyze_sweep(experiment.config, results, pace, facts["jobs"], sizes)


def _write_sweep_table(sweep: SweepResult, directory: Path) -> None:
    """Write `sweep.csv` unless it says the same already: it may have been edited or removed."""
    path = directory / SWEEP
    table = to_csv(sweep)
    with suppress(OSError, ValueError, DataError):  # a far larger one says something else
        if is_table_of(sweep, read_plain(path, 2 * len(table)).decode()):
            return
    with replacing(path) as partial:
        partial.write_text(table, encoding="utf-8")


def _group_manifest(
    experiment: ExperimentPlan, directory: Path | None, facts: Mapping[str, Any]
) -> ManifestWriter | None:
    """The `run.json` of a group; it holds the config, which no run may have yet.

    None where there is no group, or nothing in it left to do.
    """
    if directory is None or not experiment.is_group:
        return None
    saved, config = experiment.manifest, experiment.config.model_dump(mode="json")
    # Though nothing is left to train: another target gives another result, and a process that
    # was killed may not have written how the group ended.
    if saved and saved.status in COMPLETE and saved.config == config and not experiment.left:
        return None
    write_config(directory, experiment.command, experiment.config)
    about = {"kind": "group", "experiment": experiment.command, "config": config}
    return ManifestWriter(directory, {**facts, **about}, saved)


def _finish_group(
    manifest: ManifestWriter,
    experiment: ExperimentPlan,
    results: Sequence[RunResult],
    failures: Sequence[Failure],
    sweep: SweepResult | None,
) -> None:
    """Write how the runs of a group ended, and what they say together."""
    found = {"answer": sweep.summary()} if sweep else {}
    if not sweep:
        found["comparison"] = asdict(compare_results(results, experiment.config.sweep.target))
    manifest.finish(
        group_status(results, len(experiment.runs), failures),
        members=[result.series.name for result in results],
        failures=[asdict(failure) for failure in failures],
        **found,
    )
