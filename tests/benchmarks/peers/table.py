"""Medians and ranges over the rounds, as a table that Markdown takes."""

from collections.abc import Mapping, Sequence
from statistics import median

from rich import box
from rich.table import Table

from tests.benchmarks.peers.job import SIZES
from tests.benchmarks.peers.peer import Outcome

# By size and peer, an outcome a round.
Outcomes = Mapping[tuple[str, str], Sequence[Outcome]]


def table(outcomes: Outcomes, apart: Mapping[str, float]) -> Table:
    """A row for each size and peer; `apart` is by how much losses differ from the reference's."""
    made = Table(box=box.MARKDOWN)
    made.add_column("size")
    made.add_column("peer", no_wrap=True)
    for name in ("full, µs", "sgd, µs", "minibatch, µs"):
        made.add_column(name, justify="right")
    for name in ("compile, s", "process, s", "memory, MB", "loss apart"):
        made.add_column(name, justify="right")
    for (size, peer), rounds in outcomes.items():
        updates = [
            [1e6 * one.trained[k].seconds / one.trained[k].updates for one in rounds]
            for k in range(len(SIZES[size]))
        ]
        compiling = [sum(job.compile_seconds for job in one.trained) for one in rounds]
        made.add_row(
            size,
            peer,
            *map(spread, updates),
            spread(compiling),
            spread([one.seconds for one in rounds]),
            f"{median(one.megabytes for one in rounds):.0f}",
            f"{apart[peer]:.0e}" if apart[peer] else "0",
        )
    return made


def spread(values: Sequence[float]) -> str:
    """The median and, of several values, the range."""
    middle = digits(median(values))
    if len(values) == 1:
        return middle
    return f"{middle} ({digits(min(values))} – {digits(max(values))})"


def digits(value: float) -> str:
    """Two to three significant digits, as much as such times can say."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"
