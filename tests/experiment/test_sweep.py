"""A sweep: its grid, its runs alone and side by side, stopped anywhere and gone on with."""

import json
import math
import multiprocessing
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.analysis.recommend import recommended
from gdrun.analysis.sweep_result import SweepResult
from gdrun.config.ranges import MOST, expand, is_range
from gdrun.config.read import load_config
from gdrun.config.schema import RunConfig, SweepConfig
from gdrun.errors import ConfigError
from gdrun.experiment import workers
from gdrun.experiment.estimate import estimate_seconds, timed
from gdrun.experiment.execute import execute, take_up
from gdrun.experiment.grid import swept
from gdrun.experiment.plan import prepare
from gdrun.experiment.signals import SIGNALS
from gdrun.experiment.train_run import Progress
from gdrun.loading import load
from gdrun.results.events import Segment
from gdrun.results.progress import RunProgress
from gdrun.results.run import Failure, RunResult
from gdrun.storage.lock import is_locked, locked
from gdrun.training.backend import Execute
from gdrun.training.loop import train
from gdrun.training.models import Problem
from gdrun.training.state import Plan, TrainState
from tests.conftest import Invoke, small_config
from tests.experiment.test_kill import gdrun, processes, whole_rows
from tests.experiment.test_resume import NO_PICTURES, logs

__all__ = ["processes"]  # a fixture
GRID: dict[str, Any] = {"lr": [0.1, 0.3], "batch_size": [4, 16, "full"]}
FLAGS = ("--set", "data.rows=24", "--epochs", "3", "--seeds", "2", *NO_PICTURES)
GRID_FLAGS = ("--lr", "0.1,0.3", "--batch-size", "4,16,full")
SHUFFLED = ("--set", "sampling=reshuffle", "--set", "drop_last=false")
SECONDS = ("seconds", "seconds_to_target")


def sweep_config(**settings: Any) -> RunConfig:
    """A grid of three runs of four lanes."""
    return small_config(**{"seeds": 2, "data": {"rows": 24}, "sweep": GRID, **settings})


def run(
    config: RunConfig,
    place: Path,
    stop_when: Callable[[Any], bool] = lambda _: False,
    jobs: int = 1,
) -> list[Any]:
    """Sweep in a directory, from where it was left if it was; stop after a certain event."""
    place.mkdir(exist_ok=True)
    experiment = prepare("sweep", config)
    if (place / "run.json").exists():
        experiment = take_up(experiment, place)
    stops = {"now": False}
    events = []
    for event in execute(experiment, place, stop=lambda: stops["now"], jobs=jobs):
        events.append(event)
        stops["now"] |= stop_when(event)
    return events


def nth(number: int) -> Callable[[Any], bool]:
    events = count(1)
    return lambda _: next(events) == number


