"""Memory: whether a training fits, before the system has to find out, and what it raises if not.

Linux promises memory that it doesn't have and kills the process that uses it: asking for too much
would end without a message if it weren't refused here.
"""

import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from gdrun.config.parts.data import DataConfig, GeneratedData, HadamardData, TwoClassesData
from gdrun.config.schema import RunConfig
from gdrun.data.order import SORTED_ROWS
from gdrun.errors import ConfigError
from gdrun.results.rows.history import COLUMN_BYTES, KEPT_ROW_BYTES, kept_per_lane
from gdrun.storage.manifest import MAX_LANES
from gdrun.training.bookkeeping import columns_of
from gdrun.training.optimizers.build import build_optimizer
from gdrun.training.problem import Problem
from gdrun.training.state import Plan

# A process's share of a container's memory, in the second and the first version of control groups.
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
LANE_BYTES = 4096  # of a lane, without its weights and records
ROW_BYTES = 48  # of generated data, a feature: x, y, noise, and copies on the way


def refuse_too_many_rows(config: DataConfig) -> None:
    """Refuse to generate more rows than fit.

    Raises:
        ConfigError: they don't fit.
    """
    if isinstance(config, GeneratedData):
        features = 2 if isinstance(config, TwoClassesData) else 1
        features = config.rows if isinstance(config, HadamardData) else features
        _refuse(config.rows * features * ROW_BYTES, "data.rows", "fewer rows need less")


def refuse_too_many_numbers(problem: Problem, config: RunConfig) -> None:
    """Refuse networks, lanes or batches that don't fit, and more lanes than a run may have.

    Counts weights with their copies (gradient, buffers, backup), activations of a forward and
    backward pass, and the visiting order.

    Raises:
        ConfigError: they don't fit.
    """
    _refuse(
        _number_bytes(problem, config),
        "hidden_size, lr and seeds",
        "fewer hidden units, learning rates or seeds need less",
    )
    lanes = len(config.lr) * config.seeds
    if lanes > MAX_LANES:
        raise ConfigError(
            f"lr and seeds: {lanes:,} lanes, more than the {MAX_LANES:,} that a run may have",
            "train them as several runs",
        )


def _number_bytes(problem: Problem, config: RunConfig) -> int:
    lanes = len(config.lr) * config.seeds
    rows = problem.data.rows
    # Besides the buffers: the weights, their gradient, a backup, and what is on its way.
    copies = 4 + 2 * max(1, build_optimizer(config).buffers)
    weights = copies * problem.model.parameters
    activations = 4 * min(rows, problem.rows_at_once(lanes)) * problem.model.activations
    order = 8 * min(rows, SORTED_ROWS)
    return lanes * (4 * (weights + activations + order) + LANE_BYTES)


def refuse_too_many_records(
    problem: Problem, config: RunConfig, runs: Sequence[Plan], keep_rows: int | None, jobs: int
) -> None:
    """Refuse runs whose rows, as far as they are kept in memory, don't fit beside the numbers.

    Those of all runs are kept until the last one has ended, and those of each that is trained in
    another process there, too.

    Args:
        problem: what is minimised.
        config: of one of the runs.
        runs: how each is trained.
        keep_rows: how many rows of each table of a run are kept; None keeps all.
        jobs: how many processes train.

    Raises:
        ConfigError: they don't fit.
    """
    by_run = [_record_bytes(problem, plan, config.logged_every, keep_rows) for plan in runs]
    elsewhere = sorted(by_run)[-jobs:] if jobs > 1 else []
    _refuse(
        sum(by_run) + sum(elsewhere) + max(jobs, 1) * _number_bytes(problem, config),
        "epochs, lr and seeds",
        "fewer learning rates or seeds need less; a larger log_every, too",
    )


def _record_bytes(problem: Problem, plan: Plan, log_every: int, keep_rows: int | None) -> int:
    """The memory of a run's records at their largest."""
    lanes = len(plan.lanes)
    updates = plan.epochs * plan.updates_per_epoch(problem.data.rows)
    most = kept_per_lane(lanes, keep_rows) if keep_rows else math.inf
    counts = {
        "epochs": min(plan.epochs + 1, most),
        "evaluations": plan.count_within(problem.data.rows),
        "steps": min(updates // log_every, most),
        "probes": sum(2 + plan.epochs // every for every in plan.snapshots),
    }
    row_bytes = dict(KEPT_ROW_BYTES)
    row_bytes["epochs"] += COLUMN_BYTES * len(columns_of(problem, plan))
    return lanes * sum(int(counts[table]) * size for table, size in row_bytes.items())


def _refuse(needed: int, keys: str, hint: str) -> None:
    available = memory_bytes()
    if available and needed > available:
        raise ConfigError(
            f"{keys}: would take about {_gigabytes(needed)} of memory, and there are "
            f"{_gigabytes(available)}",
            hint,
        )


def memory_bytes() -> int | None:
    """The memory of the machine or container, in bytes; None if the system doesn't say."""
    found = []
    with suppress(ValueError, OSError, AttributeError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for path in LIMITS:
        with suppress(ValueError, OSError):  # "max" is no limit
            found.append(int(Path(path).read_text()))
    return min(found, default=None)


def _gigabytes(count: int) -> str:
    return f"{count / 2**30:,.3g} GiB" if count < 2**50 else f"{count / 2**30:.1e} GiB"


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn what PyTorch raises when memory is short into a `MemoryError`.

    Raises:
        MemoryError: memory is short.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryError(str(error)) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):
            raise
        raise MemoryError("PyTorch " + str(error)[str(error).index("can't") :]) from error
