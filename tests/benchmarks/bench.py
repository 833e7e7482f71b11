"""How fast gdrun is beside what its users would write by hand; see README.md beside this file.

Run by hand: `python -m tests.benchmarks.bench`. A ratio is of two things measured in turn, as
median and range over the rounds; below 1, the first is the faster.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gdrun.config.read import load_config
from gdrun.data.dataset import Dataset
from gdrun.experiment import checkpoint, run_files
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.events import Lane
from gdrun.results.run import RunResult
from gdrun.training.loop import train
from gdrun.training.losses.regression import Regression
from gdrun.training.models.perceptron import Perceptron
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, initial_state
from tests.benchmarks import article

ARTICLE = Path(article.__file__)
LARGE_ROWS = 50_000
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
    experiment = plan_experiment("sgd", load_config(settings=settings))
    with tempfile.TemporaryDirectory() as directory:
        *_, result = execute(experiment, Path(directory))
    assert isinstance(result, RunResult)
    return result


@cache
def large_problem() -> Problem:
    """50,000 rows of 32 features, 256 hidden units."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(LARGE_ROWS, 32, generator=generator)
    y = x[:, :1].sin()
    names = tuple(f"x{k}" for k in range(32))
    data = Dataset(x, y, x[:0], y[:0], names, "y", None, None, "random")
    return Problem(data, Perceptron((32, 256, 1), "relu"), Regression("mse"))


def full_batch(chunk_rows: int | None, updates: int = 5) -> float:
    """Training time of an update on all rows of the large problem, in chunks of so many."""
    problem = replace(large_problem(), chunk_rows=chunk_rows)
    plan = Plan((Lane(0.01, 0),), LARGE_ROWS, updates, "sequential", eval_every=updates)
    state = initial_state(problem, plan)
    for _ in train(problem, plan, state):
        pass
    return state.seconds / updates


def checkpoint_share() -> float:
    """Time spent on checkpoints as a part of the training time, one wanted after every epoch."""
    spent = 0.0
    save = checkpoint.save_checkpoint

    def watched(*args: Any, **more: Any) -> None:
        nonlocal spent
        spent += seconds(lambda: save(*args, **more))

    with patch.object(run_files, "save_checkpoint", watched):
        trained = sgd("checkpoint_every=1", "epochs=1000").lanes[0].seconds
    return spent / trained


def interrupt(*arguments: str) -> float:
    """Wall time from Ctrl-C, after three seconds, to the end of the process."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "gdrun", *arguments, "-o", directory]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        return seconds(process.wait)


def asked_for(
    description: str | None, what: str, *, rounds: int
) -> tuple[argparse.Namespace, Console]:
    """The options of a benchmark of several pairs or jobs, and a console as wide as a table."""
    parser = argparse.ArgumentParser(description=description)
    text = f"how often each {what} is measured"
    parser.add_argument("--rounds", type=int, default=rounds, help=text)
    parser.add_argument("--only", default="", help=f"{what}s whose names hold this text")
    console = Console(highlight=False, width=shutil.get_terminal_size((160, 0)).columns)
    return parser.parse_args(), console


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


@contextmanager
def no_programs() -> Iterator[None]:
    """An empty cache of programs while it lasts."""
    before = os.environ.get("GDRUN_CACHE")
    with tempfile.TemporaryDirectory() as directory:
        os.environ["GDRUN_CACHE"] = directory
        try:
            yield
        finally:
            del os.environ["GDRUN_CACHE"]
            if before:
                os.environ["GDRUN_CACHE"] = before


def listing(runs: int) -> float:
    """Wall time of `gdrun list` where there are so many run directories."""
    with tempfile.TemporaryDirectory() as directory:
        settings = load_config(settings=["epochs=2", "seeds=4"])
        made = Path(directory) / "run-0"
        made.mkdir()
        for _ in execute(plan_experiment("sgd", settings), made):
            pass
        for number in range(1, runs):
            shutil.copytree(made, made.with_name(f"run-{number}"))
        return process("-m", "gdrun", "list", "-o", directory)


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
    (
        "a full batch of 50,000 × 32 rows, 256 hidden: in chunks / at once",
        lambda: full_batch(None),
        lambda: full_batch(LARGE_ROWS),
        0.45,
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
    for jobs in ("1", "2"):
        options = ["sweep", "-c", "diabetes", "--seeds", "16", "-j", jobs, "-o", "OUT"]
        walls = [process("-m", "gdrun", *options) for _ in range(rounds)]
        console.print(
            f"gdrun sweep, 42 pairs × 16 seeds on diabetes, -j {jobs}: {median(walls):.1f} s "
            f"({min(walls):.1f} – {max(walls):.1f}), promised ≤ 60"
        )
    lists = [listing(1000) for _ in range(rounds)]
    console.print(
        f"gdrun list, 1,000 runs: {median(lists):.2f} s ({min(lists):.2f} – {max(lists):.2f}), "
        "promised ≤ 1"
    )
    shares = [checkpoint_share() for _ in range(rounds)]
    console.print(
        f"checkpoints / training time: {max(shares):.1%} at most, promised ≤ 2 % and the last one"
    )
    for arguments in (("sgd", "--epochs", "1000000"), ("compare", "--epochs", "20000")):
        waits = [interrupt(*arguments) for _ in range(rounds)]
        console.print(
            f"Ctrl-C in gdrun {arguments[0]}: {median(waits):.2f} s "
            f"({min(waits):.2f} – {max(waits):.2f}), promised ≤ 1"
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
