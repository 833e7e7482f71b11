"""Two ranks on two cores beside one process: `python -m tests.benchmarks.ranks`.

Many lanes, which ranks divide among them; the time of an all-reduce by its size; batches, whose
rows they divide, and from both what they would gain on more ranks than were measured; and a sweep,
of which each takes runs.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import torch

from gdrun.compiler.executor import BACKENDS
from gdrun.config.read import configure
from gdrun.experiment.engines import built_as_chosen
from gdrun.experiment.plan.make import plan_experiment
from gdrun.training.loop import train
from gdrun.training.ranks import Ranks
from gdrun.training.state import initial_state
from tests.ranks import RankPool, environment_of, free_port

ROUNDS, SECONDS = 5, 1.0
FULL: dict[str, Any] = {"hidden_size": [256, 256], "epochs": 10**6, "eval_every": 10**6}
LANES: dict[str, Any] = {"seeds": 32, "epochs": 10**6, "eval_every": 1000}
WIDE: dict[str, Any] = {
    **LANES,
    "hidden_size": [128],
    "data": {"source": "quadratic", "rows": 5000},
}
ROWS, BATCHES = 50_000, (1, 16, 128, 1_000, 10_000, 50_000)
WEIGHTS = 256 + 256 + 256 * 256 + 256 + 256 + 1  # of a network from one number to one
SIZES = (1, 2**10, 2**16, 2**20, 2**22)  # numbers in an all-reduce
SWEEP = ("sweep", "-c", "diabetes", "--seeds", "16", "--engine", "eager", "--epochs", "200")


def main() -> None:
    """Print a line for each comparison."""
    one, two = RankPool(1), RankPool(2)
    lanes = "32 lanes of the article's problem, batch 16"
    compare(one, two, f"{lanes}, eager", "minibatch", LANES, "eager")
    compare(one, two, f"{lanes}, compiled", "minibatch", LANES, "compiled")
    wide = "32 lanes, 128 units, batch 500, eager"
    compare(one, two, wide, "minibatch", {**WIDE, "batch_size": 500}, "eager")
    reduced = [show_reduce(two, size) for size in SIZES]
    byte = (reduced[-1] - reduced[1]) / (4 * (SIZES[-1] - SIZES[1]))
    step = reduced[1] / 2, byte
    print(f"a step of an all-reduce: {1e6 * step[0]:.3g} µs, {1e9 * step[1]:.3g} ns a byte")
    own = {**FULL, "data": {"source": "quadratic", "rows": ROWS}}
    times = {}
    for size in BATCHES:
        which = {**own, "batch_size": size}
        times[size] = compare(
            one, two, f"batch {size:,}, 256 and 256 units", "minibatch", which, "eager"
        )
    on_paper(times, *step)
    sweeps()
    one.close()
    two.close()


def show_reduce(two: RankPool, size: int) -> float:
    """The time of an all-reduce of so many numbers between two ranks."""
    seconds = [two.run(reduce_seconds, size)[0] for _ in range(ROUNDS)]
    show(f"all-reduce of {4 * size:,} bytes, two ranks", seconds)
    latency: float = median(seconds)
    return latency


def on_paper(times: dict[int, tuple[float, float]], latency: float, byte: float) -> None:
    """What divided batches gain by a formula, beside what two ranks gained.

    An update of B rows takes o + B·c, by the smallest and the largest batch. Of W ranks it takes
    o + ⌈B/W⌉·c and a ring all-reduce of n bytes, 2(W − 1) steps of n/W bytes each (Patarasuk & Yuan
    2009, "Bandwidth optimal all-reduce algorithms for clusters of workstations", sec. 3).
    """
    small, large = min(times), max(times)
    row = (times[large][0] - times[small][0]) / (large - small)
    overhead = times[small][0] - small * row
    print(f"an update: {1e6 * overhead:.3g} µs and {1e6 * row:.3g} µs a row; {WEIGHTS:,} weights")

    def update(batch: int, ranks: int) -> float:
        steps = 2 * (ranks - 1)
        return overhead + -(-batch // ranks) * row + steps * (latency + 4 * WEIGHTS / ranks * byte)

    for batch, (alone, measured) in times.items():
        gains = {ranks: update(batch, 1) / update(batch, ranks) for ranks in (2, 8, 64, 1000)}
        words = ", ".join(f"{ranks:,} ranks {gain:.3g}" for ranks, gain in gains.items())
        print(f"batch {batch:,}: two ranks gained {alone / measured:.3g}; on paper {words}")


def compare(
    one: RankPool, two: RankPool, what: str, method: str, settings: dict[str, Any], engine: str
) -> tuple[float, float]:
    """An update by one process with one thread and with two, and by two ranks, in turn.

    Returns:
        The medians of one process with one thread, and of two ranks.
    """
    times: list[list[float]] = [[], [], []]
    for _ in range(ROUNDS):
        for found, pool, threads in zip(times, (one, one, two), (1, 2, 1), strict=True):
            found.append(pool.run(update_seconds, method, settings, engine, threads)[0])
    show(f"{what}: one process, one thread", times[0])
    show(f"{what}: one process, two threads", times[1])
    show(f"{what}: two ranks", times[2])
    for name, base in (("one thread", times[0]), ("two threads", times[1])):
        ratios = [a / b for a, b in zip(base, times[2], strict=True)]
        show(f"{what}: speed-up over {name}", ratios, unit=1)
    return median(times[0]), median(times[2])


def update_seconds(
    ranks: Ranks, method: str, settings: dict[str, Any], engine: Any, threads: int
) -> float:
    """The training time of an update, over a second or so."""
    torch.set_num_threads(threads)
    config = configure({}, {**settings, "engine": engine, "device": "cpu"})
    experiment = replace(plan_experiment(method, config), ranks=ranks)
    (run,) = experiment.runs
    if engine == "compiled":
        built_as_chosen(experiment)
    plan = replace(run.plan, ranks=ranks)
    state, began = initial_state(run.problem, plan), 0
    start, seconds = time.monotonic(), 0.0
    for _ in train(run.problem, plan, state, BACKENDS[engine]):
        if not began and state.updates:
            began, seconds = state.updates, state.seconds
        if any(ranks.any(state.updates > began and time.monotonic() - start > SECONDS)):
            return (state.seconds - seconds) / (state.updates - began)
    raise AssertionError


def reduce_seconds(ranks: Ranks, numbers: int) -> float:
    """The time of an all-reduce of so many numbers of four bytes."""
    tensor = torch.zeros(numbers)
    for _ in range(20):
        ranks.reduce(tensor)
    start = time.perf_counter()
    for calls in count(1):
        ranks.reduce(tensor)
        if calls == max(10, min(2000, 2**26 // numbers)):
            return (time.perf_counter() - start) / calls
    raise AssertionError


def sweeps() -> None:
    """A sweep as whole processes: by one, by `-j 2`, and by two ranks, in turn."""
    times: list[list[float]] = [[], [], []]
    for _ in range(3):
        times[0].append(process_seconds(1))
        times[1].append(process_seconds(1, "-j", "2"))
        times[2].append(process_seconds(2))
    for name, found in zip(("one process", "-j 2", "two ranks"), times, strict=True):
        show(f"gdrun {' '.join(SWEEP)}: {name}", found, unit=1, of=" s")
    ratios = [a / b for a, b in zip(times[0], times[2], strict=True)]
    show("the same: speed-up of two ranks", ratios, unit=1)


def process_seconds(size: int, *more: str) -> float:
    """The wall time of a sweep in so many ranks."""
    port, start = free_port(), time.perf_counter()
    with tempfile.TemporaryDirectory() as place:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", "gdrun", *SWEEP, *more, "-q", "--set", "plot.enabled=false"],
                cwd=place,
                env={
                    **os.environ,
                    "PYTHONPATH": str(Path(__file__).parents[2]),
                    **({"OMP_NUM_THREADS": "1"} if size > 1 else {}),
                    **(environment_of(rank, size, port) if size > 1 else {}),
                },
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            for rank in range(size)
        ]
        for process in processes:
            assert process.wait() == 0
    return time.perf_counter() - start


def show(what: str, numbers: list[float], unit: float = 1e6, of: str = "") -> None:
    """Print a median and the range; microseconds for seconds."""
    scaled = sorted(number * unit for number in numbers)
    of = " µs" if unit == 1e6 else of
    print(f"{what}: {median(scaled):.3g} ({scaled[0]:.3g} – {scaled[-1]:.3g}){of}", flush=True)


if __name__ == "__main__":
    main()
