"""The article to the letter: every loss of `gdrun compare` against a plain PyTorch loop."""

import pytest
import torch
from torch import nn

from gdrun.config.read import load_config
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.events import Lane
from tests.problems import descend, perceptron_of, step_losses


def article(batch_size: int, seed: int = 0, epochs: int = 100) -> list[float]:
    """The article's loop, as it would be written."""
    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 100).unsqueeze(1)
    y = x.pow(2) + 0.2 * torch.rand(x.size())
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Linear(1, 10), nn.ReLU(), nn.Linear(10, 1))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.2)
    criterion = nn.MSELoss()
    losses = []
    for _ in range(epochs):
        for start in range(0, 100 - batch_size + 1, batch_size):
            batch = slice(start, start + batch_size)
            loss = criterion(network(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return losses


def test_preset_is_the_reference_experiment() -> None:
    config = load_config()
    experiment = plan_experiment("compare", config)
    assert [member.series.batch_size for member in experiment.runs] == [100, 1, 16]
    assert [member.plan.updates_per_epoch(100) for member in experiment.runs] == [1, 100, 6]
    assert perceptron_of(experiment.problem).sizes == (1, 10, 1)
    assert all(member.series.lanes == (Lane(0.2, 0),) for member in experiment.runs)
    assert config.epochs == 100


@pytest.mark.parametrize("method", ["full", "sgd", "minibatch"])
def test_every_loss_equals_the_plain_loop(method: str) -> None:
    experiment = plan_experiment(method, load_config())
    (member,) = experiment.runs
    segments, _ = descend(experiment.problem, member.plan)
    ours, theirs = step_losses(segments), article(member.plan.batch_size)
    assert len(ours) == len(theirs)
    assert ours[0] == pytest.approx(theirs[0], rel=1e-6)
    assert ours[-1] == pytest.approx(theirs[-1], rel=1e-4)
    # Rounding grows along the way where single losses come close to zero.
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-6)


def test_other_seeds_start_from_the_same_data() -> None:
    experiment = plan_experiment(
        "minibatch", load_config(settings=["seed=3", "seeds=2", "epochs=5"])
    )
    segments, _ = descend(experiment.problem, experiment.runs[0].plan)
    for lane, seed in enumerate((3, 4)):
        expected = article(16, seed=seed, epochs=5)
        assert step_losses(segments, lane) == pytest.approx(expected, rel=1e-4, abs=1e-6)
