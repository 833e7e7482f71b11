"""What compiled programs gain: beside the article's loop, JAX, and the bare products of matrices.

Run by hand: `python -m tests.benchmarks.compiled` with the `bench` extra; see README.md beside this
file. A ratio is of two things measured in turn, as median and range over the rounds; below 1, the
first is the faster.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gdrun.compiler import program_cache
from gdrun.compiler.executor import COMPILED
from gdrun.compiler.spec import spec_for
from gdrun.data.dataset import Dataset
from gdrun.results.events import Lane
from gdrun.training.loop import train
from gdrun.training.losses.regression import Regression
from gdrun.training.models.perceptron import Perceptron
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, initial_state
from tests.benchmarks import article
from tests.benchmarks.bench import asked_for, no_programs, process, seconds
from tests.benchmarks.peers import jax_scan
from tests.benchmarks.peers.job import ARTICLE, LARGE, MEDIUM, Job
from tests.benchmarks.peers.problem import load

JAX_COMPARE = Path(jax_scan.__file__).with_name("jax_compare.py")
ARTICLE_UPDATES = 10_000


@cache
def posed(job: Job) -> tuple[Problem, Plan]:
    """A job as gdrun has it, its rows in memory, and evaluated at the end alone."""
    x, y = (torch.from_numpy(array.copy()) for array in (load(job).x, load(job).y))
    names = tuple(f"x{k}" for k in range(job.features))
    data = Dataset(x, y, x[:0], y[:0], names, "y", None, None, "a job")
    lanes = tuple(Lane(job.lr, seed) for seed in range(job.lanes))
    plan = Plan(
        lanes, job.batch_size, job.epochs, "sequential", drop_last=True, eval_every=job.epochs
    )
    return Problem(data, Perceptron((job.features, job.hidden, 1), "relu"), Regression("mse")), plan


def gdrun(job: Job) -> float:
    """Training seconds of an update of all lanes, compiled."""
    return program_seconds(*posed(job))


def program_seconds(problem: Problem, plan: Plan) -> float:
    """Training seconds of an update of all lanes by the program of a plan."""
    spec = spec_for(problem, plan)
    if program_cache.find(spec) is None and program_cache.build([spec], lambda: False):
        raise RuntimeError("no program could be built")
    state = initial_state(problem, plan)
    for _ in train(problem, plan, state, COMPILED):
        pass
    return state.seconds / state.updates


def wide(threads: int) -> float:
    """Training seconds of an update of two wide layers, with so many threads at most."""
    problem, plan = posed(lasting(LARGE, 1_000))
    problem = replace(problem, model=Perceptron((LARGE.features, 256, 256, 1), "relu"))
    all_threads = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return program_seconds(problem, plan)
    finally:
        torch.set_num_threads(all_threads)


def jax(job: Job) -> float:
    """Seconds of an update of all lanes in JAX's scan."""
    trained = jax_scan.train(job)
    return trained.seconds / trained.updates


def by_hand(batch_size: int) -> Callable[[], float]:
    """Seconds of an update of the article's loop."""

    def measure() -> float:
        losses, spent = article.train(batch_size, 100 if batch_size == 1 else 1000)
        return spent / len(losses)

    return measure


def products(*, at_once: bool = False) -> float:
    """Seconds of the matrix products alone of a full batch of the large size.

    In chunks that the cache holds, unless all rows are to be multiplied `at_once`.
    """
    rows, features, hidden = LARGE.rows, LARGE.features, LARGE.hidden
    x, h, o = (torch.randn(rows, width) for width in (features, hidden, 1))
    first, second = torch.randn(features, hidden), torch.randn(hidden, 1)
    chunk = rows if at_once else posed(LARGE_FULL)[0].rows_at_once(1)

    def multiply() -> None:
        for xs, hs, errors in zip(*(torch.split(t, chunk) for t in (x, h, o)), strict=True):
            _ = xs @ first, hs @ second, errors @ second.T, hs.T @ errors, xs.T @ hs

    multiply()
    return median(seconds(multiply) for _ in range(7))


def command(*arguments: str, cold: bool = False) -> Callable[[], float]:
    """Wall time of a gdrun command as a process, with an empty cache of programs or as it is."""

    def measure() -> float:
        if not cold:
            return process("-m", "gdrun", *arguments, "-o", "OUT")
        with no_programs():
            return process("-m", "gdrun", *arguments, "-o", "OUT")

    return measure