def manifest(place: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((place / "run.json").read_text())
    return content


def sweep_rows(place: Path) -> list[dict[str, str]]:
    """The rows of `sweep.csv`, without the seconds."""
    names, *rows = [line.split(",") for line in (place / "sweep.csv").read_text().splitlines()]
    found = [dict(zip(names, row, strict=True)) for row in rows]
    return [{key: cell for key, cell in row.items() if key not in SECONDS} for row in found]


def tables(place: Path) -> Mapping[str, Any]:
    """All tables of a sweep, without the seconds."""
    members = {p.name: logs(p) for p in place.iterdir() if (p / "epochs.csv").exists()}
    return {**members, "sweep.csv": sweep_rows(place)}


def statuses(place: Path) -> dict[str, str]:
    found = {path.parent.name: manifest(path.parent)["status"] for path in place.glob("*/run.json")}
    return {"": manifest(place)["status"], **found}


# ------------------------------------------------------------------------------------------ ranges


@given(
    first=st.floats(1e-6, 1e6),
    last=st.floats(1e-6, 1e6),
    number=st.integers(2, 60),
    scale=st.sampled_from(["log", "lin"]),
)
def test_a_range_has_its_ends_exactly_and_even_steps_to_three_digits(
    first: float, last: float, number: int, scale: str
) -> None:
    found = expand(f"{scale}:{first!r}:{last!r}:{number}")
    assert (found[0], found[-1], len(found)) == (first, last, number)
    for k, value in enumerate(found[1:-1], 1):
        part = k / (number - 1)
        exact = first + (last - first) * part
        if scale == "log":
            exact = first ** (1 - part) * last**part
        # Half of the third digit, and the rounding of floats.
        assert value == pytest.approx(exact, rel=0.0051)
        assert value == float(f"{value:.3g}")


@given(
    st.text(max_size=30)
    | st.lists(st.text("0123456789.einflog-", max_size=6) | st.just("1e308"), max_size=6).map(
        lambda parts: ":".join(["log", *parts])
    )
    | st.tuples(
        st.sampled_from(["lin", "log"]), st.floats(), st.floats(), st.integers(-5, 2 * MOST)
    ).map(lambda parts: ":".join(map(str, parts)))
)
def test_a_text_is_a_range_of_finite_numbers_or_a_mistake(text: str) -> None:
    try:
        found = expand(text)
    except ValueError:  # and no other error
        return
    assert is_range(text)
    assert 2 <= len(found) <= MOST
    assert all(map(math.isfinite, found))


@pytest.mark.parametrize("ends", ["1e308:1.79e308", "-1e308:1e308", "5e-324:1e308"])
@pytest.mark.parametrize("scale", ["lin", "log"])
def test_a_range_of_batch_sizes_out_of_all_proportion_is_a_mistake(scale: str, ends: str) -> None:
    with pytest.raises(ConfigError, match=r"^sweep.batch_size"):
        load_config(None, [f"sweep.batch_size={scale}:{ends}:5"])


# ------------------------------------------------------------------------------------------ config


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("lr=0", "sweep.lr (--set sweep.lr=0): must be greater than 0, got 0"),
        ("lr=x", "sweep.lr (--set sweep.lr=x): must be a number, got 'x'"),
        ("lr=log:1:2", "must be a range such as log:0.001:1:7 or lin:0.1:0.5:5"),
        ("lr=[0.1, 0.2, 0.1]", "must be a list without repeats, got 0.1 twice"),
        ("lr=log:0.1:1:1", "must be a range of 2 to 1,000 numbers, got 1 of them"),
        ("lr=lin:0.1:1:999999", "must be a range of 2 to 1,000 numbers, got 999,999 of them"),
        ("lr=[]", "must hold at least one value, got an empty list"),
        ("lr=[0.1, -1]", "sweep.lr[1] (--set sweep.lr=[0.1, -1]): must be greater than 0, got -1"),
        ("batch_size=0", "sweep.batch_size (--set sweep.batch_size=0): must be a whole number of"),
        ("batch_size=[4, 1.5]", "must be a whole number of at least 1, or full, got 1.5"),
        ("batch_size=all", "must be a whole number of at least 1, or full, got 'all'"),
        ("batch_size=[4, 4]", "must be a list without repeats, got 4 twice"),
        ("lr=", "sweep.lr (--set sweep.lr=): must be a number, got nothing"),
        ("batch_size= ", "must be a whole number of at least 1, or full, got nothing"),
        ("target=", "sweep.target (--set sweep.target=): must be a number, got nothing"),
        ("target=0", "sweep.target (--set sweep.target=0): must be greater than 0, got 0"),
        ("target=low", "sweep.target (--set sweep.target=low): must be a number, got 'low'"),
        ("batch_sizes=4", "did you mean sweep.batch_size?"),
        ("lrs=4", "sweep.lrs (--set sweep.lrs=4): unknown key"),
    ],
)
def test_mistakes_in_a_grid_are_reported_with_their_key(setting: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, [f"sweep.{setting}"])
    assert message in str(caught.value)
    assert "sweep" in caught.value.problems[0]


@pytest.mark.parametrize(
    "sweep",
    [
        {},
        {"lr": "auto", "batch_size": "auto", "target": "auto"},
        {"lr": 0.3, "batch_size": "full", "target": 0.02},
        {"lr": [0.3, 0.1], "batch_size": [4, "full", 1]},
        {"lr": "log:0.01:1:5", "batch_size": "log:1:64:4"},
        {"batch_size": "lin:4:16:4"},
    ],
    ids=str,
)
def test_a_grid_is_read_back_as_it_was_written(sweep: dict[str, Any], invoke: Invoke) -> None:
    config = small_config(sweep=sweep, data={"rows": 64})
    assert invoke("init", "a.yaml").code == 0
    from gdrun.config.read import dump_config

    Path("b.yaml").write_text(dump_config(config))
    assert load_config("b.yaml") == config


