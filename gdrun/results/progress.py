"""The progress of a run, summed up from its segments; bounded in memory, however long the run."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from gdrun.results.events import COMPLETE, EpochEnds, Segment, Series
from gdrun.results.lanes import lanes_by_rate
from gdrun.results.rows.history import History

CURVE_POINTS = 512


@dataclass
class RunProgress:
    """How far one run is, and its train loss so far.

    Losses are medians over the lanes whose loss is finite, of the best learning rate where there
    are several.

    Attributes:
        series: which run.
        epochs, updates_per_epoch: of the whole run.
        epoch, updates, seconds: finished so far.
        diverged: how many lanes have diverged.
        ended: how many have diverged or were stopped, as patience ran out.
        is_probing: whether training waits for a measurement.
        curve: train losses so far, evenly spaced, at most `CURVE_POINTS` of them.
        val_curve: validation losses beside these; NaN where there is none.
        curve_epochs: the epochs of both.
    """

    series: Series
    epochs: int
    updates_per_epoch: int
    epoch: int = 0
    updates: int = 0
    seconds: float = 0.0
    diverged: int = 0
    ended: int = 0
    is_probing: bool = False
    curve: list[float] = field(default_factory=list)
    val_curve: list[float] = field(default_factory=list)
    curve_epochs: list[int] = field(default_factory=list)
    _losses: Sequence[float | None] = ()
    _lowest: list[float] = field(default_factory=list)
    _diverged_at: Sequence[int | None] = ()
    # When a segment was seen first and last (`time.monotonic`), and after which update.
    _first_seen: tuple[float, int] | None = field(default=None, repr=False)
    _last_seen: tuple[float, int] = field(default=(0.0, 0), repr=False)
    _positions: list[list[int]] = field(default_factory=list, repr=False)  # by learning rate
    _stride: int = 1
    _evaluated: int = 0

    def __post_init__(self) -> None:
        lanes = self.series.lanes
        self._positions = list(lanes_by_rate(lanes).values())
        self._lowest, self._diverged_at = [math.inf] * len(lanes), [None] * len(lanes)

    @property
    def total(self) -> int:
        """Updates of the whole run."""
        return self.epochs * self.updates_per_epoch

    @property
    def updates_per_second(self) -> float:
        """Updates per second of training time."""
        return self.updates / self.seconds if self.seconds else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds left, logs and all, if the rest goes as fast as what was seen of it."""
        if self._first_seen is None:
            return None
        (began, first), (now, last) = self._first_seen, self._last_seen
        done = last - first
        return (self.total - last) * (now - began) / done if done else None

    @property
    def loss(self) -> float:
        """The train loss when it was last evaluated."""
        return self._at_best_rate(self._losses) if self._losses else math.nan

    @property
    def best(self) -> float:
        """The lowest train loss so far of each lane: of the lanes left, if there are any."""
        some_left = None in self._diverged_at
        lowest = [
            None if diverged_at is not None and some_left else loss
            for loss, diverged_at in zip(self._lowest, self._diverged_at, strict=True)
        ]
        return self._at_best_rate(lowest)

    @property
    def state(self) -> str:
        """`waiting`, `training`, `done`, or `diverged` if every lane is."""
        if self.diverged == len(self.series.lanes):
            return "diverged"
        if not self.updates:
            return "waiting"
        has_ended = self.updates == self.total or self.ended == len(self.series.lanes)
        return "done" if has_ended else "training"

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will come: the last epoch, or that of the divergence, is closed."""
        is_closed = self.updates == self.epoch * self.updates_per_epoch
        return self.state in COMPLETE and is_closed and not self.is_probing

    def recall(self, histories: Sequence[History]) -> None:
        """Take in what earlier processes recorded."""
        losses = [history.epochs["train_loss"] for history in histories]
        validation = [history.epochs["val_loss"] for history in histories]
        longest = max((history.epochs["epoch"] for history in histories), key=len)
        self._lowest = [history.latest.lowest for history in histories]
        self._diverged_at = [None] * len(losses)
        rows = max(len(column) for column in losses)
        for row in range(0, rows, -(-rows // CURVE_POINTS) or 1):
            known = [column[row] if row < len(column) else math.nan for column in losses]
            if self._at_best_rate(known) < math.inf:
                self._losses = known
                val = [column[row] if row < len(column) else math.nan for column in validation]
                self._extend_curve(int(longest[row]), val)

    def advance(self, segment: Segment) -> None:
        """Take in a segment."""
        self.updates, self.seconds = segment.updates, segment.seconds
        self._last_seen = time.monotonic(), segment.updates
        self._first_seen = self._first_seen or self._last_seen
        self.diverged = len(segment.diverged_at) - segment.diverged_at.count(None)
        self.ended = len(segment.ended_at) - segment.ended_at.count(None)
        self.is_probing = segment.is_probing
        if segment.ends:
            self.epoch = segment.epoch
            self._take_in(segment.ends, segment.diverged_at)

    def _take_in(self, ends: EpochEnds, diverged_at: Sequence[int | None]) -> None:
        columns, validation = ends.train_loss, ends.val_loss
        if not all(ends.active):
            none = [None] * len(ends.epochs)
            columns, validation = (
                [
                    column if active else none
                    for column, active in zip(own, ends.active, strict=True)
                ]
                for own in (columns, validation)
            )
        rows = zip(
            ends.epochs, zip(*columns, strict=True), zip(*validation, strict=True), strict=True
        )
        for epoch, losses, val_losses in rows:
            if losses.count(None) < len(losses):
                self._losses, self._diverged_at = losses, diverged_at
                self._extend_curve(epoch, val_losses)
        for lane, column in enumerate(columns):
            for loss in column:
                if loss is not None and loss < self._lowest[lane]:
                    self._lowest[lane] = loss

    def _at_best_rate(self, losses: Sequence[float | None]) -> float:
        """The lowest among learning rates of the medians over the lanes whose losses are finite."""
        medians = []
        for positions in self._positions:
            known = [loss for k in positions if (loss := losses[k]) is not None]
            finite = [loss for loss in known if math.isfinite(loss)]
            medians += [median(finite)] if finite else []
        return min(medians, default=math.inf)

    def _extend_curve(self, epoch: int, val_losses: Sequence[float | None]) -> None:
        """Keep every k-th loss, with k doubled whenever there are too many."""
        if self._evaluated % self._stride == 0:
            val_loss = self._at_best_rate(val_losses)
            self.curve.append(self.loss)
            self.val_curve.append(val_loss if val_loss < math.inf else math.nan)
            self.curve_epochs.append(epoch)
            if len(self.curve) > CURVE_POINTS:
                for kept in (self.curve, self.val_curve, self.curve_epochs):
                    del kept[1::2]
                self._stride *= 2
        self._evaluated += 1
