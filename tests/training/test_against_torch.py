"""Training against torch.optim.SGD and PyTorch's own layers and losses."""

from dataclasses import asdict, replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn

from gdrun.config.schema import CLASSIFICATION, Loss
from gdrun.results.description import LOSS_NAMES
from gdrun.results.events import Lane
from gdrun.training.batches import Batches
from gdrun.training.losses.regression import LOSSES
from gdrun.training.models.perceptron import Perceptron
from gdrun.training.optimizers.step import make_step
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, initial_state
from tests.problems import descend, make_plan, make_problem, perceptron_of, sgd_of, step_losses
from tests.segments import ends_of_lane

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU}


class HalfMSELoss(nn.Module):
    def forward(self, outputs: Tensor, y: Tensor) -> Tensor:
        return (outputs - y).square().mean() / 2


CRITERIA: dict[str, type[nn.Module]] = {
    "mse": nn.MSELoss,
    "half_mse": HalfMSELoss,
    "l1": nn.L1Loss,
    "huber": nn.HuberLoss,
}


def torch_network(network: Perceptron, seed: int) -> nn.Sequential:
    """The same network, built as anyone would."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(network.sizes):
        layers += [nn.Linear(inputs, outputs), ACTIVATIONS[network.activation]()]
    return nn.Sequential(*layers[:-1])


def torch_losses(problem: Problem, plan: Plan, lane: Lane) -> list[float]:
    """The batch losses of torch.optim.SGD on the batches that the engine's lane gets."""
    network = torch_network(perceptron_of(problem), lane.seed)
    optimizer = torch.optim.SGD(
        network.parameters(),
        lr=lane.lr,
        **asdict(sgd_of(plan)),
    )
    criterion = CRITERIA[problem.loss.name]()
    position = plan.lanes.index(lane)
    losses = []
    for epoch in range(1, plan.epochs + 1):
        for x, y, _, _ in Batches(problem, plan).chunks(epoch):
            loss = criterion(network(x[position]), y[position])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


@pytest.mark.parametrize(
    ("momentum", "nesterov", "weight_decay"),
    [(0.0, False, 0.0), (0.9, False, 0.0), (0.9, True, 0.0), (0.0, False, 0.1), (0.8, True, 0.05)],
)
@pytest.mark.parametrize("sampling", ["sequential", "reshuffle", "replacement"])
def test_updates_are_those_of_torch_sgd(
    momentum: float, nesterov: bool, weight_decay: float, sampling: str
) -> None:
    problem = make_problem(rows=23, features=3, hidden=(8, 6))
    plan = make_plan(
        5,
        epochs=6,
        lanes=(Lane(0.05, 1), Lane(0.02, 2)),
        sampling=sampling,
        momentum=momentum,
        nesterov=nesterov,
        weight_decay=weight_decay,
    )
    segments, _ = descend(problem, plan)
    for position, lane in enumerate(plan.lanes):
        expected = torch_losses(problem, plan, lane)
        assert step_losses(segments, position) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("loss", list(CRITERIA))
@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("hidden", [(), (4,), (6, 5, 4)])
def test_losses_and_networks_are_torchs(
    loss: Loss, activation: str, hidden: tuple[int, ...]
) -> None:
    problem = make_problem(rows=10, features=2, hidden=hidden, loss=loss, activation=activation)
    plan = make_plan(3, epochs=3, sampling="sequential")
    segments, _ = descend(problem, plan)
    expected = torch_losses(problem, plan, plan.lanes[0])
    assert step_losses(segments) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_every_loss_is_compared_with_torch() -> None:
    assert set(CRITERIA) == set(LOSSES) == set(LOSS_NAMES) - set(CLASSIFICATION)


def test_half_the_square_is_that_of_numbers_of_any_size() -> None:
    outputs = torch.tensor([0.0, 1e-20, 3.0, -1e4, 1e18, 1e30, torch.inf, torch.nan])
    outputs.requires_grad_()
    losses = LOSSES["half_mse"](outputs, torch.zeros(8), reduction="none")
    assert torch.equal(losses[:5], outputs[:5].square() / 2)
    assert not losses[5:].isfinite().any()  # squares above 3e38 are infinite
    (slopes,) = torch.autograd.grad(losses.sum(), outputs)
    assert torch.equal(slopes[:5], outputs[:5])


def test_without_features_a_bias_starts_at_zero_as_torchs() -> None:
    with pytest.warns(UserWarning, match="zero-element"):
        layer = nn.Linear(0, 1)
    weight, bias = Perceptron((0, 1), "relu").init([0, 1])
    assert (weight.shape, bias.shape) == ((2, 0, 1), (2, 1, 1))
    assert bias.flatten().tolist() == 2 * layer.bias.tolist() == [0, 0]
    assert (Perceptron((0, 1), "relu").parameters, str(Perceptron((0, 1), "relu"))) == (
        1,
        "constant model",
    )


def test_full_batch_gradient_is_the_mean_of_the_rows_gradients() -> None:
    problem = make_problem(rows=9, features=2, hidden=(6,))
    lr = 0.1
    plan = make_plan(9, lr=lr, sampling="sequential")
    before = initial_state(problem, plan)
    after = before.clone()
    x, y = problem.data.x[:].unsqueeze(0), problem.data.y[:].unsqueeze(0)
    lr_of_lanes = plan.learning_rates(x.device)
    make_step(problem.losses, plan.optimizer, after.params, after.buffers, lr_of_lanes)(x, y)
    leaves = tuple(p.requires_grad_() for p in before.clone().params)
    single = [
        torch.autograd.grad(problem.losses(leaves, x[:, k : k + 1], y[:, k : k + 1]).sum(), leaves)
        for k in range(9)
    ]
    for old, new, *rows in zip(before.params, after.params, *single, strict=True):
        torch.testing.assert_close(
            (old - new) / lr, torch.stack(rows).mean(0), atol=1e-5, rtol=1e-5
        )


def test_validation_loss_is_that_of_the_validation_rows() -> None:
    problem = make_problem(rows=30, features=2)
    data = replace(
        problem.data,
        x=problem.data.x[:20],
        y=problem.data.y[:20],
        x_val=problem.data.x[20:],
        y_val=problem.data.y[20:],
    )
    problem = replace(problem, data=data)
    segments, state = descend(problem, make_plan(4, epochs=2))
    assert segments[-1].ends
    ((_, train_loss, val_loss),) = ends_of_lane(segments[-1].ends, 0)
    network = torch_network(perceptron_of(problem), seed=0)
    layers = [layer for layer in network if isinstance(layer, nn.Linear)]
    for layer, weight, bias in zip(layers, state.params[::2], state.params[1::2], strict=True):
        layer.weight.data, layer.bias.data = weight[0].T, bias[0, 0]
    for loss, x, y in (
        (train_loss, data.x[:], data.y[:]),
        (val_loss, data.x_val[:], data.y_val[:]),
    ):
        assert loss == pytest.approx(nn.functional.mse_loss(network(x), y).item(), rel=1e-5)
