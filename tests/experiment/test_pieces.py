"""The grid of a sweep in pieces: what they hold, and when ranks are given some."""

from typing import Any

import pytest

from gdrun.analysis.sweep_result import SweepResult
from gdrun.analysis.why.explain import explain
from gdrun.config.methods import sweep_configs, updates_per_epoch
from gdrun.config.pieces import in_pieces
from gdrun.config.read import configure
from gdrun.config.schema import RunConfig
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.experiment.plan.pieces import _seconds, in_pieces_for
from gdrun.results.run import RunResult


def config_of(**settings: Any) -> RunConfig:
    """A sweep of a hundred rows."""
    return configure({}, {"data": {"rows": 100}, "epochs": 100, **settings})


@pytest.mark.parametrize("pieces", [1, 2, 3, 8, 100])
@pytest.mark.parametrize("rates", [[0.1], [0.3, 0.1, 0.2], [0.01, 0.02, 0.04, 0.08, 0.16]])
def test_pieces_have_all_pairs_once(pieces: int, rates: list[float]) -> None:
    config = config_of(sweep={"lr": rates, "batch_size": [1, 8, "full"]})
    whole = sweep_configs(config, 100)
    found = in_pieces(whole, pieces, 100)
    pairs = [(own.batch_size, lr) for _, _, own in found for lr in own.lr]
    assert pairs == [(own.batch_size, lr) for _, _, own in whole for lr in own.lr]
    assert len({name for name, _, _ in found}) == len(found)
    if pieces == 1:
        assert found == whole


@pytest.mark.parametrize("pieces", [2, 3, 8])
def test_no_piece_takes_much_more_than_its_part(pieces: int) -> None:
    config = config_of(sweep={"lr": [0.01 * k for k in range(1, 25)], "batch_size": [1, 8, 64]})
    costs = [
        len(own.lr) * updates_per_epoch(100, int(own.batch_size), drop_last=own.drop_last)
        for _, _, own in in_pieces(sweep_configs(config, 100), pieces, 100)
    ]
    assert max(costs) <= 1.5 * sum(costs) / pieces


@pytest.mark.parametrize("ranks", [2, 4, 16])
@pytest.mark.parametrize("units", [10, 200])
def test_ranks_get_pieces_only_where_they_end_sooner(ranks: int, units: int) -> None:
    experiment = plan_experiment("sweep", config_of(hidden_size=units, engine="eager"))
    cut = in_pieces_for(experiment, ranks)
    assert _seconds(cut, ranks) <= _seconds(experiment, ranks)
    if cut is not experiment:
        assert len(cut.runs) > len(experiment.runs)
        assert cut.config.sweep.pieces


def test_a_wide_network_on_many_ranks_is_cut() -> None:
    experiment = plan_experiment("sweep", config_of(hidden_size=[400, 400], engine="eager"))
    assert _seconds(in_pieces_for(experiment, 8), 8) < 0.7 * _seconds(experiment, 8)


def test_what_was_cut_is_kept_in_the_config() -> None:
    cut = config_of(sweep={"pieces": 5})
    assert cut.model_dump(mode="json")["sweep"]["pieces"] == 5
    assert "pieces" not in config_of().model_dump(mode="json")["sweep"]


def explained(pieces: int | None) -> list[str]:
    """The sentences on a sweep that was measured."""
    config = config_of(
        probes=["gradient", "noise", "sharpness"],
        seeds=3,
        epochs=12,
        sweep={"lr": [0.5, 0.05, 0.2], "batch_size": [1, 10, "full"], "pieces": pieces},
    )
    results, sweep = [], None
    for event in execute(plan_experiment("sweep", config)):
        if isinstance(event, RunResult):
            results.append(event)
        elif isinstance(event, SweepResult):
            sweep = event
    assert sweep
    assert len(results) == (3 if pieces is None else 5)
    return [sentence.text for sentence in explain("sweep", results, sweep).sentences]


def test_a_sweep_in_pieces_is_explained_as_one_that_is_whole() -> None:
    assert explained(3) == explained(None)
