"""Ranks as a user starts them: by `torchrun`, on this machine, and on two that are namespaces."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.command_line import NO_PICTURES
from tests.experiment.test_ranks import assert_alike
from tests.ranks import free_port
from tests.run_files import manifest

pytestmark = pytest.mark.slow

TORCHRUN = [sys.executable, "-m", "torch.distributed.run"]
RUN = ("minibatch", "--epochs", "60", "--set", "momentum=0.9", "--lr", "0.05", *NO_PICTURES)


def begin(place: Path, launcher: Sequence[str], *command: str) -> "subprocess.Popen[str]":
    """Start `torchrun … -m gdrun COMMAND` in a directory."""
    return subprocess.Popen(
        [*launcher, "-m", "gdrun", *command],
        cwd=place,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Its exit code and all that it printed."""
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def pid_of(rank: int, launcher: int) -> int:
    """The process of a rank, among the children of torchrun."""
    return ranks_of(launcher)[rank]


def rank_of(launcher: int) -> int:
    """The one rank that torchrun has started."""
    (rank,) = ranks_of(launcher)
    return rank


def ranks_of(launcher: int) -> dict[int, int]:
    """The processes that torchrun has started, by rank."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            stat = (entry / "stat").read_text()
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        parent = int(stat.rpartition(")")[2].split()[1])
        ranks = [each for each in environment if each.startswith(b"RANK=")]
        if parent == launcher and ranks:
            found[int(ranks[0].removeprefix(b"RANK="))] = int(entry.name)
    return found


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    place = tmp_path_factory.mktemp("one")
    code, said = ended(begin(place, [sys.executable], *RUN, "--name", "a"))
    assert code == 0, said
    return place / "outputs" / "a"


def test_torchrun_trains_as_one_process(one: Path, tmp_path: Path) -> None:
    launcher = [*TORCHRUN, "--nproc-per-node", "2"]
    code, said = ended(begin(tmp_path, launcher, *RUN, "--name", "a"))
    assert code == 0, said
    assert said.count("written to outputs/a") == 1
    assert "2 ranks: each has 8 of the 16 rows of a batch" in said
    assert_alike(tmp_path / "outputs" / "a", one, rtol=1e-3)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")
def test_torchrun_restarts_a_run_with_a_name(tmp_path: Path) -> None:
    launcher = [*TORCHRUN, "--nproc-per-node", "2", "--max-restarts", "1"]
    process = begin(tmp_path, launcher, *RUN, "--epochs", "100000", "--name", "a")
    place = tmp_path / "outputs" / "a"
    wait_for(process, lambda: (place / "checkpoint.pt").exists())
    os.kill(pid_of(1, process.pid), signal.SIGKILL)
    wait_for(process, lambda: bool(manifest(place).get("resumed")))
    process.send_signal(signal.SIGTERM)
    _, said = ended(process)
    assert "error: rank 1 (" in said
    assert "was killed" in said
    assert "interrupted: what was finished is saved" in said
    assert manifest(place)["status"] == "interrupted"


def wait_for(process: "subprocess.Popen[str]", is_there: Callable[[], bool]) -> None:
    """Wait until something is there, as long as the process lives."""
    deadline = time.monotonic() + 60
    while not is_there():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.05)


ADDRESSES = ("10.213.7.1", "10.213.7.2")


@pytest.fixture
def machines() -> Iterator[tuple[str, str]]:
    """Two network namespaces with a cable between them, as two machines have."""
    names = f"gdrun-a-{os.getpid()}", f"gdrun-b-{os.getpid()}"
    ends = f"gda{os.getpid()}", f"gdb{os.getpid()}"
    setup = [
        *(("netns", "add", name) for name in names),
        ("link", "add", ends[0], "type", "veth", "peer", "name", ends[1]),
    ]
    for name, end, address in zip(names, ends, ADDRESSES, strict=True):
        setup += [
            ("link", "set", end, "netns", name),
            ("-n", name, "addr", "add", f"{address}/24", "dev", end),
            ("-n", name, "link", "set", "lo", "up"),
            ("-n", name, "link", "set", end, "name", "cable", "up"),
        ]
    try:
        for command in setup:
            subprocess.run(["ip", *command], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        remove(names)
        pytest.skip("this system makes no network namespaces")
    yield names
    remove(names)


def remove(names: Sequence[str]) -> None:
    """Remove network namespaces, and their cable with them."""
    for name in names:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def nodes(machines: Sequence[str], places: Sequence[Path], *command: str) -> list[tuple[int, str]]:
    """Run a command on two machines with one rank each; exit codes and what was printed."""
    port = str(free_port())
    master = ["--master-addr", ADDRESSES[0], "--master-port", port]
    started = []
    for k, (machine, place) in enumerate(zip(machines, places, strict=True)):
        place.mkdir(exist_ok=True)
        launcher = [*inside(machine), "--node-rank", str(k), *master]
        started.append(begin(place, launcher, *command))
    return [ended(process) for process in started]


def inside(machine: str) -> list[str]:
    """Torchrun on one of two machines, with one rank on each."""
    where = ["ip", "netns", "exec", machine, "env", "GLOO_SOCKET_IFNAME=cable"]
    return [*where, *TORCHRUN, "--nnodes", "2", "--nproc-per-node", "1"]


def test_two_machines_train_one_run(machines: tuple[str, str], one: Path, tmp_path: Path) -> None:
    places = tmp_path / "a", tmp_path / "b"  # which needn't share a disk
    (code, said), (other, _) = nodes(machines, places, *RUN, "--name", "run")
    assert (code, other) == (0, 0), said
    assert_alike(places[0] / "outputs" / "run", one, rtol=1e-3)
    assert not (places[1] / "outputs").exists()


def test_two_machines_restart_though_one_of_them_counts_no_restart(
    machines: tuple[str, str], tmp_path: Path
) -> None:
    meet = ["--rdzv-backend", "c10d", "--rdzv-id", "7"]
    meet += ["--rdzv-endpoint", f"{ADDRESSES[0]}:{free_port()}", "--max-restarts", "1"]
    started = []
    for machine, address, is_host in zip(machines, ADDRESSES, "10", strict=True):
        own = ["--rdzv-conf", f"is_host={is_host}", "--local-addr", address]
        launcher = [*inside(machine), *meet, *own]
        started.append(begin(tmp_path, launcher, *RUN, "--epochs", "100000", "--name", "a"))
    place = tmp_path / "outputs" / "a"
    wait_for(started[0], lambda: (place / "checkpoint.pt").exists())
    # Which machine has rank 0 is the launcher's choice.
    launchers = [process.pid for process in started]
    at = next(k for k, launcher in enumerate(launchers) if rank_of(launcher) == 1)
    os.kill(pid_of(1, launchers[at]), signal.SIGKILL)
    wait_for(started[1 - at], lambda: bool(manifest(place).get("resumed")))
    for process in started:
        process.send_signal(signal.SIGTERM)
    said = [ended(process)[1] for process in started]
    assert "was killed" in said[1 - at]
    assert manifest(place)["status"] == "interrupted"


SWEEP = ("sweep", "--epochs", "3", "--engine", "eager", *NO_PICTURES, "--name", "grid")


def test_two_machines_share_a_sweep_if_they_share_a_disk(
    machines: tuple[str, str], tmp_path: Path
) -> None:
    (code, said), (other, _) = nodes(machines, (tmp_path, tmp_path), *SWEEP)
    assert (code, other) == (0, 0), said
    assert manifest(tmp_path / "outputs" / "grid")["status"] == "done"
    places = tmp_path / "a", tmp_path / "b"
    (code, said), _ = nodes(machines, places, *SWEEP)
    assert code != 0
    assert "isn't seen by rank 1" in said
