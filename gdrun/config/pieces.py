"""A grid in pieces: a batch size that takes long is trained as several runs, of some rates each."""

import re

from gdrun.config.methods import updates_per_epoch
from gdrun.config.schema import Method, RunConfig

Wanted = tuple[str, Method, RunConfig]
PIECE = "-rates-"  # between the name of a run and the number of a piece of it


def in_pieces(wanted: list[Wanted], pieces: int, rows: int) -> list[Wanted]:
    """The runs of a sweep, none of which takes much more than one of so many equal pieces.

    What they take is told by their updates and learning rates. A run that takes more is divided by
    learning rates, neighbours together, as far as it has several.

    Args:
        wanted: name, method and config of each run.
        pieces: how many there would be if all were equal.
        rows: for training.
    """
    costs = [_updates(config, rows) * len(config.lr) for _, _, config in wanted]
    total = sum(costs)
    found: list[Wanted] = []
    for (name, method, config), cost in zip(wanted, costs, strict=True):
        count = min(len(config.lr), -(-cost * pieces // total))
        if count == 1:
            found.append((name, method, config))
            continue
        for k in range(count):
            rates = config.lr[len(config.lr) * k // count : len(config.lr) * (k + 1) // count]
            own = config.model_copy(update={"lr": rates})
            found.append((f"{name}{PIECE}{k + 1}", method, own))
    return found


def without_piece(name: str) -> str:
    """The name of a run, without that of the piece that it is.

    >>> without_piece("batch-16-rates-2")
    'batch-16'
    """
    return re.sub(rf"{PIECE}\d+$", "", name)


def _updates(config: RunConfig, rows: int) -> int:
    size = rows if config.batch_size == "full" else config.batch_size
    return updates_per_epoch(rows, size, drop_last=config.drop_last)
