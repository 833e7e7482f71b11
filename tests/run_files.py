"""The files of a run: read, compared, and damaged."""

import csv
import json
from pathlib import Path
from typing import Any

MOST = 2**20  # bytes, of a checkpoint of a small run


def logs(place: Path) -> dict[str, list[list[str]]]:
    """All CSV files below a directory, without the seconds."""
    found = {}
    for path in sorted(place.rglob("*.csv")):
        rows = [line.split(",") for line in path.read_text().splitlines(keepends=True)]
        if "seconds" in rows[0] and path.name != "sweep.csv":
            at = rows[0].index("seconds")
            seconds = [float(row.pop(at)) for row in rows[1:]]
            # They go on accumulating: lanes share an epoch's, and no epoch takes less than none.
            assert seconds == sorted(seconds)
        found[str(path.relative_to(place))] = rows
    assert found
    return found


def damage(path: Path, how: str) -> None:
    """Damage a file; `how` is "cut short", "empty" or "bit flipped"."""
    content = bytearray(path.read_bytes())
    if how == "cut short":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        content[len(content) // 3] ^= 0x10
        path.write_bytes(content)


def log_another_loss(place: Path) -> None:
    """Write a train loss into the log of a run that is a quarter larger than the one it had."""
    path = place / "epochs.csv"
    lines = path.read_text().splitlines(keepends=True)
    cells = lines[3].split(",")
    cells[9] = f"{1.25 * float(cells[9]):.9g}"
    path.write_text("".join([*lines[:3], ",".join(cells), *lines[4:]]))


def whole_rows(path: Path) -> int:
    """How many rows a file holds, all of them whole but for one that is being written."""
    rows = path.read_text().split("\n")
    # A process that was killed as it made the file may have written no header, or half of it.
    assert {row.count(",") for row in rows[:-1]} <= {rows[0].count(",")}
    return len(rows) - 1


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, by column."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def without_seconds(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file but for the seconds, which no two runs share."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_csv(path)]


def manifest(directory: Path) -> dict[str, Any]:
    """What `run.json` holds."""
    content: dict[str, Any] = json.loads((directory / "run.json").read_text())
    return content


def edit(directory: Path, **values: Any) -> None:
    """Change `run.json`; what is None is left out."""
    path = directory / "run.json"
    content = {**json.loads(path.read_text()), **values}
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not None}))


def kill(directory: Path) -> None:
    """Leave a run as a process does that is killed after its last row."""
    edit(directory, status="running", lanes=[], finished=None, files=None)


def contents(place: Path) -> dict[Path, bytes]:
    """All files below a directory."""
    return {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}


def lengthen(directory: Path, epochs: int) -> None:
    """Write more rows into a run of one lane, as it would have if it had been trained longer."""
    for name in ("epochs.csv", "steps.csv"):
        path = directory / name
        *_, last = path.read_text().splitlines()
        cells = last.split(",")
        done, per_epoch = int(cells[4]), int(cells[5]) // int(cells[4])
        with path.open("a") as file:
            for epoch in range(done + 1, epochs + 1):
                loss = f"{0.3 / epoch + 0.1 * (epoch % 7 == 0):.9g}"
                start = ",".join(cells[:4])
                if name == "epochs.csv":
                    samples = epoch * (int(cells[6]) // done)
                    counts = f"{epoch},{epoch * per_epoch},{samples},{epoch / 1000:.6f}"
                    file.write(f"{start},{counts},{loss},{loss},\n")
                else:
                    update = (epoch - 1) * per_epoch
                    file.writelines(f"{start},{epoch},{update + k},{loss}\n"
                                    for k in range(1, per_epoch + 1))  # fmt: skip
