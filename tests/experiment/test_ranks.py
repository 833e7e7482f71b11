"""Commands in several ranks: what they write, what is left when one is killed, and going on."""

import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerContext
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
from torch.distributed import HashStore  # type: ignore[attr-defined]

from gdrun.experiment.distributed.meeting import agree_on_place
from gdrun.results.file_names import TRAJECTORY
from tests.command_line import NO_PICTURES
from tests.experiment.test_kill import SEED
from tests.marks import slow
from tests.processes import end_of, finish, finish_ranks, start_rank, start_ranks
from tests.ranks import free_port
from tests.run_files import logs, manifest, read_csv

# One lane, whose rows are divided; and several, which are.
ROWS = ("minibatch", "--epochs", "60", "--set", "momentum=0.9", "--lr", "0.05")
LANES = (
    *("minibatch", "-c", "diabetes", "--seeds", "5", "--epochs", "40"),
    *("--optimizer", "adam", "--lr", "0.01", "--set", "trajectory=true"),
)
COMMANDS = {
    "rows": ROWS,
    "ragged": ("minibatch", "--epochs", "20", "--batch-size", "7", "--set", "drop_last=false"),
    "batch 1": ("sgd", "--epochs", "3"),
    "full": ("full", "--epochs", "30", "-c", "diabetes"),
    "lanes": LANES,
    "compiled": ("minibatch", "--seeds", "5", "--epochs", "60", "--engine", "compiled"),
    "compiled, all in vectors": (
        *("full", "-c", "diabetes", "--lr", "log:0.001:1:20"),
        *("--epochs", "50", "--engine", "compiled"),
    ),
    "probed": ("full", "--seeds", "3", "--epochs", "12", "--probes", "all"),
    "probed, rows": ("full", "--epochs", "12", "--probes", "all"),
    "classes": ("minibatch", "-c", "spiral", "--epochs", "8", "--seeds", "2"),
    "patience": (
        *("minibatch", "-c", "diabetes", "--epochs", "90", "--seeds", "4"),
        *("--set", "patience=5", "--lr", "0.1"),
    ),
    "diverging": ("full", "--lr", "0.2,1e6,1e7", "--epochs", "30"),
}


