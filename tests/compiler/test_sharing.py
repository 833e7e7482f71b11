"""Threads that share an update: the same bits for any number of them, and no wait left out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.compiler import executor, spec
from gdrun.compiler.executor import _Calls
from gdrun.compiler.lower import functions
from gdrun.compiler.sharing import parts
from gdrun.compiler.spec import spec_for
from gdrun.compiler.thread_choice import MOST_RETRY, RETRY, ThreadChoice
from gdrun.config.read import configure
from gdrun.experiment.plan.make import plan_experiment
from gdrun.results.events import Lane, Segment
from gdrun.training.optimizers.optimizer import Optimizer
from gdrun.training.problem import Problem
from gdrun.training.state import Plan, TrainState
from tests.compiler.compiled_runs import THREE, assert_alike, descend_compiled, told
from tests.problems import OPTIMIZERS, descend, make_plan, make_problem, perceptron_of


@given(
    hidden=st.sampled_from([(128,), (200,), (256, 130), (5, 300, 3), (128, 64, 192)]),
    batch=st.integers(2, 40),
    activation=st.sampled_from(["relu", "tanh", "gelu"]),
    optimizer=st.sampled_from([*OPTIMIZERS.values()]),
    chunk=st.sampled_from([None, 7]),
    sampling=st.sampled_from(["sequential", "reshuffle"]),
)
@settings(max_examples=8)
def test_threads_that_share_an_update_come_to_the_same_bits(
    shared_cache: Path,
    hidden: tuple[int, ...],
    batch: int,
    activation: str,
    optimizer: Optimizer,
    chunk: int | None,
    sampling: str,
) -> None:
    problem = replace(make_problem(rows=40, features=3, hidden=hidden), chunk_rows=chunk)
    problem = replace(problem, model=replace(perceptron_of(problem), activation=activation))
    plan = make_plan(
        batch,
        epochs=6,
        lanes=(Lane(0.0003, 0),),
        optimizer=optimizer,
        sampling=sampling,
        drop_last=False,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDRUN_CACHE", str(shared_cache))
        patch.setattr(spec, "SHARED_WORK", 0)
        assert spec_for(problem, plan).shared
        alone, state = with_threads(1, problem, plan)
        assert_alike(alone, descend(problem, plan)[0])
        for threads in (2, 3):
            found, other = with_threads(threads, problem, plan)
            assert updates_of(found) == updates_of(alone)
            torch.testing.assert_close(other.params, state.params, rtol=0, atol=0, equal_nan=True)
            torch.testing.assert_close(other.buffers, state.buffers, rtol=0, atol=0, equal_nan=True)
        patch.setattr(executor, "FIRST", 1)
        patch.setattr(executor, "GROWTH", 1)
        found, other = with_threads(2, problem, plan)
        torch.testing.assert_close(other.params, state.params, rtol=0, atol=0, equal_nan=True)
        assert updates_of(found) == updates_of(alone)


def updates_of(segments: Sequence[Segment]) -> str:
    """The loss of each update.

    Losses over all rows are PyTorch's: of wide layers, last digits depend on how many epochs' ends
    are evaluated together.
    """
    return repr(told(segments)[0])


def with_threads(threads: int, problem: Problem, plan: Plan) -> tuple[list[Segment], TrainState]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Calls, "threads", lambda *_: threads)
        return descend_compiled(problem, plan)


@pytest.mark.usefixtures("cache")
def test_a_classifier_of_wide_layers_is_shared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spec, "SHARED_WORK", 0)
    configured = configure(
        None, {"data": {"source": "spiral"}, "hidden_size": [256], "batch_size": 100, "epochs": 3}
    )
    experiment = plan_experiment("minibatch", configured)
    problem, plan = experiment.problem, experiment.runs[0].plan
    assert spec_for(problem, plan).shared
    alone, _ = with_threads(1, problem, plan)
    assert_alike(alone, descend(problem, plan)[0])
    assert updates_of(with_threads(2, problem, plan)[0]) == updates_of(alone)


@pytest.mark.parametrize(
    ("hidden", "batch", "lanes", "is_shared"),
    [
        ((256,), 128, 1, True),
        ((256,), 16, 1, False),  # too little work
        ((256,), 50_000, 1, False),  # cut into slices
        ((64, 64), 2_000, 1, False),  # threads would read all of what others write
        ((256, 256), 128, 2, False),  # a lane each
    ],
)
def test_only_mini_batches_of_wide_layers_are_shared(
    hidden: tuple[int, ...], batch: int, lanes: int, is_shared: bool
) -> None:
    problem = make_problem(rows=50_000, features=32, hidden=hidden)
    specification = spec_for(problem, make_plan(batch, lanes=THREE[:lanes]))
    assert specification.shared == is_shared
    assert ("meet(me);" in functions(specification)) == is_shared


def test_a_statement_waits_for_what_others_write_and_read() -> None:
    units = "for (int k = begin; k < end; k++) {"
    first = [units, "    t1[k] = x[k] * 2;", "}"]
    own = [units, "    t2[k] = t1[k] + w[k];", "}"]
    others = [units, "    t3[k] = t1[(k) * 4];", "}"]
    unrelated = [units, "    t4[k] = x[k];", "}"]
    overwrites = ["if (last) x[0] = 1;"]
    assert parts([first, own, unrelated]) == [first + own + unrelated]
    assert parts([first, own, others, unrelated]) == [first + own, others + unrelated]
    assert parts([unrelated, overwrites]) == [unrelated, overwrites]
    rows = [units.replace("k", "j"), "    t5[j] = t1[j];", "}"]  # another loop, shared otherwise
    assert parts([first, rows]) == [first, rows]


@pytest.mark.parametrize("faster", [1, 4])
def test_all_threads_or_one_execute_what_they_were_faster_with(faster: int) -> None:
    choice = ThreadChoice(4)
    chosen = [_call(choice, faster) for _ in range(10_000)]
    assert chosen[:3] == [1, 4, 1]  # the first isn't heeded
    assert chosen[3:].count(faster) > 0.97 * len(chosen[3:])
    assert chosen[3:9] == [faster] * 6
    other = 5 - faster
    again = [_call(choice, other, slower=0.03) for _ in range(round(MOST_RETRY / 0.01) + 10)]
    assert again[-200:].count(other) > 0.97 * 200


def test_a_little_faster_is_not_worth_more_threads() -> None:
    choice = ThreadChoice(2)
    for _ in range(50):
        choice.took(choice.threads, 1, 0.01 if choice.threads == 1 else 0.0097)
    assert choice.threads == 1 or choice.is_trial


def test_calls_that_find_out_are_told_from_others() -> None:
    choice = ThreadChoice(2)
    trials = []
    for _ in range(30):
        trials.append(choice.is_trial)
        _call(choice, faster=1)
    calls = round(2 * RETRY / 0.01)
    assert trials[: calls + 5] == [True] * 3 + [False] * calls + [True] * 2


def _call(choice: ThreadChoice, faster: int, slower: float = 0.02) -> int:
    threads = choice.threads
    choice.took(threads, 1, 0.01 if threads == faster else slower)
    return threads


def test_one_thread_is_all_there_is() -> None:
    choice = ThreadChoice(1)
    assert {_call(choice, 1) for _ in range(100)} == {1}
    assert not choice.is_trial
