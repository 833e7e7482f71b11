"""Many updates as one program: the same as one by one, whatever it is and wherever it stops."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gdrun.compiler import program_cache
from gdrun.compiler.epoch_blocks import Visits
from gdrun.compiler.executor import _Calls, compiled
from gdrun.compiler.spec import spec_for
from gdrun.config.read import configure
from gdrun.data.rows import MappedRows
from gdrun.errors import OutputError
from gdrun.experiment import backends
from gdrun.experiment.plan import ExperimentPlan, prepare
from gdrun.results.events import Evaluation, Lane, Segment, Series
from gdrun.results.history import Recorder
from gdrun.results.log_rows import epoch_lines, step_lines
from gdrun.results.progress import RunProgress
from gdrun.training import backend
from gdrun.training.backend import Execute
from gdrun.training.batches import pieces
from gdrun.training.loop import train
from gdrun.training.models import Network, Problem
from gdrun.training.state import Plan, TrainState, initial_state
from tests.conftest import Invoke, descend, make_plan, make_problem, step_losses
from tests.experiment.test_resume import logs

NO_PICTURES = ("--set", "plot.enabled=false")
# Slow enough for differences in last digits to stay there.
THREE = (Lane(0.01, 0), Lane(0.005, 1), Lane(0.002, 7))
# More than a vector of any processor.
MANY = tuple(Lane(0.01 / (1 + k), k) for k in range(17))


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place for programs that all tests share; without a compiler, there are none."""
    if obstacle := program_cache.why_not():
        pytest.skip(obstacle)
    return tmp_path_factory.mktemp("programs")


@pytest.fixture
def cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, used."""
    monkeypatch.setenv("GDRUN_CACHE", str(shared_cache))
    return shared_cache


@pytest.fixture
def _compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with a compiler."""
    monkeypatch.setattr(program_cache, "why_not", lambda: None)


def program_of(problem: Problem, plan: Plan) -> Execute:
    """Execute updates by their program, built if it isn't there."""
    program = spec_for(problem, plan)
    if program_cache.find(program) is None:
        assert program_cache.build([program], lambda: False) == {}
    run = program_cache.find(program)
    assert run
    return compiled(run)


def descend_compiled(problem: Problem, plan: Plan) -> tuple[list[Segment], TrainState]:
    """Train from the start to the end, many updates at a time."""
    state = initial_state(problem, plan)
    return list(train(problem, plan, state, program_of(problem, plan))), state


def told(segments: Sequence[Segment]) -> tuple[list[Any], list[Any]]:
    """Every loss of every update, and all of every epoch's end, however it was cut in segments."""
    steps: list[Any] = []
    ends: list[Any] = []
    for s in segments:
        numbers, losses = s.logged(1)
        steps += zip(s.epochs_of(numbers), numbers, *losses, strict=True)
        if whole := s.whole:
            lanes = zip(whole.batch_loss, whole.train_loss, whole.val_loss, strict=True)
            by_lane = [[Evaluation(*e) for e in zip(*lane, strict=True)] for lane in lanes]
            columns = (whole.epochs, whole.updates, whole.samples)
            ends += zip(*columns, zip(*by_lane, strict=True), strict=True)
        elif s.ends_epoch:
            ends.append((s.epoch, s.updates, s.samples, s.evaluations))
    return steps, ends


