"""The result of a run: what was trained on what, how each lane ended, and how the whole did.

Everything here is plain Python, so that results can be shown, saved and compared without torch.
The types of fields that `run.json` has, too, say what it may hold there.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gdrun.config.explain import brief
from gdrun.config.foreign import (
    MetricColumn,
    Natural,
    Rate,
    Real,
    Seconds,
    Size,
    Text,
)
from gdrun.errors import ConfigError, DataError, excerpt
from gdrun.results.description import Description
from gdrun.results.events import Lane, Series, Status
from gdrun.results.fits import Fit, Regions
from gdrun.results.rows.history import History, epoch_table, probe_table, step_table
from gdrun.results.rows.log_rows import metrics_of
from gdrun.text import count, number, rates_in_words, visible

# Of `run.json` and of what `--json` prints; it grows when a key changes its meaning.
SCHEMA_VERSION = 1

# Said of lanes that diverged at the start.
INFINITE_AT_START = "the loss is infinite before training: scale the data, or set data.standardize"

# Between the engines of a run that was resumed with another.
ENGINES_IN_TURN = ", then "

MAX_LINE = 100  # characters of a line of a result as text


@dataclass(frozen=True, slots=True)
class LaneResult:
    """How one lane ended. Losses that are missing or not finite are None.

    The numbers of a lane that diverged are those up to `diverged_at`, the update whose loss was not
    finite (0: the untrained loss). `best_val_epoch` is that of the lowest validation loss. The
    `metrics` are those of the last weights, by column of `epochs.csv`.
    """

    lr: Rate
    seed: Natural
    status: Status
    diverged_at: Natural | None
    epochs: Size
    updates: Natural
    samples: Natural
    seconds: Seconds
    train_loss: Real | None
    best_train_loss: Real | None
    val_loss: Real | None
    best_val_loss: Real | None = None
    best_val_epoch: Size | None = None
    metrics: dict[MetricColumn, Real | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reached:
    """What a lane had taken when its train loss was first seen at or below a target.

    Attributes:
        updates, samples, seconds: so far.
        before: the updates when the train loss was evaluated last, and was above the target.
    """

    updates: int
    samples: int
    seconds: float
    before: int = 0


class EpochLog(Protocol):
    """Where all rows of `epochs.csv` are, those that aren't kept in memory, too."""

    def first_at_most(
        self, target: float, between: Mapping[Lane, tuple[int, int]]
    ) -> Mapping[Lane, Reached]:
        """When lanes' train losses were first at or below a target, each between two epochs.

        The second epoch is included, the first isn't.

        Raises:
            DataError: the rows are not there.
            OutputError: they can't be read.
        """


class Networks(Protocol):
    """The trained networks of a run, where they are kept."""

    def network(self, lane: int, *, last: bool) -> Any:
        """That of the lane at a position, an `nn.Module`: of its best epoch, or of its last.

        Raises:
            GdrunError: it isn't there any more, or can't be built.
        """

    def predict(self, rows: Any, lane: int, *, last: bool) -> dict[str, list[Any]]:
        """What it predicts for rows, as columns by name.

        Raises:
            GdrunError: the network isn't there any more, or the rows can't be used.
        """


