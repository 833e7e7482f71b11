"""Medians and ranges over the rounds, as a table that Markdown takes."""

from collections.abc import Mapping, Sequence
from statistics import median

from rich import box
from rich.table import Table

from tests.benchmarks.peers.job import SIZES
from tests.benchmarks.peers.peer import Outcome

# By size and peer, an outcome a round.
Outcomes = Mapping[tuple[str, str], Sequence[Outcome]]

COLUMNS = (
    "full, µs",
    "sgd, µs",
    "minibatch, µs",
    "compile, s",
    "process, s",
    "memory, MB",
    "loss apart",
)


def table(outcomes: Outcomes, apart: Mapping[str, float]) -> Table:
    """A row for each size and peer; `apart` is by how much losses differ from the reference's."""
    made = Table(box=box.MARKDOWN)
    for name in ("size", "peer"):
        made.add_column(name, no_wrap=True)
    for name in COLUMNS:
        made.add_column(name, justify="right", no_wrap=True)
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
    """The median and, where they differ, the range."""
    middle = digits(median(values))
    low, high = digits(min(values)), digits(max(values))
    return middle if low == high else f"{middle} ({low} – {high})"


def digits(value: float) -> str:
    """Two or three digits, as much as such times can say."""
    if value < 0.01:
        return "0"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}" if value < 10 else f"{value:.1f}"
