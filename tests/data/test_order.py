"""The visiting order: SplitMix64's known numbers, permutations, and unrelated neighbours."""

from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gdrun.config.schema import Sampling
from gdrun.data import order
from gdrun.data.order import Orders, visiting_order
from gdrun.data.splitmix64 import random_numbers, splitmix64

SEEDS = st.integers(0, 2**62 - 1)


def whole_order(sampling: Sampling, rows: int, seeds: Sequence[int], epoch: int) -> Tensor:
    order = visiting_order(sampling, rows, seeds, epoch)
    assert order is not None
    return order(0, rows)


def test_numbers_are_those_of_splitmix64() -> None:
    # The first outputs for seed 1234567 of Vigna's reference implementation, splitmix64.c.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    found = splitmix64(torch.tensor([[1234567]]), torch.arange(5))[0].tolist()
    assert [number % 2**64 for number in found] == expected


@given(rows=st.integers(1, 200), seed=SEEDS, epoch=st.integers(1, 10**6))
def test_reshuffle_visits_each_row_once(rows: int, seed: int, epoch: int) -> None:
    order = whole_order("reshuffle", rows, [seed, seed + 1], epoch)
    for lane in order:
        assert sorted(lane.tolist()) == list(range(rows))


@given(rows=st.integers(1, 200), seed=SEEDS, epoch=st.integers(1, 10**6))
def test_replacement_draws_existing_rows(rows: int, seed: int, epoch: int) -> None:
    order = whole_order("replacement", rows, [seed], epoch)
    assert order.shape == (1, rows)
    assert int(order.min()) >= 0
    assert int(order.max()) < rows


@given(seed=SEEDS, epoch=st.integers(1, 10**6))
def test_order_is_a_function_of_seed_and_epoch_alone(seed: int, epoch: int) -> None:
    together = whole_order("reshuffle", 50, [seed, seed + 1], epoch)
    alone = whole_order("reshuffle", 50, [seed + 1], epoch)
    assert torch.equal(together[1], alone[0])


def test_neighbouring_seeds_and_epochs_are_unrelated() -> None:
    # 64 × 64 streams of 64 numbers: correlations as small as those of independent ones.
    streams = torch.stack(
        [random_numbers(range(64), epoch, torch.arange(64)) for epoch in range(64)]
    )
    uniform = streams.double() / 2.0**63
    bound = 5 / (63 * 64 * 64) ** 0.5 / 3  # five standard errors; the variance of U(−1, 1) is 1/3
    for other in (uniform.roll(1, 0), uniform.roll(1, 1), uniform.roll((1, -1), (0, 1))):
        assert abs(float((uniform * other)[1:, 1:].mean())) < bound


def test_every_row_is_equally_likely_at_every_position() -> None:
    order = whole_order("reshuffle", 5, range(20_000), epoch=3)
    for position in range(5):
        counts = torch.bincount(order[:, position], minlength=5).double()
        # χ² with 4 degrees of freedom stays below 23.5 with probability 0.9999.
        assert float(((counts - 4000) ** 2 / 4000).sum()) < 23.5


def test_replacement_is_uniform() -> None:
    order = whole_order("replacement", 10, range(10_000), epoch=1)
    counts = torch.bincount(order.flatten(), minlength=10).double()
    assert float(((counts - 10_000) ** 2 / 10_000).sum()) < 33.8  # χ² with 9 degrees, 0.9999


def test_sequential_is_no_order() -> None:
    assert visiting_order("sequential", 10, [0], 1) is None


