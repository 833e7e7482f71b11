"""How far a run is, summed up from its segments as they come; bounded, however long the run."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from statistics import median

from gdrun.results.events import Epochs, Segment, Series
from gdrun.results.history import History

BLOCKS = "▁▂▃▄▅▆▇█"
CURVE_POINTS = 512


@dataclass
class RunProgress:
    """How far one run is, in what a row shows of it.

    Losses are medians over the lanes left, of the best learning rate where there are several.
    """

    series: Series
    epochs: int
    updates_per_epoch: int
    epoch: int = 0
    updates: int = 0
    seconds: float = 0.0
    diverged: int = 0
    curve: list[float] = field(default_factory=list)
    _losses: Sequence[float | None] = ()
    _bests: list[float] = field(default_factory=list)
    _gone: Sequence[int | None] = ()
    # When it was seen first and last, and after which update.
    _since: tuple[float, int] | None = field(default=None, repr=False)
    _last: tuple[float, int] = field(default=(0.0, 0), repr=False)
    _stride: int = 1
    _seen: int = 0

    @property
    def total(self) -> int:
        """Updates of the whole run."""
        return self.epochs * self.updates_per_epoch

    @property
    def rate(self) -> float:
        """Updates a second of training time."""
        return self.updates / self.seconds if self.seconds else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds left, logs and all, if the rest goes as fast as what was seen of it."""
        if self._since is None:
            return None
        (began, updates), (now, last) = self._since, self._last
        done = last - updates
        return (self.total - last) * (now - began) / done if done else None

    @property
    def loss(self) -> float:
        """The train loss, when it was last evaluated."""
        return self._best_rate(self._losses) if self._losses else math.nan

    @property
    def best(self) -> float:
        """The lowest that the train loss of each lane was, of the lanes left if there are any."""
        left = [
            None if at is not None and None in self._gone else best
            for best, at in zip(self._bests, self._gone, strict=True)
        ]
        return self._best_rate(left) if left else math.inf

    @property
    def state(self) -> str:
        """`waiting`, `diverged`, `done` or the empty string while it trains."""
        if self.diverged == len(self.series.lanes):
            return "diverged"
        if not self.updates:
            return "waiting"
        return "done" if self.updates == self.total else ""

    def recall(self, histories: Sequence[History]) -> None:
        """Take in what earlier processes recorded."""
        losses = [history.epochs["train_loss"] for history in histories]
        self._bests = [min(filter(math.isfinite, column), default=math.inf) for column in losses]
        self._gone = [None] * len(losses)
        rows = max(len(column) for column in losses)
        for row in range(0, rows, -(-rows // CURVE_POINTS) or 1):
            known = [column[row] if row < len(column) else math.nan for column in losses]
            if self._best_rate(known) < math.inf:
                self._losses = known
                self._remember()

    def advance(self, segment: Segment) -> None:
        """Take in a segment."""
        self.updates, self.seconds = segment.updates, segment.seconds
        self._last = time.monotonic(), segment.updates
        self._since = self._since or self._last
        self.diverged = len(segment.diverged_at) - segment.diverged_at.count(None)
        if not segment.ends_epoch:
            return
        if segment.whole:
            self._advance(segment.whole)
        self.epoch = segment.epoch
        losses = [e.train_loss if e else None for e in segment.evaluations]
        if losses.count(None) < len(losses):
            self._losses, self._gone = losses, segment.diverged_at
            self._bests = self._bests or [math.inf] * len(losses)
            for lane, loss in enumerate(losses):
                if loss is not None and loss < self._bests[lane]:
                    self._bests[lane] = loss
            self._remember()

    def _advance(self, whole: Epochs) -> None:
        """Take in all of several epochs but the last."""
        for losses in islice(zip(*whole.train_loss, strict=True), len(whole.epochs) - 1):
            if losses[0] is not None:
                self._losses = losses
                self._remember()
        columns = [[x for x in column if x is not None] for column in whole.train_loss]
        bests = self._bests or [math.inf] * len(columns)
        self._bests = [min([best, *column]) for best, column in zip(bests, columns, strict=True)]

    def _best_rate(self, losses: Sequence[float | None]) -> float:
        """The lowest among learning rates of the medians over the lanes whose losses are finite."""
        by_rate: dict[float, list[float]] = {}
        for lane, loss in zip(self.series.lanes, losses, strict=True):
            if loss is not None and math.isfinite(loss):
                by_rate.setdefault(lane.lr, []).append(loss)
        return min((median(found) for found in by_rate.values()), default=math.inf)

    def _remember(self) -> None:
        """Keep every k-th loss, with k doubled whenever there are too many."""
        if self._seen % self._stride == 0:
            self.curve.append(self.loss)
            if len(self.curve) > CURVE_POINTS:
                del self.curve[1::2]
                self._stride *= 2
        self._seen += 1


def sparkline(values: Sequence[float], width: int) -> str:
    """A curve of positive numbers on a log scale in `width` characters; at most one a value."""
    finite = [math.log(value) for value in values if 0 < value < math.inf]
    if not finite:
        return ""
    low, high = min(finite), max(finite)
    count = min(width, len(finite))
    picked = [finite[(k * (len(finite) - 1)) // max(1, count - 1)] for k in range(count)]
    levels = len(BLOCKS) - 1
    scale = levels / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((value - low) * scale)] for value in picked)