def lasting(job: Job, updates: int) -> Job:
    """The same job for so many updates, about."""
    return replace(job, epochs=max(1, updates // job.updates_per_epoch))


SGD = lasting(replace(ARTICLE, batch_size=1), 1_000_000)
MINIBATCH = lasting(ARTICLE, 400_000)
FULL = lasting(replace(ARTICLE, batch_size=100), 200_000)
LARGE_FULL = lasting(replace(LARGE, batch_size=LARGE.rows), 20)
MILLION = ("sgd", "--epochs", "10000")
SEEDS = ("sgd", "--seeds", "256", "--set", "log_every=100")

Pair = tuple[str, Callable[[], float], Callable[[], float], float]


def against_jax(name: str, job: Job, promised: float) -> Pair:
    return f"{name}: program / JAX", lambda: gdrun(job), lambda: jax(job), promised


STEADY: list[Pair] = [
    ("batch 1: program / article's loop", lambda: gdrun(SGD), by_hand(1), 0.035),
    ("batch 16: program / article's loop", lambda: gdrun(MINIBATCH), by_hand(16), 0.035),
    ("batch 100: program / article's loop", lambda: gdrun(FULL), by_hand(100), 0.035),
    against_jax("batch 1", SGD, 1.2),
    against_jax("batch 16", MINIBATCH, 1.0),
    against_jax("batch 100", FULL, 1.0),
    against_jax("32 lanes, batch 1", lasting(replace(SGD, lanes=32), 100_000), 0.5),
    against_jax("32 lanes, batch 16", lasting(replace(MINIBATCH, lanes=32), 30_000), 0.5),
    against_jax("256 lanes, batch 1", lasting(replace(SGD, lanes=256), 20_000), 0.5),
    against_jax("256 lanes, batch 16", lasting(replace(MINIBATCH, lanes=256), 5_000), 0.5),
    (
        "256 seeds of sgd: program / 256 times the article's loop",
        lambda: gdrun(lasting(replace(SGD, lanes=256), 20_000)),
        lambda: 256 * by_hand(1)(),
        0.001,
    ),
    against_jax("10,000 × 16, 64 hidden, batch 32", lasting(MEDIUM, 50_000), 1.0),
    against_jax("50,000 × 32, 256 hidden, batch 128", lasting(LARGE, 20_000), 1.0),
    (
        "50,000 × 32, 256 and 256 hidden, batch 128: two threads / one",
        lambda: wide(2),
        lambda: wide(1),
        0.8,
    ),
    (
        "50,000 × 32, 256 hidden, full batch: program / bare products at once",
        lambda: gdrun(LARGE_FULL),
        lambda: products(at_once=True),
        1.4,
    ),
    (
        "50,000 × 32, 256 hidden, full batch: program / bare products in chunks",
        lambda: gdrun(LARGE_FULL),
        products,
        1.4,
    ),
    against_jax("50,000 × 32, 256 hidden, full batch", LARGE_FULL, 1.0),
]
PROCESSES: list[Pair] = [
    (
        "a million updates at batch 1, cold: process / article's loop",
        command(*MILLION, cold=True),
        lambda: 1e6 * by_hand(1)(),
        0.1,
    ),
    (
        "the same, warm",
        command(*MILLION),
        lambda: 1e6 * by_hand(1)(),
        0.02,
    ),
    (
        "256 seeds of sgd, cold: process / 256 times the article's loop",
        command(*SEEDS, cold=True),
        lambda: 256 * ARTICLE_UPDATES * by_hand(1)(),
        0.02,
    ),
    (
        "gdrun compare, cold / JAX with the same files and pictures",
        command("compare", cold=True),
        lambda: process(str(JAX_COMPARE), "OUT"),
        1.0,
    ),
    (
        "gdrun compare, warm / the same",
        command("compare", "--set", "engine=compiled"),
        lambda: process(str(JAX_COMPARE), "OUT"),
        1.0,
    ),
]


def report(title: str, pairs: list[Pair], rounds: int, console: Console) -> None:
    """Measure pairs in turn, and print their ratios and both sides in microseconds."""
    table = Table(title, "promised", "median", "range", "first (µs)", "second (µs)", box=None)
    for name, first, second, promised in pairs:
        found = [
            (first(), second()) for _ in track(range(rounds), name, console=Console(stderr=True))
        ]
        ratios = [a / b for a, b in found]
        table.add_row(
            name,
            f"≤ {promised:g}",
            f"{median(ratios):.3g}",
            f"{min(ratios):.3g} – {max(ratios):.3g}",
            *(f"{1e6 * median(side):,.4g}" for side in zip(*found, strict=True)),
        )
    console.print(table)


def main() -> None:
    """Measure everything and print the tables."""
    options, console = asked_for(__doc__, "pair", rounds=5)
    for title, pairs, warm in (("steady state", STEADY, True), ("processes", PROCESSES, False)):
        chosen = [pair for pair in pairs if options.only in pair[0]]
        if not chosen:
            continue
        if warm:
            for _, first, second, _ in chosen:  # compile everything
                first(), second()
        else:  # build what warm runs find
            process("-m", "gdrun", *MILLION, "-o", "OUT")
            process("-m", "gdrun", "compare", "--set", "engine=compiled", "-o", "OUT")
        report(title, chosen, options.rounds, console)


if __name__ == "__main__":
    main()
