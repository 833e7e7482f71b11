"""Wiring: an experiment → its runs and their files → results."""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from gdrun.analysis.analyze import analyze, is_table_of, to_csv
from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.schema import Engine
from gdrun.experiment.backends import with_engines
from gdrun.experiment.guards import memory_errors
from gdrun.experiment.plan import ExperimentPlan
from gdrun.experiment.resume import ResumeState
from gdrun.experiment.train_run import Event, begin, contained, left_in, train_member
from gdrun.experiment.workers import side_by_side
from gdrun.results.compare import compare_results
from gdrun.results.file_names import SWEEP
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult, group_status
from gdrun.storage.atomic import output_errors, read_plain, replacing
from gdrun.storage.manifest import read_manifest, refuse_at_work, root_of
from gdrun.storage.run_dir import Manifest, machine_facts, run_facts
from gdrun.storage.run_log import write_config


def take_up(experiment: ExperimentPlan, directory: Path, keep: int | None = None) -> ExperimentPlan:
    """The experiment from where an earlier process left it in a directory; nothing is changed yet.

    `keep` as in `execute`. The caller holds the directory's lock.

    Raises:
        ConfigError, DataError: what is there can't be gone on with.
        OutputError: a file can't be read.
    """
    standings, engines = {}, {}
    with output_errors(directory, "read"), memory_errors():
        saved = read_manifest(directory)
        for member in experiment.members:
            place = experiment.place(member, directory)
            if place != root_of(directory):  # the lock that the caller holds
                refuse_at_work(place)
            standing = left_in(experiment, member, place, keep)
            if standing:
                standings[member.series.name] = standing
                engines[member.series.name] = _engine_of(standing, member.config.engine)
    notes = [note for standing in standings.values() for note in standing.notes]
    elsewhere = _elsewhere(saved, machine_facts(experiment.description, torch.get_num_threads()))
    if elsewhere:
        notes.append(
            f"went on with {elsewhere}: last digits may differ from those of a run never stopped"
        )
    experiment = with_engines(experiment, engines)
    return replace(experiment, saved=saved, standings=standings, notes=tuple(notes))


def _engine_of(standing: ResumeState, asked: Engine) -> Engine:
    """What a run is gone on with: what it was begun with, unless another is asked for."""
    if asked != "auto":
        return asked
    config = (standing.manifest or {}).get("config")
    compiled = isinstance(config, dict) and config.get("engine") == "compiled"
    return "compiled" if compiled else "eager"


def _elsewhere(saved: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What of the machine and its software is not what a run was begun with."""
    pairs = [(name, saved.get(name), here[name]) for name in ("device", "threads")]
    versions = saved.get("versions")
    before = versions.get("torch") if isinstance(versions, dict) else None
    pairs.append(("PyTorch", before, here["versions"]["torch"]))
    return ", ".join(f"{name} {new}, not {old}" for name, old, new in pairs if old != new)


def execute(
    experiment: ExperimentPlan,
    directory: Path | None = None,
    command_line: str = "",
    stop: Callable[[], bool] = lambda: False,
    keep: int | None = None,
    jobs: int = 1,
) -> Generator[Event | RunProgress | SweepResult]:
    """Train the runs of an experiment: progress, each run's result, and the answer of a sweep.

    One run of a group that fails doesn't stop the others.

    Args:
        experiment: what to do.
        directory: for everything that is written: a new one, or that which the experiment was
            taken up from; None writes nothing. The caller holds its lock.
        command_line: the command as typed, for the logs.
        stop: asked after every segment; once true, what is there is completed and nothing is begun.
        keep: how many rows of each table are kept in memory of a lane; None keeps all.
        jobs: how many processes train the runs of a group side by side; 1: this one alone.

    Raises:
        OutputError: a file can't be written. What was written before stays.
    """
    jobs = max(1, min(jobs, len(experiment.left)))
    facts: dict[str, Any] = {}
    if directory:
        threads, data = torch.get_num_threads(), experiment.problem.data
        facts = run_facts(command_line, experiment.description, threads, data.fingerprint)
    if experiment.is_group:
        facts["jobs"] = max(jobs, (experiment.saved or {}).get("jobs", 1))
        facts["seconds_an_update_alone"] = experiment.pace
    if experiment.command == "sweep":
        facts["batch_sizes"] = experiment.batch_sizes
    results: list[RunResult] = []
    failures: list[Failure] = []
    with (
        output_errors(directory, "written"),
        memory_errors(),
        _group_manifest(experiment, directory, facts) or nullcontext() as manifest,
    ):
        if jobs > 1 and directory and experiment.is_group:
            events: Generator[Event | RunProgress] = side_by_side(
                experiment, directory, facts, stop, keep, jobs
            )
        else:
            events = _in_turn(experiment, directory, facts, stop, keep)
        with closing(events):
            for event in events:
                if isinstance(event, RunResult):
                    results.append(event)
                elif isinstance(event, Failure):
                    failures.append(event)
                yield event
        results = experiment.in_order(results)
        answer = None
        if experiment.command == "sweep":
            target = experiment.config.sweep.target
            pace, sizes = experiment.pace, experiment.batch_sizes
            answer = analyze(results, target, pace, facts["jobs"], sizes)
        if answer and directory:
            _write_table(answer, directory)
        if manifest:
            _finish_group(manifest, experiment, results, failures, answer)
        if answer:
            yield answer


def _in_turn(
    experiment: ExperimentPlan,
    directory: Path | None,
    facts: Mapping[str, Any],
    stop: Callable[[], bool],
    keep: int | None,
) -> Generator[Event]:
    for member in experiment.members:
        standing = (experiment.standings or {}).get(member.series.name)
        standing = standing or begin(experiment, member, keep)
        place = experiment.place(member, directory) if directory else None
        events = train_member(experiment, member, standing, place, facts, stop)
        yield from contained(member.series.name, events) if experiment.is_group else events
        if stop():
            break


def _write_table(answer: SweepResult, directory: Path) -> None:
    """Write `sweep.csv` unless it says the same already: it may have been edited or removed."""
    path = directory / SWEEP
    with suppress(OSError, ValueError):
        if is_table_of(answer, read_plain(path).decode()):
            return
    with replacing(path) as partial:
        partial.write_text(to_csv(answer), encoding="utf-8")


def _finish_group(
    manifest: Manifest,
    experiment: ExperimentPlan,
    results: Sequence[RunResult],
    failures: Sequence[Failure],
    answer: SweepResult | None,
) -> None:
    """Write what the runs of a group came to together."""
    found: dict[str, Any]
    if answer:
        found = {"answer": answer.summary()}
    else:
        found = {"comparison": asdict(compare_results(results))}
    manifest.finish(
        group_status(results, len(experiment.members), failures),
        members=[result.series.name for result in results],
        failures=[asdict(failure) for failure in failures],
        **found,
    )


def _group_manifest(
    experiment: ExperimentPlan, directory: Path | None, facts: Mapping[str, Any]
) -> Manifest | None:
    """The `run.json` of a group; it holds the config, which no run may have yet.

    None where there is no group, or nothing in it left to do.
    """
    if directory is None or not experiment.is_group:
        return None
    saved, config = experiment.saved, experiment.config.model_dump(mode="json")
    # Another target is another answer, though there is nothing left to train.
    if saved and not experiment.left and saved.get("config") == config:
        return None
    write_config(directory, experiment.command, experiment.config)
    about = {"kind": "group", "experiment": experiment.command, "config": config}
    return Manifest(directory, {**facts, **about}, saved)
