"""The methods are names for batch sizes: all rows, one row, or a number between.

The runs of `compare` and `sweep` are such methods, each with a config that gives it alone.
"""

import math
from itertools import product
from typing import Literal

from gdrun.config.parts.groups import CompareConfig, SweepConfig
from gdrun.config.parts.optimizer import OPTIMIZERS
from gdrun.config.parts.swept import AnySwept
from gdrun.config.schema import METHODS, Method, RunConfig
from gdrun.config.values import expand
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
    lanes. Of several optimizers, the first has all of its runs before the second.

    Raises:
        ConfigError: a batch size is larger than the data.
    """
    sizes = config.sweep.batch_size or (*_powers(rows), "full")
    for size in sizes:
        if size != "full":
            refuse_large_batch("sweep.batch_size", size, rows)
    swept = swept_optimizers(config)
    found = []
    for of_optimizer in swept:
        label = f"-{of_optimizer.rule.replace(' ', '-')}" if len(swept) > 1 else ""
        for size in sorted({rows if size == "full" else size for size in sizes}):
            method = method_of(size, rows)
            updates = updates_per_epoch(rows, size, drop_last=config.drop_last)
            every = config.log_every or -(-updates // SWEPT_ROWS)
            update = {"batch_size": size, "log_every": every, "sweep": SweepConfig()}
            own = of_optimizer.model_copy(update=update)
            found.append((f"batch-{size}{label}", method, with_method(own, method)))
    return found


def swept_optimizers(config: RunConfig) -> list[RunConfig]:
    """The config for each optimizer of a sweep, with its learning rates.

    These are its own, or else those of the sweep or, of the config's own optimizer, those around
    the learning rate of the config. Other optimizers have the usual ones of their kind: rates that
    suit one are often too large for another by orders of magnitude.

    Raises:
        ConfigError: two of the optimizers are the same.
    """
    found = []
    for swept in config.sweep.optimizer or (None,):
        own = config if swept is None else _with_optimizer(config, swept)
        lrs = (swept and swept.lr) or config.sweep.lr
        if not lrs:
            is_own = own.optimizer.name == config.optimizer.name
            lrs = _around(config.lr) if is_own else expand(own.optimizer.lrs)
        found.append(own.model_copy(update={"lr": lrs}))
    rules = [own.rule for own in found]
    repeated = [rule for k, rule in enumerate(rules) if rule in rules[:k]]
    if repeated:
        raise ConfigError(f"sweep.optimizer: {repeated[0]} is there twice", "keep one of them")
    return found


def _with_optimizer(config: RunConfig, swept: AnySwept) -> RunConfig:
    """The config with another optimizer; what all have, and it doesn't set, is that of the config.

    A weight decay counts as set where it isn't that of the config's optimizer.
    """
    kind = OPTIMIZERS[swept.name]
    options = {key: getattr(swept, key) for key in kind.model_fields}
    decay = config.weight_decay
    usual = {
        "momentum": config.momentum if "momentum" in kind.has else 0.0,
        "nesterov": config.nesterov if "nesterov" in kind.has else False,
        "weight_decay": kind.decay if decay == config.optimizer.decay else decay,
    }
    own = {key: getattr(swept, key, None) for key in usual}
    update = {key: usual[key] if value is None else value for key, value in own.items()}
    update["nesterov"] = update["nesterov"] and update["momentum"] > 0
    return config.model_copy(update={"optimizer": kind(**options), **update})


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
