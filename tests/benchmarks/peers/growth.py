"""How cost grows along five axes, one at a time."""

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from tests.benchmarks.peers.job import ARTICLE, Job
from tests.benchmarks.peers.peer import Peer, run

MIDDLE = Job(rows=3_200, features=16, hidden=64, batch_size=32, epochs=2, lr=0.01)
MOST_IN_TURN = 16  # lanes that are trained one after the other: more only cost so many times more
LONG = 10.0  # seconds of training: a peer that would take longer isn't asked for more epochs


@dataclass(frozen=True)
class Axis:
    """What grows, and the jobs by how large it is."""

    label: str
    jobs: Mapping[int, Job]


# One update of these is timed, the jobs of an axis in one process.
AXES = {
    "rows": Axis(
        "rows of a full batch",
        {
            rows: replace(MIDDLE, rows=rows, batch_size=rows, epochs=10)
            for rows in (100, 1_000, 10_000, 100_000)
        },
    ),
    "width": Axis(
        "hidden units", {width: replace(MIDDLE, hidden=width) for width in (4, 16, 64, 256, 1024)}
    ),
    "batch": Axis(
        "rows of a batch",
        {size: replace(MIDDLE, rows=50 * size, batch_size=size) for size in (1, 8, 64, 512, 4096)},
    ),
    "lanes": Axis(
        "lanes, an update of all",
        {lanes: replace(ARTICLE, epochs=20, lanes=lanes) for lanes in (1, 4, 16, 64, 256)},
    ),
}
# And the whole process of these.
EPOCHS = Axis(
    "epochs", {epochs: replace(ARTICLE, epochs=epochs) for epochs in (1, 10, 100, 1_000, 10_000)}
)

# The cost of each peer by axis and how large what grows is.
Costs = dict[str, dict[str, dict[int, float]]]


def measure(peers: Sequence[Peer], rounds: int, tick: Callable[[], None]) -> Costs:
    """Medians over the rounds: microseconds an update, and for `epochs` seconds of a process."""
    found: dict[tuple[str, str, int], list[float]] = {}
    for _ in range(rounds):
        for peer in peers:
            for axis, along in AXES.items():
                jobs = {
                    value: job
                    for value, job in along.jobs.items()
                    if peer.lanes_together or job.lanes <= MOST_IN_TURN
                }
                answers = run(peer, [*jobs.values()]).trained
                for value, answer in zip(jobs, answers, strict=True):
                    cost = 1e6 * answer.seconds / answer.updates
                    found.setdefault((peer.name, axis, value), []).append(cost)
            for value, job in EPOCHS.jobs.items():
                outcome = run(peer, [job])
                found.setdefault((peer.name, "epochs", value), []).append(outcome.seconds)
                if 10 * outcome.trained[0].seconds > LONG:  # tenfold epochs come next
                    break
            tick()
    costs: Costs = {}
    for (name, axis, value), values in found.items():
        costs.setdefault(name, {}).setdefault(axis, {})[value] = median(values)
    return costs


def save(costs: Costs, path: Path) -> None:
    """Write a row for each point."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["peer", "axis", "value", "cost"])
        for name, found in costs.items():
            for axis, points in found.items():
                writer.writerows((name, axis, at, f"{cost:.4g}") for at, cost in points.items())


def read(path: Path) -> Costs:
    """What `save` has written."""
    costs: Costs = {}
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            points = costs.setdefault(row["peer"], {}).setdefault(row["axis"], {})
            points[int(row["value"])] = float(row["cost"])
    return costs
