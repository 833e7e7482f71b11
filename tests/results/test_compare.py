"""Runs side by side: the target, what it takes to come there, and how many curves are shown."""

import math
from dataclasses import replace

import pytest

from gdrun.api import compare, train
from gdrun.config.schema import RunConfig
from gdrun.results.compare import compare_results, legible, reach
from gdrun.results.run import Reached, overall_status
from tests.training_runs import small_config


@pytest.mark.parametrize("growth", [0.0, 0.05, "auto"])
def test_comparison_counts_what_it_takes_to_come_near_the_best(growth: float | str) -> None:
    results = compare(RunConfig.model_validate({"epochs": 30, "seeds": 3, "eval_growth": growth}))
    within = [len(history.evaluations["updates"]) for r in results for history in r.histories]
    assert (sum(within) > 0) == (growth != 0)
    comparison = compare_results(results)
    finals = [row.train_loss for row in comparison.rows if row.train_loss is not None]
    assert comparison.target == pytest.approx(1.1 * min(finals))
    assert comparison.target is not None
    for result, row in zip(results, comparison.rows, strict=True):
        costs = []
        reached = reach(result, comparison.target)
        gone = [replace(lane, status="diverged") for lane in result.lanes]
        assert reach(replace(result, lanes=tuple(gone)), comparison.target) == [None] * 3
        for history, at in zip(result.histories, reached, strict=True):
            names = ("updates", "samples", "seconds", "train_loss")
            known = sorted(
                row
                for table in (history.epochs, history.evaluations)
                for row in zip(*(table[name] for name in names), strict=True)
            )
            hits = [k for k, (*_, loss) in enumerate(known) if loss <= comparison.target]
            if not hits:
                assert at is None
            else:
                updates, samples, seconds, _ = known[hits[0]]
                assert at == Reached(
                    int(updates), int(samples), seconds, int(known[hits[0] - 1][0])
                )
            costs.append(at.updates if at else math.inf)
        assert (row.updates_to_target or math.inf) == sorted(costs)[1]


def test_comparison_where_everything_diverged() -> None:
    comparison = compare_results(compare(lr=1e6, epochs=5))
    assert comparison.target is None
    assert [(row.train_loss, row.updates_to_target) for row in comparison.rows] == [
        (None, None)
    ] * 3


def test_status_of_a_whole() -> None:
    assert overall_status(["done", "diverged"]) == "done"
    assert overall_status(["diverged", "diverged"]) == "diverged"
    assert overall_status(["done", "interrupted", "diverged"]) == "interrupted"


def test_there_is_no_target_where_nothing_was_learned() -> None:
    results = compare(lr=2.0, epochs=5)
    comparison = compare_results(results)
    assert comparison.target is None
    assert all(row.updates_to_target is None for row in comparison.rows)


def test_comparison_takes_the_validation_loss_and_the_most_updates() -> None:
    data = {"source": "quadratic", "val_fraction": 0.3}
    result = train("sgd", RunConfig(epochs=4, seeds=3), data=data, lr=[0.1])
    (row,) = compare_results([result]).rows
    losses = sorted(lane.val_loss for lane in result.lanes if lane.val_loss is not None)
    assert row.val_loss == losses[1]
    assert row.val_loss != row.train_loss
    mixed = train("sgd", epochs=4, lr=[0.1, 1e6])
    assert [row.updates for row in compare_results([mixed]).rows] == [400, mixed.lanes[1].updates]


def test_a_row_counts_the_most_updates_and_no_diverged_lane_as_having_come_to_the_target() -> None:
    result = train("minibatch", epochs=40, seeds=3)
    row = compare_results([result]).rows[0]
    assert row.updates_to_target is not None
    first, *others = result.lanes
    gone = [replace(lane, status="diverged", updates=5) for lane in others]
    changed = compare_results([replace(result, lanes=(first, *gone)), result]).rows[0]
    assert changed.updates == 240
    assert changed.diverged == 2
    assert changed.updates_to_target is None


def test_too_many_curves_are_each_run_at_its_best_rate() -> None:
    results = compare(small_config(lr=(0.01, 0.05, 0.1, 0.2, 1e9), epochs=3, seeds=2))
    shown, reduced = legible(results)
    assert reduced
    for own, other in zip(results, shown, strict=True):
        finals = {lr: [x.train_loss for x in own.lanes if x.lr == lr] for lr in own.series.lrs}
        best = min(finals, key=lambda lr: sum(math.inf if v is None else v for v in finals[lr]))
        assert other.series.lrs == [best]
        assert [lane.train_loss for lane in other.lanes] == finals[best]
        assert [history.lane.lr for history in other.histories] == [best, best]
    few = compare(small_config(lr=(0.01, 0.05), epochs=2))
    assert legible(few) == ([*few], False)
    assert legible(results[:1]) == ([results[0]], False)
