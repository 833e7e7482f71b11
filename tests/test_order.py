"""The visiting order: SplitMix64's known numbers, permutations, and unrelated neighbours."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from gdrun.order import random_numbers, splitmix64, visiting_order

SEEDS = st.integers(0, 2**62 - 1)


def test_numbers_are_those_of_splitmix64() -> None:
    # The first outputs for seed 1234567 of Vigna's reference implementation, splitmix64.c.
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    found = splitmix64(torch.tensor([[1234567]]), 5)[0].tolist()
    assert [number % 2**64 for number in found] == expected


@given(rows=st.integers(1, 200), seed=SEEDS, epoch=st.integers(1, 10**6))
def test_reshuffle_visits_each_row_once(rows: int, seed: int, epoch: int) -> None:
    order = visiting_order("reshuffle", rows, [seed, seed + 1], epoch)
    assert order is not None
    for lane in order:
        assert sorted(lane.tolist()) == list(range(rows))


@given(rows=st.integers(1, 200), seed=SEEDS, epoch=st.integers(1, 10**6))
def test_replacement_draws_existing_rows(rows: int, seed: int, epoch: int) -> None:
    order = visiting_order("replacement", rows, [seed], epoch)
    assert order is not None
    assert order.shape == (1, rows)
    assert int(order.min()) >= 0
    assert int(order.max()) < rows


@given(seed=SEEDS, epoch=st.integers(1, 10**6))
def test_order_is_a_function_of_seed_and_epoch_alone(seed: int, epoch: int) -> None:
    together = visiting_order("reshuffle", 50, [seed, seed + 1], epoch)
    alone = visiting_order("reshuffle", 50, [seed + 1], epoch)
    assert together is not None
    assert alone is not None
    assert torch.equal(together[1], alone[0])


def test_neighbouring_seeds_and_epochs_are_unrelated() -> None:
    # 64 × 64 streams of 64 numbers: correlations as small as those of independent ones.
    streams = torch.stack([random_numbers(range(64), epoch, 64) for epoch in range(64)])
    uniform = streams.double() / 2.0**63
    bound = 5 / (63 * 64 * 64) ** 0.5 / 3  # five standard errors; the variance of U(−1, 1) is 1/3
    for other in (uniform.roll(1, 0), uniform.roll(1, 1), uniform.roll((1, -1), (0, 1))):
        assert abs(float((uniform * other)[1:, 1:].mean())) < bound


def test_every_row_is_equally_likely_at_every_position() -> None:
    order = visiting_order("reshuffle", 5, range(20_000), epoch=3)
    assert order is not None
    for position in range(5):
        counts = torch.bincount(order[:, position], minlength=5).double()
        # χ² with 4 degrees of freedom stays below 23.5 with probability 0.9999.
        assert float(((counts - 4000) ** 2 / 4000).sum()) < 23.5


def test_replacement_is_uniform() -> None:
    order = visiting_order("replacement", 10, range(10_000), epoch=1)
    assert order is not None
    counts = torch.bincount(order.flatten(), minlength=10).double()
    assert float(((counts - 10_000) ** 2 / 10_000).sum()) < 33.8  # χ² with 9 degrees, 0.9999


def test_sequential_is_no_order() -> None:
    assert visiting_order("sequential", 10, [0], 1) is None