def assert_alike(one: Path, other: Path, rtol: float) -> None:
    """The logs of two runs but for seconds, each number to a relative difference."""
    found, expected = logs(one), logs(other)
    assert found.keys() == expected.keys()
    for name, rows in found.items():
        assert len(rows) == len(expected[name])
        for row, wanted in zip(rows, expected[name], strict=True):
            for cell, number in zip(row, wanted, strict=True):
                if cell != number:
                    assert float(cell) == pytest.approx(float(number), rel=rtol, abs=1e-6), name


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory in which commands are run, with a cache of programs of its own."""
    (tmp_path / "cache").mkdir()
    return tmp_path


@pytest.mark.parametrize("size", [2, slow(3)])
@pytest.mark.parametrize("name", COMMANDS)
def test_ranks_log_what_one_process_logs(
    processes: ForkServerContext, place: Path, name: str, size: int
) -> None:
    command = (*COMMANDS[name], *NO_PICTURES, "--name")
    assert finish(processes, place, *command, "one") == 0
    assert finish_ranks(processes, place, size, *command, "several") == [0] * size
    assert_alike(place / "outputs" / "several", place / "outputs" / "one", rtol=1e-3)
    assert manifest(place / "outputs" / "several")["ranks"] == size
    assert (place / "out.0").read_text().count("written to") == 1
    assert not any((place / f"out.{rank}").read_text() for rank in range(1, size))


def wait_for(is_there: Callable[[], bool]) -> None:
    """Wait until something is there."""
    deadline = time.monotonic() + 60
    while not is_there():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_weights_on_the_way_are_those_of_all_ranks(
    processes: ForkServerContext, place: Path
) -> None:
    assert finish(processes, place, *LANES, *NO_PICTURES, "--name", "one") == 0
    assert finish_ranks(processes, place, 2, *LANES, *NO_PICTURES, "--name", "two") == [0, 0]
    files = [place / "outputs" / name / TRAJECTORY for name in ("one", "two")]
    kept = [np.fromfile(file, np.float32) for file in files]
    np.testing.assert_allclose(kept[1], kept[0], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("command", [LANES, slow(ROWS)])
def test_the_same_number_of_ranks_writes_the_same_bytes(
    processes: ForkServerContext, place: Path, command: tuple[str, ...]
) -> None:
    for name in ("a", "b"):
        codes = finish_ranks(processes, place, 2, *command, *NO_PICTURES, "--name", name)
        assert codes == [0, 0]
    assert_alike(place / "outputs" / "a", place / "outputs" / "b", rtol=0)
    assert logs(place / "outputs" / "a") == logs(place / "outputs" / "b")


@pytest.mark.slow
@pytest.mark.parametrize("command", [ROWS, LANES])
def test_a_rank_that_is_killed_ends_the_run_which_others_resume(
    processes: ForkServerContext, place: Path, command: tuple[str, ...]
) -> None:
    draws = random.Random(SEED)
    print(f"GDRUN_TEST_SEED={SEED}")
    long = (*command, "--set", "log_every=20", "--epochs", "600", *NO_PICTURES)
    assert finish(processes, place, *long, "--name", "one") == 0
    go_on: tuple[str, ...] = (*long, "--name", "a")
    for size in (2, 3, 2):
        ranks = start_ranks(processes, place, size, *go_on)
        time.sleep(draws.uniform(1.0, 3.0))
        killed = draws.randrange(size)
        ranks[killed].kill()
        began = time.monotonic()
        codes = end_of(ranks)
        assert time.monotonic() - began < 15
        if all(code == 0 for rank, code in enumerate(codes) if rank != killed):
            break  # it was done before
        if killed and (place / "outputs" / "a" / "run.json").exists():
            said = (place / "out.0").read_text()
            assert f"rank {killed} (" in said.split("error:")[-1], said
            assert codes[0] == 1
        if (place / "outputs" / "a" / "run.json").exists():
            go_on = (command[0], "--resume", "outputs/a")
    assert finish_ranks(processes, place, 2, *go_on) == [0, 0]
    assert_alike(place / "outputs" / "a", place / "outputs" / "one", rtol=2e-2)


SWEEP = (
    *("sweep", "-c", "diabetes", "--seeds", "2", "--epochs", "60", "--lr", "0.2,0.02"),
    *("--batch-size", "1,16,full", "--engine", "eager", "--target", "0.4"),
    *("--set", "sweep.pieces=4"),
)


def without_times(place: Path) -> list[dict[str, str]]:
    """The rows of the table of a sweep, but for the seconds."""
    rows = read_csv(place / "sweep.csv")
    return [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in rows]


@pytest.mark.parametrize("kills", [0, slow(2)])
def test_a_sweep_among_ranks_is_that_of_one_process(
    processes: ForkServerContext, place: Path, kills: int
) -> None:
    draws = random.Random(SEED)
    print(f"GDRUN_TEST_SEED={SEED}")
    command = (*SWEEP, *NO_PICTURES, "--name")
    assert finish(processes, place, *command, "one") == 0
    go_on: tuple[str, ...] = (*command, "a")
    for _ in range(kills):
        ranks = start_ranks(processes, place, 2, *go_on)
        time.sleep(draws.uniform(1.5, 4.0))
        ranks[1].kill()
        codes = end_of(ranks)
        if (place / "outputs" / "a" / "run.json").exists():
            go_on = ("sweep", "--resume", "outputs/a")
            assert codes[0] in (0, 1)
    assert finish_ranks(processes, place, 2, *go_on) == [0, 0]
    assert without_times(place / "outputs" / "a") == without_times(place / "outputs" / "one")
    members = {path.name for path in (place / "outputs" / "a").iterdir() if path.is_dir()}
    assert members == {"batch-1-rates-1", "batch-1-rates-2", "batch-16", "batch-354"}


def test_a_signal_to_any_rank_stops_all_after_the_segment(
    processes: ForkServerContext, place: Path
) -> None:
    ranks = start_ranks(
        processes, place, 2, *ROWS, *NO_PICTURES, "--epochs", "1000000", "--name", "a"
    )
    run = place / "outputs" / "a"
    wait_for(lambda: (run / "checkpoint.pt").exists())
    assert ranks[1].pid
    os.kill(ranks[1].pid, signal.SIGTERM)
    assert end_of(ranks) == [130, 0]
    assert manifest(run)["status"] == "interrupted"
    assert "to resume: gdrun minibatch --resume outputs/a" in (place / "out.0").read_text()


def test_a_signal_to_a_rank_without_work_stops_a_sweep(
    processes: ForkServerContext, place: Path
) -> None:
    long = ("--batch-size", "1", "--epochs", "100000", "--set", "sweep.pieces=1")
    ranks = start_ranks(processes, place, 2, *SWEEP, *long, *NO_PICTURES, "--name", "a")
    run = place / "outputs" / "a"
    wait_for(lambda: (run / "batch-1" / "checkpoint.pt").exists())
    assert ranks[1].pid
    os.kill(ranks[1].pid, signal.SIGTERM)  # it, or rank 0, has the only run
    assert end_of(ranks) == [130, 0]
    assert manifest(run)["status"] == "interrupted"


def test_a_complete_run_is_read_by_rank_0_alone(processes: ForkServerContext, place: Path) -> None:
    command = (*LANES, "--engine", "eager", *NO_PICTURES, "--name", "a")
    assert finish(processes, place, *command) == 0
    before = logs(place / "outputs" / "a")
    again = ("minibatch", "--resume", "outputs/a", "--engine", "compiled")
    assert finish_ranks(processes, place, 2, *again) == [0, 0]
    assert logs(place / "outputs" / "a") == before


def test_ranks_save_after_the_epochs_that_the_config_says(
    processes: ForkServerContext, place: Path
) -> None:
    """Between two meetings of the ranks there are many epochs."""
    command = (*ROWS, "--epochs", "2000", "--set", "checkpoint_every=500", *NO_PICTURES)
    ranks = start_ranks(processes, place, 2, *command, "--name", "a")
    run = place / "outputs" / "a"
    wait_for(lambda: (run / "checkpoint.previous.pt").exists() or not ranks[0].is_alive())
    for process in ranks:
        process.kill()
    end_of(ranks)
    assert (run / "checkpoint.previous.pt").exists()


def test_a_sweep_with_other_rows_on_a_rank_fails_at_once(
    processes: ForkServerContext, place: Path
) -> None:
    (place / "own.py").write_text(OTHER_ROWS)
    source = ("--set", "data.source=python", "--set", "data.path=own.py:rows")
    command = ("sweep", *source, "--epochs", "1000000", "--engine", "eager", *NO_PICTURES)
    codes = finish_ranks(processes, place, 2, *command, "--name", "a")
    assert codes == [1, 1]
    assert "error: rank 1: " in (place / "out.0").read_text()
    assert "to resume: gdrun sweep --resume outputs/a" in (place / "out.0").read_text()
    assert "the rows are not those of rank 0" in (place / "out.1").read_text()


def test_each_machine_says_the_mistakes_of_its_own_command(
    processes: ForkServerContext, place: Path
) -> None:
    second = {"LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    for args, said in (
        (("full", "--lrr", "2"), "error: --lrr: unknown option\n"),
        (("ful",), "did you mean gdrun full?"),
        (("full", "--lr", "fast", "--foo"), "error: --foo: unknown option\n"),
    ):
        first, other = start_ranks(processes, place, 2, *args, environment=second)
        assert end_of([first, other]) == [2, 2]
        assert said in (place / "out.1").read_text()


def test_another_command_on_a_rank_is_refused(processes: ForkServerContext, place: Path) -> None:
    port = free_port()
    ranks = [
        start_rank(processes, place, rank, 2, port, command, "--epochs", "9", *NO_PICTURES)
        for rank, command in enumerate(("full", "sgd"))
    ]
    assert end_of(ranks) == [1, 1]
    said = "error: rank 1: this was started with gdrun sgd, and rank 0 with gdrun full\n"
    for rank in range(2):
        assert said in (place / f"out.{rank}").read_text()


@pytest.mark.parametrize("rank", [0, 1])
def test_who_waits_for_others_says_so_and_can_be_interrupted(
    rank: int, processes: ForkServerContext, place: Path
) -> None:
    here = {"LOCAL_RANK": "0"}
    alone = start_rank(
        processes, place, rank, 2, free_port(), "full", "--epochs", "3", environment=here
    )
    out = place / f"out.{rank}"
    wait_for(lambda: out.exists() and "waiting for all 2 ranks to meet" in out.read_text())
    assert alone.pid
    os.kill(alone.pid, signal.SIGINT)
    assert end_of([alone]) == [-signal.SIGINT]


def test_how_ranks_divide_the_work_is_said_beforehand(
    processes: ForkServerContext, place: Path
) -> None:
    for command, said in (
        (ROWS, "2 ranks: each has 8 of the 16 rows of a batch"),
        (("compare", "--epochs", "3"), "2 ranks: each takes the next run when it is done"),
    ):
        for more in (("--dry-run",), NO_PICTURES):
            (place / "out.0").unlink(missing_ok=True)
            assert finish_ranks(processes, place, 2, *command, *more) == [0, 0]
            assert (place / "out.0").read_text().count(said) == 1


def test_a_mistake_is_said_once(processes: ForkServerContext, place: Path) -> None:
    assert finish_ranks(processes, place, 2, "full", "--lr", "fast")[0] == 2
    assert finish_ranks(processes, place, 2, "full", "--nonsense")[0] == 2
    said = [(place / f"out.{rank}").read_text() for rank in range(2)]
    assert said[0].count("must be a number") == 1
    assert said[0].count("unknown option") == 1
    assert not said[1]


OTHER_ROWS = """
import os
import numpy as np

