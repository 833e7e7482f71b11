"""Processes that are really killed, at random moments, and what they leave; and many at once."""

import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from gdrun.config.read import load_config
from gdrun.storage.manifest import current_status, read_manifest
from gdrun.storage.run_dir import is_locked, locked
from tests.command_line import NO_PICTURES
from tests.marks import slow
from tests.processes import finish, start
from tests.run_files import logs, whole_rows
from tests.run_files import manifest as saved_manifest
from tests.training_runs import run

# Set to repeat a failure; printed by every test that draws.
SEED = int(os.environ.get("GDRUN_TEST_SEED", random.SystemRandom().randrange(10**9)))


RUNS = {
    "sgd": ("--epochs", "100", "--seeds", "3"),
    "minibatch": ("-c", "diabetes", "--epochs", "200", "--set", "momentum=0.9", "--lr", "0.01,9"),
    "full": ("--epochs", "3000", "--set", "eval_every=7", "--lr", "0.1,1e6"),
    "compare": (
        *("--epochs", "40", "--set", "sampling=replacement", "--seeds", "2"),
        *("--optimizer", "adam", "--lr", "0.01"),
    ),
}


def kill_until_done(
    context: ForkServerContext,
    tmp_path: Path,
    command: str,
    args: tuple[str, ...],
    draws: random.Random,
    kills: int,
    after_kill: Callable[[], None] = lambda: None,
) -> int:
    """Kill a run so often at random moments, resume it each time, and compare; kills that hit."""
    hits = 0
    assert finish(context, tmp_path, command, *args, *NO_PICTURES, "--name", "whole") == 0
    seconds = 0.3
    place = tmp_path / "outputs" / "a"
    go_on = (command, *args, *NO_PICTURES, "--name", "a")
    for _ in range(kills):
        process = start(context, tmp_path, *go_on)
        time.sleep(draws.uniform(0, seconds))
        process.kill()
        process.join()
        if process.exitcode == 0:  # it was quicker; to be gone on with all the same
            go_on = (command, "--resume", "outputs/a")
            break
        assert process.exitcode == -signal.SIGKILL, (tmp_path / "out").read_text()
        hits += 1
        after_kill()
        if not (place / "run.json").exists():
            assert not list(place.rglob("*.csv"))  # nothing was lost: nothing had begun
            shutil.rmtree(place, ignore_errors=True)
            continue
        for path in place.rglob("*.csv"):
            whole_rows(path)
        with locked(place):  # is free, or as soon as a `git` that was just being started is
            pass
        manifest = read_manifest(place)
        assert manifest.status in ("running", "done")
        if manifest.status == "running":
            assert current_status(manifest, at_work=is_locked(place)) == "interrupted"
        go_on = (command, "--resume", "outputs/a")
    code = finish(context, tmp_path, *go_on)
    assert code == 0, (tmp_path / "out").read_text()
    assert logs(place) == logs(tmp_path / "outputs" / "whole")
    assert read_manifest(place).status == "done"
    assert "Traceback" not in (tmp_path / "out").read_text()
    return hits


def kill_runs(
    context: ForkServerContext,
    tmp_path: Path,
    command: str,
    draws: random.Random,
    runs: int,
    kills: int,
    hits: int,
) -> None:
    """Kill so many runs up to so many times each, and more runs until so many kills have hit.

    How many hit depends on how fast the machine is.
    """
    print(f"GDRUN_TEST_SEED={SEED}")
    hit = made = 0
    while made < runs or hit < hits:
        place = tmp_path / str(made)
        place.mkdir()
        hit += kill_until_done(context, place, command, RUNS[command], draws, kills)
        made += 1


@pytest.mark.parametrize("command", [slow("full"), "sgd", slow("minibatch"), "compare"])
def test_killed_at_random_moments_a_run_loses_nothing(
    command: str, tmp_path: Path, processes: ForkServerContext
) -> None:
    draws = random.Random(f"{SEED} {command}")
    kill_runs(processes, tmp_path, command, draws, runs=1, kills=4, hits=1)


@pytest.mark.slow
@pytest.mark.parametrize("command", list(RUNS))
def test_killed_very_often_a_run_loses_nothing(
    command: str, tmp_path: Path, processes: ForkServerContext
) -> None:
    draws = random.Random(f"{SEED} {command} often")
    kill_runs(processes, tmp_path, command, draws, runs=6, kills=12, hits=21)


@pytest.mark.slow
@pytest.mark.usefixtures("cache")  # for the compiler that it takes
@pytest.mark.parametrize(("epochs", "engine"), [(5, "eager"), (3000, "compiled")])
def test_a_killed_group_keeps_the_engine_that_auto_chose_whatever_is_in_the_cache(
    epochs: int, engine: str, tmp_path: Path, processes: ForkServerContext
) -> None:
    print(f"GDRUN_TEST_SEED={SEED}")
    draws = random.Random(f"{SEED} {engine}")
    cache, made, hits = tmp_path / "cache", 0, 0
    args = ("--epochs", str(epochs), "--set", "log_every=7")

    def empty_or_fill() -> None:
        shutil.rmtree(cache)
        cache.mkdir(mode=0o700)
        if draws.random() < 0.5:
            compiled = ("compare", "--set", "engine=compiled", "--epochs", "2", *NO_PICTURES, "-q")
            assert finish(processes, tmp_path, *compiled) == 0

    while made < 3 or hits < 5:
        cache.mkdir(mode=0o700, exist_ok=True)
        hits += kill_until_done(
            processes, tmp_path, "compare", args, draws, 6, after_kill=empty_or_fill
        )
        for place in ("a", "a/full", "a/sgd", "a/minibatch"):
            config = read_manifest(tmp_path / "outputs" / place).settings
            assert config
            assert config.engine == engine
        shutil.rmtree(tmp_path / "outputs")
        made += 1