def test_a_range_of_batch_sizes_holds_whole_numbers_each_once() -> None:
    config = small_config(sweep={"batch_size": "log:1:8:10"})
    assert config.sweep.batch_size == (1, 2, 3, 4, 5, 6, 8)


@pytest.mark.parametrize("flag", ["lr", "batch-size", "target", "epochs", "seeds", "device"])
def test_a_flag_without_a_value_is_refused_and_not_taken_for_the_default(
    flag: str, invoke: Invoke
) -> None:
    """It is that of a shell variable that isn't set."""
    for nothing in ("", " "):
        outcome = invoke("sweep", f"--{flag}", nothing, "--dry-run")
        assert outcome.code == 2
        assert re.search(rf"\(--{flag} ''\): must be .*, got nothing\n", outcome.err)


def test_flags_win_over_the_grid_of_a_file(invoke: Invoke) -> None:
    Path("a.yaml").write_text("sweep:\n  lr: [0.1, 0.2]\n  batch_size: [4, 8]\n  target: 0.5\n")
    args = ("sweep", "-c", "a.yaml", "--dry-run", "--json")
    assert json.loads(invoke(*args).out)["config"]["sweep"] == {
        "lr": [0.1, 0.2],
        "batch_size": [4, 8],
        "target": 0.5,
    }
    found = json.loads(invoke(*args, "--lr", "log:0.1:10:3", "--batch-size", "full").out)["config"]
    assert found["sweep"] == {"lr": [0.1, 1.0, 10.0], "batch_size": "full", "target": 0.5}
    assert (found["lr"], found["batch_size"]) == (0.2, 16)
    found = json.loads(invoke(*args, "--lr", "auto", "--target", "auto").out)["config"]
    assert found["sweep"] == {"lr": "auto", "batch_size": [4, 8], "target": "auto"}


# -------------------------------------------------------------------------------------------- grid


def grid(rows: int, **settings: Any) -> list[tuple[str, int, tuple[float, ...]]]:
    runs = swept(small_config(**settings), rows)
    return [(method, config.batch_size, config.lr) for method, config in runs]


def test_without_a_grid_batch_sizes_are_powers_of_four_and_rates_around_that_of_the_config() -> (
    None
):
    found = grid(100, lr=0.2)
    assert [run[:2] for run in found] == [
        ("sgd", 1), ("minibatch", 4), ("minibatch", 16), ("minibatch", 64), ("full", 100),
    ]  # fmt: skip
    assert {run[2] for run in found} == {(0.00632, 0.02, 0.0632, 0.2, 0.632, 2.0, 6.32)}
    assert grid(1)[0][:2] == ("full", 1)
    assert [run[1] for run in grid(16)] == [1, 4, 16]


def test_the_rate_of_the_config_is_among_those_around_it_to_the_last_digit() -> None:
    assert 0.123456 in grid(100, lr=0.123456)[0][2]
    for lr in (1.7e308, 5e-324):
        rates = grid(100, lr=lr)[0][2]
        assert lr in rates
        assert len(set(rates)) == len(rates)
        assert all(0 < rate < math.inf for rate in rates)


def test_several_rates_of_a_config_are_used_as_they_are() -> None:
    assert grid(100, lr=[0.3, 0.12345])[0][2] == (0.3, 0.12345)
    assert grid(100, lr=[0.3, 0.1], sweep={"lr": 5.0})[0][2] == (5.0,)


def test_full_and_all_rows_are_one_run_and_runs_ascend() -> None:
    found = grid(100, sweep={"batch_size": ["full", 7, 100, 1]})
    assert [run[:2] for run in found] == [("sgd", 1), ("minibatch", 7), ("full", 100)]


def test_a_batch_size_of_the_grid_larger_than_the_data_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"sweep.batch_size: 101 is larger than the 100 training"):
        grid(100, sweep={"batch_size": [4, 101]})
    config = small_config(data={"val_fraction": 0.2}, sweep={"batch_size": [81]})
    with pytest.raises(ConfigError, match=r"sweep.batch_size: 81 is larger than the 80 training"):
        prepare("sweep", config)


