"""The runs of a group, taken by ranks one after the other: a slow machine takes fewer.

Which run is the next to be taken is a counter in the store of the process group. Each rank writes
the directories of its runs itself, so that all of them have to see the same file system.
"""

import pickle
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from gdrun.config.timing import Timing
from gdrun.errors import ConfigError
from gdrun.experiment.distributed.group import Group, own_device
from gdrun.experiment.members import MemberTask, train_member
from gdrun.experiment.plan import ExperimentPlan
from gdrun.experiment.resume import load
from gdrun.experiment.train_run import failures_as_events, train_run
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult

MARK = ".ranks"  # a file that is there while ranks find out whether they share a file system
SEEN_SECONDS = 5.0  # in which a file that one machine has written is seen by others
NEXT, ENDED, PROGRESS, STOP = "next", "ended", "progress", "stop"  # in the store
REPORT_SECONDS = 0.5  # between two reports to rank 0
POLL_SECONDS = 0.1


def train_among_ranks(
    experiment: ExperimentPlan,
    directory: Path,
    facts: Mapping[str, Any],
    stop: Callable[[], bool],
    keep_rows: int | None,
    timing: Timing,
    group: Group,
) -> Generator[RunProgress | RunResult | Failure]:
    """Train the runs of a group with all ranks; rank 0 calls it. Arguments as in `execute`.

    A run that another rank has trained to its end is read from its files.

    Raises:
        RankError: a rank is lost.
        ConfigError: not all ranks see the directory.
    """
    threads = torch.get_num_threads()
    task = MemberTask.of(experiment, directory, facts, keep_rows, timing, threads)
    token = uuid.uuid4().hex
    (directory / MARK).write_text(token)
    try:
        group.tell((task, token))
        blind = _blind_ranks(directory, token, group)
    finally:
        (directory / MARK).unlink(missing_ok=True)
    if blind:
        raise ConfigError(
            f"{directory}: isn't seen by rank {', '.join(map(str, blind))}: ranks that share the "
            "runs of a group need one file system",
            "--output-dir names a directory that all machines have in common",
        )
    board = _Board(group, [run.name for run in experiment.runs])
    own: set[str] = set()
    for name in board.taken():
        own.add(name)
        with closing(failures_as_events(name, train_member(task, name, board.stops(stop)))) as run:
            for event in run:
                yield event
                yield from board.news()
        board.end(name)
    are_here, asked = group.meet(), board.stops(stop)
    while not are_here():
        asked()  # and so the others are told
        yield from board.news()
        time.sleep(POLL_SECONDS)
    yield from board.failures()
    for run_plan in experiment.runs:
        if run_plan.name not in own and board.has_ended(run_plan.name):
            yield from _read(experiment, run_plan.name, directory, keep_rows, timing)


def help_with_runs(task: MemberTask, token: str, group: Group, stop: Callable[[], bool]) -> None:
    """Train runs of a group until none is left; every rank but 0 calls it.

    Raises:
        RankError: another rank is lost.
    """
    if _blind_ranks(task.directory, token, group):  # as rank 0 says
        return
    task = replace(task, device=own_device(task.device, task.config.device))
    board = _Board(group, [run.name for run in task.experiment.runs])
    for name in board.taken():
        reported = 0.0
        for event in failures_as_events(name, train_member(task, name, board.stops(stop))):
            if isinstance(event, Failure):
                board.end(name, event)
            elif isinstance(event, RunResult):
                board.end(name)
            elif time.monotonic() - reported > REPORT_SECONDS:
                board.report(event)
                reported = time.monotonic()
    are_here = group.meet()
    while not are_here():
        time.sleep(POLL_SECONDS)


class _Board:
    """What ranks tell each other by the store: which runs are taken, how far they are, and ended.

    Everything that is pickled there is written and read by processes of the same command.
    """

    def __init__(self, group: Group, names: list[str]) -> None:
        self._group, self._store, self._names = group, group.store, names
        self._looked = self._asked = 0.0
        self._is_stopped = False
        self._failed: set[str] = set()

    def taken(self) -> Iterator[str]:
        """The runs that this rank takes, as long as some are left and nobody has asked to stop."""
        while not self._is_stopped:
            number = self._store.add(NEXT, 1) - 1
            if number >= len(self._names):
                return
            yield self._names[number]

    def stops(self, stop: Callable[[], bool]) -> Callable[[], bool]:
        """Whether to stop: this rank has been asked to, or another one, as is known by now."""

        def asked() -> bool:
            if stop() and not self._is_stopped:
                self._store.set(STOP, "")
                self._is_stopped = True
            if not self._is_stopped and time.monotonic() - self._looked > POLL_SECONDS:
                self._looked = time.monotonic()
                self._is_stopped = self._store.check([STOP])
            return self._is_stopped

        return asked

    def report(self, progress: RunProgress) -> None:
        """Show rank 0 how far a run of this rank is."""
        self._store.set(f"{PROGRESS}/{self._group.rank}", pickle.dumps(progress).hex())

    def end(self, name: str, failure: Failure | None = None) -> None:
        """Note that a run has ended, or failed."""
        self._store.set(f"{ENDED}/{name}", pickle.dumps(failure).hex())

    def has_ended(self, name: str) -> bool:
        """Whether a run has ended, and not failed."""
        return self._store.check([f"{ENDED}/{name}"]) and name not in self._failed

    def news(self) -> Iterator[RunProgress | Failure]:
        """How far other ranks are, and what has failed there since this was asked last."""
        if time.monotonic() - self._asked < REPORT_SECONDS:
            return
        self._asked = time.monotonic()
        for rank in range(1, self._group.size):
            key = f"{PROGRESS}/{rank}"
            if self._store.check([key]):
                yield self._found(key)
        yield from self.failures()

    def failures(self) -> Iterator[Failure]:
        """What has failed on other ranks since this was asked last."""
        for name in self._names:
            key = f"{ENDED}/{name}"
            if name not in self._failed and self._store.check([key]):
                failure = self._found(key)
                if failure:
                    self._failed.add(name)
                    yield failure

    def _found(self, key: str) -> Any:
        return pickle.loads(bytes.fromhex(self._store.get(key).decode()))


def _blind_ranks(directory: Path, token: str, group: Group) -> list[int]:
    """The ranks that don't see the directory that rank 0 writes to; all of them find out."""
    sees, deadline = False, time.monotonic() + SEEN_SECONDS
    while not sees and time.monotonic() < deadline:
        try:
            sees = (directory / MARK).read_text() == token
        except OSError:
            time.sleep(POLL_SECONDS)
    return [k for k, number in enumerate(group.ranks.numbers(float(sees))) if not number]


def _read(
    experiment: ExperimentPlan, name: str, directory: Path, keep_rows: int | None, timing: Timing
) -> Iterator[RunProgress | RunResult]:
    """The result of a run that another rank has trained, if it came to its end."""
    (run,) = (run for run in experiment.runs if run.name == name)
    run = load(run, experiment.directory_of(run, directory), keep_rows)
    if run.is_complete:
        place = experiment.directory_of(run, directory)
        yield from train_run(experiment, run, place, {}, lambda: False, keep_rows, timing)
