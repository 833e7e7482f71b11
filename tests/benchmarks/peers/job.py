"""What every peer is asked to do, and what it answers."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Job:
    """Plain gradient descent on the MSE: rows in order, an epoch's incomplete last batch dropped.

    The network is Linear(features, hidden), ReLU, Linear(hidden, 1); each of the lanes has a start
    of its own.
    """

    rows: int
    features: int
    hidden: int
    batch_size: int
    epochs: int
    lr: float
    lanes: int = 1

    @property
    def updates_per_epoch(self) -> int:
        return self.rows // self.batch_size

    @property
    def updates(self) -> int:
        """Updates of each lane."""
        return self.epochs * self.updates_per_epoch

    @property
    def used_rows(self) -> int:
        """The rows of whole batches: what libraries get that can't drop an incomplete one."""
        return self.updates_per_epoch * self.batch_size


@dataclass(frozen=True)
class Trained:
    """What came of a job.

    Attributes:
        first_losses, last_losses: over all rows, before and after the training, of each lane.
        updates: of each lane.
        seconds: of all updates of all lanes, once everything is compiled and warm.
        compile_seconds: what the first update took beyond one of the others.
    """

    first_losses: list[float]
    last_losses: list[float]
    updates: int
    seconds: float
    compile_seconds: float


ARTICLE = Job(rows=100, features=1, hidden=10, batch_size=16, epochs=100, lr=0.2)
MEDIUM = Job(rows=10_000, features=16, hidden=64, batch_size=32, epochs=6, lr=0.01)
LARGE = Job(rows=50_000, features=32, hidden=256, batch_size=128, epochs=5, lr=0.01)

# The jobs of each size by method. Beyond the reference, stochastic descent gets 2,000 rows: an
# update on one row costs the same however many others there are.
SIZES: dict[str, dict[str, Job]] = {
    "reference": {
        "full": replace(ARTICLE, batch_size=100),
        "sgd": replace(ARTICLE, batch_size=1),
        "minibatch": ARTICLE,
    },
    "medium": {
        "full": replace(MEDIUM, batch_size=10_000, epochs=20),
        "sgd": replace(MEDIUM, rows=2_000, batch_size=1, epochs=1),
        "minibatch": MEDIUM,
    },
    "large": {
        "full": replace(LARGE, batch_size=50_000, epochs=20),
        "sgd": replace(LARGE, rows=2_000, batch_size=1, epochs=1),
        "minibatch": LARGE,
    },
}
