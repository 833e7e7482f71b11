"""The runs of a grid."""

import math
from typing import Any

import pytest

from gdrun.errors import ConfigError
from gdrun.experiment.plan.make import plan_experiment
from tests.training_runs import small_config


def grid(rows: int, **settings: Any) -> list[tuple[str, int | str, tuple[float, ...]]]:
    """The runs of a sweep over so many rows: method, batch size and learning rates."""
    data = {"rows": rows}
    runs = plan_experiment("sweep", small_config(**{"data": data, **settings})).runs
    assert [run.config.batch_size for run in runs] == [
        {"full": "full"}.get(run.series.method, run.plan.batch_size) for run in runs
    ]
    return [(run.series.method, run.plan.batch_size, run.config.lr) for run in runs]


def test_without_a_grid_batch_sizes_are_powers_of_four_and_rates_around_that_of_the_config() -> (
    None
):
    found = grid(100, lr=0.2)
    assert [run[:2] for run in found] == [
        ("sgd", 1), ("minibatch", 4), ("minibatch", 16), ("minibatch", 64), ("full", 100),
    ]  # fmt: skip
    assert {run[2] for run in found} == {(0.00632, 0.02, 0.0632, 0.2, 0.632, 2.0, 6.32)}
    assert grid(1)[0][:2] == ("full", 1)
    assert [run[1] for run in grid(16)] == [1, 4, 16]


def test_the_rate_of_the_config_is_among_those_around_it_to_the_last_digit() -> None:
    assert 0.123456 in grid(100, lr=0.123456)[0][2]
    for lr in (1.7e308, 5e-324):
        rates = grid(100, lr=lr)[0][2]
        assert lr in rates
        assert len(set(rates)) == len(rates)
        assert all(0 < rate < math.inf for rate in rates)


def test_several_rates_of_a_config_are_used_as_they_are() -> None:
    assert grid(100, lr=[0.3, 0.12345])[0][2] == (0.3, 0.12345)
    assert grid(100, lr=[0.3, 0.1], sweep={"lr": 5.0})[0][2] == (5.0,)


def test_full_and_all_rows_are_one_run_and_runs_ascend() -> None:
    found = grid(100, sweep={"batch_size": ["full", 7, 100, 1]})
    assert [run[:2] for run in found] == [("sgd", 1), ("minibatch", 7), ("full", 100)]


def test_a_batch_size_of_the_grid_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sweep.batch_size: 101 is larger than the 100 training"):
        grid(100, sweep={"batch_size": [4, 101]})
    config = small_config(data={"val_fraction": 0.2}, sweep={"batch_size": [81]})
    with pytest.raises(ConfigError, match=r"sweep.batch_size: 81 is larger than the 80 training"):
        plan_experiment("sweep", config)
