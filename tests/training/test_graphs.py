"""Updates that are recorded and replayed: nothing of a training is changed by that.

On a machine with a GPU they are CUDA graphs; on any, operations that a stand-in of CUDA replays.
"""

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch

from gdrun.config.read import configure
from gdrun.config.timing import DEFAULT, Timing
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.events import Segment
from gdrun.training import graphs
from gdrun.training.loop import train
from gdrun.training.state import TrainState, initial_state
from tests.experiment.own_code import NETWORKS
from tests.training.recorder import ProcessorRecorder

CUDA = pytest.param(
    "cuda",
    marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
)
SETTINGS: list[dict[str, Any]] = [
    {},
    {"batch_size": 1},
    {"sampling": "replacement", "seeds": 3},
    {"sampling": "sequential", "lr": [0.1, 0.3]},
    {"optimizer": "adam", "lr": 0.01},
    {"momentum": 0.9, "nesterov": True, "schedule": "warmup+cosine", "weight_decay": 0.01},
    {"data": {"source": "spiral"}, "hidden_size": [16, 16]},
    {"data": {"val_fraction": 0.2}, "patience": 5, "epochs": 40},
    {"data": {"rows": 150}, "batch_size": 1, "eval_growth": 0.1, "optimizer": "rmsprop"},
]
EACH = Timing(segment=0.0)  # a segment for each graph


@pytest.fixture(params=["cpu", CUDA])
def device(request: pytest.FixtureRequest) -> str:
    """Where updates are recorded."""
    name: str = request.param
    return name


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> ProcessorRecorder:
    """That of CUDA on the processor."""
    recorder = ProcessorRecorder()
    monkeypatch.setitem(graphs.RECORDERS, "cpu", recorder)
    return recorder


def trained(
    method: str,
    settings: dict[str, Any],
    device: str,
    stop_at: int | None = None,
    timing: Timing = DEFAULT,
) -> tuple[TrainState, list[int], list[float]]:
    """The state after a training, which may be stopped after some updates and taken up again.

    And after which updates a loss was evaluated within an epoch, and the losses of all updates.
    """
    if method == "full":
        settings = {key: value for key, value in settings.items() if key != "batch_size"}
    config = configure({}, {"epochs": 12, **settings, "device": device, "engine": "eager"})
    run = plan_experiment(method, config).runs[0]
    state = initial_state(run.problem, run.plan)
    within: list[int] = []
    losses: list[float] = []

    def note(segment: Segment) -> None:
        within.extend([segment.updates] * bool(segment.train_loss))
        losses.extend(loss for of_lane in segment.losses[-1:] for loss in of_lane)

    for segment in train(run.problem, run.plan, state, timing=timing):
        note(segment)
        if stop_at is not None and segment.updates >= stop_at:
            state = state.clone()
            break
    for segment in train(run.problem, run.plan, state):
        note(segment)
    assert len(losses) == state.updates
    return state, within, losses


def tensors(state: TrainState) -> list[torch.Tensor]:
    return [tensor.cpu() for group in (state.params, *state.buffers) for tensor in group]


@pytest.mark.parametrize("method", ["full", "minibatch"])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_graphs_change_nothing(
    method: str, settings: dict[str, Any], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_graphs, within, losses = trained(method, settings, device)
    monkeypatch.setattr(graphs, "RECORDERS", {})
    one_by_one, expected_within, expected_losses = trained(method, settings, device)
    assert losses == pytest.approx(expected_losses, rel=1e-4, abs=1e-6)
    assert with_graphs.updates == one_by_one.updates
    assert within == expected_within
    for found, expected in zip(tensors(with_graphs), tensors(one_by_one), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stop_at", [1, 5, 30, 70])
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_a_training_that_was_stopped_ends_with_the_same_bits(
    settings: dict[str, Any], stop_at: int, device: str
) -> None:
    stopped, within, losses = trained("minibatch", settings, device, stop_at, EACH)
    at_once, expected_within, expected_losses = trained("minibatch", settings, device)
    assert within == expected_within
    assert losses == expected_losses
    for found, expected in zip(tensors(stopped), tensors(at_once), strict=True):
        assert torch.equal(found, expected)


def test_a_loss_that_is_due_after_a_training_is_taken_up_again_ends_a_graph() -> None:
    """That of the 105th of 150 updates of an epoch, which is stopped after 64."""
    stopped, within, losses = trained("minibatch", SETTINGS[-1], "cpu", 7 * 150 + 64, EACH)
    _, expected_within, expected_losses = trained("minibatch", SETTINGS[-1], "cpu")
    assert stopped.updates == 12 * 150
    assert 7 * 150 + 105 in within
    assert within == expected_within
    assert losses == expected_losses


def test_all_updates_of_an_epoch_are_one_graph(stand_in: ProcessorRecorder) -> None:
    trained("minibatch", {"batch_size": 16}, "cpu")
    assert len(stand_in.graphs) == 1
    assert stand_in.replays == 12 - graphs.RECORDED_AFTER


def test_long_epochs_are_graphs_of_so_many_updates(
    stand_in: ProcessorRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphs, "MOST_UPDATES", 5)
    trained("minibatch", {"batch_size": 16, "drop_last": True}, "cpu")  # 5 and 1 an epoch
    several, one = stand_in.graphs
    assert several > 4 * one
    assert stand_in.replays == 2 * (12 - graphs.RECORDED_AFTER)


def test_only_small_batches_of_known_operations_are_recorded(
    stand_in: ProcessorRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained("full", {"chunk_rows": 60}, "cpu")
    monkeypatch.setattr(graphs, "MOST_NUMBERS", 31)
    trained("minibatch", {"batch_size": 16}, "cpu")
    assert not stand_in.graphs
    monkeypatch.setattr(graphs, "MOST_NUMBERS", 32)
    trained("minibatch", {"batch_size": 16}, "cpu")
    assert stand_in.graphs


def test_what_is_a_users_own_code_is_not_recorded(
    stand_in: ProcessorRecorder, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(NETWORKS)
    settings = {"data": {"source": "spiral"}, "loss": "cross_entropy", "epochs": 9}
    trained("minibatch", {**settings, "model": f"{tmp_path / 'own.py'}:build"}, "cpu")
    assert not stand_in.graphs
    trained("minibatch", settings, "cpu")
    assert stand_in.graphs


def test_a_training_that_is_over_leaves_nothing_in_memory() -> None:
    """A GPU's memory is short, and the garbage collector doesn't look at it."""
    config = configure({}, {"epochs": 9, "engine": "eager", "device": "cpu"})
    (run,) = plan_experiment("minibatch", config).runs
    state = initial_state(run.problem, run.plan)
    updates = graphs.RecordedUpdates(run.problem, run.plan, state)
    for epoch in range(1, 9):
        for _ in updates.of_epoch(epoch, 0):
            pass
    gone = weakref.ref(updates._take_all)
    gc.disable()
    try:
        del updates
        assert gone() is None
    finally:
        gc.enable()


def test_the_time_of_updates_is_measured_once_they_are_replayed() -> None:
    for settings, updates in (({"batch_size": 16}, 28), ({"batch_size": 1}, 256)):
        config = configure({}, {**settings, "device": "cpu"})
        (run,) = plan_experiment("minibatch", config).runs
        assert graphs.updates_to_warm_up(run.problem, run.plan) == updates
    (run,) = plan_experiment("full", configure({}, {"device": "cpu", "chunk_rows": 9})).runs
    assert graphs.updates_to_warm_up(run.problem, run.plan) == 0
