"""What theory says of a sweep where it is exact: the regression on orthogonal rows.

With d such rows, of which B are drawn at random for an update, errors along the rows don't depend
on each other: one that is drawn n times is multiplied by 1 − lr·d·n/B. As n is binomial, an update
multiplies the expected loss by

    1 − 2·lr + lr²·(d + B − 1)/B

whatever the weights are. This is eq. 2.7 of McCandlish et al. 2018, "An empirical model of
large-batch training", lr*(B) = lr_max / (1 + noise scale / B), with lr_max = 1 and the noise scale
d − 1.
"""

import math
from dataclasses import dataclass

from gdrun.config.parts.data import HadamardData
from gdrun.config.parts.own_code import DEFAULT_MODEL
from gdrun.config.schema import RunConfig

# By what the loss ½r² is multiplied to give each of these.
SCALES = {"half_mse": 1.0, "mse": 2.0}


@dataclass(frozen=True)
class OrthogonalRows:
    """The best learning rates, and the updates that they take, on d orthogonal rows.

    Attributes:
        rows: d.
        scale: the loss over ½r².
    """

    rows: int
    scale: float = 1.0

    @property
    def formula(self) -> str:
        """The best learning rate in signs."""
        return "B/(d + B − 1)" + (f"/{self.scale:g}" if self.scale != 1 else "")

    def best_rate(self, batch_size: int) -> float:
        """lr*(B) = B/(d + B − 1), divided by the scale."""
        return batch_size / (self.rows + batch_size - 1) / self.scale

    def updates(self, batch_size: int, share: float) -> float:
        """At that rate, the updates until the expected loss is a share of the untrained one.

        In each it is multiplied by (d − 1)/(d + B − 1).
        """
        return math.log(1 / share) / math.log1p(batch_size / (self.rows - 1))

    @property
    def critical_batch(self) -> float:
        """That of small batches: their updates are in proportion to 1 + 2(d − 1)/B."""
        return 2 * (self.rows - 1)


def theory_of(config: RunConfig) -> OrthogonalRows | None:
    """The theory of what a config trains, where it is exact; None elsewhere."""
    data, optimizer = config.data, config.optimizer
    if not isinstance(data, HadamardData):
        return None
    is_exact = (
        not (data.standardize or data.val_fraction or config.hidden_size)
        and config.model == DEFAULT_MODEL
        and config.loss in SCALES
        and config.sampling == "replacement"
        and (optimizer.name, config.sweep.optimizer) == ("sgd", None)
        and not (config.momentum or config.weight_decay)
        and config.schedule == RunConfig().schedule
    )
    return OrthogonalRows(data.rows, SCALES[config.loss]) if is_exact else None