# --------------------------------------------------------------------------------------- the files


def test_a_member_is_what_its_own_command_and_config_give(invoke: Invoke) -> None:
    args = ("sweep", *FLAGS, *SHUFFLED, *GRID_FLAGS, "--set", "momentum=0.5", "--name", "a")
    assert invoke(*args).code == 0
    for method, size in (("minibatch", 4), ("minibatch", 16), ("full", 24)):
        own, alone = Path(f"outputs/a/batch-{size}"), Path(f"outputs/{size}")
        assert invoke(method, "--config", own / "config.yaml", "--name", alone.name).code == 0
        for name in ("steps.csv", "config.yaml"):
            assert (own / name).read_bytes() == (alone / name).read_bytes()
        bare = [re.sub(rb"(\n([^,]+,){7})[^,]+", rb"\1", (p / "epochs.csv").read_bytes())
                for p in (own, alone)]  # fmt: skip
        assert bare[0] == bare[1]
        assert load_config(str(own / "config.yaml")).sweep == SweepConfig()  # no grid of its own
        assert b"minibatch,4,0.1,1,3,18,72,," in bare[0] or size != 4


def test_a_lane_is_the_same_training_alone(tmp_path: Path) -> None:
    run(sweep_config(), tmp_path / "a")
    alone = small_config(lr=0.3, seed=1, batch_size=16, data={"rows": 24})
    for _ in execute(prepare("minibatch", alone), _made(tmp_path / "b")):
        pass
    for name, rows in logs(tmp_path / "b").items():
        own = [row for row in logs(tmp_path / "a" / "batch-16")[name] if row[2:4] == ["0.3", "1"]]
        assert own == rows[1:]


def _made(place: Path) -> Path:
    place.mkdir()
    return place


# ---------------------------------------------------------------------------------------- resuming


