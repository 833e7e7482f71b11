"""Files of a run that are far too large are refused by their size, and not read."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.command_line import GDRUN, NO_PICTURES, Invoke
from tests.run_files import edit, manifest

GIGABYTES = 3 * 10**9
MOST_MEMORY = 10**9  # of which PyTorch takes a quarter
UNIT = 1 if sys.platform == "darwin" else 1024  # of what the system says that a process took


# A process counts what the one that started it takes: so it is started by a small one.
MEASURED = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stderr=subprocess.STDOUT)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


def run_within(args: Sequence[str]) -> tuple[int, str]:
    """The exit code and the output of a command that takes little memory."""
    command = [sys.executable, "-c", MEASURED, *GDRUN, *args]
    done = subprocess.run(command, capture_output=True, text=True)
    assert int(done.stderr) * UNIT < MOST_MEMORY
    return done.returncode, done.stdout


def enlarge(path: Path) -> None:
    os.truncate(path, GIGABYTES)  # which takes no room on the disk


@pytest.mark.parametrize(
    ("file", "args", "code"),
    [
        ("run.json", ("list",), 0),
        ("run.json", ("show", "one"), 2),
        ("run.json", ("sgd", "--resume", "outputs/one"), 2),
        ("config.yaml", ("show", "one"), 2),  # of an older gdrun, whose run.json holds no config
        ("config.yaml", ("list", "--sort", "momentum"), 0),
        ("config.yaml", ("sgd", "--resume", "outputs/one"), 2),
        ("checkpoint.pt", ("sgd", "--resume", "outputs/one", "--epochs", "5"), 2),
    ],
)
def test_a_file_of_gigabytes_is_refused(
    file: str, args: Sequence[str], code: int, outputs: Path
) -> None:
    if file == "config.yaml":
        edit(outputs / "one", config=None)
    enlarge(outputs / "one" / file)
    found, said = run_within(args)
    assert found == code
    assert f"outputs/one/{file}: is damaged: 3,000,000,000 bytes, more than the " in said
    assert (outputs / "one" / file).stat().st_size == GIGABYTES
    if args[0] == "list":
        assert {line.split()[0] for line in said.splitlines()} >= {"both", "grid", "worst", "one"}


def test_a_sweep_table_of_gigabytes_is_written_anew(outputs: Path) -> None:
    table = outputs / "grid/sweep.csv"
    before = table.read_bytes()
    enlarge(table)
    assert run_within(("sweep", "--resume", "outputs/grid", "-q"))[0] == 0
    assert len(table.read_bytes()) < 2 * len(before)


def test_a_checkpoint_of_gigabytes_is_passed_over(invoke: Invoke) -> None:
    for epochs in ("3", "4"):
        more = ("--resume", "outputs/a") if epochs == "4" else ("--name", "a", *NO_PICTURES)
        assert invoke("sgd", "--epochs", epochs, *more).code == 0
    enlarge(Path("outputs/a/checkpoint.pt"))
    code, said = run_within(("sgd", "--resume", "outputs/a", "--epochs", "6"))
    assert code == 0
    assert "3,000,000,000 bytes" in said
    assert "resumed from the checkpoint before it" in said
    assert manifest(Path("outputs/a"))["status"] == "done"
