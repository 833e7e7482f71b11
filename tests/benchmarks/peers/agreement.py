"""Whether the peers train alike: their final losses beside those of the article's loop."""

import math
from collections.abc import Sequence
from dataclasses import replace

from tests.benchmarks.peers.job import SIZES, Job, Trained

TOLERANCE = 1e-3
EPOCHS = 3


def check_jobs(sizes: Sequence[str]) -> list[Job]:
    """The jobs of these sizes for a few epochs, one of them with several lanes."""
    jobs = [job for size in sizes for job in SIZES[size].values()]
    return [
        *(replace(job, epochs=min(job.epochs, EPOCHS)) for job in jobs),
        replace(jobs[-1], epochs=1, lanes=3),
    ]


def apart(answers: Sequence[Trained], references: Sequence[Trained]) -> float:
    """The largest relative difference between last losses; infinite where one isn't finite."""
    differences = [
        abs(loss / expected - 1)
        for answer, reference in zip(answers, references, strict=True)
        for loss, expected in zip(answer.last_losses, reference.last_losses, strict=True)
    ]
    return max(differences) if all(map(math.isfinite, differences)) else math.inf