def assert_alike(found: Sequence[Segment], expected: Sequence[Segment]) -> None:
    """The losses are equal to 1e-4 relative, or to 1e-6; all else is equal."""
    (steps, ends), (steps_one_by_one, ends_one_by_one) = told(found), told(expected)
    assert [row[:2] for row in steps] == [row[:2] for row in steps_one_by_one]
    torch.testing.assert_close(
        torch.tensor([row[2:] for row in steps]),
        torch.tensor([row[2:] for row in steps_one_by_one]),
        rtol=1e-4,
        atol=1e-6,
        equal_nan=True,
    )
    assert [end[:3] for end in ends] == [end[:3] for end in ends_one_by_one]
    for (*_, mine), (*_, others) in zip(ends, ends_one_by_one, strict=True):
        for one, other in zip(mine, others, strict=True):
            assert (one is None) == (other is None)
            for name in ("batch_loss", "train_loss", "val_loss"):
                a, b = getattr(one, name, None), getattr(other, name, None)
                assert a == b or a == pytest.approx(b, rel=1e-4, abs=1e-6, nan_ok=True)


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
@settings(max_examples=60, deadline=None)
def test_many_updates_at_a_time_are_the_same_as_one_by_one(
    shared_cache: Path,
    plan: Plan,
    nesterov: bool,
    chunk: int | None,
    hidden: tuple[int, ...],
    activation: str,
    loss: str,
) -> None:
    problem = replace(make_problem(rows=12, features=2, hidden=hidden), chunk_rows=chunk)
    network = Network(problem.network.sizes, activation)
    problem = replace(problem, network=network, loss_name=loss)
    plan = replace(plan, nesterov=nesterov and plan.momentum > 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDRUN_CACHE", str(shared_cache))
        segments, state = descend_compiled(problem, plan)
    expected, expected_state = descend(problem, plan)
    assert_alike(segments, expected)
    torch.testing.assert_close(state.params, expected_state.params, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.velocity, expected_state.velocity, rtol=1e-4, atol=1e-5)


@given(plan=plans, stop=st.integers(0, 60), nesterov=st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_state_goes_on_to_the_same_bits_wherever_it_was_left(
    shared_cache: Path, plan: Plan, stop: int, nesterov: bool
) -> None:
    problem = make_problem(rows=12)
    plan = replace(plan, nesterov=nesterov and plan.momentum > 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GDRUN_CACHE", str(shared_cache))
        whole, end = descend_compiled(problem, plan)
        execute = program_of(problem, plan)
        patch.setattr("gdrun.compiler.executor.FIRST", 1)
        patch.setattr(backend, "SEGMENT_SECONDS", 0.0)  # as few updates at a time as can be
        state = initial_state(problem, plan)
        first = list(islice(train(problem, plan, state, execute), stop))
        state = state.clone()
        rest = list(train(problem, plan, state, execute))
    assert repr(told([*first, *rest])) == repr(told(whole))  # losses that are no numbers, too
    for found, expected in ((state.params, end.params), (state.velocity, end.velocity)):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("lanes", [THREE[:1], THREE, MANY])
def test_losses_over_held_out_rows_are_the_same_too(lanes: tuple[Lane, ...]) -> None:
    problem = make_problem(rows=20)
    x, y = problem.data.x[:], problem.data.y[:]
    data = replace(problem.data, x=x[:12], y=y[:12], x_val=x[12:], y_val=y[12:])
    problem, plan = replace(problem, data=data), make_plan(5, lanes=lanes, epochs=9, eval_every=2)
    segments, _ = descend_compiled(problem, plan)
    assert_alike(segments, descend(problem, plan)[0])
    last = segments[-1].evaluations[0]
    assert last
    assert last.val_loss not in (None, last.train_loss)


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
            "".join(epoch_lines(series, segment) for segment in segments if segment.ends_epoch),
            repr(recorder.histories),
            repr(track),
        )

    at_once, _ = descend_compiled(problem, plan)
    assert max(len(s.whole.epochs) for s in at_once if s.whole) > 5
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gdrun.compiler.executor._plain", lambda *_: 0)
        one_by_one, _ = descend_compiled(problem, plan)
    assert all(segment.whole is None for segment in one_by_one)
    assert logged(at_once) == logged(one_by_one)


def _without_seconds(segment: Segment) -> Segment:
    whole = segment.whole and replace(segment.whole, seconds=[0.0] * len(segment.whole.epochs))
    return replace(segment, seconds=0.0, whole=whole)


def test_a_program_that_is_gone_is_named() -> None:
    problem, plan = make_problem(), make_plan(3)
    assert backends.executor(problem, plan, "auto") is backends.executor(problem, plan, "eager")
    with pytest.raises(OutputError, match="the compiled program is gone from"):
        backends.executor(problem, plan, "compiled")


@pytest.mark.usefixtures("_compiler")
def test_an_update_that_takes_long_is_left_to_pytorch() -> None:
    wide = {"hidden_size": [1000, 1000], "batch_size": 10_000, "data": {"rows": 20_000}}
    config = configure(None, {**wide, "epochs": 10**6, "engine": "compiled"})
    (choice,) = backends.choices(prepare("minibatch", config)).values()
    assert (choice.engine, choice.why) == (
        "eager",
        "an update is work for many seconds, and a program can't be stopped",
    )


@pytest.mark.usefixtures("_compiler")
def test_a_forecast_counts_what_is_still_to_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = prepare("sgd", configure(None, {"epochs": 10**5}))
    settled, more = backends.as_far_as_built(experiment)
    assert [member.config.engine for member in settled.members] == ["eager"]
    assert more == pytest.approx(backends.BUILD_SECONDS - 500.24)
    monkeypatch.setattr(program_cache, "find", lambda _: str)
    settled, more = backends.as_far_as_built(experiment)
    assert [member.config.engine for member in settled.members] == ["compiled"]
    assert more == 0


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


@given(
    rows=st.integers(1, 300),
    batch=st.integers(1, 300),
    sampling=st.sampled_from(["sequential", "reshuffle", "replacement"]),
    drop=st.booleans(),
    done=st.integers(0, 2000),
    number=st.integers(1, 400),
)
def test_laps_visit_the_rows_that_updates_one_by_one_do(
    rows: int, batch: int, sampling: Any, drop: bool, done: int, number: int
) -> None:
    problem = make_problem(rows=rows)
    plan = make_plan(min(batch, rows), epochs=9, lanes=THREE, drop_last=drop, sampling=sampling)
    an_epoch = plan.updates_per_epoch(rows)
    done = min(done, 9 * an_epoch - 1)
    visits = Visits(problem.data, plan)
    laps = visits.laps(done, number)
    assert 0 < laps.laps * laps.updates <= number
    x, _, numbers = visits.rows(laps)
    for lap in range(laps.laps):
        epoch, skip = divmod(done + lap * laps.updates, an_epoch)
        one_by_one = list(pieces(problem, plan, epoch + 1, skip))[: laps.updates]
        expected = torch.cat([piece[0] for piece in one_by_one], dim=1)
        found = x.expand(3, -1, -1) if numbers is None else x[numbers[lap]]
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        assert len(one_by_one[-1][0][0]) == laps.last


PROGRAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("sgd", {}),
    "one batch": ("full", {}),
    "ragged": (
        "minibatch",
        {"sampling": "reshuffle", "drop_last": False, "seeds": 3, "momentum": 0.9, "lr": 0.02},
    ),
    "many lanes": (
        "minibatch",
        {"seeds": 70, "sampling": "replacement", "hidden_size": [4, 3], "lr": 0.05, "epochs": 40},
    ),
    "chunks": (
        "minibatch",
        {
            "batch_size": 40,
            "chunk_rows": 16,
            "drop_last": False,
            "sampling": "reshuffle",
            "nesterov": True,
            "momentum": 0.5,
            "weight_decay": 0.01,
        },
    ),
    "wide": (
        "minibatch",
        {
            "batch_size": 90,
            "hidden_size": [50, 50],
            "activation": "tanh",
            "loss": "huber",
            "epochs": 5,
        },
    ),
    "one parameter": (
        "sgd",
        {"hidden_size": [], "loss": "half_mse", "data": {"source": "mean_estimation"}, "epochs": 9},
    ),
}


def experiment_of(name: str) -> ExperimentPlan:
    command, settings_ = PROGRAMS[name]
    return prepare(command, configure(None, settings_))


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_the_losses_are_those_of_updates_one_by_one(name: str) -> None:
    experiment = experiment_of(name)
    problem, plan = experiment.problem, experiment.members[0].plan
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
    monkeypatch.setattr("gdrun.compiler.executor.GROWTH", 1)
    problem, plan = make_problem(rows=12), make_plan(5, lanes=lanes, epochs=300, momentum=0.5)
    state = initial_state(problem, plan)
    handed_out = []
    for stretch in program_of(problem, plan)(problem, plan, state):
        tensors = [stretch.losses, *stretch.weights.params, *stretch.weights.velocity]
        handed_out.append((tensors, [tensor.clone() for tensor in tensors]))
    assert len(handed_out) > 5
    for tensors, copies in handed_out:
        torch.testing.assert_close(tensors, copies, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("batch", "lanes", "sampling", "fits"),
    [
        (1000, THREE, "reshuffle", True),
        (10**6, THREE[:1], "sequential", True),
        (10**6, THREE, "sequential", True),
        (10**6, THREE, "reshuffle", False),
        (4 * 10**6, THREE[:1], "sequential", False),
    ],
)
def test_what_is_too_much_to_read_at_a_time_is_left_to_pytorch(
    batch: int, lanes: tuple[Lane, ...], sampling: Any, *, fits: bool
) -> None:
    problem, plan = make_problem(), make_plan(batch, lanes=lanes, sampling=sampling)
    assert backends._fits(problem, plan)
    mapped = MappedRows(np.zeros((4 * 10**6, 1), np.float32))
    problem = replace(problem, data=replace(problem.data, x=mapped, y=mapped))
    assert backends._fits(problem, plan) == fits


@pytest.mark.usefixtures("cache")
def test_a_compiled_run_goes_on_to_the_same_bytes(invoke: Invoke) -> None:
    args = ("sgd", "--set", "engine=compiled", *NO_PICTURES)
    assert invoke(*args, "--epochs", "30", "--name", "whole").code == 0
    outcome = invoke(*args, "--epochs", "7", "--name", "a")
    assert "engine: compiled (as asked for)" in outcome.err
    assert "engine: compiled" in Path("outputs/a/config.yaml").read_text()
    assert invoke("sgd", "--resume", "outputs/a", "--epochs", "30").code == 0
    assert logs(Path("outputs/a")) == logs(Path("outputs/whole"))
    repeated = invoke("sgd", "-c", "outputs/whole/config.yaml", "--name", "b")
    assert repeated.code == 0
    assert logs(Path("outputs/b")) == logs(Path("outputs/whole"))


@pytest.mark.usefixtures("cache")
def test_a_damaged_program_is_none() -> None:
    experiment = experiment_of("sgd")
    problem, plan = experiment.problem, experiment.members[0].plan
    program_of(problem, plan)
    program = spec_for(problem, plan)
    (path,) = program_cache.cache_directory().glob(f"{program_cache._key(program)}-*.so")
    whole = path.read_bytes()
    flipped = bytes([*whole[:9000], whole[9000] ^ 1, *whole[9001:]])
    for content in (b"", b"nothing", whole[: len(whole) // 2], flipped):
        path.unlink(missing_ok=True)  # it is loaded, and must not change under way
        path.write_bytes(content)
        assert program_cache.find(program) is None
        assert not path.exists()
    path.write_bytes(whole)
    assert program_cache.find(program) is not None


def test_without_a_compiler_updates_are_executed_one_by_one(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    invoke("sgd", "--epochs", "3", "--set", "engine=eager", "--name", "a", *NO_PICTURES)
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    outcome = invoke(
        "sgd", "--epochs", "3", "--set", "engine=compiled", "--name", "b", *NO_PICTURES
    )
    assert outcome.code == 0
    assert "engine: eager (there is no C compiler cc)" in outcome.err
    assert "engine: eager" in Path("outputs/b/config.yaml").read_text()
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))


@pytest.mark.usefixtures("_compiler")
def test_where_compiling_fails_updates_are_executed_one_by_one(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", "/bin/false")
    outcome = invoke("full", "--epochs", "3", "--set", "engine=compiled", *NO_PICTURES)
    assert outcome.code == 0
    assert "engine: eager (no program could be built: /bin/false ended with code 1)" in outcome.err
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("_compiler")
def test_where_pytorchs_private_parts_are_gone_updates_are_executed_one_by_one(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    for name in ("gdrun.compiler.lower", "gdrun.compiler.trace"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "torch._decomp", None)
    outcome = invoke("full", "--epochs", "3", "--set", "engine=compiled", *NO_PICTURES)
    assert outcome.code == 0
    assert "engine: eager (no program could be built: ModuleNotFoundError: " in outcome.err


def test_a_build_that_is_stopped_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def remember(*args: Any, **kwargs: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*args, **kwargs))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", remember)
    program = spec_for(make_problem(), make_plan(3))
    with pytest.raises(KeyboardInterrupt):
        program_cache.build([program], stop=lambda: bool(started))
    assert [process.returncode for process in started] == [-signal.SIGKILL]
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize("place", ["/proc", "~nobody-of-that-name/cache", "/dev/null/cache"])
def test_where_programs_have_no_place_updates_are_executed_one_by_one(
    place: str, invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", place)
    assert "engine: eager (compiling" in invoke("full", "--epochs", "2", *NO_PICTURES).err
    outcome = invoke("full", "--epochs", "2", "--set", "engine=compiled", *NO_PICTURES)
    assert outcome.code == 0
    assert "engine: eager (no program could be built: " in outcome.err


def test_a_build_that_cannot_start_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path))

    def fail(*_args: Any, **_kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", fail)
    with pytest.raises(KeyboardInterrupt):
        program_cache.build([spec_for(make_problem(), make_plan(3))], lambda: False)
    assert list(tmp_path.iterdir()) == []


def test_only_the_programs_used_last_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path))
    monkeypatch.setattr(program_cache, "KEPT", 2)
    for number in range(4):
        (tmp_path / f"{number}.so").touch()
        os.utime(tmp_path / f"{number}.so", (number, number))
    for name, age in (("build-new", 0), ("build-old", 2 * program_cache.A_DAY)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    program_cache._prune()
    (tmp_path / "build-new").rmdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.so", "3.so"]


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(("built", "engine"), [(1, "eager"), (3, "compiled")])
def test_runs_whose_times_are_compared_have_one_engine(
    built: int, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = (1, 16, 100)[:built]  # stochastic descent alone would be worth its program
    found = lambda program: str if program.rows in sizes else None  # noqa: E731
    monkeypatch.setattr(program_cache, "find", found)
    chosen = backends.choices(prepare("compare", configure(None, {})))
    assert [choice.engine for choice in chosen.values()] == [engine] * 3
    assert not any(choice.builds for choice in chosen.values())
    assert len(backends.in_words(chosen)) == 1


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(
    ("epochs", "is_built", "engine", "builds", "why"),
    [
        (10, False, "eager", False, "compiling saves about 0.524 ms, and takes 400 ms a program"),
        (
            10**6,
            False,
            "compiled",
            True,
            "compiling saves about 52.4 s, and takes 400 ms a program",
        ),
        (10, True, "eager", False, "compiling saves about 0.524 ms, and was done before"),
        (1000, True, "compiled", False, "compiling saves about 52.4 ms, and was done before"),
    ],
)
def test_a_program_is_chosen_where_it_saves_more_than_it_takes(
    epochs: int,
    is_built: bool,
    engine: str,
    builds: bool,
    why: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program_cache, "find", lambda _: str if is_built else None)
    experiment = prepare("full", configure(None, {"epochs": epochs}))
    (choice,) = backends.choices(experiment).values()
    assert (choice.engine, choice.builds) == (engine, builds)
    assert backends.in_words({"full": choice}) == [f"engine: {engine} ({why})"]


@pytest.mark.parametrize(
    ("rows", "hidden", "batch", "most"),
    [(100, (1500, 1500), 100, 1), (20_000, (100,), 20_000, 16), (10**6, (4,), 5 * 10**5, 2)],
)
def test_the_first_call_takes_no_more_time_and_memory_than_others(
    rows: int, hidden: tuple[int, ...], batch: int, most: int
) -> None:
    problem, plan = make_problem(rows=rows, hidden=hidden), make_plan(batch, epochs=99)
    calls = _Calls(lambda _: None, problem, plan, initial_state(problem, plan))
    assert calls.first <= most


def test_a_program_that_cannot_be_loaded_is_said_to_have_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(
        '#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = -o ] && echo no program > "$2"; shift; done\n'
    )
    compiler.chmod(0o700)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    program = spec_for(make_problem(), make_plan(3))
    (why,) = program_cache.build([program], lambda: False).values()
    assert "can't be loaded" in why


def test_a_build_that_is_stopped_leaves_neither_files_nor_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler, began, went_on = (tmp_path / name for name in ("cc", "began", "went_on"))
    compiler.write_text(
        f'#!/bin/sh\n(touch "$TMPDIR/left" {began}; sleep 0.5; touch {went_on})\necho end\n'
    )
    compiler.chmod(0o700)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    program = spec_for(make_problem(), make_plan(3))
    with pytest.raises(KeyboardInterrupt):
        program_cache.build([program], began.exists)
    time.sleep(1)
    assert not went_on.exists()
    assert not any((tmp_path / "tmp").iterdir())
    assert not any((tmp_path / "cache").iterdir())


@pytest.mark.usefixtures("cache")
def test_a_compiler_may_come_with_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "cc -g")
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path))
    assert program_cache.why_not() is None
    program = spec_for(make_problem(), make_plan(3))
    assert program_cache.build([program], lambda: False) == {}
    assert program_cache.find(program)


@pytest.mark.usefixtures("cache")
def test_gelu_diverges_where_it_does_one_by_one() -> None:
    problem = make_problem(rows=13, hidden=(3, 2, 5), activation="gelu", loss="l1")
    lanes = tuple(Lane(1e6, seed) for seed in range(18))
    plan = make_plan(6, lanes=lanes, momentum=0.9, drop_last=False)
    assert descend_compiled(problem, plan)[1].diverged_at == descend(problem, plan)[1].diverged_at
