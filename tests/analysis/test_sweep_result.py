"""The numbers of a sweep: costs, bands, the best rate of a batch size."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.analysis.analyze import to_csv
from gdrun.analysis.trials import TargetCost
from gdrun.results.lanes import BAND
from tests.sweep_results import INF, answer_of, fast, trial


def test_what_was_not_reached_counts_as_infinite_and_is_never_dropped() -> None:
    cell = answer_of([trial(4, 0.1, k, reached=None if k < 2 else 7 * k) for k in range(5)]).cells[
        0
    ]
    assert cell.missed == 2
    assert cell.to_target("updates") == 28
    assert sorted(cell.costs("samples")) == [56, 84, 112, INF, INF]
    worse = answer_of([trial(4, 0.1, k, reached=None if k < 3 else 7) for k in range(5)])
    assert math.isinf(worse.cells[0].to_target("updates"))
    assert worse.summary()["best_of_batch"][0]["updates_to_target"] is None
    assert ",," in to_csv(worse)


@given(
    st.lists(st.integers(0, 99) | st.none(), min_size=1, max_size=12),
    st.sampled_from(["updates", "samples", "seconds"]),
)
def test_a_band_holds_observed_values_and_too_few_seeds_have_none(
    reached: list[int | None], cost: TargetCost
) -> None:
    cell = answer_of([trial(4, 0.1, k, reached=at) for k, at in enumerate(reached)]).cells[0]
    band = cell.band(cost)
    if len(reached) < 3:
        assert band is None
        return
    assert band
    costs = cell.costs(cost)
    for end, percent in zip(band, BAND, strict=True):
        assert end in costs
        # No fewer lie at or below it than it says, and fewer below it.
        assert sum(each <= end for each in costs) * 100 >= percent * len(costs)
        assert sum(each < end for each in costs) * 100 < percent * len(costs)
    assert band[0] <= cell.to_target(cost) <= band[1]


def test_the_best_rate_of_a_batch_has_the_fewest_updates_then_the_lowest_loss() -> None:
    answer = answer_of(
        [
            trial(4, 0.1, reached=20, loss=0.01), trial(4, 0.2, reached=10, loss=0.09),
            trial(4, 0.4, reached=10, loss=0.05), trial(4, 0.8, reached=None, loss=None),
            trial(8, 0.1, reached=None, loss=0.4), trial(8, 0.2, reached=None, loss=0.3),
            trial(8, 0.4, reached=None, loss=None), trial(8, 0.8, reached=None, loss=None),
        ]
    )  # fmt: skip
    assert [(cell.batch_size, cell.lr) for cell in answer.best_of_batch] == [(4, 0.4), (8, 0.2)]
    assert answer.best
    assert answer.best.lr == 0.1
    assert (answer.batch_sizes, answer.lrs) == ([4, 8], [0.1, 0.2, 0.4, 0.8])


def test_time_is_that_of_updates_at_the_pace_of_one_alone() -> None:
    answer = answer_of(
        [*fast(1, 0.1, 100), *fast(10, 0.1, 20), *fast(100, 0.1, 8)],
        pace={1: 0.001, 10: 0.003, 100: 0.1},
    )
    assert [answer.seconds_alone(cell) for cell in answer.cells] == [
        pytest.approx(100 * 0.001), pytest.approx(20 * 0.003), pytest.approx(8 * 0.1),
    ]  # fmt: skip
    found = {cost: answer.fastest(cost) for cost in ("updates", "samples", "seconds")}
    assert {cost: cell.batch_size for cost, cell in found.items() if cell} == {
        "updates": 100, "samples": 1, "seconds": 10,
    }  # fmt: skip
    assert answer_of(fast(1, 0.1, 100)).fastest("seconds") is None
