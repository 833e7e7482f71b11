"""Updates as CUDA graphs, on a machine with a GPU: nothing of a training is changed by them."""

from typing import Any

import pytest
import torch

from gdrun.config.read import configure
from gdrun.experiment.plan import plan_experiment
from gdrun.training import graphs
from gdrun.training.loop import train
from gdrun.training.optimizers.step import make_step
from gdrun.training.state import TrainState, initial_state

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

SETTINGS: list[dict[str, Any]] = [
    {},
    {"batch_size": 1},
    {"sampling": "replacement", "seeds": 3},
    {"sampling": "sequential", "lr": [0.1, 0.3]},
    {"optimizer": "adam", "lr": 0.01},
    {"momentum": 0.9, "nesterov": True, "schedule": "warmup+cosine", "weight_decay": 0.01},
    {"data": {"source": "spiral"}, "hidden_size": [16, 16]},
    {"data": {"val_fraction": 0.2}, "patience": 5, "epochs": 40},
]


def trained(method: str, settings: dict[str, Any], stop_at: int | None = None) -> TrainState:
    """The state after a training, which may be stopped after some epochs and taken up again."""
    config = configure({}, {"epochs": 12, **settings, "device": "cuda", "engine": "eager"})
    run = plan_experiment(method, config).runs[0]
    state = initial_state(run.problem, run.plan)
    for _ in train(run.problem, run.plan, state):
        if state.epoch == stop_at:
            state = state.clone()
            break
    for _ in train(run.problem, run.plan, state):
        pass
    return state


def tensors(state: TrainState) -> list[torch.Tensor]:
    return [tensor.cpu() for group in (state.params, *state.buffers) for tensor in group]


@pytest.mark.parametrize("method", ["full", "minibatch"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_graphs_change_nothing(
    method: str, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = dict(settings)
    if method == "full":
        settings.pop("batch_size", None)
    with_graphs = trained(method, settings)
    monkeypatch.setattr("gdrun.training.eager.make_graphed_step", make_step)
    one_by_one = trained(method, settings)
    for found, expected in zip(tensors(with_graphs), tensors(one_by_one), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_training_that_was_stopped_ends_with_the_same_bits(settings: dict[str, Any]) -> None:
    for found, expected in zip(
        tensors(trained("minibatch", settings, stop_at=5)),
        tensors(trained("minibatch", settings)),
        strict=True,
    ):
        assert torch.equal(found, expected)


def test_small_batches_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    replayed: list[torch.cuda.CUDAGraph] = []
    replay = torch.cuda.CUDAGraph.replay

    def counted(graph: torch.cuda.CUDAGraph) -> None:
        replayed.append(graph)
        replay(graph)

    monkeypatch.setattr(torch.cuda.CUDAGraph, "replay", counted)
    state = trained("minibatch", {"batch_size": 16})  # six of 16 rows and one of 4 an epoch
    assert len(replayed) == state.updates - 2 * graphs.RECORDED_AFTER
    replayed.clear()
    monkeypatch.setattr(graphs, "MOST_NUMBERS", 0)
    trained("minibatch", {"batch_size": 16})
    assert not replayed
