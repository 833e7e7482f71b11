"""An `epochs.csv` of any size in little memory: the extremes of each stretch, and the results.

Unlike `gdrun.results.rows.downsample` it needs no numpy, and sees every row once. What it keeps is
enough for a curve on a terminal, which is a few hundred dots wide.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gdrun.results.events import Series
from gdrun.results.rows.history import History, Latest, empty_history, kept_per_lane
from gdrun.results.rows.log_rows import LoggedRows, evaluated_of

MOST_STRETCHES = 2**11
WRITTEN_AT_ONCE = 16  # epochs
OVERVIEW_COLUMNS = ("epoch", "train_loss", "val_loss")  # in which every number is looked at


def read_overview(
    series: Series, rows: Iterable[LoggedRows], epochs: int, keep: int
) -> tuple[History, ...]:
    """The histories of a run's lanes, without steps, from rows of about so many epochs.

    `keep` is as for a recorder, of which no more than half are kept.

    Raises:
        BadRowError: a row isn't one of the run.
    """
    stretches = min(MOST_STRETCHES, kept_per_lane(len(series.lanes), keep) // 4)
    overview = _Overview(series, -(-epochs // stretches))
    for some in rows:
        overview.add(some)
    overview.finish()
    return overview.histories


@dataclass(frozen=True, slots=True)
class _Epoch:
    """One epoch as it is kept: its shared numbers, and for each lane the losses and `lows`."""

    lanes: Sequence[int]
    shared: dict[str, float]
    losses: dict[str, Sequence[float]]
    lows: Sequence[float]

    @property
    def number(self) -> float:
        return self.shared["epoch"]


class _Overview:
    """What was seen so far. The lanes are those that were left when the last rows came."""

    def __init__(self, series: Series, width: int) -> None:
        self.histories = tuple(empty_history(series, lane) for lane in series.lanes)
        self._width = width
        self._stretch = 0
        self._lowest: _Epoch | None = None  # of the current stretch
        self._highest: _Epoch | None = None
        self._bounds = math.inf, -math.inf
        self._lanes: Sequence[int] = range(len(series.lanes))
        self._lows = [math.inf] * len(series.lanes)  # the lowest train loss of each lane
        self._best_val = [(math.inf, 0)] * len(series.lanes)  # and the lowest validation loss
        self._kept = -1.0  # the last epoch that is kept
        self._waiting: list[_Epoch] = []  # kept epochs that aren't in the histories yet
        self._last: LoggedRows | None = None
        self._evaluated: _Epoch | None = None  # the last epoch with known train losses

    def add(self, rows: LoggedRows) -> None:
        """Take in the next epochs."""
        if rows.lanes != self._lanes:
            self._let_go(rows.lanes)
        losses, lanes = rows.losses["train_loss"], len(rows.lanes)
        highs = losses
        if not math.isfinite(sum(losses)):
            losses = [math.inf if math.isnan(loss) else loss for loss in losses]
            # What is infinite displaces no finite loss.
            highs = [loss if loss < math.inf else -math.inf for loss in losses]
        epochs = rows.shared["epoch"]
        start = 0
        while start < len(epochs):
            # Epoch 0, before training, is a stretch of its own.
            stretch = -(-int(epochs[start]) // self._width)
            end = min(len(epochs), start + stretch * self._width - int(epochs[start]) + 1)
            if stretch != self._stretch:
                self._close()
                self._stretch = stretch
            self._look_at(rows, losses, highs, start, end)
            start = end
        self._look_at_validation(rows)
        known = rows.losses["train_loss"]
        places = range(len(known) - lanes, -1, -lanes)
        at = next((place for place in places if not math.isnan(known[place])), None)
        if at is not None:
            self._evaluated = self._epoch(rows, at // lanes)
        self._last = rows

    def _look_at(
        self,
        rows: LoggedRows,
        losses: Sequence[float],
        highs: Sequence[float],
        start: int,
        end: int,
    ) -> None:
        """Find the extremes of some epochs of the current stretch."""
        lanes = len(rows.lanes)
        lows = losses[start * lanes : end * lanes]
        highs = lows if highs is losses else highs[start * lanes : end * lanes]
        if lanes > 1:
            places = range(0, len(lows), lanes)
            lows = [min(lows[k : k + lanes]) for k in places]
            highs = [max(highs[k : k + lanes]) for k in places]
        low, high = min(lows), max(highs)
        if low == math.inf:
            return
        at_low = start + lows.index(low)
        at_high = start + highs.index(high) if high > -math.inf else at_low
        done = start
        for at in sorted({at_low, at_high}):
            self._lower(losses, done, at + 1)
            done = at + 1
            if at == at_low and low < self._bounds[0]:
                self._lowest = self._epoch(rows, at)
            if at == at_high and high > self._bounds[1]:
                self._highest = self._epoch(rows, at)
        self._bounds = min(low, self._bounds[0]), max(high, self._bounds[1])
        self._lower(losses, done, end)

    def _look_at_validation(self, rows: LoggedRows) -> None:
        losses, lanes, epochs = rows.losses["val_loss"], len(rows.lanes), rows.shared["epoch"]
        if all(map(math.isnan, losses)):
            return
        losses = [loss if math.isfinite(loss) else math.inf for loss in losses]
        for place, best in enumerate(self._best_val):
            own = losses[place::lanes]
            lowest = min(own)
            if lowest < best[0]:
                self._best_val[place] = lowest, int(epochs[own.index(lowest)])

    def _lower(self, losses: Sequence[float], start: int, end: int) -> None:
        """Bring the lowest losses of the lanes up to the end of some epochs."""
        lanes = len(self._lows)
        if end - start == 1:
            self._lows = list(map(min, self._lows, losses[start * lanes : end * lanes]))
        elif end > start:
            columns = (losses[start * lanes + k : end * lanes : lanes] for k in range(lanes))
            self._lows = list(map(min, self._lows, map(min, columns)))

    def _epoch(self, rows: LoggedRows, at: int) -> _Epoch:
        lanes = len(rows.lanes)
        return _Epoch(
            rows.lanes,
            {name: column[at] for name, column in rows.shared.items()},
            {name: column[at * lanes : (at + 1) * lanes] for name, column in rows.losses.items()},
            self._lows,
        )

    def _close(self) -> None:
        """Keep the extremes of a stretch that is complete."""
        extremes = {epoch.number: epoch for epoch in (self._lowest, self._highest) if epoch}
        for number in sorted(extremes):
            self._keep(extremes[number])
        self._lowest = self._highest = None
        self._bounds = math.inf, -math.inf

    def _keep(self, epoch: _Epoch) -> None:
        if self._waiting and self._waiting[-1].lanes != epoch.lanes:
            self._write()
        self._kept = epoch.number
        self._waiting.append(epoch)
        if len(self._waiting) == WRITTEN_AT_ONCE:
            self._write()

    def _write(self) -> None:
        """Append the epochs that wait, all of the same lanes, to the histories of these."""
        epochs, self._waiting = self._waiting, []
        if not epochs:
            return
        lanes, names = epochs[0].lanes, epochs[0].losses
        for name in epochs[0].shared:
            column = [epoch.shared[name] for epoch in epochs]
            for lane in lanes:
                self.histories[lane].epochs[name].extend(column)
        for name in names:
            by_lane = zip(*(epoch.losses[name] for epoch in epochs), strict=True)
            for lane, numbers in zip(lanes, by_lane, strict=True):
                self.histories[lane].epochs[name].extend(numbers)
        lows = zip(*(epoch.lows for epoch in epochs), strict=True)
        for lane, numbers in zip(lanes, lows, strict=True):
            self.histories[lane].dropped.lows.extend(numbers)

    def _let_go(self, left: Sequence[int]) -> None:
        """Note how far the lanes are that are no longer left."""
        remaining = set(left)
        for place, lane in enumerate(self._lanes):
            if lane not in remaining:
                self.histories[lane].dropped.latest = self._latest(place)
        kept = [place for place, lane in enumerate(self._lanes) if lane in remaining]
        self._lows, self._lanes = [self._lows[place] for place in kept], left
        self._best_val = [self._best_val[place] for place in kept]

    def _latest(self, place: int) -> Latest | None:
        """How far the lane is that has so many before it; None of one without a row."""
        rows, lane = self._last, self._lanes[place]
        if rows is None:
            return None
        names = evaluated_of(self.histories[lane].series.columns)
        evaluated = dict.fromkeys(names, math.nan)
        if self._evaluated:
            at = place
            if self._evaluated.lanes != self._lanes:
                at = self._evaluated.lanes.index(lane)
            losses = self._evaluated.losses
            evaluated = {name: losses[name][at] for name in names}
        last = {name: column[-1] for name, column in rows.of_lane(place).items()}
        return Latest.of(last, evaluated, self._lows[place], self._best_val[place])

    def finish(self) -> None:
        """Keep the last evaluated epoch, too, and note how far the lanes are."""
        self._close()
        if self._evaluated and self._evaluated.number > self._kept:
            self._keep(self._evaluated)
        self._write()
        self._let_go(())
