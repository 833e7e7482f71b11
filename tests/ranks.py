"""Processes that meet by gloo, as those that torchrun starts, and do as they are told together."""

import multiprocessing
import os
import socket
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from typing import Any

from gdrun.training.ranks import Ranks


class RankPool:
    """So many processes, each a rank of one group, for as long as `close` isn't called."""

    def __init__(self, size: int) -> None:
        context = multiprocessing.get_context("spawn")
        port = free_port()
        self._connections, self._processes = [], []
        for rank in range(size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_work, args=(rank, size, port, theirs), daemon=True)
            process.start()
            self._connections.append(ours)
            self._processes.append(process)

    def run(self, function: Callable[..., Any], *args: Any) -> list[Any]:
        """Call a function of the ranks and some arguments in all of them; what each returns."""
        for connection in self._connections:
            connection.send((function, args))
        found: dict[int, Any] = {}
        while len(found) < len(self._connections):
            for ready in wait(self._connections, timeout=120):
                assert isinstance(ready, Connection)
                text, value = ready.recv()
                if text:  # the others may wait for it for ever
                    raise AssertionError(text)
                found[self._connections.index(ready)] = value
        return [found[rank] for rank in range(len(found))]

    def close(self) -> None:
        """End them."""
        for process in self._processes:
            process.kill()


def environment_of(rank: int, size: int, port: int) -> dict[str, str]:
    """What a launcher tells a process."""
    return {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def free_port() -> int:
    """A port that nobody listens to."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def _work(rank: int, size: int, port: int, connection: Connection) -> None:
    os.environ |= environment_of(rank, size, port)
    import torch

    from gdrun.experiment.distributed.group import join
    from gdrun.experiment.distributed.launch import Launch

    torch.set_num_threads(1)
    ranks: Ranks = join(Launch(rank, local_size=size)).ranks
    while True:
        function, args = connection.recv()
        try:
            connection.send(("", function(ranks, *args)))
        except Exception:
            connection.send((traceback.format_exc(), None))