@pytest.fixture
def _many_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every update ends a segment, so that a run can be stopped anywhere."""
    monkeypatch.setattr("gdrun.training.backend.SEGMENT_SECONDS", 0.0)


@pytest.mark.usefixtures("_many_segments")
@pytest.mark.parametrize("stop", [1, 2, 20, 27, 28, 29, 33, 45, 46, 60])
def test_a_stopped_sweep_goes_on_to_the_same_files(stop: int, tmp_path: Path) -> None:
    config = sweep_config(momentum=0.5)
    run(config, tmp_path / "whole")
    expected = tables(tmp_path / "whole")
    run(config, tmp_path / "a", nth(stop))
    run(config, tmp_path / "a", nth(3))
    run(config, tmp_path / "a")
    assert tables(tmp_path / "a") == expected
    assert set(statuses(tmp_path / "a").values()) == {"done"}
    group, whole = manifest(tmp_path / "a"), manifest(tmp_path / "whole")
    for key in ("members", "failures", "answer", "config"):
        assert group[key] == whole[key]


def test_a_sweep_that_is_stopped_between_two_runs_knows_what_it_lacks(tmp_path: Path) -> None:
    events = run(sweep_config(), tmp_path, lambda event: isinstance(event, RunResult))
    assert statuses(tmp_path) == {"": "interrupted", "batch-4": "done"}
    saved = load(tmp_path).answer
    assert saved
    for answer in (events[-1], saved):
        assert answer.missing == (16, 24)
        assert recommended(answer) is None
    assert run(sweep_config(), tmp_path)[-1].missing == ()


def test_another_target_trains_nothing_and_is_another_answer(invoke: Invoke) -> None:
    assert invoke("sweep", *FLAGS, *GRID_FLAGS, "--name", "a", "--target", "0.3").code == 0
    place = Path("outputs/a")
    members = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in place.glob("*/*")}
    before = sweep_rows(place)
    outcome = invoke("sweep", "--resume", place, "--target", "0.45")
    assert outcome.code == 0
    assert "nothing is left to train" in outcome.err
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in place.glob("*/*")} == members
    after = sweep_rows(place)
    assert {row["target"] for row in before} == {"0.3"}
    assert {row["target"] for row in after} == {"0.45"}
    assert [row["updates_to_target"] for row in before] != [
        row["updates_to_target"] for row in after
    ]
    content = manifest(place)
    assert (content["status"], content["answer"]["target"]) == ("done", 0.45)
    assert content["config"]["sweep"]["target"] == 0.45
    # And nothing at all changes where nothing else is asked for.
    everything = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    assert invoke("sweep", "--resume", place, "-j", "2").code == 0
    assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == everything


def test_the_table_of_a_sweep_is_made_anew_where_it_was_edited_and_only_there(
    invoke: Invoke,
) -> None:
    assert invoke("sweep", *FLAGS, *GRID_FLAGS, "--name", "a").code == 0
    table = Path("outputs/a/sweep.csv")
    text, written = table.read_bytes(), table.stat().st_mtime_ns
    assert invoke("sweep", "--resume", "a").code == 0
    assert (table.read_bytes(), table.stat().st_mtime_ns) == (text, written)
    before = sweep_rows(Path("outputs/a"))
    for harm in (
        lambda: table.write_bytes(text.replace(b",0.3,", b",0.4,")),
        lambda: table.write_bytes(text.replace(b",0.00", b",7.00")),
        lambda: table.write_bytes(text[:-1] + b",7\n"),
        lambda: table.write_bytes(text + text),
        lambda: table.write_bytes(b"\xff"),
        lambda: table.write_bytes(b""),
        table.unlink,
    ):
        harm()
        outcome = invoke("sweep", "--resume", "a")
        assert "sweep.csv" in outcome.out
        assert sweep_rows(Path("outputs/a")) == before
        assert b",7." not in table.read_bytes()


def test_another_grid_is_refused_and_more_epochs_extend(invoke: Invoke) -> None:
    invoke("sweep", *FLAGS, *GRID_FLAGS, "--name", "a")
    place = Path("outputs/a")
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    for flags, key in (
        (("--lr", "0.1"), "sweep.lr: the run has [0.1, 0.3], and can't go on with 0.1"),
        (("--batch-size", "4"), 'sweep.batch_size: the run has [4, 16, "full"], and can\'t go on'),
    ):
        outcome = invoke("sweep", "--resume", place, *flags)
        assert outcome.code == 2
        assert key in outcome.err
    assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == before
    assert invoke("sweep", "--resume", place, "--epochs", "5").code == 0
    longer = [flag if flag != "3" else "5" for flag in FLAGS]
    invoke("sweep", *longer, *GRID_FLAGS, "--name", "b")
    assert tables(place) == tables(Path("outputs/b"))


def test_a_member_that_an_orphan_still_trains_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(sweep_config(), tmp_path)
    own = load_config(str(tmp_path / "batch-4" / "config.yaml"), ["epochs=5"])
    locked = {"it": True}
    monkeypatch.setattr(
        "gdrun.storage.manifest.is_locked", lambda place: locked["it"] and place.name != "x"
    )
    for command, config, place in (
        ("sweep", sweep_config(epochs=5), tmp_path),
        ("minibatch", own, tmp_path / "batch-4"),
    ):
        with pytest.raises(ConfigError, match="batch-4: another process is training it"):
            take_up(prepare(command, config), place)
    locked["it"] = False
    assert take_up(prepare("minibatch", own), tmp_path / "batch-4").standings


# ---------------------------------------------------------------------------------------- failures


def test_a_member_that_fails_leaves_the_others_and_is_named(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(
        problem: Problem, plan: Plan, state: TrainState, execute: Execute
    ) -> Iterator[Segment]:
        for segment in train(problem, plan, state, execute):
            if plan.batch_size == 16 and segment.epoch == 2:
                raise RuntimeError("the device is on fire")
            yield segment

    args = ("sweep", *FLAGS, *GRID_FLAGS, *SHUFFLED)
    with monkeypatch.context() as patch:
        patch.setattr("gdrun.experiment.train_run.train", broken)
        outcome = invoke(*args, "--name", "a", "--json")
    assert outcome.code == 1
    assert "batch-16: unexpected RuntimeError: the device is on fire" in outcome.err
    assert "to go on: gdrun sweep --resume outputs/a" in outcome.err
    place = Path("outputs/a")
    assert statuses(place) == {
        "": "failed", "batch-4": "done", "batch-16": "failed", "batch-24": "done",
    }  # fmt: skip
    (failure,) = manifest(place)["failures"]
    assert failure["name"] == "batch-16"
    assert json.loads(outcome.out)["failures"] == [failure]
    assert {row["batch_size"] for row in sweep_rows(place)} == {"4", "24"}
    for told in (outcome, invoke("show", place, "--json")):
        answer = json.loads(told.out)["answer"]
        assert "Batch 16 was not trained to the end" in answer["advice"]
        assert answer["command"] is None
    assert invoke("sweep", "--resume", place).code == 0
    invoke(*args, "--name", "b")
    assert tables(place) == tables(Path("outputs/b"))
    assert manifest(place)["failures"] == []
    assert set(statuses(place).values()) == {"done"}


# ------------------------------------------------------------------------------------ side by side


@pytest.mark.slow
def test_a_sweep_begun_in_one_process_is_finished_by_two(tmp_path: Path) -> None:
    config = sweep_config(epochs=5)
    run(config, tmp_path / "whole")
    run(config, tmp_path / "a", nth(3))
    assert statuses(tmp_path / "a") == {"": "interrupted", "batch-4": "interrupted"}
    events = run(config, tmp_path / "a", jobs=2)
    assert not [event for event in events if isinstance(event, Failure)]
    assert any(isinstance(event, RunProgress) for event in events)
    assert isinstance(events[-1], SweepResult)
    assert events[-1].jobs == 2
    assert tables(tmp_path / "a") == tables(tmp_path / "whole")
    group, whole = manifest(tmp_path / "a"), manifest(tmp_path / "whole")
    assert group["members"] == whole["members"]
    for path in (tmp_path / "a").glob("*/run.json"):
        own = manifest(path.parent)
        assert own["pid"] != group["pid"] == os.getpid()
        assert own["threads"] == max(1, group["threads"] // 2)
    assert not multiprocessing.active_children()


def test_a_sweep_begun_by_two_processes_and_stopped_is_finished_by_one(tmp_path: Path) -> None:
    config = sweep_config(epochs=400)
    events = run(config, tmp_path / "a", lambda event: isinstance(event, RunProgress), jobs=2)
    assert not [event for event in events if isinstance(event, Failure)]
    found = statuses(tmp_path / "a")
    assert found[""] == "interrupted"
    assert "batch-24" not in found  # nothing is begun after it
    for path in (tmp_path / "a").glob("*/*.csv"):
        whole_rows(path)
    assert not multiprocessing.active_children()
    run(config, tmp_path / "a")
    run(config, tmp_path / "whole")
    assert tables(tmp_path / "a") == tables(tmp_path / "whole")


def test_no_more_processes_are_spoken_of_than_there_are_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def alone(*_: object) -> None:
        raise AssertionError("one run needs no processes")

    monkeypatch.setattr("gdrun.experiment.execute.side_by_side", alone)
    config = sweep_config(sweep={"lr": [0.1, 0.2], "batch_size": 8})
    *_, answer = run(config, tmp_path, jobs=4)
    assert answer.jobs == 1
    assert manifest(tmp_path)["jobs"] == 1


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs signals")
def test_a_process_that_is_killed_is_a_failure_and_the_others_finish(
    invoke: Invoke, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int | None] = []

    def kill(*_: object) -> None:
        if not killed:
            child = next(iter(multiprocessing.active_children()))
            killed.append(child.pid)
            child.kill()

    monkeypatch.setattr("gdrun.terminal.live.PlainView.show", kill)
    args = ("sweep", *FLAGS, "--epochs", "300", *GRID_FLAGS, *SHUFFLED)
    outcome = invoke(*args, "--name", "a", "-j", "2")
    assert outcome.code == 1
    place = Path("outputs/a")
    (failure,) = manifest(place)["failures"]
    assert f"{failure['name']}: its process was killed by SIGKILL" in outcome.err
    assert "to go on: gdrun sweep --resume outputs/a" in outcome.err
    found = statuses(place)
    found.pop(failure["name"], None)
    assert found.pop("") == "failed"
    assert sorted(found.values()) == ["done", "done"]
    assert invoke("sweep", "--resume", place).code == 0
    assert set(statuses(place).values()) == {"done"}
    assert len({row["batch_size"] for row in sweep_rows(place)}) == 3


def of_its_own_group(directory: str, out: str, args: tuple[str, ...], ready: Connection) -> None:
    """The command line in a process that leads a group, as one that a terminal starts does."""
    os.setpgid(0, 0)
    gdrun(directory, out, args, ready)


LONG = ("sweep", *FLAGS, "--epochs", "1000000", *GRID_FLAGS, "-j", "2", "--name", "a")


@contextmanager
def long_sweep(context: ForkServerContext, place: Path) -> Iterator[BaseProcess]:
    """A sweep in two processes, when both have trained for some epochs; none is left after it."""
    begun, ready = context.Pipe(duplex=False)
    arguments = (str(place), str(place / "out"), LONG, ready)
    process = context.Process(target=of_its_own_group, args=arguments)
    process.start()
    begun.recv_bytes()
    assert process.pid
    try:
        deadline = time.monotonic() + 60
        for name in ("batch-4", "batch-16"):
            path = place / "outputs" / "a" / name / "epochs.csv"
            while not path.exists() or len(path.read_bytes()) < 1000:
                assert time.monotonic() < deadline, (place / "out").read_text()
                time.sleep(0.05)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def goes_on(place: Path) -> None:
    """Go on for a moment, and see that no epoch is missing or there twice."""
    before = whole_rows(place / "batch-4" / "epochs.csv")
    run(load_config(str(place / "config.yaml")), place, nth(200))
    rows = [line.split(",") for line in (place / "batch-4" / "epochs.csv").read_text().splitlines()]
    assert len(rows) > before
    first = [int(row[4]) for row in rows[1:] if row[2:4] == ["0.1", "0"]]
    assert first == list(range(len(first)))


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs process groups")
def test_ctrl_c_stops_all_processes_and_loses_nothing(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    with long_sweep(processes, tmp_path) as process:
        assert process.pid
        os.killpg(process.pid, signal.SIGINT)
        process.join(60)
    out = (tmp_path / "out").read_text()
    assert process.exitcode == 130, out
    assert "Traceback" not in out
    assert "error:" not in out
    assert "interrupted: what was finished is saved; to go on: gdrun sweep --resume" in out
    place = tmp_path / "outputs" / "a"
    assert statuses(place) == dict.fromkeys(("", "batch-4", "batch-16"), "interrupted")
    assert not list(place.rglob("*.partial"))
    goes_on(place)


def children(pid: int) -> list[int]:
    """The processes that train for another."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(k) for k in found if b"spawn_main" in Path(f"/proc/{k}/cmdline").read_bytes()]