@dataclass(frozen=True)
class RunResult:
    """How one run ended, with all that it recorded.

    Attributes:
        series: method, batch size and lanes.
        status: `done`, `interrupted`, or `diverged` if every lane did.
        description: what was trained on what.
        histories: the records of each lane, as columns.
        lanes: how each lane ended.
        fit: what was learned of one feature, or of two features that tell classes apart.
        directory: where the run was written, if it was.
        engines: what executed its updates, one after the other if it was resumed.
        log: where rows that `histories` have dropped are found, if they are.
        networks: what was trained, if it is kept.
    """

    series: Series
    status: Status
    description: Description
    histories: tuple[History, ...]
    lanes: tuple[LaneResult, ...]
    fit: Fit | Regions | None
    directory: Path | None
    engines: tuple[str, ...] = ()
    log: EpochLog | None = None
    networks: Networks | None = field(default=None, compare=False, repr=False)

    def __repr__(self) -> str:
        """At most five lines: what was trained on what, and how it ended."""
        series, about = self.series, self.description
        best = min(self.lanes, key=lambda lane: or_inf(lane.train_loss))
        lanes = f", the lowest of {len(self.lanes)} lanes" if len(self.lanes) > 1 else ""
        lines = [
            f"RunResult {series.name}: batch size {series.batch_size:,}, "
            f"{rates_in_words(series.lrs, series.schedule)}, {count(self.seeds, 'seed')}, "
            f"{self.status}",
            f"{about.network} on {about.data}, {count(about.rows, 'row')}",
            f"train loss {number(best.train_loss)} after {count(best.epochs, 'epoch')}, "
            f"{count(best.updates, 'update')}{lanes}; best {number(best.best_train_loss)}",
            "columns: epochs, steps; how each lane ended: lanes",
            *([f"written to {self.directory}"] if self.directory else []),
        ]
        return "\n  ".join(visible(excerpt(line, MAX_LINE)) for line in lines)

    @property
    def seeds(self) -> int:
        """The number of seeds at each learning rate."""
        return len(self.lanes) // len(self.series.lrs)

    @property
    def epochs(self) -> dict[str, list[float | str]]:
        """The columns of `epochs.csv`, as `pandas.DataFrame` takes them."""
        return epoch_table(self.histories)

    @property
    def steps(self) -> dict[str, list[float | str]]:
        """The columns of `steps.csv`, lane after lane, as `pandas.DataFrame` takes them."""
        return step_table(self.histories)

    @property
    def probes(self) -> dict[str, list[float | str]]:
        """The columns of `probes.csv`, lane after lane, as `pandas.DataFrame` takes them."""
        return probe_table(self.histories)

    def best_lane(self, *, last: bool = False) -> int:
        """The position of the lane with the lowest validation loss at its best epoch, or its last.

        Without validation rows, of the one with the lowest train loss.

        Raises:
            DataError: none has a finite loss.
        """
        best = min(range(len(self.lanes)), key=lambda lane: self.loss_of(lane, last=last))
        if math.isinf(self.loss_of(best, last=last)):
            raise DataError(
                f"{self.directory or self.series.name}: no lane has a finite loss",
                "name one of them to see its network all the same",
            )
        return best

    def lowest_loss(self, *, last: bool = False) -> float:
        """The loss of `best_lane`; infinite if there is none."""
        return min(self.loss_of(lane, last=last) for lane in range(len(self.lanes)))

    def loss_of(self, lane: int, *, last: bool = False) -> float:
        """The loss by which `best_lane` judges a lane; infinite if it has none."""
        own = self.lanes[lane]
        if not self.description.val_rows:
            return or_inf(own.train_loss)
        return or_inf(own.val_loss if last else own.best_val_loss)

    def network(self, lane: int | None = None, *, last: bool = False) -> Any:
        """A trained network, an `nn.Module` of its own: rows of features (N, D) → outputs (N, O).

        Where the data was standardised, so are the rows that it gets, by the training rows, and its
        outputs are in the units of the targets: both are the numbers of the data. The features are
        those of `description.features`: a column of categories is one for each of them. Outputs of
        classes are logits, as for the loss: of `bce` one, that of the second class.

        Args:
            lane: its position in `lanes`; without it, that of `best_lane`.
            last: whether the weights are those of the last epoch. Else they are those of the epoch
                with the lowest validation loss, where rows are held out.

        Raises:
            ConfigError: there is no such lane.
            DataError: no network was kept, or it can't be read or built any more.
        """
        networks, position = self._kept(lane, last)
        return networks.network(position, last=last)

    def predict(
        self, rows: Any, lane: int | None = None, *, last: bool = False
    ) -> dict[str, list[Any]]:
        """What a trained network predicts for new rows, as `pandas.DataFrame` takes it.

        A column for each target, in its own units: `predicted_price`. Of classes the likeliest, and
        then the probability of each: `probability_yes`. Where a cell is missing, there is None.

        Args:
            rows: a DataFrame with the columns of the data; or an array (N, D) with a column for
                each of `description.features`.
            lane: as in `network`.
            last: as in `network`.

        Raises:
            ConfigError: there is no such lane.
            DataError: a column is missing, the rows can't be used, or no network was kept.
        """
        networks, position = self._kept(lane, last)
        return networks.predict(rows, position, last=last)

    def _kept(self, lane: int | None, last: bool) -> tuple[Networks, int]:
        """The networks, and the position of the lane that is meant."""
        position = self.best_lane(last=last) if lane is None else self.checked_lane(lane)
        if self.networks is None:
            raise DataError(f"{self.series.name}: its network wasn't kept")
        return self.networks, position

    def checked_lane(self, position: int) -> int:
        """The position of a lane.

        Raises:
            ConfigError: there is none.
        """
        most = len(self.lanes) - 1
        known = f"lanes 0 to {most}" if most else "only lane 0"
        if type(position) is not int or not 0 <= position <= most:
            raise ConfigError(
                f"lane {brief(position)}: the run has {known}",
                "lanes are counted in the order of run.json: learning rate by learning rate",
            )
        return position


