"""How a peer is timed, in whatever process it is called."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import NamedTuple

from tests.benchmarks.peers.job import SIZES, Job, Trained
from tests.benchmarks.peers.problem import Problem, Weights, load


class Run(NamedTuple):
    """A lane's training: its last weights, and the seconds as in `Trained`."""

    weights: Weights
    seconds: float
    compile_seconds: float


def seconds(action: Callable[[], object]) -> float:
    """Wall time of an action."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def timed(
    job: Job, warm_up: Callable[[], object], fit: Callable[[], object]
) -> tuple[float, float]:
    """Seconds of a training, and what the update before it took beyond one of its own.

    That one, `warm_up`, is on a copy or taken back.
    """
    first = seconds(warm_up)
    steady = seconds(fit)
    return steady, max(0.0, first - steady / job.updates)


def in_turn(job: Job, train_one: Callable[[Job, Problem, Weights], Run]) -> Trained:
    """Train lane after lane, as one does who can't train several together."""
    problem = load(job)
    runs = [train_one(job, problem, start) for start in problem.starts]
    return trained(
        job,
        problem,
        [run.weights for run in runs],
        sum(run.seconds for run in runs),
        sum(run.compile_seconds for run in runs),
    )


def trained(
    job: Job, problem: Problem, weights: Sequence[Weights], seconds: float, compile_seconds: float
) -> Trained:
    """What came of a job, from the last weights of each lane."""
    return Trained(
        first_losses=[problem.loss(start) for start in problem.starts],
        last_losses=[problem.loss(last) for last in weights],
        updates=job.updates,
        seconds=seconds,
        compile_seconds=compile_seconds,
    )


def main(train: Callable[[Job], Trained]) -> None:
    """A peer as a process: train the jobs that the command line names; answer one line of JSON."""
    answers = [asdict(train(job)) for job in read_jobs(sys.argv[1])]
    print(json.dumps(answers))


def read_jobs(text: str) -> list[Job]:
    """The jobs of a size, or those that a JSON list gives in full."""
    if text in SIZES:
        return [*SIZES[text].values()]
    return [Job(**fields) for fields in json.loads(text)]
