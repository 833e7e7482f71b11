"""The grid of a sweep: which runs it takes, one a batch size, with all learning rates as lanes."""

import math

from gdrun.config.schema import Method, RunConfig, SweepConfig
from gdrun.errors import ConfigError

# Where no learning rates are given: half decades around that of the config.
HALF_DECADES = range(-3, 4)
# Where no batch sizes are given: the powers of this below the number of rows, and all rows.
BATCH_FACTOR = 4


def swept(config: RunConfig, rows: int) -> list[tuple[Method, RunConfig]]:
    """The runs of a sweep over so many training rows, small batches first.

    Each comes with its method and with the config that gives it alone.

    Raises:
        ConfigError: a batch size is larger than the data.
    """
    sizes = config.sweep.batch_size or (*_powers(rows), "full")
    for size in sizes:
        if size != "full":
            refuse_large_batch("sweep.batch_size", size, rows)
    lrs = config.sweep.lr or _around(config.lr)
    return [
        (
            "full" if size == rows else "sgd" if size == 1 else "minibatch",
            config.model_copy(update={"lr": lrs, "batch_size": size, "sweep": SweepConfig()}),
        )
        for size in sorted({rows if size == "full" else size for size in sizes})
    ]


def refuse_large_batch(key: str, size: int, rows: int) -> None:
    """Refuse a batch of more rows than there are.

    Raises:
        ConfigError: it is.
    """
    if size > rows:
        raise ConfigError(
            f"{key}: {size} is larger than the {rows} training rows",
            f"choose at most {rows}; `gdrun full` trains on all rows at once",
        )


def _around(lrs: tuple[float, ...]) -> tuple[float, ...]:
    """The learning rates of a config or, if it has but one, those around it."""
    if len(lrs) > 1:
        return lrs
    (lr,) = lrs
    around = (float(f"{lr * 10 ** (k / 2):.3g}") if k else lr for k in HALF_DECADES)
    return tuple(dict.fromkeys(rate for rate in around if 0 < rate < math.inf))


def _powers(rows: int) -> list[int]:
    sizes = [1]
    while sizes[-1] * BATCH_FACTOR < rows:
        sizes.append(sizes[-1] * BATCH_FACTOR)
    return sizes
