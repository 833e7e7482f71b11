"""A sentence of an explanation, with the condition that it is said on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from gdrun.analysis.why.probed import ProbedRun
from gdrun.text import listed

MANY = 12  # names in a sentence
Kind = TypeVar("Kind")
Topic = Literal["rate", "noise", "why", "check", "next"]


@dataclass(frozen=True)
class Sentence:
    """What is said where something holds.

    Attributes:
        topic: what it is about.
        condition: what holds, as a key: `far-below-limit`.
        text: the sentence, or a few.
    """

    topic: Topic
    condition: str
    text: str


def named(runs: Sequence[ProbedRun]) -> str:
    """Runs in a sentence: `full`, `full and sgd`."""
    return listed([run.label for run in runs], MANY)


def by_kind(kinds: Iterable[tuple[ProbedRun, Kind]]) -> dict[Kind, list[ProbedRun]]:
    """Runs by the kind that each is of, in their order."""
    found: dict[Kind, list[ProbedRun]] = {}
    for run, kind in kinds:
        found.setdefault(kind, []).append(run)
    return found