def has_ended(pid: int) -> bool:
    """Whether a process is gone, if perhaps nobody has heard of it yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_processes_whose_parent_was_killed_end_by_themselves(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    with long_sweep(processes, tmp_path) as process:
        assert process.pid
        workers = children(process.pid)
        assert len(workers) == 2
        place = tmp_path / "outputs" / "a"
        assert all(is_locked(place / name) for name in ("batch-4", "batch-16"))
        process.kill()
        process.join(60)
        assert not is_locked(place)
        deadline = time.monotonic() + 60
        while not all(map(has_ended, workers)):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert "Traceback" not in (tmp_path / "out").read_text()
    with (
        locked(place / "batch-4"),  # as by one that hasn't ended yet
        pytest.raises(ConfigError, match="batch-4: another process is training it"),
    ):
        take_up(prepare("sweep", load_config(str(place / "config.yaml"))), place)
    goes_on(place)


def test_a_process_that_is_given_a_run_after_its_parent_died_begins_nothing(tmp_path: Path) -> None:
    config = sweep_config()
    task = workers._Task("sweep", config, tmp_path, {}, None, 1, {"batch-4": "eager"})
    assert not list(workers._train(task, "batch-4", lambda: True))
    assert not list(tmp_path.glob("*/run.json"))
    assert not is_locked(tmp_path / "batch-4")


@pytest.mark.slow
def test_a_process_that_dies_while_it_is_told_what_to_train_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each asks for a run and is gone before it can be told; the pipe is broken by then."""
    monkeypatch.setattr(workers, "_work", ask_and_die)
    experiment = prepare("sweep", sweep_config(sweep={"lr": 0.1, "batch_size": [4, 16]}))

    def late(connections: Any, timeout: float) -> Any:
        for process in multiprocessing.active_children():
            process.join(60)
        return wait(connections, timeout)

    monkeypatch.setattr(workers, "wait", late)
    found = list(workers.side_by_side(experiment, tmp_path, {}, lambda: False, None, 1))
    assert found == [
        Failure(name, ("its process ended with code 0",)) for name in ("batch-4", "batch-16")
    ]


