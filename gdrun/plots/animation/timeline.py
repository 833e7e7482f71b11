"""Which epochs an animation shows, and for how long."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

FRAMES_A_SECOND = 15
MAX_FRAMES = 150
FIRST_HOLD, LAST_HOLD = 0.05, 0.15  # shares of the time in which the first and last frames stand
TICK = 100  # of the clock of a GIF, a second


@dataclass(frozen=True)
class Timeline:
    """The frames of an animation.

    Attributes:
        epochs: which each shows, in rising order: 0 is before training.
        ticks: for how many hundredths of a second each is seen.
    """

    epochs: Sequence[int]
    ticks: Sequence[int]


def plan_timeline(last: int, seconds: float) -> Timeline:
    """The frames that show a training of so many epochs, in so many seconds.

    All epochs if there is room for them. Otherwise the first and the last one, and between them the
    k-th of n frames about (k/n)² of the way: much happens at the beginning, and little later on.
    """
    epochs = _epochs(last, max(2, min(MAX_FRAMES, int(FRAMES_A_SECOND * seconds))))
    weights = _weights(len(epochs))
    ends = [0.0]
    for weight in weights:
        ends.append(ends[-1] + weight)
    marks = [round(TICK * seconds * end / ends[-1]) for end in ends]
    return Timeline(epochs, [end - start for start, end in pairwise(marks)])


def _epochs(last: int, most: int) -> list[int]:
    if last < most:
        return list(range(last + 1))
    found: set[int] = set()
    for steps in range(most - 1, 4 * most):  # at the beginning, several steps share an epoch
        more = {round(last * (step / steps) ** 2) for step in range(steps + 1)}
        if len(more) > most:
            break
        found = more
    return sorted(found)


def _weights(frames: int) -> list[float]:
    """The shares of the time of the frames: those between the first and the last have the same."""
    if frames <= 2:
        return [1.0] * frames
    between = (1 - FIRST_HOLD - LAST_HOLD) / (frames - 2)
    return [max(FIRST_HOLD, between), *[between] * (frames - 2), max(LAST_HOLD, between)]
