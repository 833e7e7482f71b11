"""The directory of a run or group: planned, made once, locked by one process, removed.

    outputs/<name>/  config.yaml  epochs.csv  steps.csv  run.json  checkpoint.pt  loss.png  fit.png

A group (`compare`, `sweep`) is a directory of run directories with a `run.json` of its own.
"""

import errno
import os
import re
import shlex
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from pathlib import Path

from gdrun.errors import ConfigError, DataError, GdrunError, OutputError
from gdrun.results.file_names import COMPARED, CONFIG, LOCK, LOGS, MANIFEST, is_own, picture_names
from gdrun.storage.atomic import open_plain
from gdrun.storage.locate import LATEST
from gdrun.storage.manifest import (
    GroupManifest,
    is_comparison,
    is_saved,
    read_comparison,
    read_manifest,
)

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
        resume = f"if it was stopped, this goes on with it: {resume_command(command, directory)}"
        raise ConfigError(
            f"--name {name}: {directory} exists, and runs are never overwritten",
            "choose another name, or leave out --name to get one made of date and time",
            *([resume] if (directory / MANIFEST).exists() else []),
        )
    return directory


def resume_command(command: str, directory: Path) -> str:
    """How a run or group is resumed that a command has trained, as it is typed."""
    return shlex.join(["gdrun", command, "--resume", str(directory)])


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


def log_sizes(directory: Path) -> dict[str, int]:
    """The logs in the directory of a run, by name, and how many bytes each takes."""
    found = {}
    for name in LOGS:
        with suppress(OSError):
            found[name] = (directory / name).stat().st_size
    return found


def log_bytes(directories: Iterable[Path]) -> int:
    """How many bytes the logs in directories of runs take."""
    return sum(sum(log_sizes(directory).values()) for directory in directories)


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


# ---------------------------------------------------------------------------------------- removal


def members_of(directory: Path) -> list[Path]:
    """The directories of the runs of a group; links aren't followed."""
    with os.scandir(directory) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    return [directory / name for name in names if is_saved(directory / name)]


def refuse_removal(directory: Path, output_dir: Path) -> None:
    """Refuse to remove what is no run of an output directory, or is being trained.

    Raises:
        ConfigError: it is that.
        OSError: a file can't be read.
    """
    if directory.is_symlink():
        raise ConfigError(f"{directory}: is a link, and only directories of runs are removed")
    above = directory.absolute().parent
    of_group = is_saved(above) and not above.is_symlink()
    if (
        directory.name in ("", "..")
        or not output_dir.is_dir()
        or not (above.parent if of_group else above).samefile(output_dir)
    ):
        raise ConfigError(
            f"{directory}: is not in {output_dir}, and only runs there are removed",
            "name the directory that holds it: --output-dir DIR",
        )
    if not _is_of_gdrun(directory):
        raise ConfigError(f"{directory}: is not a run of gdrun, whatever its {MANIFEST} is")
    for place in (above, directory, *members_of(directory)):
        if is_saved(place) and is_locked(place):
            raise ConfigError(
                f"{directory}: another process is training it",
                "wait for it to end, or stop it; nothing was removed",
            )


def _is_of_gdrun(directory: Path) -> bool:
    """Whether gdrun made a directory, be what it holds damaged by now."""
    if is_comparison(directory):
        return b'"kind": "comparison"' in _start_of(directory / COMPARED)
    begun = _start_of(directory / CONFIG).startswith(b"# gdrun ")
    return begun or b'"schema": ' in _start_of(directory / MANIFEST)


def _start_of(path: Path, most: int = 2**16) -> bytes:
    """The first bytes of a file; none where it can't be read."""
    try:
        with os.fdopen(open_plain(path, os.O_RDONLY), "rb") as file:
            return file.read(most)
    except OSError:
        return b""


def remove_run(directory: Path) -> list[Path]:
    """Remove the files of a run, group or comparison; what else lies in its directories is kept.

    What says that it is a run goes last, so that a removal that was cut short can be repeated.

    Returns:
        The directories that were kept, with what else is in them.

    Raises:
        ConfigError: another process holds its lock.
        OSError: a file can't be removed.
    """
    with nullcontext() if is_comparison(directory) else locked(directory):
        runs = _names_of_runs(directory)
        members = filter(_is_of_gdrun, members_of(directory))
        kept = [place for member in members for place in remove_run(member)]
        with os.scandir(directory) as entries:
            files = [entry.name for entry in entries if not entry.is_dir(follow_symlinks=False)]
        own = [name for name in files if is_own(name, runs)]
        for name in sorted(own, key=lambda name: (name in (MANIFEST, COMPARED), name)):
            if name != LOCK:
                (directory / name).unlink()
    (directory / LOCK).unlink(missing_ok=True)
    try:
        directory.rmdir()
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return kept or [directory]
    return kept


def _names_of_runs(directory: Path) -> list[str]:
    """What the runs of a group or comparison are called in its pictures, as far as is known."""
    with suppress(DataError, OSError):
        if is_comparison(directory):
            return [run.name for run in read_comparison(directory).runs]
        return [member.name for member in members_of(directory)]
    return []


def remove_pictures(directories: Iterable[Path]) -> list[Path]:
    """Remove the pictures in directories of runs, which are about to be trained further."""
    removed = []
    for place in directories:
        for path in sorted(place / name for name in picture_names(_names_of_runs(place))):
            with suppress(OSError):
                path.unlink()
                removed.append(path)
    return removed
