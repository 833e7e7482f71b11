"""The methods are names for batch sizes: all rows, one row, or a number between.

The runs of `compare` and `sweep` are such methods, each with a config that gives it alone.
"""

import math
from itertools import product
from typing import Literal

from gdrun.config.parts.groups import CompareConfig, SweepConfig
from gdrun.config.schema import METHODS, Method, RunConfig
from gdrun.errors import ConfigError

BATCH_SIZES: dict[str, int | Literal["full"]] = {"full": "full", "sgd": 1}
# The learning rates of a sweep for which none are given: half decades around that of the config.
HALF_DECADES = range(-3, 4)
# Its batch sizes if none are given: the powers of this below the number of rows, and all rows.
BATCH_FACTOR = 4
SWEPT_ROWS = 8  # of `steps.csv` for each epoch of a sweep, at most, unless `log_every` says more


def with_method(config: RunConfig, command: str) -> RunConfig:
    """The config with the batch size that a method stands for; `minibatch` keeps its own.

    For a command that is no method (`compare`, `sweep`), the config as it is.
    """
    if command not in BATCH_SIZES:
        return config
    return config.model_copy(update={"batch_size": BATCH_SIZES[command]})


def method_of(batch_size: int, rows: int) -> Method:
    """The method whose updates take so many of the training rows each."""
    full, sgd, minibatch = METHODS
    return full if batch_size == rows else sgd if batch_size == 1 else minibatch


def refuse_large_batch(key: str, size: int, rows: int) -> None:
    """Refuse a batch size, that of a key, of more than all rows.

    Raises:
        ConfigError: it is.
    """
    if size > rows:
        raise ConfigError(
            f"{key}: {size} is larger than the {rows} training rows",
            f"choose at most {rows}; `gdrun full` trains on all rows at once",
        )


def compare_configs(config: RunConfig, rows: int) -> list[tuple[str, Method, RunConfig]]:
    """The runs of a comparison: the three methods, or other batch sizes, on one network or several.

    Each with its name, which says what differs, its method, and the config that gives it alone.

    Raises:
        ConfigError: a batch size is larger than the data.
    """
    asked = config.compare
    trained: list[tuple[str, Method, int | Literal["full"]]] = [
        (method, method, BATCH_SIZES.get(method, config.batch_size)) for method in METHODS
    ]
    if asked.batch_size:
        for size in asked.batch_size:
            if size != "full":
                refuse_large_batch("compare.batch_size", size, rows)
        sizes = sorted({rows if size == "full" else size for size in asked.batch_size})
        trained = [(f"batch-{size}", method_of(size, rows), size) for size in sizes]
    networks = asked.hidden_size or (config.hidden_size,)
    found = []
    for (name, method, size), network in product(trained, networks):
        layers = f"hidden-{'x'.join(map(str, network))}" if network else "linear"
        parts = [name] if len(trained) > 1 or len(networks) == 1 else []
        parts += [layers] if len(networks) > 1 else []
        update = {"batch_size": size, "hidden_size": network, "compare": CompareConfig()}
        own = with_method(config.model_copy(update=update), method)
        found.append(("-".join(parts), method, own))
    return found


def updates_per_epoch(rows: int, batch_size: int, *, drop_last: bool) -> int:
    """Updates in one pass over N rows: ⌈N/B⌉, or ⌊N/B⌋ with `drop_last`."""
    return rows // batch_size if drop_last else -(-rows // batch_size)


def sweep_configs(config: RunConfig, rows: int) -> list[tuple[str, Method, RunConfig]]:
    """The runs of a sweep over so many training rows: one per batch size, small ones first.

    Each with its name, its method, and the config that gives it alone: with all learning rates, as
    lanes.

    Raises:
        ConfigError: a batch size is larger than the data.
    """
    sizes = config.sweep.batch_size or (*_powers(rows), "full")
    for size in sizes:
        if size != "full":
            refuse_large_batch("sweep.batch_size", size, rows)
    lrs = config.sweep.lr or _around(config.lr)
    found = []
    for size in sorted({rows if size == "full" else size for size in sizes}):
        method = method_of(size, rows)
        updates = updates_per_epoch(rows, size, drop_last=config.drop_last)
        every = config.log_every or -(-updates // SWEPT_ROWS)
        update = {"lr": lrs, "batch_size": size, "log_every": every, "sweep": SweepConfig()}
        own = config.model_copy(update=update)
        found.append((f"batch-{size}", method, with_method(own, method)))
    return found


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
