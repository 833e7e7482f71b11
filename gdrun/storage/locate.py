"""From the name that a user gives a run to its directory: a path, NAME, GROUP/RUN or `latest`."""

import math
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from gdrun.errors import ConfigError, DataError, OutputError, did_you_mean, excerpt
from gdrun.results.file_names import COMPARED, MANIFEST
from gdrun.storage.manifest import (
    ComparisonManifest,
    Manifest,
    is_comparison,
    is_saved,
    read_comparison,
    read_manifest,
)
from gdrun.text import unseen

OUTPUTS = Path("outputs")
LATEST = "latest"
BEGIN = "gdrun compare makes some"  # runs, where there are none yet
ELSEWHERE = "name the directory that holds your runs: --output-dir DIR"
CLOCK_SECONDS = 2.0  # by which the time of a file may be wrong: some systems count in twos


def run_directories(output_dir: Path) -> list[Path]:
    """The directories of runs and groups in an output directory, sorted by name.

    None in a directory `outputs` that isn't there.

    Raises:
        ConfigError: there is no such other directory.
        OutputError: it can't be read.
    """
    try:
        with os.scandir(output_dir) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        if output_dir == OUTPUTS and not os.path.lexists(output_dir):
            return []  # nothing was trained here yet
        what = "is not a directory" if output_dir.exists() else "no such directory"
        raise ConfigError(f"{output_dir}: {what}", ELSEWHERE) from None
    except OSError as error:
        raise OutputError(f"{output_dir}: can't be read: {error.strerror}") from None
    return [output_dir / name for name in names if is_saved(output_dir / name)]


def last_changed_first(paths: Iterable[Path]) -> list[tuple[float, Path]]:
    """Directories of runs by when their `run.json` was written last: no run was started later.

    So to find those that were started last, not all have to be opened. Returned with that time, in
    seconds; a file whose time is unknown may be the latest.
    """
    found = []
    for path in paths:
        changed = math.inf
        with suppress(OSError):
            record = COMPARED if is_comparison(path) else MANIFEST
            changed = (path / record).lstat().st_mtime + CLOCK_SECONDS
        found.append((changed, path))
    return sorted(found, reverse=True)


def started_at(manifest: Manifest | ComparisonManifest) -> float:
    """The time at which a run was started, in seconds; -inf if its `run.json` doesn't say."""
    return manifest.started.timestamp() if manifest.started else -math.inf


def find_run(name: str, output_dir: Path, *, trained: bool = False) -> Path:
    """The directory of the run, group or comparison with a name.

    The latest one is the latest that was `trained`, where comparisons won't do.

    Raises:
        ConfigError: there is no such run.
        OutputError: the output directory can't be read.
    """
    if _is_run(Path(name)):
        return Path(name)
    if name and _is_run(output_dir / name):
        return output_dir / name
    first, _, member = name.partition("/")
    if first == LATEST:
        found = latest(output_dir, trained=trained)
        if not member:
            return found
        if _is_run(found / member):
            return found / member
        raise ConfigError(f"{name}: {found} has no run {member}", *_hints(member, _names_in(found)))
    if _is_file(Path(name)):
        above = Path(name).parent
        hints = [f"name its directory: {above}"] if _is_run(above) else []
        raise ConfigError(f"{name}: is a file", *(hints or _hints(name, _names_in(output_dir))))
    if name and _is_directory(Path(name)):
        raise ConfigError(
            f"{name}: is not the directory of a run: it has no {MANIFEST}",
            *_hints(name, _names_in(output_dir)),
        )
    if member and _is_run(output_dir / first):
        names = [f"{first}/{own}" for own in _names_in(output_dir / first)]
    else:
        names = _names_in(output_dir)
    if not names:
        raise _no_runs(name, output_dir)
    text = excerpt(name) or repr(name)
    raise ConfigError(f"{text}: no such run in {output_dir}", *_hints(name, names))


def _no_runs(name: str, output_dir: Path) -> ConfigError:
    """The error that a run is named where there is none at all; it may lie elsewhere."""
    if not _is_directory(output_dir) and output_dir != OUTPUTS:
        return ConfigError(f"{name or repr(name)}: {output_dir}: no such directory", ELSEWHERE)
    return ConfigError(
        f"{name or repr(name)}: there are no runs in {output_dir} yet",
        f"{BEGIN}; or {ELSEWHERE}",
    )


def latest(output_dir: Path, *, trained: bool = False) -> Path:
    """The run, group or comparison in an output directory that was started last.

    `trained` leaves out comparisons.

    Raises:
        ConfigError: there is no run.
        OutputError: it can't be read.
    """
    found: list[tuple[float, Path]] = []
    for changed, path in last_changed_first(run_directories(output_dir)):
        if found and changed < max(found)[0]:
            break
        with suppress(ConfigError, DataError, OSError):  # a broken one has no known time
            is_trained = not is_comparison(path)
            manifest = read_manifest(path) if is_trained else read_comparison(path)
            if is_trained or not trained:
                found.append((started_at(manifest), path))
    if not found and run_directories(output_dir):
        raise ConfigError(f"{LATEST}: no run in {output_dir} can be read", "gdrun list says why")
    if not found:
        raise _no_runs(LATEST, output_dir)
    return max(found)[1]


def complete_runs(output_dir: Path, incomplete: str) -> list[str]:
    """Names of runs that begin with an incomplete one; after a slash, those of a group's runs.

    Those that would steer the terminal are left out.
    """
    first, slash, _ = incomplete.partition("/")
    if slash:
        names = [f"{first}/{own}" for own in _names_in(output_dir / first)]
    else:
        names = [*_names_in(output_dir), LATEST]
    return [name for name in names if name.startswith(incomplete) and not unseen(name)]


def _is_run(path: Path) -> bool:
    try:
        return is_saved(path)
    except ValueError:  # a null character
        return False


def _is_file(path: Path) -> bool:
    with suppress(ValueError, OSError):  # a null character, a name too long
        return path.is_file()
    return False


def _is_directory(path: Path) -> bool:
    with suppress(ValueError, OSError):
        return path.is_dir()
    return False


def _names_in(directory: Path) -> list[str]:
    try:
        return [path.name for path in run_directories(directory)]
    except (ConfigError, OutputError):
        return []


def _hints(name: str, known: list[str]) -> list[str]:
    return (
        did_you_mean(name, known)
        or did_you_mean(Path(name).name, known)
        or [
            "name a directory, a run in --output-dir, GROUP/RUN, or latest; `gdrun list` shows them"
        ]
    )