def rows():
    power = 1 + float(os.environ.get("RANK", "0"))
    return np.linspace(0, 1, 50).reshape(-1, 1) ** power, np.linspace(0, 1, 50)

def model(features, outputs):
    import torch
    if os.environ.get("RANK") == "1":
        raise ValueError("no such layer here")
    return torch.nn.Linear(features, outputs)

def wider(features, outputs):
    import torch
    width = 3 + int(os.environ.get("RANK", "0"))
    return torch.nn.Sequential(torch.nn.Linear(features, width), torch.nn.Linear(width, outputs))
"""


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("data.source=python data.path=own.py:rows", "the rows are not those of rank 0"),
        ("model=own.py:model", "no such layer here"),
        ("model=own.py:wider", "the network is not that of rank 0"),
    ],
)
def test_a_rank_that_fails_is_named_with_its_reason(
    processes: ForkServerContext, place: Path, key: str, said: str
) -> None:
    (place / "own.py").write_text(OTHER_ROWS)
    settings = [part for each in key.split() for part in ("--set", each)]
    assert finish_ranks(processes, place, 2, "full", *settings, *NO_PICTURES) == [1, 1]
    for rank in range(2):
        (problem, *_) = (
            line
            for line in (place / f"out.{rank}").read_text().splitlines()
            if line.startswith("error: rank 1: ") and said in line
        )
        assert problem
    if "rank 0" in said:  # what to do is said by rank 0, too
        assert "hint: each machine needs the same" in (place / "out.0").read_text()


def test_after_a_restart_a_run_with_a_name_is_resumed(
    processes: ForkServerContext, place: Path
) -> None:
    command = (*ROWS, *NO_PICTURES, "--epochs", "100000", "--name", "a")
    ranks = start_ranks(processes, place, 2, *command)
    wait_for(lambda: (place / "outputs" / "a" / "checkpoint.pt").exists())
    ranks[1].kill()
    end_of(ranks)
    again = {"TORCHELASTIC_RESTART_COUNT": "1"}
    ranks = start_ranks(processes, place, 2, *command, environment=again)
    wait_for(lambda: "resumed" in (place / "out.0").read_text())
    assert ranks[0].pid
    os.kill(ranks[0].pid, signal.SIGTERM)
    assert end_of(ranks)[0] == 130


def met(store: HashStore, rank: int, size: int, found: dict[int, str]) -> None:
    """What a rank agrees to."""
    found[rank] = agree_on_place(store, rank, size)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_ranks_that_are_started_again_meet_at_another_place(size: int) -> None:
    store, places = HashStore(), []
    for _ in range(3):
        found: dict[int, str] = {}
        ranks = [Thread(target=met, args=(store, rank, size, found)) for rank in range(size)]
        for thread in ranks[::-1]:
            thread.start()
        for thread in ranks:
            thread.join(30)
        assert len(found) == size
        assert len(set(found.values())) == 1
        places.append(found[0])
    assert len(set(places)) == 3


def test_ranks_meet_though_one_of_those_before_had_only_said_hello() -> None:
    store, found = HashStore(), dict[int, str]()
    store.set("hello/1", "somebody before")
    first = Thread(target=met, args=(store, 0, 2, found))
    first.start()
    time.sleep(0.1)
    assert not found
    met(store, 1, 2, found)
    first.join(30)
    assert found[0] == found[1]
