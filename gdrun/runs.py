"""Wiring: an experiment → its runs and their files → results."""

from collections.abc import Callable, Generator, Mapping
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from gdrun.checkpoint import CHECKPOINT, PREVIOUS
from gdrun.errors import DataError, OutputError
from gdrun.experiment import Experiment
from gdrun.files import output_errors
from gdrun.guards import memory_errors
from gdrun.history import Recorder
from gdrun.member import Progress, train_member
from gdrun.results import RunResult, compare_results, group_status
from gdrun.rundir import MANIFEST, Manifest, machine_facts, run_facts
from gdrun.runlog import EPOCHS, STEPS
from gdrun.saved import read_manifest
from gdrun.standing import at_start, where_left


def take_up(experiment: Experiment, directory: Path, keep: int | None = None) -> Experiment:
    """The experiment from where an earlier process left it in a directory; nothing is changed yet.

    `keep` as in `execute`. The caller holds the directory's lock.

    Raises:
        ConfigError, DataError: what is there can't be gone on with.
        OutputError: a file can't be read.
    """
    standings = {}
    with output_errors(directory, "read"), memory_errors():
        saved = read_manifest(directory)
        for member in experiment.members:
            place = experiment.place(member, directory)
            if experiment.is_group and place.is_symlink():
                raise OutputError(f"{place}: is a link, which isn't followed")
            if not (place / MANIFEST).exists():
                if any((place / name).exists() for name in (CHECKPOINT, PREVIOUS, EPOCHS, STEPS)):
                    raise DataError(f"{place / MANIFEST}: is missing", "put it back as it was")
                continue  # it was to come later
            standings[member.series.method] = where_left(
                experiment.problem,
                member.series,
                member.plan,
                experiment.config,
                place,
                read_manifest(place),
                Recorder(member.series, experiment.config.log_every, keep),
            )
    notes = [note for standing in standings.values() for note in standing.notes]
    elsewhere = _elsewhere(saved, machine_facts(experiment.description, torch.get_num_threads()))
    if elsewhere:
        notes.append(
            f"went on with {elsewhere}: last digits may differ from those of a run never stopped"
        )
    return replace(experiment, saved=saved, standings=standings, notes=tuple(notes))


def _elsewhere(saved: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What of the machine and its software is not what a run was begun with."""
    pairs = [(name, saved.get(name), here[name]) for name in ("device", "threads")]
    versions = saved.get("versions")
    before = versions.get("torch") if isinstance(versions, dict) else None
    pairs.append(("PyTorch", before, here["versions"]["torch"]))
    return ", ".join(f"{name} {new}, not {old}" for name, old, new in pairs if old != new)


def execute(
    experiment: Experiment,
    directory: Path | None = None,
    command_line: str = "",
    stop: Callable[[], bool] = lambda: False,
    keep: int | None = None,
) -> Generator[Progress | RunResult]:
    """Train the runs of an experiment one after the other: progress, and each run's result.

    Args:
        experiment: what to do.
        directory: for everything that is written: a new one, or that which the experiment was
            taken up from; None writes nothing. The caller holds its lock.
        command_line: the command as typed, for the logs.
        stop: asked after every segment; once true, what is there is completed and nothing is begun.
        keep: how many rows of each table are kept in memory of a lane; None keeps all.

    Raises:
        OutputError: a file can't be written. What was written before stays.
    """
    facts: Mapping[str, Any] = {}
    if directory:
        facts = run_facts(command_line, experiment.description, torch.get_num_threads())
    results: list[RunResult] = []
    with (
        output_errors(directory, "written"),
        memory_errors(),
        _group_manifest(experiment, directory, facts) or nullcontext() as manifest,
    ):
        for member in experiment.members:
            place = experiment.place(member, directory) if directory else None
            standing = (experiment.standings or {}).get(member.series.method)
            standing = standing or at_start(
                experiment.problem,
                member.plan,
                Recorder(member.series, experiment.config.log_every, keep),
            )
            for event in train_member(experiment, member, standing, place, facts, stop):
                if isinstance(event, RunResult):
                    results.append(event)
                yield event
            if stop():
                break
        if manifest:
            manifest.finish(
                group_status(results, len(experiment.members)),
                members=[result.series.method for result in results],
                comparison=asdict(compare_results(results)),
            )


def _group_manifest(
    experiment: Experiment, directory: Path | None, facts: Mapping[str, Any]
) -> Manifest | None:
    """The `run.json` of a group; it holds the config, which no run may have yet.

    None where there is no group, or nothing in it left to do.
    """
    if directory is None or not experiment.is_group:
        return None
    standings = experiment.standings or {}
    if len(standings) == len(experiment.members) and all(
        standing.is_complete for standing in standings.values()
    ):
        return None
    config = experiment.config.model_dump(mode="json")
    about = {"kind": "group", "experiment": experiment.command, "config": config}
    return Manifest(directory, {**facts, **about}, experiment.saved)
