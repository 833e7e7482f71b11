"""The command line in processes of its own, forked from one that has imported PyTorch already."""

import os
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path


def gdrun(directory: str, out: str, args: tuple[str, ...], ready: Connection) -> None:
    """The command line in a process of its own; checkpoints are taken every few milliseconds.

    Programs are kept in `cache` in its directory, if there is one.
    """
    # A signal before this one is met by what started the process, and no business of gdrun.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ready.send_bytes(b"ready")
    os.chdir(directory)
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
