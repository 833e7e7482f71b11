"""Data larger than memory is trained on in no more memory than a piece of it takes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from tests.marks import slow

MEBIBYTE = 2**20


LARGE = (10 * 2**15, 1024)


LIMITED = """
import json, resource, sys
from gdrun.experiment.execute import execute
from gdrun.experiment.plan.make import plan_experiment
from gdrun.config.schema import RunConfig
from gdrun.results.run import RunResult
settings, command, limit = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
*_, result = execute(plan_experiment(command, RunConfig.model_validate(settings)))
assert isinstance(result, RunResult)
print(json.dumps([lane.train_loss for lane in result.lanes]))
print(result.lanes[0].updates)
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two files of which x is a sparse one of 1.25 GiB; most rows are zero."""
    place = tmp_path_factory.mktemp("large")
    rows, columns = LARGE
    x = np.lib.format.open_memmap(
        place / "x.npy", mode="w+", dtype=np.float32, shape=(rows, columns)
    )
    x[:: rows // 64] = np.linspace(-1, 1, columns)
    x.flush()
    y = np.zeros(rows, dtype=np.float32)
    y[:: rows // 64] = 1
    np.save(place / "y.npy", y)
    yield place
    (place / "x.npy").unlink()


@contextmanager
def control_group(limit: int) -> Iterator[Path]:
    """A control group whose processes get so many bytes, page cache included."""
    for base, key in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = base / f"gdrun-test-{os.getpid()}"
        try:
            group.mkdir()
            (group / key).write_text(str(limit))
        except OSError:
            with suppress(OSError):
                group.rmdir()
            continue
        try:
            yield group
        finally:
            group.rmdir()
        return
    pytest.skip("control groups can't be made here")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")
def test_a_file_four_times_larger_than_a_control_group(large: Path) -> None:
    data = {"source": "npy", "x": str(large / "x.npy"), "y": str(large / "y.npy")}
    config = {"epochs": 1, "hidden_size": 2, "lr": 0.01, "data": data}
    limit = (large / "x.npy").stat().st_size // 4
    with control_group(limit) as group:
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, json.dumps(config), "full", str(2**40)],
            capture_output=True,
            text=True,
            preexec_fn=lambda: (group / "cgroup.procs").write_text(str(os.getpid())) and None,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1] == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="limits are Linux's")
@pytest.mark.parametrize(
    ("command", "batch"), [slow("full", 16), ("minibatch", 4096)], ids=["full", "minibatch"]
)
def test_an_epoch_on_a_file_four_times_larger_than_the_memory_allowed(
    command: str, batch: int, large: Path
) -> None:
    size = (large / "x.npy").stat().st_size
    limit = size // 4  # for everything that is allocated, PyTorch itself included
    assert limit < 321 * MEBIBYTE
    data = {
        "source": "npy",
        "x": str(large / "x.npy"),
        "y": str(large / "y.npy"),
        "val_fraction": 0.05,
    }
    config = {"epochs": 1, "batch_size": batch, "hidden_size": 2, "lr": 0.01, "data": data}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, json.dumps(config), command, str(limit)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr
    (loss,), updates = (json.loads(line) for line in done.stdout.splitlines())
    assert 0 < loss < 1.1
    rows, _ = LARGE
    training = rows - round(rows * 0.05)
    assert updates == (1 if command == "full" else -(-training // batch))
    # The same limit is too small for the file.
    whole = subprocess.run(
        [
            sys.executable,
            "-c",
            "import resource, sys, torch, numpy\n"
            "resource.setrlimit(resource.RLIMIT_DATA, 2 * (int(sys.argv[2]),))\n"
            "torch.tensor(numpy.load(sys.argv[1], mmap_mode='r'))",
            str(large / "x.npy"),
            str(limit),
        ],
        capture_output=True,
        text=True,
    )
    assert whole.returncode != 0
    assert "allocate memory" in whole.stderr
