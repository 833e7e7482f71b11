"""The peers, and how one of them is run as a process of its own."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import NamedTuple

from tests.benchmarks.peers.job import Job, Trained

PACKAGE = "tests.benchmarks.peers"


@dataclass(frozen=True)
class Peer:
    """A library and a way to use it.

    Attributes:
        name: in tables and pictures.
        module: beside this one.
        needs: packages that must be installed.
        arguments: of the process, beyond the jobs.
        lanes_together: whether it trains lanes together and not in turn.
    """

    name: str
    module: str
    needs: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    lanes_together: bool = False

    @property
    def missing(self) -> list[str]:
        """The packages that aren't installed."""
        return [package for package in self.needs if find_spec(package) is None]


REFERENCE = Peer("article's loop", "article_loop", ("torch",))
PEERS = (
    REFERENCE,
    Peer("DataLoader", "dataloader", ("torch",)),
    Peer("scikit-learn", "sklearn_mlp", ("sklearn",)),
    Peer("skorch", "skorch_net", ("skorch", "torch")),
    Peer("Lightning", "lightning_trainer", ("lightning", "torch")),
    Peer("Keras on PyTorch", "keras_torch", ("keras", "torch")),
    Peer("Keras on JAX", "keras_jax", ("keras", "jax")),
    Peer("JAX scan", "jax_scan", ("jax",), lanes_together=True),
)


def gdrun(engine: str) -> Peer:
    """An engine of gdrun as a peer."""
    return Peer(f"gdrun, {engine}", "gdrun_train", ("gdrun",), (engine,), lanes_together=True)


class Outcome(NamedTuple):
    """What a process came to: an answer a job, wall time and peak of resident memory."""

    trained: list[Trained]
    seconds: float
    megabytes: float


class PeerError(Exception):
    """A peer's process failed."""


def run(peer: Peer, jobs: Sequence[Job]) -> Outcome:
    """Train jobs in a new process.

    Raises:
        PeerError: it fails; with the last line that it wrote.
    """
    text = json.dumps([asdict(job) for job in jobs])
    command = [sys.executable, "-m", f"{PACKAGE}.{peer.module}", text, *peer.arguments]
    with tempfile.TemporaryFile("w+") as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout
        with process.stdout as stdout:
            output = stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise PeerError(
                (errors.read().strip().splitlines() or [f"code {process.returncode}"])[-1]
            )
    unit = 1e6 if sys.platform == "darwin" else 1e3  # bytes there, kilobytes elsewhere
    return Outcome(
        [Trained(**answer) for answer in json.loads(output)], seconds, usage.ru_maxrss / unit
    )
