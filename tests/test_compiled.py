"""Many updates as one program: the same as one by one, whatever the program and wherever it stops.

Most tests run the block of a program as it is traced from, which takes no compiler; some build it.
"""

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

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gdrun import engines, inductor, programs, stretches
from gdrun.blocks import Blocks
from gdrun.compiled import compiled
from gdrun.configfile import configure
from gdrun.engine import train
from gdrun.errors import OutputError
from gdrun.experiment import Experiment, prepare
from gdrun.inductor import Run
from gdrun.models import Problem
from gdrun.program import Program, block, example, most_updates, program_for, traced
from gdrun.records import Lane, Segment
from gdrun.state import Plan, TrainState, initial_state
from tests.conftest import Invoke, descend, make_plan, make_problem, slow
from tests.test_resume import logs

NO_PICTURES = ("--set", "plot.enabled=false")
# Slow enough for differences in last digits to stay there.
THREE = (Lane(0.01, 0), Lane(0.005, 1), Lane(0.002, 7))


def interpreted(program: Program) -> Run:
    """What the compiled program does, block after block."""
    one = block(program)
    params, velocity, *_ = example(program, 1)
    weights, buffers = len(params), len(velocity)
    fixed = 2 if program.constant else 0

    def run(inputs: Sequence[Tensor]) -> list[Tensor]:
        moved, (lr, *rest) = list(inputs[: weights + buffers]), inputs[weights + buffers :]
        assert all(tensor.is_contiguous() for tensor in inputs)
        found = []
        for scanned in zip(*rest[fixed:], strict=True):
            own = (tensor.clone() for tensor in scanned)  # at the same place in any call
            moved, losses, ends = one(
                tuple(moved[:weights]), tuple(moved[weights:]), lr, *rest[:fixed], *own
            )
            found.append([losses, *ends])
        return [*moved, *(torch.stack(each) for each in zip(*found, strict=True))]

    return run


def descend_in_blocks(problem: Problem, plan: Plan) -> tuple[list[Segment], TrainState]:
    """Train from the start to the end, many updates at a time."""
    state = initial_state(problem, plan)
    execute = compiled(interpreted(program_for(problem, plan)))
    return list(train(problem, plan, state, execute)), state


def told(segments: Sequence[Segment]) -> tuple[list[Any], list[Any]]:
    """Every loss of every update, and all of every epoch's end, however it was cut in segments."""
    steps = [(s.epoch, row) for s in segments for row in s.losses]
    ends = [(s.epoch, s.updates, s.samples, s.evaluations) for s in segments if s.ends_epoch]
    return steps, ends


def assert_alike(found: Sequence[Segment], expected: Sequence[Segment]) -> None:
    """The losses are equal to 1e-4 relative, or to 1e-6; all else is equal."""
    (steps, ends), (steps_one_by_one, ends_one_by_one) = told(found), told(expected)
    assert [epoch for epoch, _ in steps] == [epoch for epoch, _ in steps_one_by_one]
    torch.testing.assert_close(
        torch.tensor([row for _, row in steps]),
        torch.tensor([row for _, row in steps_one_by_one]),
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
    lanes=st.sampled_from([THREE[:1], THREE]),
    sampling=st.sampled_from(["sequential", "reshuffle", "replacement"]),
    drop_last=st.booleans(),
    momentum=st.sampled_from([0.0, 0.8]),
    weight_decay=st.sampled_from([0.0, 0.1]),
    eval_every=st.integers(1, 3),
)


@given(
    plan=plans,
    chunk=st.sampled_from([None, 5]),
    hidden=st.sampled_from([(), (4,), (3, 2)]),
    hand_out=st.sampled_from([0, 10**9]),
)
@settings(max_examples=40, deadline=None)
def test_many_updates_at_a_time_are_the_same_as_one_by_one(
    plan: Plan, chunk: int | None, hidden: tuple[int, ...], hand_out: int
) -> None:
    problem = replace(make_problem(rows=12, features=2, hidden=hidden), chunk_rows=chunk)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gdrun.program.MUCH_TO_HAND_OUT", hand_out)
        patch.setattr("gdrun.program.MANY_BLOCKS", 2)
        patch.setattr("gdrun.program.MOST_UPDATES", 4)
        segments, state = descend_in_blocks(problem, plan)
    expected, expected_state = descend(problem, plan)
    assert_alike(segments, expected)
    torch.testing.assert_close(state.params, expected_state.params, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state.velocity, expected_state.velocity, rtol=1e-4, atol=1e-5)