@pytest.mark.parametrize("second", ["SIGINT", slow("SIGKILL")])
def test_a_second_signal_stops_at_once_and_leaves_files_to_go_on_with(
    second: str, tmp_path: Path, processes: ForkServerContext
) -> None:
    print(f"GDRUN_TEST_SEED={SEED}")
    draws = random.Random(f"{SEED} {second}")
    args = ("sgd", "--epochs", "200", "--set", "plot.dpi=40")
    assert finish(processes, tmp_path, *args, "--name", "whole") == 0
    go_on: tuple[str, ...] = (*args, "--name", "a")
    for _ in range(3):
        process = start(processes, tmp_path, *go_on)
        assert process.pid
        time.sleep(draws.uniform(0.1, 0.6))
        with suppress(ProcessLookupError):  # it may have ended by then
            os.kill(process.pid, signal.SIGINT)
            time.sleep(draws.uniform(0, 0.05))
            os.kill(process.pid, getattr(signal, second))
        process.join(20)
        expected = (0, 130, -signal.SIGKILL, -signal.SIGINT)
        assert process.exitcode in expected, (tmp_path / "out").read_text()
        if Path(tmp_path, "outputs", "a", "run.json").exists():
            go_on = ("sgd", "--resume", "outputs/a")
        else:
            shutil.rmtree(tmp_path / "outputs" / "a", ignore_errors=True)
    assert finish(processes, tmp_path, *go_on) == 0, (tmp_path / "out").read_text()
    assert logs(tmp_path / "outputs" / "a") == logs(tmp_path / "outputs" / "whole")
    assert "Traceback" not in (tmp_path / "out").read_text()


def test_rows_of_a_killed_run_are_there_up_to_the_last_flush(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    process = start(processes, tmp_path, "full", "--epochs", "1000000", "--name", "a", *NO_PICTURES)
    place = tmp_path / "outputs" / "a"
    deadline = time.monotonic() + 60
    while not (place / "epochs.csv").exists() or whole_rows(place / "epochs.csv") < 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    seen = whole_rows(place / "epochs.csv")
    assert is_locked(place)
    assert current_status(read_manifest(place), at_work=is_locked(place)) == "running"
    process.kill()
    process.join()
    assert whole_rows(place / "epochs.csv") >= seen
    manifest = read_manifest(place)
    assert manifest.status == "running"
    with pytest.raises(ProcessLookupError):
        os.kill(manifest.pid or 0, 0)
    assert current_status(manifest, at_work=is_locked(place)) == "interrupted"


@pytest.mark.slow
def test_fifty_runs_at_once_get_fifty_directories(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    args = ("full", "--epochs", "2", *NO_PICTURES, "-q")
    started = [start(processes, tmp_path, *args, "--seed", str(seed)) for seed in range(50)]
    for process in started:
        process.join(120)
    assert {process.exitcode for process in started} == {0}
    made = sorted((tmp_path / "outputs").iterdir())
    assert len(made) == 50
    seeds = set()
    for place in made:
        rows = [line.split(",") for line in (place / "epochs.csv").read_text().splitlines()[1:]]
        assert [row[4] for row in rows] == ["0", "1", "2"]
        (seed,) = {row[3] for row in rows}
        assert load_config(str(place / "config.yaml")).seed == int(seed)
        assert saved_manifest(place)["lanes"][0]["seed"] == int(seed)
        seeds.add(int(seed))
    assert seeds == set(range(50))
    assert sorted((tmp_path / "out").read_text().split()) == [f"outputs/{p.name}" for p in made]


def test_two_at_once_in_one_run_are_refused(tmp_path: Path, processes: ForkServerContext) -> None:
    assert finish(processes, tmp_path, "compare", "--epochs", "2", *NO_PICTURES, "--name", "a") == 0
    place = tmp_path / "outputs" / "a"
    long = ("compare", "--resume", "outputs/a", "--epochs", "1000000")
    first = start(processes, tmp_path, *long)
    deadline = time.monotonic() + 60
    while read_manifest(place / "full").status != "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    try:
        for args in (long, ("sgd", "--resume", "outputs/a/sgd", "--epochs", "5")):
            before = (place / "sgd" / "epochs.csv").read_bytes()
            assert finish(processes, tmp_path, *args) == 2
            assert "another process is training it" in (tmp_path / "out").read_text()
            assert (place / "sgd" / "epochs.csv").read_bytes() == before
        assert first.is_alive()
    finally:
        first.kill()
        first.join()
    # The lock died with its process.
    assert finish(processes, tmp_path, "sgd", "--resume", "outputs/a/sgd", "--epochs", "5") == 0


def test_the_same_rows_come_from_a_process_of_its_own(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    args = ("minibatch", "-c", "diabetes", "--epochs", "5", "--name", "a", *NO_PICTURES)
    assert finish(processes, tmp_path, *args) == 0
    config = load_config(str(tmp_path / "outputs" / "a" / "config.yaml"))
    run("minibatch", config, tmp_path / "here")
    assert logs(tmp_path / "here") == logs(tmp_path / "outputs" / "a")
    assert json.loads((tmp_path / "here" / "run.json").read_text())["status"] == "done"
