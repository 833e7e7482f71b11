"""What a known answer is, and how it is held against a training.

Shapes: R lanes, E epochs.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gdrun.config.methods import with_method
from gdrun.config.read import configured
from gdrun.config.schema import Method
from gdrun.experiment.execute import execute
from gdrun.experiment.prepare import prepare_command
from gdrun.results.run import RunResult

Engine = Literal["eager", "compiled"]
ENGINES: tuple[Engine, ...] = ("eager", "compiled")
Measure = Callable[[Engine], float]


@dataclass(frozen=True)
class Answer:
    """A number that is known beforehand.

    Attributes:
        what: it is, in words.
        source: where it comes from.
        expected: the number.
        tolerance: by how much what is measured may differ from it.
        why: where the tolerance comes from.
        measure: trains by an engine, and gives the number.
        engines: by which it is measured.
    """

    what: str
    source: str
    expected: float
    tolerance: float
    why: str
    measure: Measure
    engines: tuple[Engine, ...] = ENGINES


def trained(method: Method, preset: str | None, engine: Engine, **settings: Any) -> RunResult:
    """The result of a method with a preset, some keys of which are others; or without one."""
    own = {**settings, "engine": engine, "device": "cpu", "plot": {"enabled": False}}
    config = with_method(configured(preset, own), method)
    experiment = prepare_command(method, config, estimates=False).experiment
    with closing(execute(experiment)) as events:
        (result,) = (event for event in events if isinstance(event, RunResult))
    return result


def train_losses(
    method: Method, preset: str, engine: Engine, **settings: Any
) -> NDArray[np.float64]:
    """The train losses at the ends of the epochs from 0 on, (R, 1 + E), of such a training."""
    histories = trained(method, preset, engine, **settings).histories
    return np.array([list(history.epochs["train_loss"]) for history in histories])
