"""The command line in processes of its own, forked from one that has imported PyTorch already."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

from tests.ranks import environment_of, free_port


def gdrun(
    directory: str,
    out: str,
    args: tuple[str, ...],
    ready: Connection,
    environment: Mapping[str, str] | None = None,
) -> None:
    """The command line in a process of its own; checkpoints are taken every few milliseconds.

    Programs are kept in `cache` in its directory, if there is one.
    """
    # A signal before this one is met by what started the process, and no business of gdrun.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ready.send_bytes(b"ready")
    os.chdir(directory)
    os.environ |= environment or {}
    if Path("cache").exists():
        os.environ["GDRUN_CACHE"] = "cache"
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from gdrun.__main__ import main
    from gdrun.config import timing

    timing.DEFAULT = timing.Timing(checkpoint_share=0.5, checkpoint=0.02, flush=0.02)
    sys.argv = ["gdrun", *args]
    main()


def start(context: ForkServerContext, place: Path, *args: str) -> BaseProcess:
    """Begin a command in `place`; its output goes to the file `out` there."""
    begun, ready = context.Pipe(duplex=False)
    process = context.Process(target=gdrun, args=(str(place), str(place / "out"), args, ready))
    process.start()
    begun.recv_bytes()
    return process


def finish(context: ForkServerContext, place: Path, *args: str) -> int | None:
    """Run a command in `place` to its end, and give its exit code."""
    process = start(context, place, *args)
    process.join(120)
    return process.exitcode


def start_ranks(
    context: ForkServerContext,
    place: Path,
    size: int,
    *args: str,
    environment: Mapping[str, str] | None = None,
) -> list[BaseProcess]:
    """Begin a command in `place` in so many ranks."""
    port = free_port()
    return [
        start_rank(context, place, rank, size, port, *args, environment=environment)
        for rank in range(size)
    ]


def start_rank(
    context: ForkServerContext,
    place: Path,
    rank: int,
    size: int,
    port: int,
    *args: str,
    environment: Mapping[str, str] | None = None,
) -> BaseProcess:
    """Begin a command in `place` as one of so many ranks; what it prints goes to `out.RANK`."""
    begun, ready = context.Pipe(duplex=False)
    out, told = str(place / f"out.{rank}"), environment_of(rank, size, port)
    process = context.Process(
        target=gdrun,
        args=(str(place), out, args, ready, {**told, **(environment or {})}),
        daemon=True,
    )
    process.start()
    begun.recv_bytes()
    return process


def end_of(processes: Sequence[BaseProcess]) -> list[int | None]:
    """Wait for processes to end; their exit codes."""
    for process in processes:
        process.join(120)
    return [process.exitcode for process in processes]


def finish_ranks(
    context: ForkServerContext, place: Path, size: int, *args: str
) -> list[int | None]:
    """Run a command in `place` in so many ranks to its end; their exit codes."""
    return end_of(start_ranks(context, place, size, *args))
