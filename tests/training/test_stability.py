"""Below its stability limit a rule descends a quadratic, and above it doesn't."""

from typing import Any

import pytest
import torch
from torch import Tensor

from gdrun.training.optimizers.adagrad import Adagrad
from gdrun.training.optimizers.adam import Adam, AdamW
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.optimizers.rmsprop import RMSprop
from gdrun.training.optimizers.sgd import SGD

UPDATES = 3000
SQUARE = 4.0  # of the gradients, in the buffers of adaptive rules: far above those of the test
ESCAPED = 1e-6  # so small still that the squares of gradients don't count
PLAIN: list[SGD] = [
    SGD(momentum, nesterov, decay)
    for momentum in (0.0, 0.5, 0.9, 0.99)
    for nesterov in (False, True)
    for decay in (0.0, 0.3)
    if momentum or not nesterov
]
# With means of squares that stay as they are.
ADAPTIVE: list[Optimizer] = [
    Adam((0.9, 1.0), eps=0.0),
    Adam((0.9, 1.0), eps=0.5, weight_decay=0.3),
    Adam((0.5, 1.0), eps=0.0, amsgrad=True),
    Adam((0.0, 1.0), eps=0.0),
    AdamW((0.9, 1.0), eps=0.0, weight_decay=0.7),
    AdamW((0.8, 1.0), eps=0.1, weight_decay=0.0),
    RMSprop(alpha=1.0, eps=0.0),
    RMSprop(alpha=1.0, eps=0.3, momentum=0.9, weight_decay=0.2),
    Adagrad(eps=0.0),
    Adagrad(eps=0.7, weight_decay=0.2),
]


def size_after(optimizer: Optimizer, lr: float, curvature: float) -> float:
    """The size of a weight that starts at 1e-9 and descends ½ λ w², after many updates."""
    weights = (torch.full((1, 1), 1e-9, dtype=torch.float64),)
    buffers = tuple((torch.zeros(1, 1, dtype=torch.float64),) for _ in range(optimizer.buffers))
    if optimizer.is_adaptive:
        squares = buffers[1:] if isinstance(optimizer, Adam) else buffers[:1]
        for (square,) in squares:
            square.fill_(SQUARE)
    # Late in a training: the means have forgotten that they began at zero.
    factors = [torch.tensor(1.0, dtype=torch.float64)] * (2 if isinstance(optimizer, Adam) else 0)
    rate = (torch.full((1, 1), lr, dtype=torch.float64),)
    for _ in range(UPDATES):
        gradient = (curvature * weights[0],)
        optimizer.move(weights, buffers, rate, gradient, factors)
        if abs(float(weights[0])) > ESCAPED:
            break
    return abs(float(weights[0]))


@pytest.mark.parametrize("optimizer", PLAIN, ids=str)
@pytest.mark.parametrize("lr", [0.01, 0.4])
def test_sgd_is_stable_up_to_its_limit(optimizer: SGD, lr: float) -> None:
    limit = optimizer.stability_limit(lr)
    below, above = 0.99 * limit - optimizer.ridge, 1.01 * limit - optimizer.ridge
    assert size_after(optimizer, lr, below) < 1e-9 < ESCAPED < size_after(optimizer, lr, above)


@pytest.mark.parametrize("optimizer", ADAPTIVE, ids=str)
@pytest.mark.parametrize("lr", [0.01, 0.4])
def test_adaptive_rules_are_stable_up_to_their_limit(optimizer: Any, lr: float) -> None:
    limit = optimizer.stability_limit(lr)
    divisor = SQUARE**0.5 + optimizer.eps
    below, above = (share * limit * divisor - optimizer.ridge for share in (0.98, 1.02))
    assert size_after(optimizer, lr, below) < 1e-9 < ESCAPED < size_after(optimizer, lr, above)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (SGD(), 2),
        (SGD(momentum=0.9), 3.8),
        (SGD(momentum=0.9, nesterov=True), 1.357142857),
        (Adam(), 38),
        (AdamW(weight_decay=0.0), 38),
        (RMSprop(), 2),
        (RMSprop(momentum=0.9), 3.8),
        (Adagrad(), 2),
    ],
)
def test_limits_are_those_that_are_published(optimizer: Optimizer, expected: float) -> None:
    """Cohen et al. 2021, app. B, and 2022, sec. 2; for lr = 1."""
    assert optimizer.stability_limit(1.0) == pytest.approx(expected, rel=1e-9)
    assert optimizer.stability_limit(0.1) == pytest.approx(10 * expected, rel=1e-9)


def test_an_eigenvalue_of_torchs_own_rule_is_one_at_the_limit() -> None:
    """The linear map of one update of `torch.optim`, by finite differences at its fixed point."""
    for momentum, nesterov in ((0.0, False), (0.9, False), (0.9, True)):
        limit = SGD(momentum, nesterov).stability_limit(0.1)

        columns = []
        for unit in torch.eye(2, dtype=torch.float64):
            weight = torch.nn.Parameter(unit[:1].clone())
            rule = torch.optim.SGD([weight], lr=0.1, momentum=momentum, nesterov=nesterov)
            rule.state[weight]["momentum_buffer"] = unit[1:].clone()
            weight.grad = limit * weight.detach()
            rule.step()
            velocity = rule.state[weight].get("momentum_buffer", unit[1:])
            columns.append(torch.cat([weight.detach(), velocity]))
        roots = torch.linalg.eigvals(torch.stack(columns, dim=1))
        assert float((roots + 1).abs().min()) < 1e-9


@pytest.mark.parametrize(
    "optimizer",
    [
        Adam(betas=(0.8, 0.95)),
        Adam(amsgrad=True, eps=1e-3),
        AdamW(),
        RMSprop(centered=True, momentum=0.5, eps=1e-3),
        RMSprop(),
        Adagrad(lr_decay=0.1, initial_accumulator_value=0.1),
    ],
    ids=str,
)
def test_divisors_are_what_a_gradient_is_divided_by(optimizer: Any) -> None:
    """By how much the next update differs where the gradient differs by little."""
    generator = torch.Generator().manual_seed(3)

    def draw() -> tuple[Tensor]:
        return (torch.randn(1, 3, generator=generator, dtype=torch.float64),)

    weights, rate = draw(), (torch.full((1, 3), 0.1, dtype=torch.float64),)
    buffers = tuple(
        (torch.full((1, 3), optimizer.start, dtype=torch.float64),)
        for _ in range(optimizer.buffers)
    )

    def factors(number: int) -> list[Tensor]:
        at = torch.tensor([float(number)], dtype=torch.float64)
        return [factor.squeeze(0) for factor in optimizer.factors(at)]

    for number in range(1, 40):
        optimizer.move(weights, buffers, rate, draw(), factors(number))
    mean_share = 1 - optimizer.betas[0] if isinstance(optimizer, Adam) else 1.0
    # The same update once more from the same state, with two gradients; means of squares that are
    # long stay nearly as they are.
    moved = []
    small = (torch.full((1, 3), 1e-7, dtype=torch.float64), torch.zeros(1, 3, dtype=torch.float64))
    for extra in small:
        own = (weights[0].clone(),)
        frozen = tuple((buffer[0].clone(),) for buffer in buffers)
        optimizer.move(own, frozen, rate, (extra,), factors(40))
        moved.append((own[0], optimizer.divisors(frozen, factors(40))[0]))
    step = (moved[1][0] - moved[0][0]) / 1e-7
    torch.testing.assert_close(step, 0.1 * mean_share / moved[0][1], rtol=1e-4, atol=1e-8)
