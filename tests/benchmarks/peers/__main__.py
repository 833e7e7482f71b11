"""Measure the peers in turn and print one table; see README.md beside this file."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.benchmarks.peers import growth
from tests.benchmarks.peers.agreement import TOLERANCE, apart, check_jobs
from tests.benchmarks.peers.job import SIZES, Job
from tests.benchmarks.peers.peer import PEERS, REFERENCE, Outcome, Peer, PeerError, gdrun, run
from tests.benchmarks.peers.problem import FOLDER
from tests.benchmarks.peers.table import table

WIDTH = 250  # of the table, where there is no terminal that has one


def main() -> int:
    """Check, measure, print; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often each peer is measured")
    parser.add_argument("--sizes", default=",".join(SIZES), help="of %(default)s")
    parser.add_argument("--peers", help="modules, such as jax_scan,sklearn_mlp; all without it")
    parser.add_argument(
        "--engines", default="eager,compiled", help="of gdrun, such as eager,compiled"
    )
    parser.add_argument("--plot", type=Path, metavar="DIR", help="measure growth, and draw it")
    asked = parser.parse_args()
    sizes = asked.sizes.split(",")
    known = (*PEERS, *map(gdrun, asked.engines.split(",")))
    modules = asked.peers.split(",") if asked.peers else [peer.module for peer in known]
    for kind, given, names in (
        ("size", sizes, [*SIZES]),
        ("peer", modules, [peer.module for peer in known]),
    ):
        if unknown := set(given) - {*names}:
            parser.error(f"no {kind} {', '.join(sorted(unknown))}: there are {', '.join(names)}")
    # The reference is always there: the others are held to it.
    peers = [peer for peer in known if peer is REFERENCE or peer.module in modules]

    say = Console(stderr=True, highlight=False)
    for peer in peers:
        if peer.missing:
            say.print(f"{peer.name}: skipped, {', '.join(peer.missing)} not installed")
    peers = [peer for peer in peers if not peer.missing]
    with (
        tempfile.TemporaryDirectory(prefix="gdrun-peers-") as folder,
        Progress(console=say) as progress,
    ):
        os.environ[FOLDER] = folder
        jobs = check_jobs(sizes)
        make([*jobs, *(job for size in sizes for job in SIZES[size].values())])
        differs = check(peers, jobs, progress)
        agreeing = [peer for peer in peers if differs.get(peer.name, 1) <= TOLERANCE]
        outcomes = measure(agreeing, sizes, asked.rounds, progress)
        if asked.plot:
            draw(agreeing, asked.rounds, asked.plot, progress)
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table(outcomes, differs))
    return 0 if len(agreeing) == len(peers) else 1


def make(jobs: list[Job]) -> None:
    """Make the files of jobs in a process that ends, since a child's memory counts its parent's."""
    command = [sys.executable, "-m", "tests.benchmarks.peers.problem"]
    subprocess.run([*command, json.dumps([asdict(job) for job in jobs])], check=True)


def check(peers: list[Peer], jobs: list[Job], progress: Progress) -> dict[str, float]:
    """By how much the last losses of each differ from the reference's; without those that fail."""
    references = run(REFERENCE, jobs).trained
    differs: dict[str, float] = {}
    for peer in progress.track(peers, description="do they agree?"):
        try:
            differs[peer.name] = apart(run(peer, jobs).trained, references)
        except PeerError as error:
            progress.print(f"{peer.name}: left out, it failed: {error}")
            continue
        if not differs[peer.name] <= TOLERANCE:
            progress.print(f"{peer.name}: left out, losses differ by {differs[peer.name]:.1e}")
    return differs


def measure(
    peers: list[Peer], sizes: list[str], rounds: int, progress: Progress
) -> dict[tuple[str, str], list[Outcome]]:
    """The outcomes of each size and peer, measured in turn."""
    outcomes: dict[tuple[str, str], list[Outcome]] = {}
    pairs = [(size, peer) for size in sizes for peer in peers]
    for _, (size, peer) in progress.track(
        [(k, pair) for k in range(rounds) for pair in pairs], description="sizes"
    ):
        outcome = run(peer, [*SIZES[size].values()])
        outcomes.setdefault((size, peer.name), []).append(outcome)
    return outcomes


def draw(peers: list[Peer], rounds: int, directory: Path, progress: Progress) -> None:
    """Measure growth, and leave it as growth.csv and growth.png."""
    make([job for axis in (*growth.AXES.values(), growth.EPOCHS) for job in axis.jobs.values()])
    task = progress.add_task("growth", total=rounds * len(peers))
    costs = growth.measure(peers, rounds, lambda: progress.advance(task))

    from tests.benchmarks.peers.picture import save_picture  # only now: see `make`

    directory.mkdir(parents=True, exist_ok=True)
    growth.save(costs, directory / "growth.csv")
    save_picture(costs, directory / "growth.png")


if __name__ == "__main__":
    sys.exit(main())
