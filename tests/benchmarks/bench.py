"""How fast gdrun is beside what its users would write by hand; see README.md beside this file.

Run by hand: `python -m tests.benchmarks.bench`. A ratio is of two things measured in turn, as
median and range over the rounds; below 1, the first is the faster.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

from gdrun.configfile import load_config
from gdrun.experiment import prepare
from gdrun.results import RunResult
from gdrun.runs import execute
from tests.benchmarks import article

ARTICLE = Path(article.__file__)
# Resident memory, in bytes, that a run adds to a process that has made a short one before.
MEMORY = """
import resource, sys
from gdrun.api import train
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
train("full", epochs=100, output_dir=sys.argv[2])
before = resident()
result = train("full", epochs=int(sys.argv[1]), output_dir=sys.argv[2])
print(resident() - before)
"""


def sgd(*settings: str) -> RunResult:
    """`gdrun sgd` on the reference problem in this process, without pictures."""
    experiment = prepare("sgd", load_config(settings=settings))
    with tempfile.TemporaryDirectory() as directory:
        *_, result = execute(experiment, Path(directory))
    assert isinstance(result, RunResult)
    return result


def seconds(action: Callable[[], object]) -> float:
    """Wall time of an action."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def process(*arguments: str) -> float:
    """Wall time of a Python process."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, *(a.replace("OUT", directory) for a in arguments)]
        return seconds(lambda: subprocess.run(command, check=True, capture_output=True))


# Each: what is compared, the two measurements, and the ratio that is promised.
PAIRS: list[tuple[str, Callable[[], float], Callable[[], float], float]] = [
    (
        "gdrun sgd, 10,000 updates, with logs, evaluation and checkpoint / article's loop",
        lambda: seconds(sgd),
        lambda: article.train(1)[1],
        0.6,
    ),
    (
        "the same, training time alone / article's loop",
        lambda: sgd().lanes[0].seconds,
        lambda: article.train(1)[1],
        0.6,
    ),
    (
        "gdrun sgd, every update logged / none",
        lambda: seconds(sgd),
        lambda: seconds(lambda: sgd("log_every=1000000")),
        1.1,
    ),
    ("32 seeds / one", lambda: seconds(lambda: sgd("seeds=32")), lambda: seconds(sgd), 1.5),
    (
        "process: gdrun compare / the article as a script",
        lambda: process("-m", "gdrun", "compare", "-o", "OUT"),
        lambda: process(str(ARTICLE), "OUT"),
        0.85,
    ),
]


def main() -> None:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each pair is measured")
    rounds = parser.parse_args().rounds
    console = Console(highlight=False)
    sgd()
    article.train(16)  # both warm
    table = Table("ratio", "promised", "median", "range", box=None)
    for name, first, second, promised in PAIRS:
        ratios = [
            first() / second() for _ in track(range(rounds), name, console=Console(stderr=True))
        ]
        spread = f"{min(ratios):.2f} – {max(ratios):.2f}"
        table.add_row(name, f"≤ {promised}", f"{median(ratios):.2f}", spread)
    console.print(table)
    helps = [process("-m", "gdrun", "--help") for _ in range(rounds)]
    console.print(
        f"gdrun --help: {median(helps):.2f} s ({min(helps):.2f} – {max(helps):.2f}), promised ≤ 0.3"
    )
    for epochs in (10_000, 50_000):
        with tempfile.TemporaryDirectory() as directory:
            command = [sys.executable, "-c", MEMORY, str(epochs), directory]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
        console.print(
            f"memory of full: {int(done.stdout) / epochs:.0f} bytes an epoch of {epochs:,}"
        )


if __name__ == "__main__":
    main()
