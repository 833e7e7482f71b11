"""Many updates as one program: the same as one by one, whatever it is and wherever it stops."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.compiler import executor
from gdrun.compiler.executor import _Calls
from gdrun.compiler.program_cache import Program
from gdrun.compiler.spec import spec_for
from gdrun.config.schema import Loss
from gdrun.config.timing import Timing
from gdrun.results.events import Lane, Segment, Series
from gdrun.results.progress import RunProgress
from gdrun.results.rows.history import Recorder
from gdrun.results.rows.log_rows import epoch_lines, step_lines
from gdrun.training import loop
from gdrun.training.loop import train
from gdrun.training.losses.regression import Regression
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.state import Plan, initial_state
from tests.compiler.compiled_runs import (
    MANY,
    PROGRAMS,
    THREE,
    assert_alike,
    descend_compiled,
    experiment_of,
    program_of,
    told,
)
from tests.problems import (
    OPTIMIZERS,
    descend,
    make_plan,
    make_problem,
    perceptron_of,
    sgd_of,
    step_losses,
)
from tests.segments import ends_of_lane

plans = st.builds(
    lambda batch_size, **more: make_plan(batch_size, **more),
    batch_size=st.integers(1, 12),
    epochs=st.integers(1, 7),
    lanes=st.sampled_from([THREE[:1], THREE, MANY]),
    sampling=st.sampled_from(["sequential", "reshuffle", "replacement"]),
    drop_last=st.booleans(),
    momentum=st.sampled_from([0.0, 0.8]),
    weight_decay=st.sampled_from([0.0, 0.1]),
    eval_every=st.integers(1, 3),
)


@given(
    plan=plans,
    nesterov=st.booleans(),
    chunk=st.sampled_from([None, 5]),
    hidden=st.sampled_from([(), (4,), (3, 2), (5, 6, 18)]),
    activation=st.sampled_from(["relu", "tanh", "sigmoid", "gelu"]),
    loss=st.sampled_from(["mse", "half_mse", "l1", "huber"]),
)
@settings(max_examples=60)
def test_many_updates_at_a_time_are_the_same_as_one_by_one(
    shared_cache: Path,
    plan: Plan,
    nesterov: bool,
    chunk: int | None,
    hidden: tuple[int, ...],
    activation: str,
    loss: Loss,
) -> None:
    problem = replace(make_problem(rows=12, features=2, hidden=hidden), chunk_rows=chunk)
    model = replace(perceptron_of(problem), activation=activation)
    problem = replace(problem, model=model, loss=Regression(loss))
    optimizer = replace(sgd_of(plan), nesterov=nesterov and sgd_of(plan).momentum > 0)
    plan = replace(plan, optimizer=optimizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDRUN_CACHE", str(shared_cache))
        segments, state = descend_compiled(problem, plan)
    expected, expected_state = descend(problem, plan)
    assert_alike(segments, expected)
    torch.testing.assert_close(state.params, expected_state.params, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.buffers, expected_state.buffers, rtol=1e-4, atol=1e-5)


@given(
    plan=plans,
    stop=st.integers(0, 60),
    nesterov=st.booleans(),
    other=st.none() | st.sampled_from([*OPTIMIZERS.values()]),
)
@settings(max_examples=40)
def test_a_state_goes_on_to_the_same_bits_wherever_it_was_left(
    shared_cache: Path, plan: Plan, stop: int, nesterov: bool, other: Optimizer | None
) -> None:
    problem = make_problem(rows=12)
    optimizer = replace(sgd_of(plan), nesterov=nesterov and sgd_of(plan).momentum > 0)
    plan = replace(plan, optimizer=other or optimizer)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDRUN_CACHE", str(shared_cache))
        whole, end = descend_compiled(problem, plan)
        backend, often = program_of(problem, plan), Timing(segment=0.0)
        patch.setattr(executor, "FIRST", 1)  # as few updates at a time as can be
        state = initial_state(problem, plan)
        first = list(islice(train(problem, plan, state, backend, often), stop))
        state = state.clone()
        rest = list(train(problem, plan, state, backend, often))
    assert repr(told([*first, *rest])) == repr(told(whole))  # losses that are no numbers, too
    for found, expected in ((state.params, end.params), (state.buffers, end.buffers)):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("lanes", [THREE[:1], MANY])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=str)
def test_all_optimizers_move_as_one_by_one(optimizer: Optimizer, lanes: tuple[Lane, ...]) -> None:
    problem = make_problem(rows=12, features=2, hidden=(4,), activation="tanh")
    plan = make_plan(5, epochs=30, lanes=lanes, optimizer=optimizer)
    segments, state = descend_compiled(problem, plan)
    expected, expected_state = descend(problem, plan)
    assert_alike(segments, expected)
    torch.testing.assert_close(state.params, expected_state.params, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.buffers, expected_state.buffers, rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("lanes", [THREE[:1], THREE, MANY])
def test_losses_over_held_out_rows_are_the_same_too(lanes: tuple[Lane, ...]) -> None:
    problem = make_problem(rows=20)
    x, y = problem.data.x[:], problem.data.y[:]
    data = replace(problem.data, x=x[:12], y=y[:12], x_val=x[12:], y_val=y[12:])
    problem, plan = replace(problem, data=data), make_plan(5, lanes=lanes, epochs=9, eval_every=2)
    segments, _ = descend_compiled(problem, plan)
    assert_alike(segments, descend(problem, plan)[0])
    assert segments[-1].ends
    ((_, train_loss, val_loss),) = ends_of_lane(segments[-1].ends, 0)
    assert val_loss not in (None, train_loss)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("lanes", [THREE[:1], THREE])
def test_a_longer_plan_goes_on_as_if_the_shorter_had_never_ended(lanes: tuple[Lane, ...]) -> None:
    problem, longer = make_problem(rows=100, hidden=(10,)), make_plan(10, lanes=lanes, epochs=25)
    execute = program_of(problem, longer)
    _, ends = told(list(train(problem, longer, initial_state(problem, longer), execute)))
    for epochs in range(1, 25):
        state = initial_state(problem, longer)
        for segment in train(problem, replace(longer, epochs=epochs), state, execute):
            if segment.updates == 10 * epochs:  # before its closing evaluation
                break
        _, rest = told(list(train(problem, longer, state.clone(), execute)))
        assert repr(rest) == repr(ends[epochs:])


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("lanes", [THREE[:1], THREE])
@pytest.mark.parametrize(("batch", "every", "eval_every"), [(12, 1, 1), (5, 1, 3), (1, 7, 4)])
def test_several_epochs_at_once_are_logged_as_one_by_one(
    lanes: tuple[Lane, ...], batch: int, every: int, eval_every: int
) -> None:
    problem = make_problem(rows=12)
    x, y = problem.data.x[:], problem.data.y[:]
    problem = replace(problem, data=replace(problem.data, x_val=x[:5], y_val=y[:5]))
    plan = make_plan(batch, lanes=lanes, epochs=50, eval_every=eval_every)
    series = Series("minibatch", batch, lanes)

    def logged(segments: Sequence[Segment]) -> Any:
        segments = [_without_seconds(segment) for segment in segments]
        recorder, track = Recorder(series, every), RunProgress(series, 50, -(-12 // batch))
        for segment in segments:
            recorder.add(segment)
            track.advance(segment)
        return (
            "".join(step_lines(series, segment, every) for segment in segments),
            "".join(epoch_lines(series, segment) for segment in segments if segment.ends),
            repr(recorder.histories),
            repr(track),
        )

    at_once, _ = descend_compiled(problem, plan)
    assert max(len(s.ends.epochs) for s in at_once if s.ends) > 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_parts", lambda _plan, _state, _updates, ends, *_: one_each(ends))
        one_by_one, _ = descend_compiled(problem, plan)
    assert all(len(segment.ends.epochs) == 1 for segment in one_by_one if segment.ends)
    assert logged(at_once) == logged(one_by_one)


@pytest.mark.usefixtures("cache")
def test_a_snapshot_is_the_state_of_a_training_that_ends_there() -> None:
    problem = make_problem(rows=12)
    for optimizer in (OPTIMIZERS["sgd"], OPTIMIZERS["adam"]):
        plan = make_plan(5, epochs=20, lanes=THREE, optimizer=optimizer, snapshots=(3, 4))
        without, _ = descend_compiled(problem, replace(plan, snapshots=()))
        state, segments, looked_at = initial_state(problem, plan), [], []
        for segment in train(problem, plan, state, program_of(problem, plan)):
            segments.append(segment)
            if not segment.ends:
                continue
            assert not any(map(plan.is_snapshot, segment.ends.epochs[:-1]))
            if plan.is_snapshot(segment.epoch):
                looked_at.append(segment.epoch)
                _, there = descend_compiled(problem, plan.until(segment.epoch))
                for one, other in zip(
                    (*state.params, *chain(*state.buffers)),
                    (*there.params, *chain(*there.buffers)),
                    strict=True,
                ):
                    assert torch.equal(one, other)
        assert looked_at == [0, 3, 4, 6, 8, 9, 12, 15, 16, 18, 20]
        assert told(segments) == told(without)


def one_each(ends: Sequence[int]) -> list[slice]:
    return [slice(k, k + 1) for k in range(len(ends))]


@pytest.mark.usefixtures("cache")
def test_epochs_that_end_alone_are_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where rows go through the network in chunks, each of the epochs of a call ends alone."""
    looked_at: list[int] = []
    parts = loop._parts

    def counted(*args: Any) -> Any:
        for part in parts(*args):
            looked_at.append(part.stop - part.start)
            yield part

    monkeypatch.setattr(loop, "_parts", counted)
    seen: list[int] = []
    is_finite = np.isfinite

    def watched(numbers: Any) -> Any:
        seen.append(np.size(numbers))
        return is_finite(numbers)

    monkeypatch.setattr(np, "isfinite", watched)
    problem = replace(make_problem(rows=12), chunk_rows=5)
    plan = make_plan(12, epochs=3000, sampling="sequential")
    state = initial_state(problem, plan)
    for _ in train(problem, plan, state, program_of(problem, plan)):
        pass
    assert looked_at == [1] * 3000
    assert sum(seen) <= 3 * 3000  # once in its call, once when it is counted


