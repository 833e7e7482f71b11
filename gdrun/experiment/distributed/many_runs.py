"""The runs of a group, taken by ranks one after the other: a slow machine takes fewer.

Which run is the next to be taken is a counter in the store of the process group. Each rank writes
the directories of its runs itself, so that all of them have to see the same file system.
"""

import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import torch

from gdrun.errors import ConfigError, OutputError
from gdrun.experiment.distributed.board import POLL_SECONDS, REPORT_SECONDS, Board
from gdrun.experiment.distributed.group import Group
from gdrun.experiment.distributed.one_run import require_rows
from gdrun.experiment.distributed.processes import own_device
from gdrun.experiment.engines import built_as_chosen
from gdrun.experiment.members import MemberTask, train_member
from gdrun.experiment.plan.runs import ExperimentPlan, RunPlan
from gdrun.experiment.resume import load
from gdrun.experiment.train_run import failures_as_events, train_run
from gdrun.results.file_names import MARK
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult
from gdrun.training.device import device_name

SEEN_SECONDS = 5.0  # in which a file that one machine has written is seen by others


def train_among_ranks(
    experiment: ExperimentPlan, task: MemberTask, stop: Callable[[], bool], group: Group
) -> Generator[RunProgress | RunResult | Failure]:
    """Train the runs of a group with all ranks; rank 0 calls it.

    A run that another rank has trained to its end is read from its files.

    Args:
        experiment: the group.
        task: what the other ranks have to know of it.
        stop: asked after every segment.
        group: the ranks.

    Raises:
        RankError: a rank is lost.
        ConfigError: not all ranks see the directory.
    """
    directory = task.directory
    token, names = uuid.uuid4().hex, [run.name for run in experiment.left]
    (directory / MARK).write_text(token)
    try:
        group.tell((task, names, token))
        blind = _blind_ranks(directory, token, group)
    finally:
        (directory / MARK).unlink(missing_ok=True)
    if blind:
        raise ConfigError(
            f"{directory}: isn't seen by rank {', '.join(map(str, blind))}: ranks that share the "
            "runs of a group need one file system",
            "--output-dir names a directory that all machines have in common",
        )
    board = Board(group.notes, names)
    own: set[str] = set()
    for name in board.taken():
        own.add(name)
        events = train_member(task, lambda: experiment, name, board.stops(stop))
        with closing(events):
            for event in events:
                yield event
                yield from board.news()
        board.end(name)
    are_here, asked = group.meet(), board.stops(stop)
    while not are_here():
        asked()  # and so the others are told
        yield from board.news()
        time.sleep(POLL_SECONDS)
    yield from board.failures()
    for run in experiment.runs:
        if run.name not in own and (run.is_complete or board.has_ended(run.name)):
            found = _read(experiment, run, task)
            yield from failures_as_events(run.name, found)


def help_with_runs(
    task: MemberTask, names: list[str], token: str, group: Group, stop: Callable[[], bool]
) -> None:
    """Train runs of a group until none is left; every rank but 0 calls it.

    Raises:
        RankError: another rank is lost.
        DataError: the data is not that of rank 0.
        OutputError: no programs can be built here.
    """
    if _blind_ranks(task.directory, token, group):  # as rank 0 says
        return
    device = own_device(task.device, task.config.device)
    facts = {**task.facts, "device": device_name(device)}
    task = replace(task, device=device, facts=facts, threads=torch.get_num_threads())
    experiment = task.plan()
    _require_same(experiment, task)
    board = Board(group.notes, names)
    for name in board.taken():
        reported = 0.0
        for event in train_member(task, lambda: experiment, name, board.stops(stop)):
            if isinstance(event, Failure):
                board.end(name, event)
            elif isinstance(event, RunResult):
                board.end(name)
            elif time.monotonic() - reported > REPORT_SECONDS:
                board.report(event)
                reported = time.monotonic()
    are_here, asked = group.meet(), board.stops(stop)
    while not are_here():
        asked()
        time.sleep(POLL_SECONDS)


def _require_same(experiment: ExperimentPlan, task: MemberTask) -> None:
    """Check that the runs of an experiment can be trained here as on rank 0.

    Raises:
        DataError: the data is not the same.
        OutputError: no programs can be built here.
    """
    require_rows(experiment, str(task.facts["data_fingerprint"]))
    if experiment.config.engine == "compiled":
        choice = built_as_chosen(experiment)
        if choice.engine != "compiled":
            raise OutputError(f"engine: {choice.why}", "engine: eager needs no programs")


def _blind_ranks(directory: Path, token: str, group: Group) -> list[int]:
    """The ranks that don't see the directory that rank 0 writes to; all of them find out."""
    sees, deadline = False, time.monotonic() + SEEN_SECONDS
    while not sees and time.monotonic() < deadline:
        with suppress(OSError):
            sees = (directory / MARK).read_text() == token
        if not sees:
            time.sleep(POLL_SECONDS)
    return [k for k, number in enumerate(group.ranks.numbers(float(sees))) if not number]


def _read(
    experiment: ExperimentPlan, run: RunPlan, task: MemberTask
) -> Iterator[RunProgress | RunResult]:
    """The result of a run that another rank has trained, if it came to its end."""
    place, deadline = experiment.directory_of(run, task.directory), time.monotonic() + SEEN_SECONDS
    while not run.is_complete and time.monotonic() < deadline:
        run = load(run, place, task.keep_rows)
        if run.resumed and not run.is_complete:  # it was stopped
            return
        if not run.resumed:  # its files aren't seen yet
            time.sleep(POLL_SECONDS)
    if run.is_complete:
        yield from train_run(experiment, run, place, {}, lambda: False, task.keep_rows, task.timing)