def ask_and_die(_task: object, connection: Connection) -> None:
    """End with a code that isn't 0 if a signal could have ended it before it came here."""
    connection.send(None)
    if hasattr(signal, "pthread_sigmask"):
        sys.exit(len(set(SIGNALS) - signal.pthread_sigmask(signal.SIG_BLOCK, [])))


# ---------------------------------------------------------------------------------------- estimates


def test_nothing_left_takes_no_time(tmp_path: Path) -> None:
    config = sweep_config()
    assert estimate_seconds(prepare("sweep", config)) > 0
    run(config, tmp_path)
    taken_up = take_up(prepare("sweep", config), tmp_path)
    assert estimate_seconds(taken_up) == 0
    assert estimate_seconds(taken_up, jobs=2) == 0
    assert estimate_seconds(take_up(prepare("sweep", sweep_config(epochs=9)), tmp_path)) > 0


def test_several_processes_share_what_is_to_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {4: 5.0, 16: 2.0, 24: 1.0}
    monkeypatch.setattr(
        "gdrun.experiment.estimate._seconds_an_update",
        lambda _experiment, member, _state: seconds[member.plan.batch_size],
    )
    experiment = prepare("sweep", sweep_config(epochs=1))
    assert [estimate_seconds(experiment, n) for n in (1, 2, 3, 9)] == [30 + 4 + 1, 30, 30, 30]