def _without_seconds(segment: Segment) -> Segment:
    ends = segment.ends and replace(segment.ends, seconds=[0.0] * len(segment.ends.epochs))
    return replace(segment, seconds=0.0, ends=ends)


@pytest.mark.usefixtures("cache")
def test_lanes_that_diverge_leave_their_neighbours_alone() -> None:
    problem = make_problem(rows=12)
    wild = make_plan(3, lanes=(THREE[0], Lane(1e6, 0), THREE[1]), epochs=6, eval_every=4)
    segments, state = descend_compiled(problem, wild)
    expected, expected_state = descend(problem, wild)
    assert_alike(segments, expected)
    assert state.diverged_at == expected_state.diverged_at
    assert state.diverged_at[1] is not None
    calm, _ = descend_compiled(problem, replace(wild, lanes=(THREE[0], THREE[0], THREE[1])))
    for lane in (0, 2):
        assert step_losses(segments, lane) == step_losses(calm, lane)


@pytest.mark.usefixtures("cache")
def test_training_ends_with_the_epoch_in_which_all_lanes_have_diverged() -> None:
    plan = make_plan(3, lanes=(Lane(1e8, 0), Lane(1e9, 1)), epochs=50)
    segments, state = descend_compiled(make_problem(rows=12), plan)
    expected, expected_state = descend(make_problem(rows=12), plan)
    assert_alike(segments, expected)
    assert state.epoch == expected_state.epoch < 50


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_the_losses_are_those_of_updates_one_by_one(name: str) -> None:
    experiment = experiment_of(name)
    problem, plan = experiment.problem, experiment.runs[0].plan
    assert_alike(descend_compiled(problem, plan)[0], descend(problem, plan)[0])


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(("lanes", "batch"), [(THREE[:1], 150), (THREE, 150), (MANY * 2, 5)])
def test_what_comes_out_does_not_depend_on_the_number_of_threads(
    lanes: tuple[Lane, ...], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = replace(make_problem(rows=200), chunk_rows=2)
    plan = make_plan(batch, lanes=lanes, sampling="reshuffle", momentum=0.5)
    found = descend_compiled(problem, plan)[0]
    assert_alike(found, descend(problem, plan)[0])
    for threads in (2, 5):
        monkeypatch.setattr(_Calls, "threads", lambda *_, threads=threads: threads)
        assert told(descend_compiled(problem, plan)[0]) == told(found)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("lanes", [THREE[:1], MANY])
def test_what_was_handed_out_stays(
    lanes: tuple[Lane, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "GROWTH", 1)
    problem, plan = make_problem(rows=12), make_plan(5, lanes=lanes, epochs=300, momentum=0.5)
    state = initial_state(problem, plan)
    handed_out = []
    for executed in program_of(problem, plan).execute(problem, plan, state, 0.1):
        assert executed.params
        tensors = [executed.losses, *executed.params, *chain.from_iterable(executed.buffers)]
        handed_out.append((tensors, [tensor.clone() for tensor in tensors]))
    assert len(handed_out) > 5
    for tensors, copies in handed_out:
        torch.testing.assert_close(tensors, copies, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("rows", "hidden", "batch", "most"),
    [(100, (1500, 1500), 100, 1), (20_000, (100,), 20_000, 16), (10**6, (4,), 5 * 10**5, 2)],
)
def test_the_first_call_takes_no_more_time_and_memory_than_others(
    rows: int, hidden: tuple[int, ...], batch: int, most: int
) -> None:
    problem, plan = make_problem(rows=rows, hidden=hidden), make_plan(batch, epochs=99)
    program = Program(spec_for(problem, plan), lambda _: None)
    calls = _Calls(program, problem, plan, initial_state(problem, plan))
    assert calls.first <= most


@pytest.mark.usefixtures("cache")
def test_gelu_diverges_where_it_does_one_by_one() -> None:
    problem = make_problem(rows=13, hidden=(3, 2, 5), activation="gelu", loss="l1")
    lanes = tuple(Lane(1e6, seed) for seed in range(18))
    plan = make_plan(6, lanes=lanes, momentum=0.9, drop_last=False)
    assert descend_compiled(problem, plan)[1].diverged_at == descend(problem, plan)[1].diverged_at