@dataclass(frozen=True)
class Failure:
    """A run of a group that failed, by name; the other runs continue."""

    name: Text
    problems: tuple[Text, ...]
    hints: tuple[Text, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What went wrong, one line per problem, each with the name of the run."""
        return [f"{self.name}: {problem}" for problem in self.problems]


def lane_result(
    history: History,
    status: Status,
    diverged_at: int | None,
    *,
    updates: int,
    samples: int,
    seconds: float,
    stopped_at: Mapping[str, float] | None,
) -> LaneResult:
    """The result of one lane, from its records.

    Args:
        history: its records.
        status: how it ended.
        diverged_at: the update whose loss was not finite, if one was.
        updates: how many it took until it ended or diverged.
        samples: likewise.
        seconds: likewise.
        stopped_at: of a lane that was stopped, the train and validation loss (or NaN) and the
            metrics of its last weights, which the history does not hold.
    """
    latest = history.latest
    now = stopped_at or latest.evaluated
    train_loss, val_loss = now["train_loss"], now["val_loss"]
    best_val, best_epoch = latest.best_val
    lowest = min(latest.lowest, train_loss) if math.isfinite(train_loss) else latest.lowest
    return LaneResult(
        lr=history.lane.lr,
        seed=history.lane.seed,
        status=status,
        diverged_at=diverged_at,
        epochs=latest.epoch,
        updates=updates,
        samples=samples,
        seconds=seconds,
        train_loss=None if diverged_at is not None else finite(train_loss),
        best_train_loss=finite(lowest),
        val_loss=None if diverged_at is not None else finite(val_loss),
        best_val_loss=finite(best_val),
        best_val_epoch=best_epoch if math.isfinite(best_val) else None,
        metrics={
            name: None if diverged_at is not None else finite(now[name])
            for name in metrics_of(history.series.columns)
        },
    )


def overall_status(statuses: Iterable[Status]) -> Status:
    """The status of a whole, given those of its parts: diverged only if all parts are."""
    found = set(statuses)
    for status in ("failed", "interrupted", "running", "done"):
        if status in found:
            return status
    return "diverged"


def group_status(
    results: Sequence[RunResult], planned: int, failures: Sequence[Failure] = ()
) -> Status:
    """The status of a group of `planned` runs: interrupted as long as some have no result."""
    if failures:
        return "failed"
    if len(results) < planned:
        return "interrupted"
    return overall_status([result.status for result in results])


def or_inf(value: float | None) -> float:
    """The number, or infinity if it is missing."""
    return math.inf if value is None else value


def finite(value: float) -> float | None:
    """The number, or None if it isn't finite."""
    return value if math.isfinite(value) else None