@given(
    plan=plans,
    stop=st.integers(0, 60),
    nesterov=st.booleans(),
    hand_out=st.sampled_from([0, 10**9]),
    write_out=st.sampled_from([0, 10**9]),
)
@settings(max_examples=50, deadline=None)
def test_a_state_goes_on_to_the_same_bits_wherever_it_was_left(
    plan: Plan, stop: int, nesterov: bool, hand_out: int, write_out: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gdrun.program.MUCH_TO_HAND_OUT", hand_out)
        patch.setattr("gdrun.program.MANY_BLOCKS", 2)
        patch.setattr("gdrun.program.WRITTEN_OUT_WORK", write_out)
        patch.setattr("gdrun.program.MOST_UPDATES", 3)
        goes_on_to_the_same_bits(plan, stop, nesterov)


def goes_on_to_the_same_bits(plan: Plan, stop: int, nesterov: bool) -> None:
    problem = make_problem(rows=12)
    plan = replace(plan, nesterov=nesterov and plan.momentum > 0)
    whole, end = descend_in_blocks(problem, plan)
    execute = compiled(interpreted(program_for(problem, plan)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stretches, "SEGMENT_SECONDS", 0.0)  # as few blocks at a time as can be
        state = initial_state(problem, plan)
        first = list(islice(train(problem, plan, state, execute), stop))
        state = state.clone()
        rest = list(train(problem, plan, state, execute))
    assert repr(told([*first, *rest])) == repr(told(whole))  # losses that are no numbers, too
    for found, expected in ((state.params, end.params), (state.velocity, end.velocity)):
        torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("lanes", [THREE[:1], THREE])
def test_losses_over_held_out_rows_are_the_same_too(lanes: tuple[Lane, ...]) -> None:
    problem = make_problem(rows=20)
    x, y = problem.data.x[:], problem.data.y[:]
    data = replace(problem.data, x=x[:12], y=y[:12], x_val=x[12:], y_val=y[12:])
    problem, plan = replace(problem, data=data), make_plan(5, lanes=lanes, epochs=9, eval_every=2)
    segments, _ = descend_in_blocks(problem, plan)
    assert_alike(segments, descend(problem, plan)[0])
    last = segments[-1].evaluations[0]
    assert last
    assert last.val_loss not in (None, last.train_loss)


@pytest.mark.parametrize("lanes", [THREE[:1], THREE])
def test_a_longer_plan_goes_on_as_if_the_shorter_had_never_ended(lanes: tuple[Lane, ...]) -> None:
    problem, longer = make_problem(rows=100, hidden=(10,)), make_plan(10, lanes=lanes, epochs=25)
    execute = compiled(interpreted(program_for(problem, longer)))
    _, ends = told(list(train(problem, longer, initial_state(problem, longer), execute)))
    for epochs in range(1, 25):
        state = initial_state(problem, longer)
        for segment in train(problem, replace(longer, epochs=epochs), state, execute):
            if segment.updates == 10 * epochs:  # before its closing evaluation
                break
        _, rest = told(list(train(problem, longer, state.clone(), execute)))
        assert repr(rest) == repr(ends[epochs:])


def test_a_program_that_is_gone_is_named() -> None:
    problem, plan = make_problem(), make_plan(3)
    assert engines.executor(problem, plan, "auto") is engines.executor(problem, plan, "eager")
    with pytest.raises(OutputError, match="the compiled program is gone from"):
        engines.executor(problem, plan, "compiled")


def test_what_several_threads_would_share_is_left_to_pytorch() -> None:
    wide = {"hidden_size": [100, 100], "batch_size": 1024, "data": {"rows": 4096}}
    experiment = prepare("minibatch", configure(None, {**wide, "epochs": 10**6}))
    assert [choice.engine for choice in engines.choices(experiment).values()] == ["eager"]


@pytest.mark.usefixtures("_compiler")
def test_a_forecast_counts_what_is_still_to_be_built(monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = prepare("sgd", configure(None, {"epochs": 10**5}))
    settled, more = engines.as_far_as_built(experiment)
    assert [member.config.engine for member in settled.members] == ["eager"]
    assert more == pytest.approx(engines.BUILD_SECONDS / programs.AT_ONCE - 500)
    monkeypatch.setattr(programs, "find", lambda _: str)
    settled, more = engines.as_far_as_built(experiment)
    assert [member.config.engine for member in settled.members] == ["compiled"]
    assert more == 0


def test_lanes_that_diverge_leave_their_neighbours_alone() -> None:
    problem = make_problem(rows=12)
    wild = make_plan(3, lanes=(THREE[0], Lane(1e6, 0), THREE[1]), epochs=6, eval_every=4)
    segments, state = descend_in_blocks(problem, wild)
    expected, expected_state = descend(problem, wild)
    assert_alike(segments, expected)
    assert state.diverged_at == expected_state.diverged_at
    assert state.diverged_at[1] is not None
    calm, _ = descend_in_blocks(problem, replace(wild, lanes=(THREE[0], THREE[0], THREE[1])))
    assert [(row[0], row[2]) for s in segments for row in s.losses] == [
        (row[0], row[2]) for s in calm for row in s.losses
    ]


def test_training_ends_with_the_epoch_in_which_all_lanes_have_diverged() -> None:
    plan = make_plan(3, lanes=(Lane(1e8, 0), Lane(1e9, 1)), epochs=50)
    segments, state = descend_in_blocks(make_problem(rows=12), plan)
    expected, expected_state = descend(make_problem(rows=12), plan)
    assert_alike(segments, expected)
    assert state.epoch == expected_state.epoch < 50


@given(
    rows=st.integers(1, 300),
    batch=st.integers(1, 300),
    lanes=st.integers(1, 2),
    drop=st.booleans(),
    done=st.integers(0, 2000),
    number=st.integers(2, 40),
)
def test_each_update_has_one_place(
    rows: int, batch: int, lanes: int, drop: bool, done: int, number: int
) -> None:
    problem = make_problem(rows=rows)
    plan = make_plan(min(batch, rows), epochs=9, lanes=THREE[:lanes], drop_last=drop)
    blocks = Blocks(problem, plan, program_for(problem, plan))
    done = min(done, blocks.total - 1)
    number = number // blocks.fewest * blocks.fewest or blocks.fewest
    first = blocks.first(done) * blocks.program.updates
    _, counts = blocks.inputs(done, number)
    assert len(counts) == number * blocks.program.updates
    counted = [first + place for place, count in enumerate(counts.tolist()) if count]
    assert counted
    assert counted == [blocks.place(done + k) for k in range(len(counted))]
    following = done + len(counted)
    assert following == blocks.total or blocks.place(following) >= first + len(counts)


def test_blocks_are_shorter_the_more_an_update_does() -> None:
    assert [most_updates(work) for work in (1, 31, 500, 8000, 40_000, 10**6, 10**9)] == [
        20, 20, 10, 5, 3, 1, 1,
    ]  # fmt: skip


PROGRAMS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("sgd", {}),
    "one batch": ("full", {}),
    "ragged": (
        "minibatch",
        {"sampling": "reshuffle", "drop_last": False, "seeds": 3, "momentum": 0.9, "lr": 0.02},
    ),
    "lanes last": (
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
    "libraries": (
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


def experiment_of(name: str) -> Experiment:
    command, settings_ = PROGRAMS[name]
    return prepare(command, configure(None, settings_))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_graph_of_a_block_is_the_block(name: str) -> None:
    experiment = experiment_of(name)
    problem, plan = experiment.problem, experiment.members[0].plan
    program = program_for(problem, plan)
    blocks = Blocks(problem, plan, program)
    params = [program.store(tensor) for tensor in initial_state(problem, plan).params]
    velocity = [torch.full_like(tensor, 0.01) for tensor in params if program.rule.momentum]
    inputs, _ = blocks.inputs(0, 2)
    inputs[-1][:, 1::3] = False
    fixed = 2 if program.constant else 0
    own = [*inputs[:fixed], *(tensor[0] for tensor in inputs[fixed:])]
    arguments = tuple(params), tuple(velocity), plan.rates(torch.device("cpu")), *own
    for found, expected in zip(
        traced(program)(*arguments), block(program)(*arguments), strict=True
    ):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


@pytest.fixture
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place for programs that all tests share; without a compiler, there are none."""
    if obstacle := programs.why_not():
        pytest.skip(obstacle)
    place = tmp_path_factory.getbasetemp() / "shared-programs"
    monkeypatch.setenv("GDRUN_CACHE", str(place))
    return place


@pytest.fixture
def _compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with a compiler."""
    monkeypatch.setattr(programs, "why_not", lambda: None)


def built(experiment: Experiment) -> Run:
    """The one program of an experiment, compiled."""
    program = program_for(experiment.problem, experiment.members[0].plan)
    if programs.find(program) is None:
        assert programs.build([program], lambda: False) == {}
    run = programs.find(program)
    assert run
    return run


def package_of(program: Program) -> Path:
    (path,) = programs.cache_directory().glob(f"{programs._key(program)}-*.pt2")
    return path


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    "name", [name if name in ("sgd", "ragged") else slow(name) for name in PROGRAMS]
)
def test_compiled_the_losses_are_those_of_updates_one_by_one(name: str) -> None:
    experiment = experiment_of(name)
    problem, plan = experiment.problem, experiment.members[0].plan
    state = initial_state(problem, plan)
    segments = list(train(problem, plan, state, compiled(built(experiment))))
    assert_alike(segments, descend(problem, plan)[0])


@pytest.mark.usefixtures("cache")
def test_a_package_does_the_same_by_the_public_loader() -> None:
    experiment = experiment_of("ragged")
    problem, plan = experiment.problem, experiment.members[0].plan
    built(experiment)
    path = package_of(program_for(problem, plan))
    found = [
        told(list(train(problem, plan, initial_state(problem, plan), compiled(load(path)))))
        for load in (inductor.load, inductor.load_by_public_call)
    ]
    assert found[0] == found[1]


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
def test_a_damaged_package_is_none() -> None:
    experiment = experiment_of("sgd")
    program = program_for(experiment.problem, experiment.members[0].plan)
    built(experiment)
    path = package_of(program)
    whole = path.read_bytes()
    flipped = bytes([*whole[:400_000], whole[400_000] ^ 1, *whole[400_001:]])
    try:
        for content in (b"", b"nothing", whole[: len(whole) // 2], flipped):
            path.write_bytes(content)
            assert programs.find(program) is None
            assert not path.exists()
    finally:
        path.write_bytes(whole)
    assert programs.find(program) is not None


def test_without_a_compiler_updates_are_executed_one_by_one(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    invoke("sgd", "--epochs", "3", "--set", "engine=eager", "--name", "a", *NO_PICTURES)
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    outcome = invoke(
        "sgd", "--epochs", "3", "--set", "engine=compiled", "--name", "b", *NO_PICTURES
    )
    assert outcome.code == 0
    assert "engine: eager (there is no C++ compiler g++)" in outcome.err
    assert "engine: eager" in Path("outputs/b/config.yaml").read_text()
    assert logs(Path("outputs/a")) == logs(Path("outputs/b"))


@pytest.mark.usefixtures("_compiler")
def test_where_compiling_fails_updates_are_executed_one_by_one(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "executable", "/bin/false")
    outcome = invoke("full", "--epochs", "3", "--set", "engine=compiled", *NO_PICTURES)
    assert outcome.code == 0
    assert "engine: eager (no program could be built: " in outcome.err
    assert list((tmp_path / "cache").iterdir()) == []


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
    program = program_for(make_problem(), make_plan(3))
    with pytest.raises(KeyboardInterrupt):
        programs.build([program], stop=lambda: bool(started))
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
        programs.build([program_for(make_problem(), make_plan(3))], lambda: False)
    assert list(tmp_path.iterdir()) == []


def test_only_the_programs_used_last_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GDRUN_CACHE", str(tmp_path))
    monkeypatch.setattr(programs, "KEPT", 2)
    for number in range(4):
        (tmp_path / f"{number}.pt2").touch()
        os.utime(tmp_path / f"{number}.pt2", (number, number))
    for name, age in (("build-new", 0), ("build-old", 2 * programs.A_DAY)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    programs._prune()
    (tmp_path / "build-new").rmdir()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["2.pt2", "3.pt2"]


@pytest.mark.usefixtures("_compiler")
@pytest.mark.parametrize(
    ("epochs", "is_built", "engine", "builds", "why"),
    [
        (10, False, "eager", False, "compiling saves about 0.5 ms, and takes 20 s a program"),
        (10**6, False, "compiled", True, "compiling saves about 50 s, and takes 20 s a program"),
        (10, True, "eager", False, "compiling saves about 0.5 ms, and was done before"),
        (1000, True, "compiled", False, "compiling saves about 50 ms, and was done before"),
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
    monkeypatch.setattr(programs, "find", lambda _: str if is_built else None)
    experiment = prepare("full", configure(None, {"epochs": epochs}))
    (choice,) = engines.choices(experiment).values()
    assert (choice.engine, choice.builds) == (engine, builds)
    assert engines.in_words({"full": choice}) == [f"engine: {engine} ({why})"]


def test_batches_in_chunks_are_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find", lambda _: str)
    chunked = {"chunk_rows": 10, "epochs": 10**6}
    for engine, rows, expected in (
        ("auto", 100, "eager"),
        ("compiled", 100, "compiled"),
        ("compiled", 1000, "eager"),
    ):
        settings_ = {**chunked, "engine": engine, "data": {"rows": rows}}
        (choice,) = engines.choices(prepare("full", configure(None, settings_))).values()
        assert choice.engine == expected


def test_the_compilers_private_parts_can_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with inductor.stack_buffers() as options:
        assert options["aot_inductor.allow_stack_allocation"]
    module = "torch._inductor.codegen.cpp_wrapper_cpu_array_ref"
    monkeypatch.setitem(sys.modules, module, None)
    with inductor.stack_buffers() as options:
        assert options == {}
    monkeypatch.setattr(torch._C, "_aoti", None)
    called: list[Path] = []
    monkeypatch.setattr(inductor, "load_by_public_call", lambda path: called.append(path))
    inductor.load(Path("somewhere"))
    assert called == [Path("somewhere")]
