"""What moves in an animation: functions, loss curves and texts, each shown as it is in a frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from matplotlib.artist import Artist
from matplotlib.lines import Line2D
from matplotlib.text import Text

from gdrun.plots.curves import Array, divergence
from gdrun.results.axes import Cost
from gdrun.results.fits import Fit
from gdrun.results.lanes import lanes_by_rate
from gdrun.results.rows.history import History
from gdrun.results.run import RunResult
from gdrun.text import count

Functions = Sequence[Array]  # of one run, at each of its learning rates


class Moving(Protocol):
    """Something that moves."""

    @property
    def artists(self) -> Sequence[Artist]:
        """What it is drawn by."""

    def show(self, frame: int) -> None:
        """Make them as they are in a frame."""


@dataclass(frozen=True)
class MovingText:
    """A text that changes, with what it says in each frame."""

    text: Text
    said: Sequence[str]

    @property
    def artists(self) -> Sequence[Artist]:
        """The text."""
        return (self.text,)

    def show(self, frame: int) -> None:
        """Say what is said in a frame."""
        self.text.set_text(self.said[frame])


@dataclass(frozen=True)
class MovingFunction:
    """A fitted function, with its values in each frame."""

    line: Line2D
    values: Sequence[Array]

    @property
    def artists(self) -> Sequence[Artist]:
        """Its line."""
        return (self.line,)

    def show(self, frame: int) -> None:
        """Show the function of a frame."""
        self.line.set_ydata(self.values[frame])


@dataclass(frozen=True)
class GrowingCurve:
    """A loss curve that grows.

    Attributes:
        line, head: the curve so far, and a point at its end.
        x, y: all of it.
        reached: how far along x it is in each frame.
    """

    line: Line2D
    head: Line2D
    x: Array
    y: Array
    reached: Sequence[float]

    @property
    def artists(self) -> Sequence[Artist]:
        """Its line, and the point above it."""
        return (self.line, self.head)

    def show(self, frame: int) -> None:
        """Show the curve as far as it is in a frame; where it diverges, the point stays behind."""
        points = int(np.searchsorted(self.x, self.reached[frame], side="right"))
        x, y = self.x[:points], self.y[:points]
        self.line.set_data(x, y)
        last = np.flatnonzero(np.isfinite(y))[-1:]
        self.head.set_data(x[last], y[last])


def median_functions(result: RunResult, fit: Fit) -> Functions:
    """The median over seeds of the fitted functions, for each learning rate; NaN if infinite."""
    curves = np.array(fit.curves)
    curves[~np.isfinite(curves)] = np.inf
    found = [np.median(curves[lanes], axis=0) for lanes in lanes_by_rate(result.lanes).values()]
    return [np.where(np.isfinite(median), median, np.nan) for median in found]


def costs_at(histories: Sequence[History], epochs: Sequence[int], cost: Cost) -> list[float]:
    """What the longest of some lanes had cost at the ends of epochs, by the rows that it has."""
    table = max(histories, key=lambda history: history.latest.epoch).epochs
    rows = np.searchsorted(np.asarray(table["epoch"]), epochs, side="right") - 1
    return [float(table[cost][row]) for row in rows]


def updates_said(result: RunResult, epochs: Sequence[int]) -> list[str]:
    """How many updates a run has taken at the ends of epochs, in words; or where it diverged."""
    groups = lanes_by_rate(result.lanes).values()
    ends = [divergence(result, lanes, "updates") for lanes in groups]
    end = max(math.inf if at is None else at for at in ends)
    taken = costs_at(result.histories, epochs, "updates")
    return [
        f"diverged at update {end:,.0f}"
        if updates >= end and updates
        else count(int(updates), "update")
        for updates in taken
    ]
