"""Long runs: their memory while they are trained, and what it takes to look at their logs.

Run by hand on Linux: `python -m tests.benchmarks.long_runs`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from gdrun.api import train
from tests.run_files import kill, lengthen

LANES = (1, 100, 5000)
PARTS = 6  # of the time of a run, after each of which its memory is read
GDRUN = [sys.executable, "-m", "gdrun"]
# What is looked at: the epochs of a run of one update each, and the command.
LOOKS: list[tuple[int, list[str]]] = [
    (10**6, ["list"]),
    (10**6, ["list", "--limit", "1"]),
    (10**6, ["show", "long"]),
    (12 * 10**6, ["show", "long"]),
    (12 * 10**6, ["show", "long", "--json"]),
    (12 * 10**6, ["plot", "long"]),
]
# A process of its own: what one has at most counts that of the one it was forked from.
WATCH = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
wall, used = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
processor = used.ru_utime + used.ru_stime
print(f"{wall:.2f} s ({processor:.2f} of the processor), {used.ru_maxrss * 1024 / 1e6:.0f} MB")
"""


def resident(process: int) -> int:
    """The resident memory of a process, in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def training(lanes: int, seconds: float, directory: str) -> list[tuple[int, int]]:
    """Epochs and resident bytes of `gdrun full`, now and again until it is killed."""
    options = ["--epochs", "100000000", "--seeds", str(lanes), "-o", directory, "--name", "long"]
    process = subprocess.Popen([*GDRUN, "full", "-q", *options], stdout=subprocess.DEVNULL)
    found = []
    try:
        for _ in range(PARTS):
            time.sleep(seconds / PARTS)
            found.append((last_epoch(Path(directory) / "long/epochs.csv"), resident(process.pid)))
    finally:
        process.kill()
        process.wait()
    return found


def last_epoch(path: Path) -> int:
    """The epoch of the last whole row."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 1000))
        return int(file.read().split(b"\n")[-2].split(b",")[4])


def look(directory: str, arguments: list[str]) -> str:
    """Wall and processor time of a command, and the memory that it had at most."""
    watched = [sys.executable, "-c", WATCH, *GDRUN, *arguments, "-o", directory]
    return subprocess.run(watched, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Measure, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long each run is watched")
    parser.add_argument("--lanes", type=int, nargs="*", default=LANES)
    options = parser.parse_args()
    for lanes in options.lanes:
        with tempfile.TemporaryDirectory() as directory:
            found = training(lanes, options.seconds, directory)
        figures = ", ".join(f"{size / 1e6:.0f} MB at {epoch:,}" for epoch, size in found)
        print(f"{lanes:,} lanes, resident memory at an epoch: {figures}", flush=True)
    for epochs in sorted({epochs for epochs, _ in LOOKS}):
        with tempfile.TemporaryDirectory() as directory:
            train("full", output_dir=directory, name="long", epochs=2, plot={"enabled": False})
            run = Path(directory) / "long"
            kill(run)
            lengthen(run, epochs)
            sizes = [(run / name).stat().st_size / 1e9 for name in ("epochs.csv", "steps.csv")]
            print(f"a killed run of {epochs:,} epochs, {sizes[0]:.2f} + {sizes[1]:.2f} GB")
            for arguments in (arguments for count, arguments in LOOKS if count == epochs):
                print(f"  {' '.join(arguments)}: {look(directory, arguments)}", flush=True)


if __name__ == "__main__":
    main()
