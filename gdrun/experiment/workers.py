"""Runs of a group side by side, each in a process of its own that writes its files itself."""

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import torch

from gdrun.config.schema import Engine, RunConfig
from gdrun.experiment.backends import with_engines
from gdrun.experiment.plan import ExperimentPlan, prepare
from gdrun.experiment.signals import SIGNALS
from gdrun.experiment.train_run import Progress, begin, contained, left_in, track_of, train_member
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult
from gdrun.storage.lock import locked

SEND_SECONDS = 0.1  # between two reports of a run's progress
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class _Task:
    """What a process has to know: the experiment, and where its runs go."""

    command: str
    config: RunConfig
    directory: Path
    facts: Mapping[str, Any]
    keep: int | None
    threads: int
    engines: Mapping[str, Engine]

    @cached_property
    def experiment(self) -> ExperimentPlan:
        """The experiment, prepared once a process."""
        return with_engines(prepare(self.command, self.config), self.engines)


@dataclass
class _Worker:
    process: SpawnProcess
    run: str = ""  # the name of what it trains


def side_by_side(
    experiment: ExperimentPlan,
    directory: Path,
    facts: Mapping[str, Any],
    stop: Callable[[], bool],
    keep: int | None,
    jobs: int,
) -> Generator[RunProgress | RunResult | Failure]:
    """Train the runs of a group in so many processes: how far each is, and its result.

    The first runs are begun first: small batches, which take longest. Arguments as in
    `gdrun.experiment.execute.execute`. A process that dies is a failure of its run.

    A process asks for a run with None and is told its name; no name means to stop, also in the
    middle of a run, as does the end of the parent. Nothing is shared beside these pipes, so that no
    process waits for what one that was killed held.
    """
    threads = max(1, torch.get_num_threads() // jobs)
    engines = {member.series.name: member.config.engine for member in experiment.members}
    task = _Task(experiment.command, experiment.config, directory, facts, keep, threads, engines)
    context = multiprocessing.get_context("spawn")
    waiting = deque(member.series.name for member in experiment.members)
    workers: dict[Connection, _Worker] = {}
    stopping = False

    def hire() -> None:
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(task, theirs))
        with _signals_held_back():
            process.start()
        theirs.close()
        workers[ours] = _Worker(process)

    def tell(connection: Connection, name: str) -> None:
        with suppress(OSError):  # it died meanwhile, which is heard of next
            connection.send(name)

    try:
        for _ in range(min(jobs, len(waiting))):
            hire()
        while workers:
            if stop() and not stopping:
                stopping = True
                waiting.clear()
                for each in workers:
                    tell(each, "")
            for connection in wait(list(workers), POLL_SECONDS):
                assert isinstance(connection, Connection)
                worker = workers[connection]
                try:
                    message = connection.recv()
                except (EOFError, OSError):
                    del workers[connection]
                    worker.process.join()
                    if waiting and not worker.run:  # one that dies at its start, too
                        worker.run = waiting.popleft()
                    if worker.run:
                        yield _death_of(worker)
                    if waiting:
                        hire()
                    continue
                if message is None:  # it has nothing to do, or no longer
                    worker.run = waiting.popleft() if waiting else ""
                    tell(connection, worker.run)
                else:
                    yield message
    finally:
        for worker in workers.values():
            worker.process.kill()
            worker.process.join()


def _death_of(worker: _Worker) -> Failure:
    """What became of the run of a process that died, and what helps."""
    code = worker.process.exitcode
    if code is None or code >= 0:
        return Failure(worker.run, (f"its process ended with code {code}",))
    name = signal.Signals(-code).name
    short = "the system kills what takes too much memory: fewer --jobs take less"
    hints = (short,) if name == "SIGKILL" else ()
    return Failure(worker.run, (f"its process was killed by {name}",), hints)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Let a process start without hearing of signals, which are for its parent to act on."""
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    from multiprocessing import resource_tracker

    resource_tracker.ensure_running()  # the first process starts it, and that lets signals through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(task: _Task, connection: Connection) -> None:
    """Train one run after the other as they are given, until there are no more."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    torch.set_num_threads(task.threads)
    with suppress(EOFError, ConnectionError):  # the parent died
        while True:
            connection.send(None)
            name = connection.recv()
            if not name:
                return
            for message in contained(name, _train(task, name, connection.poll)):
                connection.send(message)


def _train(
    task: _Task, name: str, stop: Callable[[], bool]
) -> Iterator[RunProgress | RunResult | Failure]:
    """Train one run; of its progress no more is told than can be seen."""
    facts = {**task.facts, "pid": os.getpid(), "threads": task.threads}
    experiment = task.experiment
    (member,) = (member for member in experiment.members if member.series.name == name)
    place = experiment.place(member, task.directory)
    place.mkdir(exist_ok=True)
    with locked(place):  # the group's is held by the parent, which may die first
        if stop():  # or be dead by now, and another process go on with the group
            return
        standing = left_in(experiment, member, place, task.keep)
        standing = standing or begin(experiment, member, task.keep)
        track = track_of(experiment, member, standing)
        told = 0.0
        for event in train_member(experiment, member, standing, place, facts, stop):
            if isinstance(event, Progress):
                track.advance(event.segment)
            if not isinstance(event, Progress) or time.monotonic() - told > SEND_SECONDS:
                yield track
                told = time.monotonic()
            if not isinstance(event, Progress):
                yield event
