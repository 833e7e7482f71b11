"""Rows that are generated: the article's, made-up numbers, two classes of points."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gdrun.config.parts.data import (
    CirclesData,
    HadamardData,
    MeanEstimationData,
    MoonsData,
    QuadraticData,
    SpiralData,
)
from gdrun.config.read import load_config
from gdrun.data.generated import numbers
from gdrun.data.sources import load_data
from gdrun.errors import ConfigError, DataError

Source = type[SpiralData] | type[MoonsData] | type[CirclesData]
TWO_CLASSES: tuple[Source, ...] = (SpiralData, MoonsData, CirclesData)
SIZES = st.integers(2, 301)
SEEDS = st.integers(0, 1000)


def test_quadratic_is_the_articles_data() -> None:
    data = load_data(QuadraticData(rows=100, noise=0.2, seed=3))
    torch.manual_seed(3)
    x = torch.linspace(-1, 1, 100).unsqueeze(1)
    assert torch.equal(data.x[:], x)
    assert torch.equal(data.y[:], x.pow(2) + 0.2 * torch.rand(100, 1))
    assert len(data.x_val[:]) == 0


@given(
    rows=st.integers(2, 300),
    mean=st.floats(-100, 100),
    variance=st.just(0) | st.floats(1e-4, 1e4),
    seed=st.integers(0, 1000),
)
def test_numbers_have_their_mean_and_variance_exactly(
    rows: int, mean: float, variance: float, seed: int
) -> None:
    x = numbers(rows, mean, variance, seed)
    deviation = math.sqrt(variance)
    assert x.shape == (rows, 1)
    assert x.mean().item() == pytest.approx(mean, rel=1e-12, abs=1e-12 * deviation)
    found = x.var(correction=0).item()
    assert found == pytest.approx(variance, rel=1e-9, abs=1e-20 * (1 + mean * mean))
    assert torch.equal(x, numbers(rows, mean, variance, seed))


def test_numbers_are_a_target_without_features() -> None:
    config = MeanEstimationData(rows=50, mean=3, variance=4, seed=2, val_fraction=0.2)
    data = load_data(config)
    assert (data.x.shape, data.y.shape) == ((40, 0), (40, 1))
    assert (data.x_val.shape, data.y_val.shape) == ((10, 0), (10, 1))
    assert (data.features, data.target) == ((), "x")
    everything = torch.cat([data.y[:], data.y_val[:]]).double()
    assert everything.mean().item() == pytest.approx(3, rel=1e-6)
    assert everything.var(correction=0).item() == pytest.approx(4, rel=1e-6)
    assert data.fingerprint == load_data(config).fingerprint
    other = load_data(config.model_copy(update={"seed": 3}))
    assert data.fingerprint != other.fingerprint


def test_numbers_are_standardised_by_the_training_rows() -> None:
    data = load_data(MeanEstimationData(rows=50, mean=3, standardize=True, val_fraction=0.2))
    assert data.x_scaling is None
    assert data.y_scaling is not None
    assert data.y[:].mean().item() == pytest.approx(0, abs=1e-6)
    assert data.y[:].var(correction=0).item() == pytest.approx(1, rel=1e-6)
    data = load_data(MeanEstimationData(rows=50, variance=0, standardize=True))
    assert data.y[:].tolist() == [[0]] * 50


def test_one_number_has_no_variance() -> None:
    assert load_data(MeanEstimationData(rows=1, variance=0, mean=2.5)).y[:].tolist() == [[2.5]]


def classes(config: SpiralData | MoonsData | CirclesData) -> tuple[Tensor, Tensor]:
    """The points of class 0 and those of class 1, (n, 2) each, in 64 bits."""
    data = load_data(config)
    x, y = data.x[:], data.y[:]
    assert x.dtype == y.dtype == torch.float32
    assert (x.shape, y.shape) == ((config.rows, 2), (config.rows, 1))
    assert set(y[:, 0].tolist()) == {0, 1}
    return x[y[:, 0] == 0].double(), x[y[:, 0] == 1].double()


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected.double(), atol=1e-6, rtol=0)


def evenly(stop: float, count: int) -> Tensor:
    """Count numbers from 0 to stop, both included."""
    return torch.tensor([stop * k / max(1, count - 1) for k in range(count)], dtype=torch.float64)


@given(rows=SIZES, turns=st.floats(0.25, 10))
def test_spirals_are_archimedean_and_opposite(rows: int, turns: float) -> None:
    opposite, spiral = classes(SpiralData(rows=rows, noise=0, turns=turns))
    for points in (spiral, -opposite):
        angle = evenly(2 * math.pi * turns, len(points))
        radius = 0.25 + angle / (2 * math.pi)
        close(points, radius.unsqueeze(1) * torch.stack([angle.cos(), angle.sin()], 1))


def test_three_turns_of_194_rows_are_those_of_lang_and_witbrock() -> None:
    opposite, spiral = classes(SpiralData(rows=194, noise=0, turns=3))
    published = []
    for k in range(97):
        angle, radius = k * math.pi / 16, 6.5 * (104 - k) / 104
        published.append([radius * math.sin(angle), radius * math.cos(angle)])
    turned = torch.tensor(published).flip(0) @ torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    close(2 * spiral, turned)
    close(2 * opposite, -turned)


@given(rows=SIZES)
def test_moons_are_two_half_circles(rows: int) -> None:
    upper, lower = classes(MoonsData(rows=rows, noise=0))
    close(upper.norm(dim=1), torch.ones(len(upper)))
    close((lower - torch.tensor([1, 0.5])).norm(dim=1), torch.ones(len(lower)))
    assert (upper[:, 1] >= -1e-6).all()
    assert (lower[:, 1] <= 0.5 + 1e-6).all()
    angle = evenly(math.pi, len(upper))
    close(upper, torch.stack([angle.cos(), angle.sin()], 1))
    angle = evenly(math.pi, len(lower))
    close(lower, torch.stack([1 - angle.cos(), 0.5 - angle.sin()], 1))


@given(rows=SIZES, factor=st.floats(0, 0.99))
def test_circles_are_evenly_spaced_points_of_two_circles(rows: int, factor: float) -> None:
    outer, inner = classes(CirclesData(rows=rows, noise=0, factor=factor))
    for points, radius in ((outer, 1.0), (inner, factor)):
        close(points.norm(dim=1), torch.full((len(points),), radius))
        angle = 2 * math.pi * torch.arange(len(points)).double() / len(points)
        close(points, radius * torch.stack([angle.cos(), angle.sin()], 1))


@pytest.mark.parametrize("source", TWO_CLASSES)
@given(rows=SIZES, noise=st.just(0) | st.floats(0.01, 10), seed=SEEDS)
def test_classes_take_turns_and_are_equal_halves(
    source: Source, rows: int, noise: float, seed: int
) -> None:
    config = source(rows=rows, noise=noise, seed=seed)
    data = load_data(config)
    assert data.y[:].flatten().tolist() == [(k + 1) % 2 for k in range(rows)]
    assert (data.features, data.target) == (("x1", "x2"), "class")
    assert data.fingerprint == load_data(config).fingerprint
    other = load_data(config.model_copy(update={"seed": seed + 1}))
    assert (data.fingerprint == other.fingerprint) == (noise == 0)


@pytest.mark.parametrize("source", TWO_CLASSES)
def test_noise_is_normal_and_of_the_stated_deviation(source: Source) -> None:
    config = source(rows=20_001, noise=0.3, seed=5)
    clean = load_data(source(rows=20_001, noise=0, seed=5))
    z = ((load_data(config).x[:] - clean.x[:]) / 0.3).flatten().double()
    assert z.mean().item() == pytest.approx(0, abs=4 / math.sqrt(len(z)))
    assert z.var().item() == pytest.approx(1, abs=4 * math.sqrt(2 / len(z)))
    for limit in (0.5, 1, 2):
        within = math.erf(limit / math.sqrt(2))
        assert (z.abs() < limit).double().mean().item() == pytest.approx(within, abs=0.01)
    torch.manual_seed(5)
    close(z.view(-1, 2) * 0.3, 0.3 * torch.randn(20_001, 2, dtype=torch.float64))


@pytest.mark.parametrize("source", TWO_CLASSES)
def test_points_are_split_and_standardised_by_the_training_rows(
    source: Source,
) -> None:
    data = load_data(source(rows=101, seed=3, val_fraction=0.2, standardize=True))
    assert (len(data.x), len(data.x_val)) == (81, 20)
    close(data.x[:].double().mean(0), torch.zeros(2))
    close(data.x[:].double().var(0, correction=0), torch.ones(2))
    assert data.x_scaling is not None
    both = torch.cat([data.x[:], data.x_val[:]]).double()
    everything = load_data(source(rows=101, seed=3)).x[:].double()
    original = data.x_scaling.invert(both)
    order = original[:, 0].argsort(), everything[:, 0].argsort()
    close(original[order[0]], everything[order[1]])


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (SpiralData(turns=1e308), "column 'x1' holds numbers too large"),
        (MoonsData(noise=1e308), "column 'x1' holds numbers too large"),
        (CirclesData(rows=2, noise=0, standardize=True), "column 'x2' is constant"),
    ],
)
def test_points_that_32_bits_cannot_hold_or_scale_are_refused(
    config: SpiralData | MoonsData | CirclesData, expected: str
) -> None:
    with pytest.raises(DataError, match=expected):
        load_data(config)


def sylvester(order: int) -> torch.Tensor:
    """By its definition: H of 2n rows is [[H, H], [H, −H]] of n."""
    matrix = torch.ones(1, 1, dtype=torch.float64)
    for _ in range(order):
        matrix = torch.kron(torch.tensor([[1.0, 1], [1, -1]], dtype=torch.float64), matrix)
    return matrix


@pytest.mark.parametrize("order", [1, 2, 4, 6])
def test_orthogonal_rows_are_those_of_sylvesters_matrix(order: int) -> None:
    rows = 2**order
    data = load_data(HadamardData(rows=rows, seed=3))
    matrix = sylvester(order)
    assert torch.equal(data.x[:].double(), matrix[:, 1:])
    assert torch.equal(matrix @ matrix.T, rows * torch.eye(rows, dtype=torch.float64))
    weights = torch.linalg.solve(matrix, data.y[:].double())
    assert weights.square().sum().item() == pytest.approx(1, rel=1e-5)
    assert data.y[:].square().mean().item() == pytest.approx(1, rel=1e-5)
    other = load_data(HadamardData(rows=rows, seed=4))
    assert not torch.equal(other.y[:], data.y[:])
    assert data.features == tuple(f"x{k}" for k in range(1, rows))


@pytest.mark.parametrize("rows", [1, 3, 6, 100, 2**13])
def test_there_are_as_many_as_a_power_of_two(rows: int) -> None:
    with pytest.raises(ConfigError, match="rows"):
        load_config("hadamard", [f"data.rows={rows}"])
