"""Memory of long runs: resident while they train, and at its peak while their logs are looked at.

Run by hand on Linux: `python -m tests.benchmarks.memory`.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LANES = (1, 100, 5000)
PARTS = 6  # of the time of a run, after each of which its memory is read


def resident(process: int) -> int:
    """The resident memory of a process, in bytes."""
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def training(lanes: int, seconds: float, directory: str) -> list[tuple[int, int]]:
    """Epochs and resident bytes of `gdrun full`, now and again until it is stopped."""
    options = ["--epochs", "100000000", "--seeds", str(lanes), "-o", directory, "--name", "long"]
    command = [sys.executable, "-m", "gdrun", "full", "-q", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
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


def main() -> None:
    """Measure runs of few and of many lanes, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120, help="how long each run is watched")
    parser.add_argument("--lanes", type=int, nargs="*", default=LANES)
    options = parser.parse_args()
    for lanes in options.lanes:
        with tempfile.TemporaryDirectory() as directory:
            found = training(lanes, options.seconds, directory)
        figures = ", ".join(f"{size / 1e6:.0f} MB at {epoch:,}" for epoch, size in found)
        print(f"{lanes:,} lanes, resident memory at an epoch: {figures}", flush=True)


if __name__ == "__main__":
    main()
