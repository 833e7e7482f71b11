"""The methods are names for batch sizes: all rows, one row, or a number between."""

from typing import Literal

from gdrun.config.schema import METHODS, Method, RunConfig

BATCH_SIZES: dict[str, int | Literal["full"]] = {"full": "full", "sgd": 1}


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
