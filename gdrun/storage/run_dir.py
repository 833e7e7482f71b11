"""The directory of a run or group: planned, made once and never reused, locked by one process.

    outputs/<name>/  config.yaml  epochs.csv  steps.csv  run.json  checkpoint.pt  loss.png  fit.png

A group (`compare`, `sweep`) is a directory of run directories with a `run.json` of its own.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from gdrun.errors import ConfigError, GdrunError, OutputError
from gdrun.storage.locate import LATEST
from gdrun.storage.manifest import GroupManifest, read_manifest

LOCK = ".lock"
# A reader holds the lock for a moment to find out whether it is free.
LOCK_SECONDS = 0.5


def plan_directory(output_dir: Path, name: str | None, command: str) -> Path:
    """The directory that a new run gets, unless another process makes it first.

    Raises:
        ConfigError: the name is taken, has a meaning of its own, or would lead out of `output_dir`.
    """
    if name is None:
        return output_dir / f"{datetime.now():%Y-%m-%d_%H-%M-%S}_{command}"
    if not re.fullmatch(r"[\w.+=,@ -]+", name) or not name.strip(". "):
        raise ConfigError(
            f"--name {name!r}: expected a plain directory name",
            "use letters, digits and any of _ - . + = , @; --output-dir says where it goes",
        )
    if name == LATEST:
        raise ConfigError(
            f"--name {LATEST}: stands for the run that was started last", "choose another name"
        )
    directory = output_dir / name
    if os.path.lexists(directory):
        raise ConfigError(
            f"--name {name}: {directory} exists, and runs are never overwritten",
            "choose another name, or leave out --name to get one made of date and time",
        )
    return directory


def make_directory(planned: Path, *, exact: bool) -> Path:
    """Make a new directory: the planned one or, unless `exact`, the next free name.

    Raises:
        ConfigError: it must be exact, and another process made it first.
        OutputError: it can't be made.
    """
    candidate, number = planned, 1
    while True:
        try:
            candidate.parent.mkdir(parents=True, exist_ok=True)
            candidate.mkdir()
        except FileExistsError:
            if not candidate.parent.is_dir():
                raise OutputError(
                    f"{candidate.parent}: is not a directory", "choose another with --output-dir"
                ) from None
            if exact:
                raise ConfigError(f"{candidate}: exists, and runs are never overwritten") from None
            number += 1
            candidate = planned.with_name(f"{planned.name}_{number}")
        except OSError as error:
            raise OutputError(
                f"{planned}: can't be made: {error.strerror}",
                "choose another place with --output-dir",
            ) from None
        else:
            return candidate


def free_bytes(directory: Path) -> int | None:
    """What the disk of a directory, which need not exist yet, has room for; None if unknown."""
    with suppress(OSError):
        place = directory.absolute()
        return shutil.disk_usage(next(p for p in (place, *place.parents) if p.is_dir())).free
    return None


# ------------------------------------------------------------------------------------------- lock


def root_of(directory: Path) -> Path:
    """The directory whose lock guards a run: that of its group, if it has one."""
    try:
        above = read_manifest(directory.resolve().parent)
    except (GdrunError, OSError):
        return directory
    return directory.resolve().parent if isinstance(above, GroupManifest) else directory


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the lock of a run or group inside `with`; it is released when the process ends.

    Raises:
        ConfigError: another process holds it.
        OutputError: the lock file can't be made.
    """
    from filelock import FileLock, Timeout  # slow to import, and needed by few commands

    lock = FileLock(directory / LOCK)
    try:
        lock.acquire(timeout=LOCK_SECONDS)
    except OSError as error:
        if not isinstance(error, Timeout):
            raise OutputError(f"{lock.lock_file}: can't be locked: {error.strerror}") from None
        raise ConfigError(
            f"{directory}: another process is training it",
            "wait for it to end, or stop it; nothing was changed",
        ) from None
    try:
        yield
    finally:
        lock.release()


def is_locked(directory: Path) -> bool:
    """Whether a process holds the lock of a run or group.

    Raises:
        OSError: the lock file can't be opened.
    """
    if not (directory / LOCK).exists():
        return False
    from filelock import FileLock, Timeout  # slow to import, and needed by few commands

    try:
        with FileLock(directory / LOCK).acquire(timeout=0):
            return False
    except Timeout:
        return True


def refuse_locked(run: Path) -> None:
    """Refuse to resume a run of a group that a worker process still trains after its parent ended.

    Raises:
        ConfigError: one does.
        OSError: the lock file can't be opened.
    """
    if is_locked(run):
        raise ConfigError(f"{run}: another process is training it", "wait for it to end")