def test_the_pace_of_one_training_is_measured_once(tmp_path: Path) -> None:
    experiment = timed(prepare("sweep", sweep_config()))
    assert set(experiment.pace) == {4, 16, 24}
    assert all(0 < pace < 10 for pace in experiment.pace.values())
    for _ in execute(experiment, tmp_path):
        pass
    again = timed(take_up(prepare("sweep", sweep_config(epochs=5)), tmp_path))
    assert again.pace == experiment.pace


def test_a_dry_run_says_what_there_is_to_do_and_writes_nothing(invoke: Invoke) -> None:
    args = ("sweep", *FLAGS, *GRID_FLAGS, *SHUFFLED, "--name", "a", "-j", "2")
    outcome = invoke(*args, "--dry-run")
    assert outcome.code == 0
    assert re.search(
        r"3 runs of 4 lanes \(2 learning rates × 2 seeds\), "
        r"27 updates, 2 at a time: about \d",
        outcome.out,
    )
    assert "batch-16: batch size 16, 4 lanes, 2 updates an epoch, 6 in all" in outcome.out
    found = json.loads(invoke(*args, "--dry-run", "--json").out)
    assert found["estimated_seconds"] >= 0
    assert [(r["name"], r["lanes"], r["updates"]) for r in found["runs"]] == [
        ("batch-4", 4, 18), ("batch-16", 4, 6), ("batch-24", 4, 3),
    ]  # fmt: skip
    assert not Path("outputs").exists()


def test_a_run_that_ended_early_is_not_what_is_left(invoke: Invoke) -> None:
    """All its lanes diverged: the updates that it didn't take are none to be taken."""
    args = ("sweep", *FLAGS, "--lr", "1e30,1e31", "--batch-size", "4,full", "--name", "a")
    assert invoke(*args).code == 3
    outcome = invoke("sweep", "--resume", "outputs/a", "--dry-run", "-j", "2")
    assert "nothing is left to train" in outcome.out
    found = json.loads(invoke("sweep", "--resume", "outputs/a", "--dry-run", "--json").out)
    assert found["estimated_seconds"] == 0


def test_events_come_from_every_run(tmp_path: Path) -> None:
    events = run(sweep_config(), tmp_path)
    assert [e.series.name for e in events if isinstance(e, RunResult)] == [
        "batch-4", "batch-16", "batch-24",
    ]  # fmt: skip
    assert {e.series.name for e in events if isinstance(e, Progress)} == {
        "batch-4", "batch-16", "batch-24",
    }  # fmt: skip