@given(
    rows=st.integers(1, 200),
    epochs=st.lists(st.integers(1, 300), min_size=1, max_size=9),
    sampling=st.sampled_from(["reshuffle", "replacement", "sequential"]),
    ahead=st.integers(0, 5000),
)
def test_orders_are_the_same_drawn_one_by_one_or_ahead(
    rows: int, epochs: list[int], sampling: Sampling, ahead: int
) -> None:
    with patch.object(order, "AHEAD_NUMBERS", ahead):
        orders = Orders(sampling, rows, [3, 8])
    for epoch in epochs:
        found, expected = orders.of(epoch), visiting_order(sampling, rows, [3, 8], epoch)
        if found is None or expected is None:
            assert found is expected
        else:
            assert torch.equal(found(0, rows), expected(0, rows))
            assert torch.equal(found(rows // 2, rows), expected(rows // 2, rows))


def test_ever_more_epochs_are_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[range] = []
    draw = order.visiting_orders

    def noted(sampling: Any, rows: int, seeds: Any, epochs: range, device: Any) -> Any:
        drawn.append(epochs)
        return draw(sampling, rows, seeds, epochs, device)

    monkeypatch.setattr(order, "visiting_orders", noted)
    monkeypatch.setattr(order, "AHEAD_NUMBERS", 500)
    orders = Orders("reshuffle", 100, [0])
    for epoch in range(3, 20):
        orders.of(epoch)
    assert drawn == [range(3, 4), range(4, 6), range(6, 10), range(10, 15), range(15, 20)]
    monkeypatch.setattr(order, "AHEAD_NUMBERS", 99)
    drawn.clear()
    draws = Orders("replacement", 100, [0]).of(1)
    assert draws is not None
    assert draws(5, 9).shape == (1, 4)
    assert not drawn  # no more than what is asked for


@given(rows=st.integers(1, 200), seed=SEEDS, epoch=st.integers(1, 10**6))
def test_any_way_of_sorting_gives_the_same_order(rows: int, seed: int, epoch: int) -> None:
    by_numpy = whole_order("reshuffle", rows, [seed, seed + 1], epoch)
    with patch.object(order, "ARGSORT", {}):
        by_pytorch = whole_order("reshuffle", rows, [seed, seed + 1], epoch)
    assert torch.equal(by_numpy, by_pytorch)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("sampling", ["reshuffle", "replacement"])
def test_orders_are_the_same_on_a_gpu(sampling: Sampling) -> None:
    orders = Orders(sampling, 1001, [3, 8], torch.device("cuda"))
    for epoch in (1, 2, 70):
        found = orders.of(epoch)
        assert found is not None
        on_gpu = found(0, 1001)
        assert on_gpu.is_cuda
        assert torch.equal(on_gpu.cpu(), whole_order(sampling, 1001, [3, 8], epoch))


# ------------------------------------------------------------------- more rows than are sorted


@pytest.fixture
def _permuted_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "SORTED_ROWS", 0)


@pytest.mark.usefixtures("_permuted_one_by_one")
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 7, 8, 9, 63, 64, 65, 1000, 4097])
def test_many_rows_are_visited_once_each(rows: int) -> None:
    order = whole_order("reshuffle", rows, [3, 4, 2**61], epoch=2)
    assert torch.equal(order.sort(dim=1).values, torch.arange(rows).expand(3, -1))


@pytest.mark.usefixtures("_permuted_one_by_one")
def test_many_rows_need_not_be_known_all_at_once() -> None:
    order = visiting_order("reshuffle", 1001, [5, 6], epoch=9)
    assert order is not None
    parts = [order(start, min(start + 100, 1001)) for start in range(0, 1001, 100)]
    assert torch.equal(torch.cat(parts, dim=1), order(0, 1001))
    assert torch.equal(order(0, 1001)[1], whole_order("reshuffle", 1001, [6], epoch=9)[0])


@pytest.mark.usefixtures("_permuted_one_by_one")
@pytest.mark.parametrize("rows", [300, 1000, 4090])
def test_many_rows_are_equally_likely_at_every_position_and_in_every_pair(rows: int) -> None:
    order = visiting_order("reshuffle", rows, range(20_000), epoch=3)
    assert order is not None
    tenths = order(0, 8) // (rows // 10)  # which tenth of the rows
    tenth = rows // 10
    # Mean and deviation of χ² with f degrees of freedom: f and √2f; five deviations above.
    for position in range(8):
        counts = torch.bincount(tenths[:, position], minlength=10).double()
        assert float(((counts - 2000) ** 2 / 2000).sum()) < 9 + 5 * 18**0.5
    counts = torch.bincount(tenths[:, 0] * 10 + tenths[:, 1], minlength=100).double().view(10, 10)
    expected = torch.full((10, 10), float(tenth * tenth)) - torch.eye(10) * tenth
    expected *= 20_000 / (rows * (rows - 1))
    assert float(((counts - expected) ** 2 / expected).sum()) < 99 + 5 * 198**0.5


@pytest.mark.parametrize("cached", [1, 7, 2**15])
def test_what_is_worked_on_at_a_time_changes_no_order(
    cached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order, "CACHED_NUMBERS", cached)
    seeds, epochs = [3, 1, 4, 1], [5, 9]
    numbers = torch.stack([random_numbers(seeds, epoch, torch.arange(5)) for epoch in epochs])
    shuffled = order.visiting_orders("reshuffle", 5, seeds, epochs)
    drawn = order.visiting_orders("replacement", 5, seeds, epochs)
    assert shuffled is not None
    assert drawn is not None
    assert torch.equal(shuffled, numbers.argsort(dim=-1, stable=True))
    assert drawn.tolist() == [
        [[(number % 2**63) % 5 for number in lane] for lane in epoch] for epoch in numbers.tolist()
    ]
